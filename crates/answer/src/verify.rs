//! Whether one source sentence supports one claim.
//!
//! The check is lexical and strict: it cannot know that two different words
//! mean the same, so it errs towards dropping. Numbers with what they count,
//! names and negations of the claim must be those of the source; the other
//! content words must be there too, but for verbs that any sentence may have,
//! and in the source's order, because `A causes B` shares every word with
//! `B causes A`. Where both say something else in the same place, the claim is a
//! swap, whatever else the source contains.

use std::collections::BTreeSet;

use plumb_text::Analyzer;

use crate::align::swap;
use crate::quantities::{month, unknown_date, unknown_quantity};
use crate::words::{
    is_function_word, is_word_byte, negated_terms, negations, numbers, relation_words, words,
    written_words,
};

/// Least support at which a claim is kept. A claim that repeats its source has
/// 1.0; one that loses a sixth of its content words falls below.
pub const MIN_SUPPORT: f32 = 0.85;

/// Words of the subject that a claim may name elsewhere than its source does.
const MAX_MOVED: usize = 2;

/// What a claim may say that its source does not: words that join a subject to
/// what is said of it. Any other new word may be the wrong subject.
const PLAIN_WORDS: &str = "allow call consist contain define describe do enable example give have \
    help include involve known make mean method name process provide refer return serve technique \
    type use way work";

/// Why a claim was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    #[error("the number `{0}` is not in the source")]
    Number(String),
    #[error("`{0}` does not count the same thing in the source")]
    Unit(String),
    #[error("the date `{0}` is not in the source")]
    Date(String),
    #[error("the name `{0}` is not in the source")]
    Name(String),
    #[error("the source does not say `{0}`")]
    Relation(String),
    #[error("it says `{said}` where the source says `{source_word}`")]
    Swapped { said: String, source_word: String },
    #[error("`{0}` is not in the source")]
    Word(String),
    #[error("the source negates what the claim affirms, or the reverse")]
    Negation,
    #[error("too few of its words are in the source")]
    Words,
    #[error("its words have another order in the source, or fewer places")]
    Order,
    #[error("it is put together from too many pieces of the source")]
    Joints,
    #[error("it says nothing that could be checked")]
    Empty,
}

/// What a claim is held against.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The quoted source sentence.
    pub quote: &'a str,
    /// Title, headings and label above it: a claim may take its subject from
    /// there.
    pub context: &'a str,
}

/// How far `evidence` supports `claim`, in `0.0..=1.0` and at least
/// [`MIN_SUPPORT`], or why it does not.
pub fn support(
    claim: &str,
    evidence: Evidence<'_>,
    analyzer: &Analyzer,
) -> Result<f32, Unsupported> {
    // A line of its own each, so that no number counts the next one's word.
    let source = format!("{}.\n{}", evidence.context, evidence.quote);
    check_numbers(claim, &source)?;
    check_names(claim, &source, analyzer)?;
    if let Some(new) = relation_words(claim).find(|said| !words(&source).any(|w| w == *said)) {
        return Err(Unsupported::Relation(new));
    }
    let claimed = analyzer.terms(claim);
    if claimed.is_empty() {
        return Err(Unsupported::Empty);
    }
    check_negation(claim, evidence.quote, &claimed, analyzer)?;
    let known: BTreeSet<String> = analyzer.terms(&source).into_iter().collect();
    let plain: BTreeSet<String> = analyzer.terms(PLAIN_WORDS).into_iter().collect();
    if let Some(new) = claimed.iter().find(|term| !known.contains(*term) && !plain.contains(*term))
    {
        return Err(Unsupported::Word(new.clone()));
    }
    let covered = claimed.iter().filter(|term| known.contains(*term)).count();
    let quoted = analyzer.terms(evidence.quote);
    let in_quote: Vec<&String> = claimed.iter().filter(|term| quoted.contains(term)).collect();
    let in_order = longest_common_subsequence(&in_quote, &quoted);
    let subject = analyzer.terms(evidence.context);
    let is_subject = |term: &&&String| subject.contains(term);
    let moved = in_quote.len() - in_order;
    if in_quote.iter().filter(is_subject).count() < moved || MAX_MOVED < moved {
        return Err(Unsupported::Order);
    }
    if max_joints(claim) < joints(claim, evidence) {
        return Err(Unsupported::Joints);
    }
    if let Some(swap) = swap(claim, evidence.quote, analyzer, &|term| plain.contains(term)) {
        return Err(Unsupported::Swapped { said: swap.said, source_word: swap.source });
    }
    let share = |count: usize, of: usize| if of == 0 { 0.0 } else { count as f32 / of as f32 };
    let coverage = share(covered, claimed.len());
    // Words that only the headings have support a claim's subject, not a claim.
    let from_quote = share(in_quote.len(), claimed.len());
    // Little words carry who does what to whom: most must be as in the quote.
    let (said, meant): (Vec<String>, Vec<String>) =
        (words(claim).collect(), words(evidence.quote).collect());
    let phrasing = share(longest_common_subsequence(&said, &meant), said.len());
    let support = coverage.min((from_quote + 0.1).min(1.0)).min((phrasing + 0.25).min(1.0));
    if support < MIN_SUPPORT { Err(Unsupported::Words) } else { Ok(support) }
}

/// How often the claim may go on with another word than its source does: a
/// long one may leave out more.
fn max_joints(claim: &str) -> usize {
    2 + words(claim).count() / 12
}

/// How many neighbouring words of the claim are no neighbours in the quote or
/// above it. Whoever joins many pieces says something new with old words.
fn joints(claim: &str, evidence: Evidence<'_>) -> usize {
    let pairs = |text: &str| -> Vec<(String, String)> {
        let all: Vec<String> = words(text).collect();
        all.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
    };
    let known: BTreeSet<_> =
        [evidence.quote, evidence.context].iter().flat_map(|t| pairs(t)).collect();
    pairs(claim).iter().filter(|pair| !known.contains(*pair)).count()
}

fn check_numbers(claim: &str, source: &str) -> Result<(), Unsupported> {
    let known = numbers(source);
    if let Some(number) = numbers(claim).into_iter().find(|number| !known.contains(number)) {
        return Err(Unsupported::Number(number));
    }
    if let Some(date) = unknown_date(claim, source) {
        return Err(Unsupported::Date(date.shown()));
    }
    match unknown_quantity(claim, source) {
        Some(quantity) => Err(Unsupported::Unit(quantity.shown())),
        None => Ok(()),
    }
}

/// Words with a capital that do not begin the claim, and words with a capital
/// or digit inside, must be in the source as they are.
fn check_names(claim: &str, source: &str, analyzer: &Analyzer) -> Result<(), Unsupported> {
    let known: BTreeSet<String> = words(source).collect();
    let stems: BTreeSet<String> = analyzer.terms(source).into_iter().collect();
    let spoken = claim.split(|c: char| c.is_ascii() && !is_word_byte(c as u8));
    for (position, word) in spoken.filter(|word| !word.is_empty()).enumerate() {
        let inner_capital = word.chars().skip(1).any(char::is_uppercase);
        let capital = word.chars().next().is_some_and(char::is_uppercase);
        if !(inner_capital || (capital && position > 0)) {
            continue;
        }
        let lower = word.to_ascii_lowercase();
        let is_function = is_function_word(&lower);
        let stemmed = !is_function && analyzer.terms(word).iter().all(|term| stems.contains(term));
        // `May` is a function word, and a month. One with a capital within a sentence
        // may not stand where a name stood: the source must have it so as often.
        let count = |text: &str| written_words(text).filter(|other| *other == word).count();
        let is_grammar =
            is_function && month(word).is_none() && (lower == "i" || count(claim) <= count(source));
        let is_known = known.contains(&lower) && (!is_function || month(word).is_some());
        if !(is_known || is_grammar || (stemmed && month(word).is_none())) {
            return Err(Unsupported::Name(word.to_owned()));
        }
    }
    Ok(())
}

/// Compares negations over the stretch of the quote that the claim uses, so
/// that a claim may leave out a negated part of a long sentence.
fn check_negation(
    claim: &str,
    quote: &str,
    claimed: &[String],
    analyzer: &Analyzer,
) -> Result<(), Unsupported> {
    let stretch = used_stretch(quote, claimed, analyzer);
    let (said, meant) = (negations(claim), negations(stretch));
    // What is negated must be the same too: a negation may not move.
    let (denied, source) = (negated_terms(claim, analyzer), negated_terms(quote, analyzer));
    if denied.iter().any(|term| !source.contains(term)) {
        return Err(Unsupported::Negation);
    }
    if said.is_multiple_of(2) == meant.is_multiple_of(2) && (said == 0) == (meant == 0) {
        Ok(())
    } else {
        Err(Unsupported::Negation)
    }
}

/// The part of `quote` from the first to the last word that the claim shares,
/// with the two words before it, where a negation would stand.
fn used_stretch<'q>(quote: &'q str, claimed: &[String], analyzer: &Analyzer) -> &'q str {
    let is_gap = |c: char| c.is_whitespace();
    let spans: Vec<(usize, &str)> = quote
        .split(is_gap)
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - quote.as_ptr() as usize, word))
        .collect();
    let shared = |word: &str| analyzer.terms(word).iter().any(|term| claimed.contains(term));
    let Some(first) = spans.iter().position(|(_, word)| shared(word)) else { return quote };
    let last = spans.iter().rposition(|(_, word)| shared(word)).unwrap_or(first);
    let start = spans[first.saturating_sub(2)].0;
    let (last_at, last_word) = spans[last];
    &quote[start..last_at + last_word.len()]
}

fn longest_common_subsequence<S: AsRef<str>>(a: &[S], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x.as_ref() == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTE: &str = "In the trial of 2019, Pfizer found that 50 mg of the drug lowered pressure \
                         by 12% in patients, but it did not change the heart rate.";

    #[track_caller]
    fn check(claim: &str, want: &Result<(), Unsupported>) {
        let evidence = Evidence { quote: QUOTE, context: "Hypertension" };
        let found = support(claim, evidence, &Analyzer::english()).map(|_| ());
        assert_eq!(found, *want, "{claim}");
    }

    #[test]
    fn the_sentence_itself_is_supported() {
        check(QUOTE, &Ok(()));
    }

    #[test]
    fn a_part_of_the_sentence_is_supported() {
        check("Pfizer found that 50 mg of the drug lowered pressure by 12% in patients.", &Ok(()));
        check("The drug did not change the heart rate.", &Ok(()));
    }

    #[test]
    fn a_swapped_number_is_caught() {
        check(
            "Pfizer found that 60 mg of the drug lowered pressure by 12%.",
            &Err(Unsupported::Number("60".into())),
        );
    }

    #[test]
    fn a_swapped_unit_is_caught() {
        check(
            "Pfizer found that 50 g of the drug lowered pressure by 12%.",
            &Err(Unsupported::Unit("50 g".into())),
        );
    }

    #[test]
    fn a_swapped_name_is_caught() {
        check(
            "In the trial, Novartis found that the drug lowered pressure.",
            &Err(Unsupported::Name("Novartis".into())),
        );
    }

    #[test]
    fn a_word_of_grammar_in_the_place_of_a_name_is_caught() {
        check(
            "In the trial of 2019, How found that 50 mg of the drug lowered pressure.",
            &Err(Unsupported::Name("How".into())),
        );
    }

    #[test]
    fn a_dropped_negation_is_caught() {
        check("The drug did change the heart rate.", &Err(Unsupported::Negation));
    }

    #[test]
    fn an_added_negation_is_caught() {
        check("The drug never lowered pressure in patients.", &Err(Unsupported::Negation));
    }

    #[test]
    fn exchanged_roles_are_caught() {
        let evidence = Evidence { quote: "Smoking causes cancer of the lung.", context: "" };
        let found = support("Lung cancer causes smoking.", evidence, &Analyzer::english());
        assert_eq!(found, Err(Unsupported::Order));
    }

    #[test]
    fn the_words_of_a_sentence_put_together_anew_are_caught() {
        let quote = "Retrieval-augmented generation got its name from a paper by Patrick Lewis and \
                     others of 2020.";
        let evidence = Evidence { quote, context: "Retrieval-Augmented Generation (RAG)" };
        let claim = "Retrieval-Augmented Generation (RAG) is a paper by Patrick Lewis and others \
                     of 2020 that was the name of a retrieval in RAG.";
        let found = support(claim, evidence, &Analyzer::english());
        assert_eq!(found, Err(Unsupported::Joints));
    }

    #[test]
    fn words_that_are_said_again_need_a_place_of_their_own() {
        let quote = "RAG is particularly useful when questions must be answered accurately from a \
                     large, private and changing collection of documents.";
        let evidence = Evidence { quote, context: "Retrieval-Augmented Generation (RAG)" };
        let claim = "RAG is a type of large, private and changing collection of documents that \
                     can be used to answer questions accurately from a large, private and \
                     changing collection of documents.";
        let found = support(claim, evidence, &Analyzer::english());
        assert_eq!(found, Err(Unsupported::Order));
    }

    #[test]
    fn many_small_pieces_in_the_right_order_are_no_quote() {
        let quote = "The service stores the invoices that the customers of the bank sent in the \
                     last year, and deletes the drafts of the contracts that nobody signed.";
        let evidence = Evidence { quote, context: "" };
        let check = |claim| support(claim, evidence, &Analyzer::english()).map(|_| ());
        assert_eq!(check("The service deletes the drafts that nobody signed."), Ok(()));
        let claim = "The service stores customers in the bank last deletes drafts nobody signed.";
        assert_eq!(check(claim), Err(Unsupported::Joints));
    }

    #[test]
    fn a_subject_may_come_from_the_heading() {
        let evidence = Evidence { quote: "It sets random units to zero.", context: "Dropout" };
        let claim = "Dropout sets random units to zero.";
        assert!(support(claim, evidence, &Analyzer::english()).is_ok());
    }

    #[test]
    fn another_subject_is_caught() {
        let quote =
            "Return a list with the n largest elements from the dataset defined by iterable.";
        let analyzer = Analyzer::english();
        let says = |context, claim| support(claim, Evidence { quote, context }, &analyzer);
        let claim = "heapq.nsmallest returns the n largest elements from the dataset defined by \
                     iterable.";
        let other = "heapq: heapq.nlargest(n, iterable, key=None)";
        assert!(matches!(says(other, claim), Err(Unsupported::Word(_))));
        let right = claim.replace("nsmallest", "nlargest");
        assert!(says(other, &right).is_ok());
    }

    #[test]
    fn invented_words_are_caught() {
        check("The drug cured patients within weeks.", &Err(Unsupported::Word("cure".into())));
    }

    #[test]
    fn a_claim_without_content_is_refused() {
        check("It is so.", &Err(Unsupported::Empty));
    }
}
