//! Replies to requests that are the same to the bit.
//!
//! The key covers the weights, the tokens of the prompt (template, messages and
//! tools are in them), how they are continued, the grammar, and who asks: what
//! one key was told is not told to another, which could learn from the time that
//! it takes what others ask. Only replies that a second run would give again are
//! kept: those of temperature 0 or with a seed. An engine gives a request the same
//! tokens whatever runs beside it, so a hit is what would have been computed.

use std::sync::{Arc, Mutex, PoisonError};

use plumb_infer::Options;
use sha2::{Digest, Sha256};

use super::lru::{Key, Lru};
use crate::generation::{Job, Piece};
use crate::generator::Generator;

/// The pieces of a reply, in the order in which they came.
pub(crate) type Replies = Arc<Vec<Piece>>;

/// Replies by key.
#[derive(Debug)]
pub(crate) struct Exact(Mutex<Lru<Replies>>);

impl Exact {
    pub(super) fn new(most: usize) -> Self {
        Self(Mutex::new(Lru::new(most)))
    }

    /// The reply that is kept for `key`.
    pub(crate) fn get(&self, key: &Key) -> Option<Replies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key)
    }

    /// Keeps a reply that came to its end.
    pub(crate) fn insert(&self, key: Key, pieces: Vec<Piece>) {
        let bytes = pieces.iter().map(Piece::bytes).sum();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::new(pieces), bytes);
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes()
    }
}

/// What a reply to `job` depends on, and who asks.
pub(crate) fn reply_key(owner: &str, generator: &Generator, job: &Job) -> Key {
    let model = generator.id.sha256.as_deref().unwrap_or(&generator.id.name);
    let cache_type = format!("{:?}", generator.kv_cache);
    let options = decisive(&job.options);
    let schema = job.schema.as_deref();
    let prompt: Vec<u8> = job.prompt.iter().flat_map(|token| token.to_le_bytes()).collect();
    let n = job.n.to_le_bytes();
    let has_schema = [u8::from(schema.is_some())];
    let parts: [&[u8]; 8] = [
        owner.as_bytes(),
        model.as_bytes(),
        cache_type.as_bytes(),
        options.as_bytes(),
        &has_schema,
        schema.unwrap_or_default().as_bytes(),
        &prompt,
        &n,
    ];
    hash(&parts)
}

/// How a prompt is continued, as text, without what decides nothing: where the
/// likeliest token is taken the seed, which a request that names none is given
/// anew each time.
fn decisive(options: &Options) -> String {
    let mut options = options.clone();
    if options.sampling.temperature == 0.0 {
        options.sampling.seed = 0;
    }
    format!("{options:?}")
}

/// SHA-256 of `parts`, each with its length, so that none runs into the next.
pub(super) fn hash(parts: &[&[u8]]) -> Key {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use plumb_infer::Sampling;

    use super::*;

    #[test]
    fn a_seed_tells_requests_apart_only_where_tokens_are_drawn() {
        let with = |temperature, seed| {
            let sampling = Sampling { temperature, seed, ..Sampling::GREEDY };
            decisive(&Options { sampling, ..Options::default() })
        };
        assert_eq!(with(0.0, 1), with(0.0, 2));
        assert_ne!(with(0.7, 1), with(0.7, 2));
        assert_ne!(with(0.0, 1), with(0.7, 1));
        let longer = Options { max_tokens: 7, ..Options::default() };
        assert_ne!(decisive(&longer), decisive(&Options::default()));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"ab"]), hash(&[b"ab", b""]));
    }
}
