//! Files in a folder that can be made again: each whole with its checksum or
//! not there, and all together within a budget.
//!
//! A file is named by the hash of what its content follows from. A file that is
//! not sound is removed, and whoever asked for it makes its content anew.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::Error;

/// Bytes of the checksum at the end of a file.
const SUM: usize = 32;

/// Ending while a file is written, and for how long that may take.
const UNFINISHED: &str = "new";
const WRITING: Duration = Duration::from_mins(10);

/// The part of the budget that is written before the folder is looked at again.
const LOOK: u64 = 32;

/// Files that this process began to write.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The files of one ending in a folder.
#[derive(Clone, Debug)]
pub(crate) struct KeptFiles {
    folder: PathBuf,
    ending: &'static str,
    /// Bytes of all files together, at most.
    budget: u64,
    /// Bytes written since the folder was looked at; `u64::MAX` before the
    /// first time.
    written: Arc<AtomicU64>,
}

impl KeptFiles {
    /// Files in `folder`, which is made when the first is kept.
    pub(crate) fn new(folder: &Path, ending: &'static str, budget: u64) -> Self {
        let written = Arc::new(AtomicU64::new(u64::MAX));
        Self { folder: folder.to_owned(), ending, budget, written }
    }

    /// The content of the file for what `hash` has taken in, which counts as
    /// used at `now`, as far as `read` makes something of it.
    pub(crate) fn get<T>(
        &self,
        hash: Sha256,
        now: SystemTime,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let path = self.path(hash);
        let bytes = fs::read(&path).ok()?;
        let Some(content) = checked(&bytes).and_then(read) else {
            // What cannot be removed is not used either.
            let _ = fs::remove_file(&path);
            return None;
        };
        // A file whose use cannot be noted is forgotten sooner.
        let _ = File::options().append(true).open(&path).and_then(|file| file.set_modified(now));
        Some(content)
    }

    /// Keeps `parts` as the content of a file, and forgets files that were used
    /// least recently where all are not within the budget.
    pub(crate) fn put(&self, hash: Sha256, parts: &[&[u8]], now: SystemTime) -> Result<(), Error> {
        let path = self.path(hash);
        let bytes = parts.iter().map(|part| part.len() as u64).sum::<u64>() + SUM as u64;
        let written = self.written.load(Ordering::Relaxed).saturating_add(bytes);
        let done = self.write(&path, parts, now).and_then(|()| {
            if written <= self.budget / LOOK {
                self.written.store(written, Ordering::Relaxed);
                return Ok(());
            }
            self.written.store(0, Ordering::Relaxed);
            self.shrink(now)
        });
        done.map_err(|source| Error::Io { path, source })
    }

    fn write(&self, path: &Path, parts: &[&[u8]], now: SystemTime) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        // Whole under its name, or not at all; no two threads write one file.
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let unfinished = path.with_extension(format!("{process}-{count}.{UNFINISHED}"));
        let mut file = File::create(&unfinished)?;
        let mut sum = Sha256::new();
        for part in parts {
            sum.update(part);
            file.write_all(part)?;
        }
        file.write_all(&sum.finalize())?;
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
                Some(UNFINISHED) if used + WRITING < now => remove(&path)?,
                Some(ending) if ending == self.ending => files.push((used, data.len(), path)),
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

    fn path(&self, hash: Sha256) -> PathBuf {
        let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{name}.{}", self.ending))
    }
}

/// Takes into `hash` which model something is of, and tokens that it is of.
pub(crate) fn hash_of(mut hash: Sha256, model: &str, texts: &[&[u32]]) -> Sha256 {
    hash.update((model.len() as u64).to_le_bytes());
    hash.update(model);
    for tokens in texts {
        hash.update((tokens.len() as u64).to_le_bytes());
        for token in *tokens {
            hash.update(token.to_le_bytes());
        }
    }
    hash
}

/// What is before the checksum, if that is right.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (content, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM)?)?;
    (Sha256::digest(content)[..] == *sum).then_some(content)
}

/// Removes a file unless another process has.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
