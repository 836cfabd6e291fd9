//! Text to the terms of full-text search.
//!
//! The steps, in order:
//!
//! 1. Compatibility decomposition (NFKD), so that ligatures and full-width
//!    forms become plain letters; combining marks are dropped (`café` is
//!    `cafe`); lower case.
//! 2. Words: runs of letters, digits and `_`. A `.` between two digits stays
//!    inside (`3.14`, `v0.2.1`), a `,` between a digit and exactly three
//!    digits is dropped (`1,000` is `1000`), an apostrophe between letters is
//!    dropped (`don't` is `dont`) and a possessive `'s` with it. A single
//!    letter keeps a following `#` or `++` (`c#`, `c++`).
//! 3. Runs of Chinese characters and Japanese kana, which are written without
//!    spaces, become pairs of neighbours (bigrams).
//! 4. Stop words are left out: the list [`STOP_WORDS`].
//! 5. Words of three or more ASCII letters are stemmed: Snowball English
//!    (Porter 2), <https://snowballstem.org/algorithms/english/stemmer.html>.
//!    Words with digits or `_` stay whole; a word with `_` inside also gives
//!    its parts (`rope_theta` gives `rope_theta`, `rope`, `theta`).
//!
//! Queries and documents go through the same steps.

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Turns text into search terms.
pub struct Analyzer {
    stemmer: Stemmer,
}

/// Words that say little about what a text is about. Sorted.
const STOP_WORDS: &[&str] = &[
    "a", "about", "am", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "could",
    "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "him", "his", "how",
    "i", "if", "in", "into", "is", "it", "its", "me", "my", "no", "not", "of", "on", "or", "our",
    "she", "should", "so", "such", "than", "that", "the", "their", "them", "then", "there",
    "these", "they", "this", "those", "to", "was", "we", "were", "what", "when", "where", "which",
    "who", "why", "will", "with", "would", "you", "your",
];

/// A word longer than this (encoded data, mostly) is cut off here.
const MAX_WORD_CHARS: usize = 64;

impl Analyzer {
    /// The analyzer for English, and for words of other languages as they are.
    pub fn english() -> Self {
        Self { stemmer: Stemmer::create(Algorithm::English) }
    }

    /// The terms of `text`, in order, repeated as often as they occur.
    pub fn terms(&self, text: &str) -> Vec<String> {
        let folded: Vec<char> =
            text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect();
        let mut terms = Vec::new();
        let mut rest = folded.as_slice();
        while let Some(&first) = rest.first() {
            let len = if is_unspaced(first) {
                let len = run(rest, is_unspaced);
                add_bigrams(&rest[..len], &mut terms);
                len
            } else if is_word(first) {
                let (word, len) = word(rest);
                self.add_word(&word, &mut terms);
                len
            } else {
                1
            };
            rest = &rest[len..];
        }
        terms
    }

    fn add_word(&self, word: &str, terms: &mut Vec<String>) {
        let word = word.trim_matches('_');
        if word.contains('_') {
            terms.push(word.to_owned());
            for part in word.split('_').filter(|part| !part.is_empty()) {
                self.add_word(part, terms);
            }
        } else if !word.is_empty() && STOP_WORDS.binary_search(&word).is_err() {
            let stems = word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_lowercase());
            terms.push(if stems { self.stemmer.stem(word).into_owned() } else { word.to_owned() });
        }
    }
}

fn run(chars: &[char], belongs: impl Fn(char) -> bool) -> usize {
    chars.iter().take_while(|&&c| belongs(c)).count()
}

fn is_word(c: char) -> bool {
    (c.is_alphanumeric() || c == '_') && !is_unspaced(c)
}

/// Scripts written without spaces between words: Han, Hiragana, Katakana.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

fn add_bigrams(run: &[char], terms: &mut Vec<String>) {
    if let [only] = run {
        terms.push(only.to_string());
    }
    terms.extend(run.windows(2).map(|pair| pair.iter().collect::<String>()));
}

/// The word at the start of `chars` and how many characters it takes there.
fn word(chars: &[char]) -> (String, usize) {
    let mut word = String::new();
    let mut len = 0;
    let mut kept = 0;
    while let Some(&c) = chars.get(len) {
        let before = len.checked_sub(1).map(|i| chars[i]);
        let after = &chars[len + 1..];
        if is_word(c) {
            if kept < MAX_WORD_CHARS {
                word.push(c);
                kept += 1;
            }
        } else if joins(c, before, after) {
            if c == '.' && kept < MAX_WORD_CHARS {
                word.push('.');
                kept += 1;
            }
        } else {
            break;
        }
        len += 1;
    }
    if let Some(stem) = possessive(&word, &chars[..len]) {
        word.truncate(stem);
    }
    if len == 1 && chars[0].is_ascii_alphabetic() {
        let suffix: &[char] = match chars[1..] {
            ['+', '+', ..] => &['+', '+'],
            ['#', ..] => &['#'],
            _ => &[],
        };
        if !chars.get(1 + suffix.len()).is_some_and(|&c| is_word(c)) {
            word.extend(suffix);
            len += suffix.len();
        }
    }
    (word, len)
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}')
}

/// Whether `c` holds together what is before and after it.
fn joins(c: char, before: Option<char>, after: &[char]) -> bool {
    let digit_before = before.is_some_and(|c| c.is_ascii_digit());
    let digits_after = run(after, |c| c.is_ascii_digit());
    match c {
        '.' => digit_before && digits_after > 0,
        ',' => digit_before && digits_after == 3 && !after.get(3).is_some_and(|&c| is_word(c)),
        _ if is_apostrophe(c) => {
            let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphabetic() && is_word(c));
            letter(before) && letter(after.first().copied())
        }
        _ => false,
    }
}

/// Where `word` ends without its possessive, if `source` ends in one.
fn possessive(word: &str, source: &[char]) -> Option<usize> {
    match source {
        [.., apostrophe, 's'] if is_apostrophe(*apostrophe) => {
            word.ends_with('s').then(|| word.len() - 1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        assert_eq!(Analyzer::english().terms(text), want);
    }

    #[test]
    fn words_are_stemmed_and_stop_words_left_out() {
        check("The quantised weights were being loaded.", &["quantis", "weight", "be", "load"]);
        check("How do I index a folder?", &["index", "folder"]);
    }

    #[test]
    fn identifiers_keep_their_underscores_and_give_their_parts() {
        check("set rope_theta", &["set", "rope_theta", "rope", "theta"]);
        check("__init__ _x", &["init", "x"]);
    }

    #[test]
    fn numbers_and_versions_stay_whole() {
        check("3.14 v0.2.1 1,000,000 [1,2] 10.", &["3.14", "v0.2.1", "1000000", "1", "2", "10"]);
        check("Q4_K BM25 f16", &["q4_k", "q4", "k", "bm25", "f16"]);
    }

    #[test]
    fn punctuation_separates_and_languages_keep_theirs() {
        check(
            "byte-pair plumb.toml C++ C# c",
            &["byte", "pair", "plumb", "toml", "c++", "c#", "c"],
        );
    }

    #[test]
    fn apostrophes_disappear() {
        check("The model's models’ don't O'Reilly", &["model", "model", "dont", "oreilli"]);
    }

    #[test]
    fn accents_ligatures_and_width_are_folded() {
        check("Café ﬁle ＡＢＣ ÜBER", &["cafe", "file", "abc", "uber"]);
    }

    #[test]
    fn scripts_without_spaces_become_pairs() {
        check("向量数据库 and 猫", &["向量", "量数", "数据", "据库", "猫"]);
        check("привет мир", &["привет", "мир"]);
    }

    #[test]
    fn the_stop_words_are_sorted() {
        assert!(STOP_WORDS.is_sorted());
    }

    proptest! {
        #[test]
        fn any_text_gives_short_lower_case_terms(text in "\\PC{0,60}") {
            for term in Analyzer::english().terms(&text) {
                prop_assert!(!term.is_empty() && term.chars().count() <= MAX_WORD_CHARS);
                prop_assert!(!term.contains(char::is_whitespace));
            }
        }
    }
}
