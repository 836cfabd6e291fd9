//! Where a claim says one thing and its source another, word against word.
//!
//! Claim and quote are aligned by their longest common subsequence. Between two
//! matched neighbours the claim may leave words out, and it may add words that
//! are known from the headings, such as a subject for a pronoun. It may not do
//! both: a word that carries meaning in the place of another one is a swap, even
//! if the new word occurs elsewhere in the source.

use plumb_text::Analyzer;

use crate::words::{is_function_word, is_relation_word, is_word_byte, number_at};

/// A word of the claim that stands where the quote has another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Swap {
    pub(crate) said: String,
    pub(crate) source: String,
}

struct Token<'t> {
    written: &'t str,
    /// What two words that mean the same share.
    key: String,
    /// False for words whose exchange changes no fact.
    carries: bool,
}

/// The first swap between `claim` and `quote`. `plain` says which terms any
/// sentence may use.
pub(crate) fn swap(
    claim: &str,
    quote: &str,
    analyzer: &Analyzer,
    plain: &dyn Fn(&str) -> bool,
) -> Option<Swap> {
    let (said, source) = (tokens(claim, analyzer, plain), tokens(quote, analyzer, plain));
    let matches = aligned(&said, &source);
    let mut before = (0, 0);
    let ends = std::iter::once((said.len(), source.len()));
    for (i, j) in matches.into_iter().chain(ends) {
        let new = said[before.0..i].iter().find(|token| token.carries);
        let old = &source[before.1..j];
        if let Some(new) = new {
            let replaced = old.iter().find(|token| token.carries);
            // A subject in the place of a pronoun that ends what was left out.
            let is_pronoun = old.last().is_some_and(|token| PRONOUNS.contains(&token.key.as_str()));
            if let Some(replaced) = replaced.filter(|_| !is_pronoun) {
                return Some(Swap {
                    said: new.written.to_owned(),
                    source: replaced.written.to_owned(),
                });
            }
        }
        before = (i + 1, j + 1);
    }
    None
}

const PRONOUNS: &[&str] = &["he", "it", "its", "she", "that", "their", "these", "they", "this"];

fn tokens<'t>(text: &'t str, analyzer: &Analyzer, plain: &dyn Fn(&str) -> bool) -> Vec<Token<'t>> {
    pieces(text)
        .enumerate()
        .map(|(position, (written, number))| {
            if let Some(key) = number {
                return Token { written, key, carries: true };
            }
            let lower = written.to_lowercase();
            let terms = analyzer.terms(written);
            let relates = is_relation_word(&lower);
            let key = match terms.first() {
                Some(term) if !relates => term.clone(),
                _ => lower.clone(),
            };
            // `Provides` within a sentence is a name, whatever any sentence may say.
            let is_name = position > 0 && written.starts_with(char::is_uppercase);
            let carries = relates || (!is_function_word(&lower) && (is_name || !plain(&key)));
            Token { written, key, carries }
        })
        .collect()
}

/// Words of `text` as they are written, and numbers, each whole and with its value:
/// of `2.0` and `1.2` the digit in common says nothing.
fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<String>)> {
    let is_word = |at: usize| text.as_bytes().get(at).is_some_and(|&byte| is_word_byte(byte));
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() && !is_word(at) {
            at += 1;
        }
        let start = at;
        if let Some((number, end)) = number_at(text, start).filter(|(_, end)| !is_word(*end)) {
            at = end;
            return Some((&text[start..end], Some(number)));
        }
        while is_word(at) {
            at += 1;
        }
        (start < at).then(|| (&text[start..at], None))
    })
}

/// Pairs of positions of one longest common subsequence, which prefers to match
/// words that carry meaning.
fn aligned(a: &[Token<'_>], b: &[Token<'_>]) -> Vec<(usize, usize)> {
    let weight = |token: &Token<'_>| if token.carries { 3 } else { 1 };
    let width = b.len() + 1;
    let mut best = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            let skip = best[(i + 1) * width + j].max(best[i * width + j + 1]);
            let both = best[(i + 1) * width + j + 1] + weight(&a[i]);
            best[i * width + j] = if a[i].key == b[j].key { skip.max(both) } else { skip };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < a.len() && j < b.len() {
        let here = best[i * width + j];
        if a[i].key == b[j].key && here == best[(i + 1) * width + j + 1] + weight(&a[i]) {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if here == best[(i + 1) * width + j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(claim: &str, quote: &str) -> Option<(String, String)> {
        let plain = |term: &str| term == "techniqu" || term == "use";
        swap(claim, quote, &Analyzer::english(), &plain).map(|swap| (swap.said, swap.source))
    }

    #[track_caller]
    fn check(claim: &str, quote: &str, want: Option<(&str, &str)>) {
        let want = want.map(|(said, source)| (said.to_owned(), source.to_owned()));
        assert_eq!(found(claim, quote), want, "{claim}");
    }

    #[test]
    fn a_word_in_the_place_of_another_is_a_swap() {
        let quote = "Pfizer sold the plant in Basel before it bought the one in Geneva.";
        check(
            "Pfizer sold the plant in Geneva before it bought the one in Geneva.",
            quote,
            Some(("Geneva", "Basel")),
        );
        check("Pfizer sold the plant in Basel.", quote, None);
        check(
            "Pfizer sold the plant in Basel after it bought the one in Geneva.",
            quote,
            Some(("after", "before")),
        );
    }

    #[test]
    fn a_number_is_one_piece() {
        let quote = "They are rex for release 1.2, bo for release 1.3.x, hamm for release 2.0.";
        check(
            "They are rex for release 2.0, bo for release 1.3.x, hamm for release 2.0.",
            quote,
            Some(("2.0", "1.2")),
        );
        check(
            "They are rex for release 1.2, bo for release 1.3.x, hamm for release 1.2.",
            quote,
            Some(("1.2", "2.0")),
        );
        check("The 3rd costs 1,000 dollars.", "The 3rd costs 1000.0 dollars.", None);
    }

    #[test]
    fn a_plain_word_with_a_capital_is_a_name() {
        let plain = |term: &str| term == "use";
        let found = swap(
            "The fields are Uses, Size and Uses.",
            "The fields are Depends, Size and Uses.",
            &Analyzer::english(),
            &plain,
        );
        assert!(found.is_some());
    }

    #[test]
    fn a_subject_may_take_the_place_of_a_pronoun_and_of_plain_words() {
        check("Dropout sets units to zero.", "It sets units to zero.", None);
        check("Dropout sets units to zero.", "The technique sets units to zero.", None);
        check("Dropout sets units to zero.", "In the last layer it sets units to zero.", None);
        check(
            "Dropout sets units to zero.",
            "Pooling sets units to zero.",
            Some(("Dropout", "Pooling")),
        );
    }
}
