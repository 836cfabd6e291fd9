//! Keys and values of passages on disk.
//!
//! A file for each passage of each model: a magic and a version, the number of
//! tokens and the position of the first, the numbers as half floats, and the
//! SHA-256 of all that. Its name is the SHA-256 of what it follows from: the
//! version, the model, the tokens that the passage was read after, and its own.
//! Numbers are little-endian. A file that is not as expected is removed, and
//! whoever asked for it reads the passage instead.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use plumb_model::{DecoderSpec, KvChunk};
use sha2::{Digest, Sha256};

use crate::Error;

const MAGIC: &[u8; 8] = b"PLUMBKV\x01";

/// Bytes before the numbers: magic, tokens, position.
const HEAD: usize = 24;

/// Bytes of the checksum.
const SUM: usize = 32;

/// Name of the kept files' ending.
const ENDING: &str = "kv";

/// The chunks of one model in a folder.
#[derive(Clone, Debug)]
pub struct ChunkStore {
    folder: PathBuf,
    /// What identifies the model, such as the SHA-256 of its weights.
    model: String,
    /// Bytes of all files together, at most.
    budget: u64,
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
    /// is kept; up to `budget` bytes, those of other models among them.
    pub fn new(folder: &Path, model: &str, budget: u64) -> Self {
        Self { folder: folder.to_owned(), model: model.to_owned(), budget }
    }

    /// The kept chunk, which counts as used at `now`.
    pub fn get(&self, spec: &DecoderSpec, key: ChunkKey<'_>, now: SystemTime) -> Option<KvChunk> {
        let path = self.path(key);
        let bytes = fs::read(&path).ok()?;
        let Some(chunk) = parse(spec, &bytes, key) else {
            // It can be made again; what cannot be removed is not used either.
            let _ = fs::remove_file(&path);
            return None;
        };
        // A chunk whose use cannot be noted is forgotten sooner.
        let _ = File::options().append(true).open(&path).and_then(|file| file.set_modified(now));
        Some(chunk)
    }

    /// Keeps `chunk`, and forgets those that were used least recently until all
    /// are within the budget.
    pub fn put(&self, key: ChunkKey<'_>, chunk: &KvChunk, now: SystemTime) -> Result<(), Error> {
        let path = self.path(key);
        let io = |source| Error::Io { path: path.clone(), source };
        self.write(&path, chunk, now).map_err(io)?;
        self.shrink().map_err(io)
    }

    fn write(&self, path: &Path, chunk: &KvChunk, now: SystemTime) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut head = MAGIC.to_vec();
        head.extend((chunk.tokens() as u64).to_le_bytes());
        head.extend((chunk.start() as u64).to_le_bytes());
        let sum = Sha256::new().chain_update(&head).chain_update(chunk.as_bytes()).finalize();
        // Whole under its name, or not at all.
        let unfinished = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = File::create(&unfinished)?;
        for part in [&head[..], chunk.as_bytes(), &sum] {
            file.write_all(part)?;
        }
        file.set_modified(now)?;
        fs::rename(&unfinished, path)
    }

    /// Removes the files that were used least recently.
    fn shrink(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            // Another process may have removed it since.
            let Ok(data) = entry.metadata() else { continue };
            if entry.path().extension().is_some_and(|ending| ending == ENDING) {
                files.push((data.modified()?, data.len(), entry.path()));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if total <= self.budget {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }

    fn path(&self, key: ChunkKey<'_>) -> PathBuf {
        let mut hash = Sha256::new().chain_update(MAGIC);
        hash.update((self.model.len() as u64).to_le_bytes());
        hash.update(&self.model);
        for tokens in [key.head, key.passage] {
            hash.update((tokens.len() as u64).to_le_bytes());
            for token in tokens {
                hash.update(token.to_le_bytes());
            }
        }
        let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{name}.{ENDING}"))
    }
}

/// The chunk in a file, if it is sound and the one asked for.
fn parse(spec: &DecoderSpec, bytes: &[u8], key: ChunkKey<'_>) -> Option<KvChunk> {
    let (content, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM)?)?;
    if Sha256::digest(content)[..] != *sum {
        return None;
    }
    let (head, numbers) = content.split_at_checked(HEAD)?;
    let number = |at: usize| {
        let bytes = head.get(at..at + 8)?.try_into().ok()?;
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    };
    let place = (number(8)?, number(16)?);
    if head[..8] != *MAGIC || place != (key.passage.len(), key.head.len()) {
        return None;
    }
    KvChunk::from_bytes(spec, place, numbers.to_vec())
}
