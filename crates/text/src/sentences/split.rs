//! Cuts a paragraph into sentences.
//!
//! A sentence ends at a stop, an exclamation or a question mark, together with
//! the quotes and brackets that close after it, if white space follows and
//! what comes next looks like a beginning. Chinese and Japanese stops need no
//! space. Nothing ends inside `code`, or inside brackets that close again.

use std::ops::Range;

use super::abbreviations::{Abbreviation, classify, is_starter};
use super::trimmed;

/// Brackets longer than this may hold whole sentences.
const MAX_BRACKET_BYTES: usize = 400;

/// The sentences of one paragraph, in order.
pub(super) fn split(text: &str) -> Vec<Range<usize>> {
    let closed = closed_spans(text);
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut position = 0;
    let mut next_span = 0;
    while let Some(c) = text[position..].chars().next() {
        // Skip what cannot contain an end. Spans are sorted and disjoint.
        while closed.get(next_span).is_some_and(|span| span.start < position) {
            next_span += 1;
        }
        if let Some(span) = closed.get(next_span).filter(|span| span.start == position) {
            let inside = text[span.clone()].trim_end_matches(is_closer);
            let marks_start = span.start + inside.trim_end_matches(is_end_mark).len();
            let marks = marks_start..span.start + inside.len();
            position = span.end + closers(&text[span.end..]);
            if c != '`' && !marks.is_empty() && is_boundary(text, start, marks, position) {
                sentences.push(trimmed(text, start..position));
                start = position;
            }
            continue;
        }
        if !is_end_mark(c) {
            position += c.len_utf8();
            continue;
        }
        let marks = run(&text[position..], is_end_mark);
        let after_marks = position + marks;
        let end = after_marks + closers(&text[after_marks..]);
        if is_boundary(text, start, position..after_marks, end) {
            sentences.push(trimmed(text, start..end));
            start = end;
        }
        position = end;
    }
    let rest = trimmed(text, start..text.len());
    if !rest.is_empty() {
        sentences.push(rest);
    }
    sentences
}

/// Bytes at the start of `text` whose characters all satisfy `belongs`.
fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.len() - text.trim_start_matches(belongs).len()
}

fn is_end_mark(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '\u{2026}') || is_unspaced_mark(c) || is_foreign_mark(c)
}

/// Full-width stops, after which no space is written.
fn is_unspaced_mark(c: char) -> bool {
    matches!(c, '\u{3002}' | '\u{ff01}' | '\u{ff1f}' | '\u{ff61}' | '\u{ff0e}')
}

/// Arabic and Devanagari stops.
fn is_foreign_mark(c: char) -> bool {
    matches!(c, '\u{061f}' | '\u{06d4}' | '\u{0964}' | '\u{0965}')
}

/// Quotes, brackets and emphasis that may close after a stop.
fn is_closer(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | '\u{201d}'
            | '\u{2019}'
            | '\u{bb}'
            | ')'
            | ']'
            | '}'
            | '*'
            | '_'
            | '`'
            | '\u{300d}'
            | '\u{300f}'
            | '\u{ff09}'
            | '\u{3011}'
            | '\u{300b}'
    )
}

fn is_opener(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | '\u{201c}'
            | '\u{2018}'
            | '\u{ab}'
            | '('
            | '['
            | '{'
            | '*'
            | '_'
            | '`'
            | '\u{300c}'
            | '\u{300e}'
            | '\u{ff08}'
            | '\u{bf}'
            | '\u{a1}'
    )
}

/// Bytes of what closes at the start of `text`, with references such as `[3]`
/// that directly follow.
fn closers(text: &str) -> usize {
    let mut len = run(text, is_closer);
    while let Some(inner) = text[len..].strip_prefix('[') {
        let digits =
            run(inner, |c| c.is_ascii_digit() || matches!(c, ',' | '-' | '\u{2013}' | '^'));
        if digits == 0 || !inner[digits..].starts_with(']') {
            break;
        }
        len += digits + 2;
    }
    len
}

/// Code between backquotes, and short brackets with their contents, in order
/// and without overlaps.
fn closed_spans(text: &str) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut position = 0;
    while let Some(c) = text[position..].chars().next() {
        let mut len = c.len_utf8();
        match c {
            '`' => {
                let ticks = run(&text[position..], |c| c == '`');
                len = ticks;
                let inside = &text[position + ticks..];
                if let Some(close) = inside.find(&text[position..position + ticks]) {
                    len += close + ticks;
                    spans.push(position..position + len);
                }
            }
            '(' | '[' => open.push((c, position)),
            ')' | ']' => {
                let opener = if c == ')' { '(' } else { '[' };
                if let Some(depth) = open.iter().rposition(|(mark, _)| *mark == opener) {
                    let start = open[depth].1;
                    open.truncate(depth);
                    if position - start <= MAX_BRACKET_BYTES {
                        while spans.last().is_some_and(|span| span.start > start) {
                            spans.pop();
                        }
                        spans.push(start..position + 1);
                    }
                }
            }
            _ => {}
        }
        position += len;
    }
    spans
}

/// Whether the sentence that began at `start` ends at `end`, where `marks` are
/// its last stops and everything from there to `end` closes.
fn is_boundary(text: &str, start: usize, marks: Range<usize>, end: usize) -> bool {
    let rest = &text[end..];
    let last_mark = text[marks.clone()].chars().next_back();
    if last_mark.is_some_and(is_unspaced_mark) {
        return true;
    }
    let next = rest.trim_start();
    if next.len() == rest.len() && !rest.is_empty() {
        return false;
    }
    let next = next.trim_start_matches(is_opener);
    let Some(first) = next.chars().next() else { return true };
    if last_mark.is_some_and(is_foreign_mark) {
        return true;
    }
    let is_code = rest.trim_start().starts_with('`');
    let sentence = &text[start..marks.start];
    // Code begins like a name: nothing can be told from its case.
    let is_small = first.is_lowercase() && !is_code;
    if &text[marks.clone()] != "." {
        return !is_small;
    }
    if is_small && marks.end < end {
        return false;
    }
    stop_ends(sentence, next, is_small)
}

/// Whether a single stop after `sentence` ends it, when `next` follows, which
/// begins with a small letter if `is_small`.
fn stop_ends(sentence: &str, next: &str, is_small: bool) -> bool {
    let word_start = sentence.rfind(|c: char| c.is_whitespace() || is_opener(c));
    let word_start =
        word_start.map_or(0, |at| at + sentence[at..].chars().next().map_or(0, char::len_utf8));
    let word = &sentence[word_start..];
    let before = sentence[..word_start].trim_end();
    let previous = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let previous = previous.trim_matches(|c: char| !c.is_alphanumeric());

    // `1. First`, `a. First`: a number at the start labels what follows.
    if before.is_empty() && !word.is_empty() && is_label(word) {
        return false;
    }
    let next_word = &next[..run(next, char::is_alphanumeric)];
    match classify(word, previous) {
        Some(Abbreviation::Inner) => false,
        Some(Abbreviation::BeforeNumber) => !is_small && !is_reference(next_word),
        Some(Abbreviation::Ambiguous) => !is_small && is_starter(next_word),
        Some(Abbreviation::BeforeCapital) => !is_small,
        None if is_small => {
            // A name written small may begin a sentence, but an unknown
            // abbreviation is short.
            let letters = word.chars().filter(|c| c.is_alphabetic()).count();
            letters >= 4 && word.chars().all(char::is_alphanumeric)
        }
        None => true,
    }
}

fn is_label(word: &str) -> bool {
    let is_number = word.len() <= 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    is_number || (word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// What may follow `Fig.`: a number, a letter, or a Roman number.
fn is_reference(word: &str) -> bool {
    let is_short = word.chars().count() <= 2 && word.starts_with(char::is_uppercase);
    let is_roman = !word.is_empty() && word.chars().all(|c| "IVXLC".contains(c));
    word.starts_with(char::is_numeric)
        || ((is_short || is_roman) && !is_starter(word) && word != "I")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(want: &[&str]) {
        for separator in [" ", "\n", "  "] {
            let text = want.join(separator);
            let found: Vec<&str> = split(&text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, want);
        }
    }

    #[test]
    fn plain_sentences_end_at_their_marks() {
        check(&["One.", "Two!", "Three?", "Four?!", "Five..."]);
        check(&["It works.", "42 is the answer.", "Éa."]);
        check(&["No mark at the end"]);
    }

    #[test]
    fn titles_and_latin_abbreviations_do_not_end() {
        check(&["Dr. Smith met Mrs. Jones, cf. St. Paul.", "They left."]);
        check(&["Use a store, e.g. a log, i.e. one file.", "Good."]);
        check(&["See Smith et al. (2019) and Lee et al. 2020.", "More."]);
        check(&["This was shown by Smith et al.", "The result holds."]);
    }

    #[test]
    fn references_do_not_end_but_words_may() {
        check(&["See Fig. 3, Sec. 4.2 and Eq. (7) on pp. 3-4, vol. II.", "Done."]);
        check(&["The answer is no.", "The end."]);
        check(&["Train No. 7 leaves on Jan. 5.", "It is late."]);
    }

    #[test]
    fn acronyms_end_only_before_a_likely_beginning() {
        check(&["The U.S. Army and the U.K. office of Acme Inc. agreed.", "Fine."]);
        check(&["It is made in the U.S.", "The price is low."]);
        check(&["J. R. R. Tolkien wrote at 5 p.m. on Monday.", "He slept."]);
        check(&["We need plan B.", "Nobody has one."]);
        check(&["Files, folders, etc. are read.", "Archives, etc.", "Then it stops."]);
    }

    #[test]
    fn numbers_versions_names_and_addresses_hold_together() {
        check(&["Pi is 3.14159 and version 0.2.1 is out.", "Get it."]);
        check(&["Edit plumb.toml at https://example.org/a.b?c=d.", "Then run it."]);
        check(&["Use .NET or Node.js.", "Both work."]);
        check(&["It was 2019.", "Nothing happened."]);
        check(&["1. Open the file.", "2 lines are shown."]);
    }

    #[test]
    fn quotes_and_brackets_close_after_the_stop() {
        check(&["He said \"Stop.\"", "She did."]);
        check(&["“Why?”", "“Because.”"]);
        check(&["(It is so. Really.)", "Yes."]);
        check(&["**Bold.**", "_Slanted._", "Plain."]);
        check(&["A claim.[1][2,3]", "Another one."]);
        check(&["\"Really?\" he asked.", "Nobody answered."]);
    }

    #[test]
    fn nothing_ends_inside_code_or_short_brackets() {
        check(&["Call `a. B` first.", "`plumb add` reads files.", "`x` is y."]);
        check(&["He left (why? Nobody knows.) at noon.", "So did I."]);
        check(&["Read [the guide. Now](https://a.b) please.", "Thanks."]);
    }

    #[test]
    fn ellipses_and_small_beginnings() {
        check(&["Wait... what is it?", "Oh."]);
        check(&["Well\u{2026} it depends.", "Yes."]);
        check(&["First stop the server.", "plumb keeps what was committed."]);
        check(&["It took approx. five min. in all.", "Good."]);
    }

    #[test]
    fn other_scripts_have_their_own_stops() {
        let text = "向量数据库。它很快！真的？「是。」好";
        let found: Vec<&str> = split(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["向量数据库。", "它很快！", "真的？", "「是。」", "好"]);
        check(&["यह एक वाक्य है।", "दूसरा।"]);
    }
}
