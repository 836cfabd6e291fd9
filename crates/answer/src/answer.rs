//! The answer object: what was said, on what evidence, from which snapshot.
//!
//! Its JSON form is a promise to users (`plumb ask --json`) and is what
//! `plumb answer show` and `replay` read back, so the types here derive
//! `Serialize` although they live below the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Whether the documents supported an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Answered,
    Abstained,
}

/// Who worded a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wording {
    /// The claim is the source sentence itself.
    Quoted,
    /// The model wrote it, and a source sentence supports it.
    Written,
}

/// A place in a document that supports a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// Number shown in the text, from 1, in order of first use.
    pub number: usize,
    /// `file://` URL, or the address that the document was added from.
    pub uri: String,
    pub title: String,
    /// Hex SHA-256 of the document's original bytes.
    pub sha256: String,
    /// Half-open range of bytes: of the original file when it is UTF-8 text,
    /// otherwise of the extracted text.
    pub byte_range: [u64; 2],
    /// True if `byte_range` counts bytes of the original file.
    pub in_original: bool,
    /// Exactly the bytes at `byte_range`.
    pub quote: String,
    /// The quote as a reader sees it, where markup makes that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_text: Option<String>,
    /// How far the quote supports the claim, in `0.0..=1.0`.
    pub score: f32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heading_path: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}

/// One sentence of an answer with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    pub text: String,
    pub wording: Wording,
    pub citations: Vec<Citation>,
}

/// A sentence that the model wrote and no source supported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    pub text: String,
    pub reason: String,
}

/// How sure retrieval was that the documents hold an answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Support {
    /// In `0.0..=1.0`; below `threshold` the answer is an abstention.
    pub score: f32,
    pub threshold: f32,
}

/// A model that took part, by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    pub name: String,
    /// Hex SHA-256 of the weights; absent for a remote model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A checked answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub status: Status,
    pub question: String,
    /// The question as it was searched for, if a conversation changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standalone_question: Option<String>,
    /// The claims joined, with `[n]` after each; for an abstention, why.
    pub answer: String,
    pub claims: Vec<Claim>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Dropped>,
    pub support: Support,
    pub snapshot: String,
    pub answer_id: String,
    pub models: BTreeMap<String, ModelId>,
    pub timings_ms: BTreeMap<String, f64>,
}

impl Answer {
    /// The JSON of everything that a replay must reproduce: all but the
    /// timings.
    pub fn replayable_json(&self) -> String {
        let timeless = Self { timings_ms: BTreeMap::new(), ..self.clone() };
        serde_json::to_string(&timeless).expect("an answer has string keys and finite numbers")
    }
}

/// The claims as one text, each followed by the numbers of its citations.
pub(crate) fn joined_text(claims: &[Claim]) -> String {
    let parts: Vec<String> = claims
        .iter()
        .map(|claim| {
            let marks: String =
                claim.citations.iter().map(|citation| format!("[{}]", citation.number)).collect();
            format!("{} {marks}", claim.text)
        })
        .collect();
    parts.join(" ")
}
