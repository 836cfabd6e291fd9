//! Words, numbers and negations as the checks of an answer see them.
//!
//! A word is a run of letters, digits, `_` and bytes outside ASCII, compared
//! without ASCII case. That is coarser than a linguist's word and the same on
//! both sides of every comparison, which is what a check needs. Stemming is
//! left to `plumb-text`.

use std::collections::BTreeSet;

use plumb_text::Analyzer;

/// True for the bytes that words are made of.
pub(crate) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The words of `text` in order, as they are written.
pub(crate) fn written_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_ascii() && !is_word_byte(c as u8)).filter(|word| !word.is_empty())
}

/// The words of `text` in order, in ASCII lower case.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    written_words(text).map(str::to_ascii_lowercase)
}

/// True if `word` (lower case) carries grammar and no content.
pub(crate) fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.binary_search(&word).is_ok()
}

/// The words of `text` that carry content.
pub(crate) fn content_words(text: &str) -> Vec<String> {
    words(text).filter(|word| !is_function_word(word)).collect()
}

/// The numbers of `text` in a canonical form: thousands separators and
/// trailing zeros of a fraction removed, so that `1,000.50` equals `1000.5`.
///
/// Dates and versions come out as their runs of digits joined by the same
/// separators, so `2024-01-01` and `1.2.3` are one number each. A percent sign
/// belongs to its number.
pub(crate) fn numbers(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < text.len() {
        match number_at(text, at) {
            Some((number, end)) => {
                found.insert(number);
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// The number of `text` that starts at byte `start`, in the form of [`numbers`],
/// and where its digits end.
pub(crate) fn number_at(text: &str, start: usize) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    if !bytes.get(start)?.is_ascii_digit() {
        return None;
    }
    let mut at = start;
    while at < bytes.len()
        && (bytes[at].is_ascii_digit()
            || (matches!(bytes[at], b'.' | b',' | b'-' | b':' | b'/')
                && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)))
    {
        at += 1;
    }
    let mut number = canonical(&text[start..at]);
    if bytes.get(at) == Some(&b'%') {
        number.push('%');
    }
    Some((number, at))
}

fn canonical(digits: &str) -> String {
    let groups: Vec<&str> = digits.split(',').collect();
    let grouped = groups.len() > 1
        && groups[1..].iter().all(|group| group.split('.').next().is_some_and(|g| g.len() == 3));
    let plain = if grouped { groups.concat() } else { digits.to_owned() };
    match plain.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b.is_ascii_digit()) => {
            let fraction = fraction.trim_end_matches('0');
            if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
        }
        _ => plain,
    }
}

/// How many negations `text` has.
pub(crate) fn negations(text: &str) -> usize {
    let lower = text.to_lowercase();
    let contracted = lower.matches("n't").count() + lower.matches("n\u{2019}t").count();
    let spelled = words(&lower).filter(|word| NEGATIONS.contains(&word.as_str())).count();
    contracted + spelled
}

/// The terms of `text` that negations bear on: for each, the first content word
/// after it.
pub(crate) fn negated_terms(text: &str, analyzer: &Analyzer) -> Vec<String> {
    let lower = text.to_lowercase().replace('\u{2019}', "'").replace("n't", " not");
    let all: Vec<String> = words(&lower).collect();
    let negates = |word: &String| NEGATIONS.contains(&word.as_str());
    let term = |word: &String| analyzer.terms(word).into_iter().next();
    (0..all.len())
        .filter(|&at| negates(&all[at]))
        .filter_map(|at| all[at + 1..].iter().filter(|word| !negates(word)).find_map(term))
        .collect()
}

const NEGATIONS: &[&str] = &[
    "cannot", "except", "fails", "hardly", "lacks", "neither", "never", "no", "nobody", "none",
    "nor", "not", "nothing", "nowhere", "rarely", "seldom", "without",
];

/// True if `word` (lower case) relates amounts, times or cases to each other, or
/// says how binding something is: exchanged for another, it changes the fact.
pub(crate) fn is_relation_word(word: &str) -> bool {
    RELATION_WORDS.binary_search(&word).is_ok()
}

/// The words of `text` that [relate](is_relation_word).
pub(crate) fn relation_words(text: &str) -> impl Iterator<Item = String> + '_ {
    words(text).filter(|word| is_relation_word(word))
}

const RELATION_WORDS: &[&str] = &[
    "above",
    "after",
    "all",
    "always",
    "any",
    "before",
    "below",
    "down",
    "during",
    "each",
    "every",
    "few",
    "fewer",
    "inside",
    "least",
    "less",
    "many",
    "may",
    "might",
    "more",
    "most",
    "must",
    "often",
    "only",
    "optional",
    "outside",
    "over",
    "required",
    "should",
    "since",
    "some",
    "sometimes",
    "under",
    "unless",
    "until",
    "up",
    "usually",
];

/// Closed-class words of English, sorted. `t`, `s` and the like are what is
/// left of contractions.
pub(crate) const FUNCTION_WORDS: &[&str] = &[
    "a",
    "about",
    "above",
    "after",
    "again",
    "against",
    "all",
    "also",
    "although",
    "am",
    "among",
    "an",
    "and",
    "another",
    "any",
    "are",
    "aren",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "being",
    "below",
    "between",
    "both",
    "but",
    "by",
    "can",
    "cannot",
    "could",
    "couldn",
    "did",
    "didn",
    "do",
    "does",
    "doesn",
    "doing",
    "don",
    "down",
    "during",
    "each",
    "either",
    "etc",
    "even",
    "every",
    "few",
    "for",
    "from",
    "further",
    "had",
    "hadn",
    "has",
    "hasn",
    "have",
    "haven",
    "having",
    "he",
    "hence",
    "her",
    "here",
    "hers",
    "him",
    "his",
    "how",
    "however",
    "i",
    "if",
    "in",
    "instead",
    "into",
    "is",
    "isn",
    "it",
    "its",
    "itself",
    "just",
    "ll",
    "many",
    "may",
    "me",
    "might",
    "more",
    "moreover",
    "most",
    "much",
    "must",
    "my",
    "neither",
    "no",
    "nor",
    "not",
    "of",
    "off",
    "often",
    "on",
    "once",
    "one",
    "only",
    "onto",
    "or",
    "other",
    "others",
    "our",
    "out",
    "over",
    "own",
    "per",
    "re",
    "s",
    "same",
    "she",
    "should",
    "shouldn",
    "since",
    "so",
    "some",
    "such",
    "t",
    "than",
    "that",
    "the",
    "their",
    "theirs",
    "them",
    "themselves",
    "then",
    "there",
    "therefore",
    "these",
    "they",
    "this",
    "those",
    "through",
    "thus",
    "to",
    "too",
    "toward",
    "towards",
    "under",
    "until",
    "up",
    "upon",
    "us",
    "ve",
    "very",
    "via",
    "was",
    "wasn",
    "we",
    "were",
    "weren",
    "what",
    "when",
    "where",
    "whereas",
    "whether",
    "which",
    "while",
    "who",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "within",
    "without",
    "won",
    "would",
    "wouldn",
    "you",
    "your",
    "yours",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_words_are_sorted() {
        assert!(FUNCTION_WORDS.is_sorted());
        assert!(RELATION_WORDS.is_sorted());
    }

    #[track_caller]
    fn check_numbers(text: &str, want: &[&str]) {
        let found: Vec<String> = numbers(text).into_iter().collect();
        assert_eq!(found, want, "{text}");
    }

    #[test]
    fn numbers_are_compared_by_value() {
        check_numbers("1,000.50 dollars", &["1000.5"]);
        check_numbers("in 2024-01-01.", &["2024-01-01"]);
        check_numbers("rose 5% (from 3, 4)", &["3", "4", "5%"]);
        check_numbers("k1 = 1.20", &["1", "1.2"]);
        check_numbers("none", &[]);
    }

    #[test]
    fn negations_are_counted_in_every_spelling() {
        assert_eq!(negations("It doesn't, and it cannot."), 2);
        assert_eq!(negations("It isn\u{2019}t."), 1);
        assert_eq!(negations("Notably so."), 0);
    }
}
