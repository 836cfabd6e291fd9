//! What the passages of a store are made with.

use plumb_store::{Batch, Snapshot};

use crate::error::Error;

/// Key under which the store remembers the name of the embedder.
pub const META_EMBEDDER: &str = "embedder";
/// Key under which the store remembers the hash of the embedder's weights.
const META_EMBEDDER_SHA256: &str = "embedder_sha256";
/// Key under which the store remembers what its documents are called together:
/// the folder that they were first added from.
pub const META_COLLECTION: &str = "collection";
const META_CHUNK_TOKENS: &str = "chunk_tokens";
/// Absent where headings count, as they did in every earlier version.
const META_CHUNK_HEADINGS: &str = "chunk_headings";

/// How documents are cut into passages, and what a passage is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunking {
    /// The longest passage, in tokens of the embedder.
    pub max_tokens: usize,
    /// Whether title and headings are embedded with a passage and count as its words.
    pub headings: bool,
}

/// The embedder and the cut of passages. All of a store are made with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Name of the embedder.
    pub embedder: String,
    /// Hex SHA-256 of its weights.
    pub embedder_sha256: String,
    pub chunking: Chunking,
}

impl Made {
    /// Writes it down.
    pub fn write(&self, batch: &mut Batch) {
        batch.set_meta(META_EMBEDDER, &self.embedder);
        batch.set_meta(META_EMBEDDER_SHA256, &self.embedder_sha256);
        batch.set_meta(META_CHUNK_TOKENS, &self.chunking.max_tokens.to_string());
        batch.set_meta(META_CHUNK_HEADINGS, &self.chunking.headings.to_string());
    }

    /// Refuses a store whose passages were made otherwise.
    pub fn check(&self, snapshot: &Snapshot) -> Result<(), Error> {
        Self::check_embedder(snapshot, &self.embedder, &self.embedder_sha256)?;
        match snapshot.meta().get(META_CHUNK_TOKENS) {
            Some(made) if *made != self.chunking.max_tokens.to_string() => {
                return Err(Error::OtherLength {
                    made: made.clone(),
                    set: self.chunking.max_tokens,
                });
            }
            Some(_) => {}
            // Nothing was indexed yet.
            None => return Ok(()),
        }
        let made = snapshot.meta().get(META_CHUNK_HEADINGS).is_none_or(|made| made == "true");
        if made != self.chunking.headings {
            return Err(Error::OtherHeadings { made, set: self.chunking.headings });
        }
        Ok(())
    }

    /// Refuses an embedder other than the one that made the stored vectors.
    pub fn check_embedder(snapshot: &Snapshot, name: &str, sha256: &str) -> Result<(), Error> {
        match Self::other_embedder(snapshot, sha256) {
            Some(made) => Err(Error::OtherEmbedder { made, set: name.to_owned() }),
            None => Ok(()),
        }
    }

    /// What made the stored vectors, if it was not the embedder of this hash.
    pub fn other_embedder(snapshot: &Snapshot, sha256: &str) -> Option<String> {
        let meta = snapshot.meta();
        meta.get(META_EMBEDDER_SHA256).filter(|made| *made != sha256)?;
        Some(meta.get(META_EMBEDDER).cloned().unwrap_or_else(|| "another model".to_owned()))
    }
}
