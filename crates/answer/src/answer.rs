//! The answer object: what was said, on what evidence, from which snapshot.
//!
//! Its JSON form is a promise to users (`plumb ask --json`) and is what
//! `plumb answer show` and `replay` read back, so the types here derive
//! `Serialize` although they live below the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Whether the documents supported an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Answered,
    Abstained,
}

impl Status {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Abstained => "abstained",
        }
    }
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
    /// The line above the quote, where it names what the quote is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
}

/// A line of the same document that a quote stands under, such as the term of a
/// definition. A claim may take its subject from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// As a reader sees it.
    pub text: String,
    /// Counted as the citation's is.
    pub byte_range: [u64; 2],
    /// Exactly the bytes at `byte_range`.
    pub quote: String,
}

/// One sentence of an answer with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    pub text: String,
    pub wording: Wording,
    pub citations: Vec<Citation>,
    /// For a sentence that no single source supports: what each part of it says
    /// and rests on. Citation `i` belongs to part `i`; between the parts stand
    /// conjunctions. Empty for a sentence with one citation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// A statement within a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Half-open range of bytes of the claim's text.
    pub span: [usize; 2],
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

/// What is known of the error of answers like this one, from labelled questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guarantee {
    /// Of the questions that are answered, at most this share is answered wrongly.
    pub max_error: f64,
    /// Probability, over the draw of the calibration questions, that this holds.
    pub confidence: f64,
    /// Id of the calibration.
    pub calibration: String,
    /// Questions that the bound rests on.
    pub questions: u64,
    /// Of these, how many reached the threshold and were answered.
    pub answered: u64,
    /// Of the answered, how many were answered wrongly.
    pub errors: u64,
}

/// How a generator reused what it had read of pieces of evidence. What it
/// writes then is what it would write had it read everything only where all is
/// read anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChunkReuse {
    /// The part of each piece, from its beginning, that is read anew: from 0
    /// to 1.
    pub fresh: f32,
    /// How keys and values are kept: `f16` or `q8`.
    pub stored: String,
}

/// Words that had been written before, for the same evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cached {
    /// What they were kept in: `answer`.
    pub layer: String,
    /// How near the question is to the one that they were written for: the
    /// cosine of the embeddings, 1 for the same question.
    pub similarity: f32,
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
    /// Set where a generator wrote after evidence that it had not all read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_reuse: Option<ChunkReuse>,
    /// Set where the threshold comes from a calibration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<Guarantee>,
    /// Set where words were taken that had been written before. As the timings
    /// it says how the answer came about and is no part of what is replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cached>,
    /// Hex SHA-256 of the [canonical JSON](Answer::canonical_json) of all the
    /// rest; empty in answers of earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

impl Answer {
    /// The JSON of everything that a replay must reproduce: all but how the
    /// answer came about, and the digest that covers that.
    pub fn replayable_json(&self) -> String {
        let timings_ms = BTreeMap::new();
        let timeless = Self { timings_ms, cache: None, digest: String::new(), ..self.clone() };
        serde_json::to_string(&timeless).expect("an answer has string keys and finite numbers")
    }

    /// States `guarantee` in the answer, which gets another id and digest.
    #[must_use]
    pub fn with_guarantee(mut self, guarantee: Guarantee) -> Self {
        self.guarantee = Some(guarantee);
        self.sealed()
    }

    /// States that words were taken from an earlier answer. The id stays.
    #[must_use]
    pub fn with_cached(mut self, cached: Cached) -> Self {
        self.cache = Some(cached);
        self.sealed()
    }

    /// The answer with its id and its digest.
    #[must_use]
    pub(crate) fn sealed(mut self) -> Self {
        self.answer_id = self.computed_id();
        self.digest = self.computed_digest();
        self
    }

    /// The id by content: of all that a replay reproduces but the id.
    pub(crate) fn computed_id(&self) -> String {
        let nameless = Self { answer_id: String::new(), ..self.clone() };
        format!("a_{}", &hex_sha256(nameless.replayable_json().as_bytes())[..16])
    }

    /// Hex SHA-256 of [`Answer::canonical_json`].
    pub(crate) fn computed_digest(&self) -> String {
        hex_sha256(self.canonical_json().as_bytes())
    }

    /// The whole answer but its digest as JSON with sorted keys and no spaces:
    /// what the digest is computed of.
    pub fn canonical_json(&self) -> String {
        let undigested = Self { digest: String::new(), ..self.clone() };
        let json = serde_json::to_string(&undigested)
            .expect("an answer has string keys and finite numbers");
        let value: Value = serde_json::from_str(&json).expect("it was written just now");
        let mut text = String::new();
        write_sorted(&value, &mut text);
        text
    }
}

fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (place, (name, field)) in fields.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                text.push_str(&Value::String(name.clone()).to_string());
                text.push(':');
                write_sorted(field, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write_sorted(item, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

/// SHA-256 in lower-case hexadecimal digits.
fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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
