//! When a text that was written for one question may be taken for another.
//!
//! Nearness of embeddings is not enough: `in 2019` and `in 2020` are as near to
//! each other as two wordings of one question. So two questions are taken for
//! one only if they have the same [`question_form`]: the same words in the same
//! order, whatever number, name, sign or negation is among them, but for how the
//! question is put, and if their embeddings are near as well. What differs in
//! any other word is another question, though a reader might take it for the
//! same.

use plumb_text::Analyzer;

/// Least cosine of the embeddings of two questions of one form. With
/// all-MiniLM-L6-v2, 99 of 100 wordings of the handbook's questions are nearer
/// than 0.918, and the farthest is at 0.850 (`bench/serve/near.py`).
pub const NEAR: f32 = 0.9;

/// Words that say nothing of what is asked.
const ARTICLES: &[&str] = &["a", "an", "the"];

/// Auxiliaries of the present: where they stand depends on how the question is
/// put. Those of another tense, and `can` and `must`, change what is asked.
const AUXILIARIES: &[&str] = &["am", "are", "do", "does", "is"];

/// How a question may begin without asking anything else, longest first.
const LEADS: &[&[&str]] = &[
    &["i", "would", "like", "to", "know"],
    &["i", "want", "to", "know"],
    &["could", "you", "tell", "me"],
    &["could", "you", "please"],
    &["would", "you", "tell", "me"],
    &["can", "you", "tell", "me"],
    &["can", "you", "please"],
    &["do", "you", "know"],
    &["please", "tell", "me"],
    &["tell", "me"],
    &["hello"],
    &["hi"],
    &["please"],
];

/// How it may end.
const TAILS: &[&[&str]] = &[&["thank", "you"], &["please"], &["thanks"]];

/// `question` in the form that it has in common with those that ask the same in
/// the same words.
pub fn question_form(question: &str, analyzer: &Analyzer) -> String {
    let written: Vec<&str> = question.split_whitespace().map(bare).collect();
    let lower: Vec<String> = written.iter().map(|word| word.to_lowercase()).collect();
    let (start, end) = core(&lower);
    let is_put = |word: &str| ARTICLES.contains(&word) || AUXILIARIES.contains(&word);
    let kept = (start..end).filter(|&at| !lower[at].is_empty() && !is_put(&lower[at]));
    let forms = kept.map(|at| form(written[at], &lower[at], analyzer));
    forms.collect::<Vec<_>>().join(" ")
}

/// `word` without the signs of a sentence around it. Those that belong to it
/// stay: `-5`, `$5`, `C++`, `10%`.
fn bare(word: &str) -> &str {
    let is_quote = |c: char| "\"'()[]\u{201c}\u{201d}\u{2018}\u{2019}".contains(c);
    word.trim_start_matches(is_quote).trim_end_matches(|c| is_quote(c) || ".,;:!?".contains(c))
}

/// What is left of the words without leads and tails.
fn core(words: &[String]) -> (usize, usize) {
    let (mut start, mut end) = (0, words.len());
    let is_at = |at: usize, phrase: &&&[&str]| {
        words.get(at..at + phrase.len()).is_some_and(|found| found.iter().eq(phrase.iter()))
    };
    while let Some(lead) = LEADS.iter().find(|lead| is_at(start, lead)) {
        start += lead.len();
    }
    while let Some(tail) =
        TAILS.iter().find(|tail| start + tail.len() <= end && is_at(end - tail.len(), tail))
    {
        end -= tail.len();
    }
    (start.min(end), end)
}

/// A word without its ending, if it is a plain one: names and what has a sign or
/// a digit in it stay as they are.
fn form(written: &str, lower: &str, analyzer: &Analyzer) -> String {
    let is_plain = lower.chars().all(char::is_alphabetic);
    let is_name = written.chars().any(char::is_uppercase);
    if !is_plain || is_name {
        return lower.to_owned();
    }
    match analyzer.terms(lower).as_slice() {
        [stem] => stem.clone(),
        _ => lower.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_alike(a: &str, b: &str) -> bool {
        let analyzer = Analyzer::english();
        question_form(a, &analyzer) == question_form(b, &analyzer)
    }

    #[test]
    fn how_a_question_is_put_makes_no_other_question() {
        let question = "How long are invoices kept?";
        for other in [
            "how long are the invoices kept",
            "Please tell me how long invoices are kept.",
            "Hi, can you tell me how long invoices are kept? Thanks!",
            "Do you know how long an invoice is kept?",
        ] {
            assert!(are_alike(question, other), "{other}");
        }
    }

    #[test]
    fn another_number_name_sign_negation_or_order_makes_another_question() {
        for (a, b) in [
            ("What was the limit in 2019?", "What was the limit in 2020?"),
            ("What is the fee for 10 users?", "What is the fee for ten users?"),
            ("What is the fee below -5 degrees?", "What is the fee below 5 degrees?"),
            ("Is $5 enough?", "Is 5 enough?"),
            ("Is 10% enough?", "Is 10 enough?"),
            ("What is the limit in Berlin?", "What is the limit in Munich?"),
            ("what is the limit in berlin?", "what is the limit in munich?"),
            ("Is C++ allowed?", "Is C# allowed?"),
            ("Is C++ allowed?", "Is C allowed?"),
            ("Are drafts kept?", "Are drafts not kept?"),
            ("Are drafts kept?", "Aren't drafts kept?"),
            ("Which files are kept?", "Which files are never kept?"),
            ("Is it due before the audit?", "Is it due after the audit?"),
            ("Does Ann report to Bob?", "Does Bob report to Ann?"),
            ("Who signs contracts?", "When are contracts signed?"),
            ("What is the limit?", "What was the limit?"),
            ("What can be carried over?", "What must be carried over?"),
            ("Does Robert sign?", "Does Roberts sign?"),
            ("What is my limit?", "What is your limit?"),
            ("What is at v1.2?", "What is at v1.3?"),
        ] {
            assert!(!are_alike(a, b), "{a} {b}");
        }
    }

    #[test]
    fn a_question_of_nothing_but_phrases_has_an_empty_form() {
        let analyzer = Analyzer::english();
        for question in ["", "please", "please please", "Tell me, please!", "thanks"] {
            assert_eq!(question_form(question, &analyzer), "", "{question}");
        }
    }
}
