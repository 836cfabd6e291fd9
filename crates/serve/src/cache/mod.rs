//! What was computed before and may be given again, in layers.
//!
//! - `exact`: a request that is the same to the bit, and whose result is decided
//!   by its sampling, gets the same reply. Each key has its own.
//! - the beginnings of prompts are kept by the engines themselves, and
//!   `usage` says how many tokens that spared.
//! - `wordings`: an answer from documents takes the words of an earlier one. It
//!   is searched for and chosen anew each time, on the present snapshot; the words
//!   are taken only where the evidence is the same to the byte, and every sentence
//!   is checked against that evidence again.
//!
//! A hit says that it is one, and a request can decline ([`Policy`]).

mod exact;
mod lru;
mod policy;
mod wordings;

pub(crate) use exact::{Exact, Replies, reply_key};
pub(crate) use policy::{Beside, Options, Policy, marked, marked_exact};
pub(crate) use wordings::{KeptWriter, Wordings};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Bytes of replies to exact requests; none are kept with 0.
    pub exact_bytes: usize,
    /// Bytes of wordings of answers from documents; none are kept with 0.
    pub answer_bytes: usize,
    /// Whether a wording is also taken for a question that is put in another way
    /// than the one that it was written for.
    pub near_questions: bool,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { exact_bytes: 32 << 20, answer_bytes: 16 << 20, near_questions: false }
    }
}

/// The layers that this crate keeps.
#[derive(Debug)]
pub(crate) struct Caches {
    pub(crate) exact: Exact,
    pub(crate) wordings: Wordings,
}

impl Caches {
    /// Nothing is in them yet.
    pub(crate) fn new(settings: CacheSettings) -> Self {
        Self {
            exact: Exact::new(settings.exact_bytes),
            wordings: Wordings::new(settings.answer_bytes, settings.near_questions),
        }
    }
}
