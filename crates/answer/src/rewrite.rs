//! Making a follow-up question stand alone.
//!
//! Only a question that leans on the conversation is touched. A model proposes
//! the rewording; it is taken if it keeps every content word of the question
//! and brings in nothing but words of the conversation. Otherwise the subject
//! of the conversation is appended, which is clumsy to read and safe to search.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::words::{content_words, words};

/// A turn of a conversation. Its JSON form is what the journals hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The question as it was searched for.
    pub question: String,
    pub answer: String,
}

/// True if `question` cannot be understood without what came before.
pub(crate) fn leans_on_history(question: &str) -> bool {
    const POINTERS: &[&str] = &[
        "it", "its", "they", "them", "their", "this", "that", "these", "those", "he", "she", "his",
        "her", "one", "ones", "former", "latter", "both", "else", "there",
    ];
    const OPENERS: &[&str] = &["and", "but", "or", "so", "why", "also", "then"];
    let all: Vec<String> = words(question).collect();
    let content = content_words(question);
    all.iter().any(|word| POINTERS.contains(&word.as_str()))
        || all.first().is_some_and(|word| OPENERS.contains(&word.as_str()))
        || question.to_lowercase().starts_with("what about")
        || question.to_lowercase().starts_with("how about")
        || content.len() < 2
}

/// True if `proposal` may stand for `question`: one line, a question of sane
/// length that keeps the content words and takes the rest from the history.
pub(crate) fn is_faithful(proposal: &str, question: &str, history: &[Turn]) -> bool {
    let kept: BTreeSet<String> = content_words(proposal).into_iter().collect();
    let asked: BTreeSet<String> = content_words(question).into_iter().collect();
    let known: BTreeSet<String> = history
        .iter()
        .flat_map(|turn| {
            content_words(&turn.question).into_iter().chain(content_words(&turn.answer))
        })
        .chain(asked.iter().cloned())
        .collect();
    !proposal.contains('\n')
        && words(proposal).count() <= 50
        && asked.is_subset(&kept)
        && kept.len() > asked.len()
        && kept.is_subset(&known)
        && !leans_on_pointer(proposal)
}

fn leans_on_pointer(text: &str) -> bool {
    words(text).any(|word| matches!(word.as_str(), "it" | "its" | "they" | "them" | "their"))
}

/// The question with the subject of the last turn appended.
pub(crate) fn with_subject(question: &str, history: &[Turn]) -> String {
    const EMPTY: &[&str] = &[
        "explain",
        "describe",
        "discuss",
        "tell",
        "define",
        "compare",
        "work",
        "works",
        "used",
        "use",
        "example",
        "difference",
        "mean",
        "means",
        "help",
        "helps",
    ];
    let Some(last) = history.last() else { return question.to_owned() };
    let asked: BTreeSet<String> = content_words(question).into_iter().collect();
    let subject: Vec<String> = content_words(&last.question)
        .into_iter()
        .filter(|word| !asked.contains(word) && !EMPTY.contains(&word.as_str()))
        .collect();
    if subject.is_empty() {
        return question.to_owned();
    }
    format!("{} ({})", question.trim(), subject.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> Vec<Turn> {
        vec![Turn {
            question: "What is dropout?".into(),
            answer: "Dropout sets random units to zero.".into(),
        }]
    }

    #[test]
    fn a_pronoun_leans_on_the_conversation() {
        assert!(leans_on_history("Who proposed it?"));
        assert!(leans_on_history("And for recurrent networks?"));
        assert!(leans_on_history("Why?"));
        assert!(!leans_on_history("What is batch normalisation used for?"));
    }

    #[test]
    fn a_faithful_rewording_is_taken() {
        assert!(is_faithful("Who proposed dropout?", "Who proposed it?", &history()));
    }

    #[test]
    fn a_rewording_that_drops_or_invents_is_refused() {
        for proposal in
            ["What is dropout?", "Who proposed Paris?", "Who proposed it?", "Why dropout?"]
        {
            assert!(!is_faithful(proposal, "Who proposed it?", &history()), "{proposal}");
        }
    }

    #[test]
    fn the_subject_is_appended_when_no_rewording_is_faithful() {
        assert_eq!(with_subject("Who proposed it?", &history()), "Who proposed it? (dropout)");
    }
}
