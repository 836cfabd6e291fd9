//! What is asked, and the events of a question.

use plumb_answer::{Citation, Claim, Dropped, StoredSettings, Turn, Wording};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::failure::Failure;
use crate::native::search::Found;
use crate::native::within;

/// Passages at most whose sentences are considered.
const MOST_PASSAGES: usize = 100;
/// Sentences at most.
const MOST_SENTENCES: usize = 20;
/// Earlier turns at most.
const MOST_TURNS: usize = 100;

/// A question.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::native) struct AskRequest {
    /// May be left out where there is one.
    pub(super) collection: Option<String>,
    pub(super) question: String,
    /// Earlier turns, oldest first.
    #[serde(default)]
    pub(super) history: Vec<Earlier>,
    /// Id of a conversation, whose collection and earlier turns are taken. The
    /// question and its answer are added to it.
    pub(super) conversation: Option<String>,
    /// Events as they come; yes without it.
    pub(super) stream: Option<bool>,
    /// Whether the question goes on for some seconds when the connection breaks.
    pub(super) resumable: Option<bool>,
    /// Whether words of an earlier answer from the same evidence may be taken;
    /// yes without it.
    pub(super) cache: Option<bool>,
    /// Only quotes: no generator words the answer.
    quote_only: Option<bool>,
    /// Passages whose sentences are considered, from 1 to 100.
    top_k: Option<usize>,
    /// Support below which the answer is an abstention, from 0 to 1.
    threshold: Option<f32>,
    /// Sentences of evidence, from 1 to 20.
    max_sentences: Option<usize>,
    /// Only documents that fit, such as `path ~ "guide/" and date >= 2024-01-01`.
    r#where: Option<String>,
}

/// A question and its answer.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::native) struct Earlier {
    question: String,
    answer: String,
}

impl AskRequest {
    /// Refuses what a conversation says itself.
    pub(super) fn check_conversation(&self) -> Result<(), Failure> {
        let field = match (self.collection.is_some(), self.history.is_empty()) {
            (true, _) => "collection",
            (false, false) => "history",
            (false, true) => return Ok(()),
        };
        let message = format!("`{field}` is that of the conversation: leave it out");
        Err(Failure::invalid(field, message))
    }

    /// The earlier turns.
    pub(super) fn turns(&self) -> Result<Vec<Turn>, Failure> {
        if MOST_TURNS < self.history.len() {
            let message = format!("`history` has more than {MOST_TURNS} turns");
            return Err(Failure::invalid("history", message));
        }
        let turn = |earlier: &Earlier| Turn {
            question: earlier.question.clone(),
            answer: earlier.answer.clone(),
        };
        Ok(self.history.iter().map(turn).collect())
    }

    /// The settings of a collection with what the request says in their place.
    pub(super) fn settings(&self, of: &StoredSettings) -> Result<StoredSettings, Failure> {
        let mut settings = of.clone();
        if self.quote_only.unwrap_or(false) {
            settings.writes = false;
        }
        settings.top_k = within("top_k", self.top_k, (1, MOST_PASSAGES))?.unwrap_or(settings.top_k);
        let sentences = within("max_sentences", self.max_sentences, (1, MOST_SENTENCES))?;
        settings.max_sentences = sentences.unwrap_or(settings.max_sentences);
        settings.threshold =
            within("threshold", self.threshold, (0.0, 1.0))?.unwrap_or(settings.threshold);
        if self.r#where.is_some() {
            settings.filter.clone_from(&self.r#where);
        }
        Ok(settings)
    }
}

/// `search`: what is searched for, and in what.
#[derive(Debug, Serialize)]
pub(super) struct Search<'a> {
    pub(super) ask: &'a str,
    pub(super) collection: &'a str,
    pub(super) question: &'a str,
    pub(super) standalone_question: Option<&'a str>,
    pub(super) snapshot: &'a str,
    pub(super) generator: Option<&'a str>,
}

/// `passages`: what was found.
#[derive(Debug, Serialize)]
pub(super) struct Passages {
    pub(super) passages: Vec<Found>,
}

/// `delta`: what is added to the text.
#[derive(Debug, Serialize)]
pub(super) struct Delta<'a> {
    pub(super) claim: usize,
    pub(super) text: &'a str,
}

/// `citation`: a place that a sentence rests on.
#[derive(Debug, Serialize)]
pub(super) struct Cited<'a> {
    pub(super) claim: usize,
    /// Id of the document.
    pub(super) document: Option<String>,
    #[serde(flatten)]
    pub(super) citation: &'a Citation,
}

/// `verified`: what came of checking a sentence.
#[derive(Debug, Serialize)]
pub(super) struct Verified<'a> {
    claim: Option<usize>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wording: Option<Wording>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    text: &'a str,
}

impl<'a> Verified<'a> {
    /// A sentence that its sources support, as well as the weakest of them does.
    pub(super) fn supported(number: usize, claim: &'a Claim) -> Self {
        Self {
            claim: Some(number),
            status: "supported",
            wording: Some(claim.wording),
            score: claim.citations.iter().map(|citation| citation.score).reduce(f32::min),
            reason: None,
            text: &claim.text,
        }
    }

    /// A sentence that no source supported, and that is not shown.
    pub(super) fn dropped(dropped: &'a Dropped) -> Self {
        Self {
            claim: None,
            status: "dropped",
            wording: None,
            score: None,
            reason: Some(&dropped.reason),
            text: &dropped.text,
        }
    }
}
