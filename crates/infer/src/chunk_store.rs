//! Keys and values of passages on disk.
//!
//! A file for each passage of each model: a magic and a version, how the numbers
//! are kept, the number of tokens and the position of the first, the numbers, and
//! the SHA-256 of all that. Its name is the SHA-256 of what it follows from: the
//! version, how the numbers are kept, the model, the tokens that the passage was
//! read after, and its own. Numbers are little-endian.

use std::path::Path;
use std::time::SystemTime;

use plumb_model::{ChunkType, DecoderSpec, KvChunk};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::kept_files::{KeptFiles, hash_of};

const MAGIC: &[u8; 8] = b"PLUMBKV\x02";

/// Bytes before the numbers: magic, type, tokens, position.
const HEAD: usize = 32;

/// The chunks of one model in a folder.
#[derive(Clone, Debug)]
pub struct ChunkStore {
    files: KeptFiles,
    /// What identifies the model, such as the SHA-256 of its weights.
    model: String,
}

/// What a chunk follows from.
#[derive(Clone, Copy, Debug)]
pub struct ChunkKey<'a> {
    /// Tokens that the passage is read after.
    pub head: &'a [u32],
    pub passage: &'a [u32],
}

impl ChunkStore {
    /// Chunks of `model`, by content, in `folder`, which is made when the first
    /// is kept; up to about `budget` bytes, those of other models among them.
    pub fn new(folder: &Path, model: &str, budget: u64) -> Self {
        Self { files: KeptFiles::new(folder, "kv", budget), model: model.to_owned() }
    }

    /// The chunk that is kept as `stored`, which counts as used at `now`.
    pub fn get(
        &self,
        spec: &DecoderSpec,
        (key, stored): (ChunkKey<'_>, ChunkType),
        now: SystemTime,
    ) -> Option<KvChunk> {
        self.files.get(self.hash(key, stored), now, |bytes| parse(spec, bytes, (key, stored)))
    }

    /// Keeps `chunk`, and forgets those that were used least recently where all
    /// are not within the budget.
    pub fn put(&self, key: ChunkKey<'_>, chunk: &KvChunk, now: SystemTime) -> Result<(), Error> {
        let mut head = MAGIC.to_vec();
        head.extend(number_of(chunk.stored()).to_le_bytes());
        head.extend((chunk.tokens() as u64).to_le_bytes());
        head.extend((chunk.start() as u64).to_le_bytes());
        self.files.put(self.hash(key, chunk.stored()), &[&head, chunk.as_bytes()], now)
    }

    fn hash(&self, key: ChunkKey<'_>, stored: ChunkType) -> Sha256 {
        let hash = Sha256::new().chain_update(MAGIC).chain_update(number_of(stored).to_le_bytes());
        hash_of(hash, &self.model, &[key.head, key.passage])
    }
}

/// What stands for a type in files.
fn number_of(stored: ChunkType) -> u64 {
    match stored {
        ChunkType::F16 => 0,
        ChunkType::Q8 => 1,
    }
}

/// The chunk in a file, if it is the one asked for.
fn parse(
    spec: &DecoderSpec,
    content: &[u8],
    (key, stored): (ChunkKey<'_>, ChunkType),
) -> Option<KvChunk> {
    let (head, numbers) = content.split_at_checked(HEAD)?;
    let number = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
    let place = (key.passage.len(), key.head.len());
    let wanted = [number_of(stored), place.0 as u64, place.1 as u64];
    if head[..8] != *MAGIC || [number(8)?, number(16)?, number(24)?] != wanted {
        return None;
    }
    KvChunk::from_bytes(spec, place, (stored, numbers.to_vec()))
}
