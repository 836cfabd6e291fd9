//! Vectors of texts on disk, such as of the sentences of a passage, so that
//! what several questions look at is embedded once.
//!
//! A file for each group of texts: a magic and a version, the number of vectors
//! and the numbers of each, and these as 32-bit floats, little-endian, before a
//! checksum. Its name is the hash of the version, the model and the tokens of
//! the texts. A vector is to the bit what embedding its text gives.

use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::embedder::TextRole;
use crate::kept_files::{KeptFiles, hash_of};
use crate::{Embedder, Error};

const MAGIC: &[u8; 8] = b"PLUMBVE\x01";

/// Bytes before the numbers: magic, vectors, numbers of each.
const HEAD: usize = 24;

/// The vectors of one embedder in a folder.
#[derive(Clone, Debug)]
pub struct VectorStore {
    files: KeptFiles,
    /// What identifies the embedder, such as the SHA-256 of its weights.
    model: String,
    now: fn() -> SystemTime,
}

impl VectorStore {
    /// Vectors of `model`, by content, in `folder`, which is made when the first
    /// are kept; up to about `budget` bytes. `now` tells when they are used.
    pub fn new(folder: &Path, model: &str, budget: u64, now: fn() -> SystemTime) -> Self {
        Self { files: KeptFiles::new(folder, "vec", budget), model: model.to_owned(), now }
    }

    /// One vector for each text of each group: what
    /// [`embed_documents`](Embedder::embed_documents) of `embedder` gives.
    pub fn embed_documents(
        &self,
        embedder: &Embedder,
        groups: &[Vec<&str>],
    ) -> Result<Vec<Vec<Vec<f32>>>, Error> {
        let mut found = Vec::with_capacity(groups.len());
        let mut missing: Vec<(usize, Sha256)> = Vec::new();
        let mut unknown: Vec<Vec<u32>> = Vec::new();
        for (number, texts) in groups.iter().enumerate() {
            let tokens = embedder.encode_all(TextRole::Document, texts)?;
            let hash = self.hash(&tokens);
            let shape = [texts.len(), embedder.dimension()];
            let known = self.files.get(hash.clone(), (self.now)(), |bytes| parse(bytes, shape));
            if known.is_none() {
                missing.push((number, hash));
                unknown.extend(tokens);
            }
            found.push(known.unwrap_or_default());
        }
        let mut vectors = embedder.embed_tokens(&unknown)?.into_iter();
        for (number, hash) in missing {
            found[number] = vectors.by_ref().take(groups[number].len()).collect();
            let bytes = written(&found[number], embedder.dimension());
            // What cannot be kept is embedded again the next time.
            let _ = self.files.put(hash, &[&bytes], (self.now)());
        }
        Ok(found)
    }

    fn hash(&self, texts: &[Vec<u32>]) -> Sha256 {
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        hash_of(Sha256::new().chain_update(MAGIC), &self.model, &texts)
    }
}

fn written(vectors: &[Vec<f32>], dimension: usize) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for number in [vectors.len(), dimension] {
        bytes.extend((number as u64).to_le_bytes());
    }
    bytes.extend(vectors.iter().flatten().flat_map(|x| x.to_le_bytes()));
    bytes
}

/// The vectors in a file, if they are as many as asked for, of as many numbers.
fn parse(bytes: &[u8], shape: [usize; 2]) -> Option<Vec<Vec<f32>>> {
    let (head, numbers) = bytes.split_at_checked(HEAD)?;
    let [count, dimension] = shape;
    let wanted = shape.map(|number| (number as u64).to_le_bytes()).concat();
    let (numbers, rest) = numbers.as_chunks::<4>();
    if head[..8] != *MAGIC || head[8..] != *wanted || !rest.is_empty() {
        return None;
    }
    if dimension == 0 || numbers.len() != count.checked_mul(dimension)? {
        return None;
    }
    let vector = |numbers: &[[u8; 4]]| numbers.iter().map(|&x| f32::from_le_bytes(x)).collect();
    Some(numbers.chunks_exact(dimension).map(vector).collect())
}
