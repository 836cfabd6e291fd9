//! Punctuation, symbols and numbers by Unicode's general category.

use super::categories_table::RANGES;

/// The major categories that a tokeniser asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    /// `P`: `.`, `«`, `。`.
    Punctuation,
    /// `S`: `$`, `+`, `™`.
    Symbol,
    /// `N`: `7`, `½`, `Ⅻ`.
    Number,
}

/// The category of `character`, if it is one of the three.
pub(super) fn category(character: char) -> Option<Category> {
    let code = u32::from(character);
    // Between letters, the most frequent answer is known without a search.
    if character.is_ascii_alphabetic() || character == ' ' {
        return None;
    }
    let next = RANGES.partition_point(|(first, _, _)| *first <= code);
    let (_, last, category) = RANGES[next.checked_sub(1)?];
    (code <= last).then_some(category)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_characters_have_their_categories() {
        for character in ['.', '«', '。', '_', '-', '(', '\u{2026}'] {
            assert_eq!(category(character), Some(Category::Punctuation), "{character}");
        }
        for character in ['$', '+', '\u{2122}', '^', '`', '\u{1f600}'] {
            assert_eq!(category(character), Some(Category::Symbol), "{character}");
        }
        for character in ['7', '\u{bd}', '\u{216b}', '\u{663}'] {
            assert_eq!(category(character), Some(Category::Number), "{character}");
        }
        for character in ['a', ' ', '\t', '\u{e9}', '\u{4ed6}', '\u{301}', '\0', '\u{10ffff}'] {
            assert_eq!(category(character), None, "{character:?}");
        }
    }

    #[test]
    fn the_ranges_rise_and_do_not_overlap() {
        assert!(RANGES.iter().all(|(first, last, _)| first <= last));
        assert!(RANGES.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }
}
