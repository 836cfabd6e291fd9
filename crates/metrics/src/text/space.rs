//! Python's notion of white space, which decides where its metrics cut words.

/// Whether Python's `str.isspace` holds: Unicode's white space and the four
/// ASCII separators, which Unicode leaves out.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// The words that `str.split()` of Python gives.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// `str.rstrip()` of Python.
pub(super) fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// `str.strip()` of Python.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_of_ascii_are_space_and_zero_width_space_is_not() {
        let words: Vec<&str> = split("a\u{1f}b\u{a0}c\u{2028}d\u{3000}e\u{200b}f \n").collect();
        assert_eq!(words, ["a", "b", "c", "d", "e\u{200b}f"]);
        assert_eq!(trim_end(" a \u{85}\u{1c}"), " a");
        assert_eq!(trim("\u{1d} a \u{2009}"), "a");
    }
}
