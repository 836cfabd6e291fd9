//! Keys and values of passages on disk.
//!
//! A file for each passage of each model: a magic and a version, how the numbers
//! are kept, the number of tokens and the position of the first, the numbers, and
//! the SHA-256 of all that. Its name is the SHA-256 of what it follows from: the
//! version, the model, how the numbers are kept, the tokens that the passage was
//! read after, and its own. Numbers are little-endian. A file that is not as
//! expected is removed, and whoever asked for it reads the passage instead.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use plumb_model::{ChunkType, DecoderSpec, KvChunk};
use sha2::{Digest, Sha256};

use crate::Error;

const MAGIC: &[u8; 8] = b"PLUMBKV\x02";

/// Bytes before the numbers: magic, type, tokens, position.
const HEAD: usize = 32;

/// Bytes of the checksum.
const SUM: usize = 32;

/// Ending of the kept files' names.
const ENDING: &str = "kv";

/// Ending while a file is written, and for how long that may take.
const UNFINISHED: &str = "new";
const WRITING: Duration = Duration::from_mins(10);

/// Files that this process began to write.
static COUNT: AtomicU64 = AtomicU64::new(0);

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

    /// The chunk that is kept as `stored`, which counts as used at `now`.
    pub fn get(
        &self,
        spec: &DecoderSpec,
        (key, stored): (ChunkKey<'_>, ChunkType),
        now: SystemTime,
    ) -> Option<KvChunk> {
        let path = self.path(key, stored);
        let bytes = fs::read(&path).ok()?;
        let Some(chunk) = parse(spec, &bytes, (key, stored)) else {
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
        let path = self.path(key, chunk.stored());
        let io = |source| Error::Io { path: path.clone(), source };
        self.write(&path, chunk, now).map_err(io)?;
        self.shrink(now).map_err(io)
    }

    fn write(&self, path: &Path, chunk: &KvChunk, now: SystemTime) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut head = MAGIC.to_vec();
        head.extend(number_of(chunk.stored()).to_le_bytes());
        head.extend((chunk.tokens() as u64).to_le_bytes());
        head.extend((chunk.start() as u64).to_le_bytes());
        let sum = Sha256::new().chain_update(&head).chain_update(chunk.as_bytes()).finalize();
        // Whole under its name, or not at all; no two threads write one file.
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let unfinished = path.with_extension(format!("{process}-{count}.{UNFINISHED}"));
        let mut file = File::create(&unfinished)?;
        for part in [&head[..], chunk.as_bytes(), &sum] {
            file.write_all(part)?;
        }
        file.set_modified(now)?;
        fs::rename(&unfinished, path)
    }

    /// Removes the files that were used least recently, and those that a killed
    /// process did not finish.
    fn shrink(&self, now: SystemTime) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            // Another process may have removed it since.
            let Ok(data) = fs::metadata(&path) else { continue };
            let used = data.modified()?;
            match path.extension().and_then(|ending| ending.to_str()) {
                Some(ENDING) => files.push((used, data.len(), path)),
                Some(UNFINISHED) if used + WRITING < now => remove(&path)?,
                _ => {}
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if total <= self.budget {
                break;
            }
            remove(&path)?;
            total -= bytes;
        }
        Ok(())
    }

    fn path(&self, key: ChunkKey<'_>, stored: ChunkType) -> PathBuf {
        let mut hash = Sha256::new().chain_update(MAGIC);
        hash.update(number_of(stored).to_le_bytes());
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

/// Removes a file unless another process has.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What stands for a type in files.
fn number_of(stored: ChunkType) -> u64 {
    match stored {
        ChunkType::F16 => 0,
        ChunkType::Q8 => 1,
    }
}

/// The chunk in a file, if it is sound and the one asked for.
fn parse(
    spec: &DecoderSpec,
    bytes: &[u8],
    (key, stored): (ChunkKey<'_>, ChunkType),
) -> Option<KvChunk> {
    let (content, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM)?)?;
    if Sha256::digest(content)[..] != *sum {
        return None;
    }
    let (head, numbers) = content.split_at_checked(HEAD)?;
    let number = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
    let place = (key.passage.len(), key.head.len());
    let wanted = [number_of(stored), place.0 as u64, place.1 as u64];
    if head[..8] != *MAGIC || [number(8)?, number(16)?, number(24)?] != wanted {
        return None;
    }
    KvChunk::from_bytes(spec, place, (stored, numbers.to_vec()))
}
