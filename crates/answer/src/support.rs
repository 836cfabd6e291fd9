//! How far the chosen evidence supports an answer to the question at all.
//!
//! Two signals that fail in different ways are combined. The cosine of the
//! best sentence says that the evidence is about the same thing, and is fooled
//! by near misses ("the price of X" beside "what X is"). The rarity-weighted
//! share of the question's words that the evidence and its headings contain
//! catches those, and is fooled by paraphrase. The weights were set by hand, and
//! the bias so that 0.5 lies between the handbook's answerable questions and the
//! others (`bench/README.md`): a scale to choose a threshold on, not a
//! probability.
//!
//! A question for a number ("how many", "when") is not supported by evidence
//! without one, however close it is.

use std::collections::BTreeSet;

use plumb_text::Analyzer;

use crate::select::{Candidate, QuestionTerms};
use crate::words::words;

const BIAS: f32 = -8.0;
const COSINE_WEIGHT: f32 = 7.0;
const COVERAGE_WEIGHT: f32 = 5.0;

/// Support in `0.0..=1.0`; 0 without evidence.
pub(crate) fn question_support<'a>(
    chosen: &[&Candidate],
    passage_text: &dyn Fn(usize) -> &'a str,
    question: &QuestionTerms,
    analyzer: &Analyzer,
) -> f32 {
    let Some(best) = chosen.iter().map(|c| c.cosine).max_by(f32::total_cmp) else { return 0.0 };
    if question.wants_number && !chosen.iter().any(|c| has_number(&c.text)) {
        return 0.0;
    }
    let mut known = BTreeSet::new();
    for candidate in chosen {
        known.extend(analyzer.terms(passage_text(candidate.passage)));
        known.extend(analyzer.terms(&candidate.context));
    }
    let logit = BIAS + COSINE_WEIGHT * best + COVERAGE_WEIGHT * question.coverage(&known);
    1.0 / (1.0 + (-logit).exp())
}

/// True for "how many", "how long", "when", "which year" and the like.
pub(crate) fn asks_for_number(question: &str) -> bool {
    const AFTER_HOW: &[&str] = &["far", "fast", "large", "long", "many", "much", "old", "tall"];
    const MEASURES: &[&str] = &["date", "day", "month", "year"];
    let all: Vec<String> = words(question).collect();
    all.windows(2).any(|pair| match pair[0].as_str() {
        "how" => AFTER_HOW.contains(&pair[1].as_str()),
        "which" | "what" => MEASURES.contains(&pair[1].as_str()),
        _ => false,
    })
}

fn has_number(text: &str) -> bool {
    const SPELLED: &[&str] = &[
        "billion", "dozen", "eight", "eleven", "fifty", "five", "four", "half", "hundred",
        "million", "nine", "once", "one", "seven", "six", "ten", "thirty", "thousand", "three",
        "twelve", "twenty", "twice", "two", "zero",
    ];
    text.bytes().any(|byte| byte.is_ascii_digit())
        || words(text).any(|word| SPELLED.binary_search(&word.as_str()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_for_numbers_are_recognised() {
        for question in ["How many heads are there?", "In which year was it?", "How long is it?"] {
            assert!(asks_for_number(question), "{question}");
        }
        for question in ["How does it work?", "Which models are there?", "What is a date?"] {
            assert!(!asks_for_number(question), "{question}");
        }
    }

    #[test]
    fn numbers_are_found_in_digits_and_in_words() {
        assert!(has_number("kept for ten years"));
        assert!(has_number("in 1998"));
        assert!(!has_number("Attention has several heads."));
    }
}
