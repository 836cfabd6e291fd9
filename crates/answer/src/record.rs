//! What is kept of an answer, so that it can be shown and replayed.
//!
//! The JSON form of [`StoredAnswer`] is what the journal of answers holds.

use std::time::SystemTime;

use plumb_infer::{ChunkStore, ChunkType, Reuse};
use plumb_retrieve::{Filter, Fusion, Mode};
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, ChunkReuse, Guarantee};
use crate::ask::Settings;
use crate::error::Error;
use crate::rewrite::Turn;

/// The settings of an answer as they are stored with it, for its replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredSettings {
    pub top_k: usize,
    /// `fused`, `reciprocal-rank`, `dense` or `lexical`.
    pub mode: String,
    pub dense_weight: f32,
    pub max_sentences: usize,
    pub threshold: f32,
    /// Whether a generator words the answer.
    pub writes: bool,
    pub filter: Option<String>,
    pub generator: String,
    pub endpoint: Option<String>,
    /// How the generator keeps keys and values: `f32`, `f16` or `q8`. Answers
    /// that do not say were written when there was no choice.
    #[serde(default = "half_floats")]
    pub kv_cache: String,
    /// How the generator reuses what it read of the evidence, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_reuse: Option<ChunkReuse>,
    /// What the answer promises, if the threshold comes from a calibration.
    #[serde(default)]
    pub guarantee: Option<Guarantee>,
}

fn half_floats() -> String {
    "f16".to_owned()
}

impl StoredSettings {
    /// The settings that [`ask`](crate::ask) takes. Fails if the mode is not
    /// known or the filter cannot be read.
    pub fn resolve(&self) -> Result<Settings, Error> {
        let mode = match self.mode.as_str() {
            "dense" => Mode::Dense,
            "lexical" => Mode::Lexical,
            "reciprocal-rank" => Mode::Fused(Fusion::ReciprocalRank { k: 60.0 }),
            "fused" => Mode::Fused(Fusion::Weighted { dense_weight: self.dense_weight }),
            "covered" => Mode::Fused(Fusion::Covered { dense_weight: self.dense_weight }),
            other => return Err(Error::UnknownMode { mode: other.to_owned() }),
        };
        Ok(Settings {
            top_k: self.top_k,
            mode,
            max_sentences: self.max_sentences,
            threshold: self.threshold,
            filter: self.filter.as_deref().map(Filter::parse).transpose()?,
            chunk_reuse: self.chunk_reuse.clone(),
        })
    }

    /// The name and the weight under which `mode` is stored.
    pub fn stored_mode(mode: Mode) -> (String, f32) {
        let (name, dense_weight) = match mode {
            Mode::Dense => ("dense", 1.0),
            Mode::Lexical => ("lexical", 0.0),
            Mode::Fused(Fusion::Weighted { dense_weight }) => ("fused", dense_weight),
            Mode::Fused(Fusion::Covered { dense_weight }) => ("covered", dense_weight),
            Mode::Fused(Fusion::ReciprocalRank { .. }) => ("reciprocal-rank", 0.5),
        };
        (name.to_owned(), dense_weight)
    }
}

impl ChunkReuse {
    /// Reuse of what is in `store`, at the times that `now` tells. Fails if a
    /// value is none that can be.
    pub fn open(
        &self,
        store: ChunkStore,
        now: fn() -> SystemTime,
    ) -> Result<Reuse, plumb_infer::Error> {
        let stored = match self.stored.as_str() {
            "f16" => ChunkType::F16,
            "q8" => ChunkType::Q8,
            other => {
                return Err(plumb_infer::Error::Setting {
                    field: "chunk_type",
                    value: other.to_owned(),
                    range: "f16 or q8",
                });
            }
        };
        Reuse::new(store, (stored, self.fresh), now)
    }
}

/// An answer with everything that its replay needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredAnswer {
    pub answer: Answer,
    pub settings: StoredSettings,
    pub history: Vec<Turn>,
    /// What the writer wrote, in order.
    pub written: Vec<String>,
    /// Whether the writer would write the same again.
    pub deterministic: bool,
}
