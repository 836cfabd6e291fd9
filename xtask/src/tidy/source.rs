//! A Rust file line by line, with code, comments and literals told apart.
//!
//! This is a scanner, not a parser: it knows strings, characters, lifetimes and
//! comments well enough that a brace in a string is no brace.

/// One line of a source file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// The line as it stands.
    pub(crate) raw: String,
    /// The line with comments and the insides of literals taken out.
    pub(crate) code: String,
    /// Whether the line is part of a test module or a test function.
    pub(crate) is_test: bool,
}

impl Line {
    /// Whether anything is left that the compiler reads.
    pub(crate) fn has_code(&self) -> bool {
        !self.code.trim().is_empty()
    }
}

/// What the scanner is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    /// Nested to this depth.
    BlockComment(u32),
    Text,
    /// A raw string that ends at a quote and this many hashes.
    RawText(usize),
}

/// Splits a file into its lines.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    let mut inside = Inside::Code;
    let mut lines = Vec::new();
    for raw in text.lines() {
        let mut code = String::new();
        let mut rest = raw;
        while !rest.is_empty() {
            let (taken, kept, next) = advance(inside, rest, code.chars().next_back());
            code.push_str(kept);
            rest = &rest[taken..];
            inside = next;
        }
        lines.push(Line { raw: raw.to_owned(), code, is_test: false });
    }
    mark_tests(&mut lines);
    lines
}

/// How many bytes to take, what of them to keep as code, and what follows.
fn advance(inside: Inside, rest: &str, before: Option<char>) -> (usize, &str, Inside) {
    let first = rest.chars().next().map_or(1, char::len_utf8);
    match inside {
        Inside::Code => advance_code(rest, before, first),
        Inside::BlockComment(depth) if rest.starts_with("*/") => {
            (2, "", if depth == 1 { Inside::Code } else { Inside::BlockComment(depth - 1) })
        }
        Inside::BlockComment(depth) if rest.starts_with("/*") => {
            (2, "", Inside::BlockComment(depth + 1))
        }
        Inside::Text if rest.starts_with('\\') => {
            (1 + rest[1..].chars().next().map_or(0, char::len_utf8), "", inside)
        }
        Inside::Text if rest.starts_with('"') => (1, "\"", Inside::Code),
        Inside::RawText(hashes) if ends_raw(rest, hashes) => (1 + hashes, "\"", Inside::Code),
        _ => (first, "", inside),
    }
}

fn advance_code(rest: &str, before: Option<char>, first: usize) -> (usize, &str, Inside) {
    if rest.starts_with("//") {
        return (rest.len(), "", Inside::Code);
    }
    if rest.starts_with("/*") {
        return (2, "", Inside::BlockComment(1));
    }
    if rest.starts_with('"') {
        return (1, "\"", Inside::Text);
    }
    if let Some(opening) = raw_opening(rest).filter(|_| !before.is_some_and(is_word)) {
        return (opening, "\"", Inside::RawText(rest[..opening].matches('#').count()));
    }
    if let Some(length) = character(rest) {
        return (length, "' '", Inside::Code);
    }
    (first, &rest[..first], Inside::Code)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn ends_raw(rest: &str, hashes: usize) -> bool {
    rest.strip_prefix('"').is_some_and(|after| after.bytes().take(hashes).all(|b| b == b'#'))
        && rest.len() > hashes
}

/// Length of `r"`, `r#"`, `br##"` and the like at the start.
fn raw_opening(rest: &str) -> Option<usize> {
    let after = rest.trim_start_matches(['b', 'c']);
    let prefix = rest.len() - after.len();
    let hashes = after.strip_prefix('r')?;
    let quote = hashes.trim_start_matches('#').strip_prefix('"')?;
    (prefix <= 1).then_some(rest.len() - quote.len())
}

/// Length of a character literal at the start; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escape) = inner.strip_prefix('\\') {
        // The character after the backslash may be a quote itself.
        let escaped = escape.chars().next()?.len_utf8();
        return Some(2 + escaped + escape[escaped..].find('\'')? + 1);
    }
    let length = inner.chars().next()?.len_utf8();
    inner[length..].starts_with('\'').then_some(length + 2)
}

/// Marks what follows `#[cfg(test)]` or `#[test]`, up to its closing brace.
fn mark_tests(lines: &mut [Line]) {
    let mut at = 0;
    while at < lines.len() {
        let code = lines[at].code.trim();
        if code.starts_with("#[cfg(test)]") || code.starts_with("#[test]") {
            let end = item_end(lines, at);
            lines[at..=end].iter_mut().for_each(|line| line.is_test = true);
            at = end;
        }
        at += 1;
    }
}

/// Index of the line where the item that starts at `from` ends: at its closing
/// brace, or at a semicolon before any brace.
pub(crate) fn item_end(lines: &[Line], from: usize) -> usize {
    let (mut braces, mut others) = (0_i64, 0_i64);
    for (index, line) in lines.iter().enumerate().skip(from) {
        for character in line.code.chars() {
            match character {
                '{' => braces += 1,
                '}' => braces -= 1,
                '(' | '[' => others += 1,
                ')' | ']' => others -= 1,
                _ => {}
            }
            let closed = character == '}' && braces == 0;
            if closed || (character == ';' && braces == 0 && others == 0) {
                return index;
            }
        }
    }
    lines.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let code: Vec<String> = lines(text).into_iter().map(|line| line.code).collect();
        assert_eq!(code.join("\n"), want);
    }

    #[test]
    fn literals_and_comments_are_taken_out() {
        check("let a = \"{ // \\\" }\"; // {", "let a = \"\"; ");
        check("/* a /* b */ c */ x", " x");
        check("a /* b\nc */ d", "a \n d");
        check("let a = r#\"\"{\"#; b", "let a = \"\"; b");
        check("let a = br\"\\\"; b", "let a = \"\"; b");
        check("let a = \"one\\\n  {two\"; b", "let a = \"\n\"; b");
        check("f('{', '\\'', '\\u{7d}', 'x')", "f(' ', ' ', ' ', ' ')");
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("four\"x\"", "four\"\"");
    }

    #[test]
    fn tests_are_marked_to_their_end() {
        let text = "a\n#[cfg(test)]\nmod tests {\n    b\n}\nc\n#[cfg(test)]\nmod tests;\nd";
        let marks: Vec<bool> = lines(text).iter().map(|line| line.is_test).collect();
        assert_eq!(marks, [false, true, true, true, true, false, true, true, false]);
    }
}
