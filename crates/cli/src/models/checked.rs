//! Hashes: of files as they are written, and of files that are there.
//!
//! Hashing half a gigabyte at every start would be slow, so what was hashed is
//! remembered with the size and the time of the file; a file that differs in
//! either is hashed again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Error, ModelFile};

const BUFFER: usize = 1 << 17;
/// From this age on, a file that is written again gets another time.
const SETTLED: Duration = Duration::from_secs(3);

/// A file being written that must come out as the catalogue says.
pub struct CheckedFile {
    path: PathBuf,
    file: File,
    hash: Sha256,
    written: u64,
    want: ModelFile,
}

impl CheckedFile {
    /// Starts the file over.
    pub fn create(path: &Path, want: &ModelFile) -> Result<Self, Error> {
        let file = File::create(path).map_err(Error::io(path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            hash: Sha256::new(),
            written: 0,
            want: want.clone(),
        })
    }

    /// Goes on where an earlier attempt stopped.
    pub fn resume(path: &Path, want: &ModelFile) -> Result<Self, Error> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(Error::io(path))?;
        let mut checked = Self {
            path: path.to_owned(),
            file,
            hash: Sha256::new(),
            written: 0,
            want: want.clone(),
        };
        let length = io::copy(&mut checked.file, &mut checked.hash).map_err(Error::io(path))?;
        checked.written = length;
        if length > checked.want.bytes {
            return Self::create(path, want);
        }
        Ok(checked)
    }

    /// Bytes so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether all bytes are there.
    pub fn is_complete(&self) -> bool {
        self.written == self.want.bytes
    }

    /// Throws away what is there.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.file.set_len(0).map_err(Error::io(&self.path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(Error::io(&self.path))?;
        self.hash = Sha256::new();
        self.written = 0;
        Ok(())
    }

    /// Appends, and says whose fault it is if that does not work.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write_all(bytes).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => {
                Error::Damaged { path: self.path.clone(), what: source.to_string() }
            }
            _ => Error::Io { path: self.path.clone(), source },
        })
    }

    /// Compares what was written with what was wanted; a file that differs is
    /// removed, unless it only needs to go on.
    pub fn finish(self) -> Result<(), String> {
        if self.written < self.want.bytes {
            return Err(format!("ended after {} of {} bytes", self.written, self.want.bytes));
        }
        let found = hex(&self.hash.finalize());
        if found != self.want.sha256 {
            // The mismatch is what matters; a file that stays is overwritten.
            let _ = fs::remove_file(&self.path);
            return Err(format!(
                "`{}` has SHA-256 {found}, not {}",
                self.want.name, self.want.sha256
            ));
        }
        Ok(())
    }
}

impl Write for CheckedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written + bytes.len() as u64 > self.want.bytes {
            let message = format!("longer than the {} bytes it should have", self.want.bytes);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The SHA-256 of a file, in hexadecimal.
pub fn hash_file(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer).map_err(Error::io(path))? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// One hash that stands for those of several files, in whatever order; that of
/// a single file is its own.
pub fn together(mut hashes: Vec<String>) -> String {
    hashes.sort();
    match hashes.as_slice() {
        [one] => one.clone(),
        several => hex(&Sha256::digest(several.join("\n"))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Facts {
    bytes: u64,
    mtime_ns: u64,
}

impl Facts {
    fn of(path: &Path) -> Result<Self, Error> {
        let metadata = fs::metadata(path).map_err(Error::io(path))?;
        let modified = metadata.modified().map_err(Error::io(path))?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mtime_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Ok(Self { bytes: metadata.len(), mtime_ns })
    }

    /// Whether the file was written so recently that it could be written again
    /// without its time changing: clocks of file systems are coarse.
    #[expect(clippy::disallowed_methods, reason = "the age of a file needs the time")]
    fn is_fresh(self) -> bool {
        let modified = UNIX_EPOCH + Duration::from_nanos(self.mtime_ns);
        SystemTime::now().duration_since(modified).is_ok_and(|age| age < SETTLED)
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Remembered {
    facts: Facts,
    sha256: String,
}

/// The hashes that are remembered, in one file of the cache.
#[derive(Debug)]
pub struct Checked {
    path: PathBuf,
    files: BTreeMap<PathBuf, Remembered>,
}

impl Checked {
    /// Reads the memory of a cache folder. One that cannot be read is an empty
    /// one: everything is hashed again.
    pub fn open(cache: &Path) -> Self {
        let path = cache.join("checked.json");
        let files = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self { path, files }
    }

    /// The SHA-256 of a file, from memory if the file has not changed.
    pub fn sha256(&mut self, path: &Path) -> Result<String, Error> {
        let facts = Facts::of(path)?;
        let known = self.files.get(path).filter(|known| known.facts == facts);
        if let Some(known) = known {
            return Ok(known.sha256.clone());
        }
        let sha256 = hash_file(path)?;
        if facts.is_fresh() {
            return Ok(sha256);
        }
        self.files.insert(path.to_owned(), Remembered { facts, sha256: sha256.clone() });
        self.save();
        Ok(sha256)
    }

    /// Forgets the files below a folder.
    pub fn forget(&mut self, folder: &Path) {
        self.files.retain(|path, _| !path.starts_with(folder));
        self.save();
    }

    /// Writes the memory. It only saves time, so a failure is no error.
    fn save(&self) {
        let temporary = self.path.with_extension(format!("{}.tmp", std::process::id()));
        let Ok(json) = serde_json::to_vec(&self.files) else { return };
        if fs::write(&temporary, json).is_ok() {
            let _ = fs::rename(&temporary, &self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> ModelFile {
        let sha256 = hex(&Sha256::digest(bytes));
        ModelFile { name: "f".to_owned(), bytes: bytes.len() as u64, sha256 }
    }

    #[test]
    fn a_file_that_was_cut_goes_on_from_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, b"hal").unwrap();
        let mut checked = CheckedFile::resume(&path, &file(b"half")).unwrap();
        assert_eq!(checked.written(), 3);
        checked.write_all(b"f").unwrap();
        checked.finish().unwrap();
    }

    #[test]
    fn other_bytes_are_refused_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut checked = CheckedFile::create(&path, &file(b"good")).unwrap();
        checked.write_all(b"evil").unwrap();
        assert!(checked.finish().unwrap_err().contains("SHA-256"));
        assert!(!path.exists());
    }

    #[test]
    fn more_bytes_than_wanted_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut checked = CheckedFile::create(&folder.path().join("f"), &file(b"ab")).unwrap();
        assert!(checked.write_all(b"abc").is_err());
    }

    fn set_time(path: &Path, seconds: u64) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn a_hash_is_remembered_until_the_size_or_the_time_of_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let hash = || Checked::open(folder.path()).sha256(&path).unwrap();
        fs::write(&path, b"one").unwrap();
        set_time(&path, 1000);
        let first = hash();
        fs::write(&path, b"two").unwrap();
        set_time(&path, 1000);
        assert_eq!(hash(), first, "from memory");
        set_time(&path, 1001);
        assert_ne!(hash(), first);
    }

    #[test]
    fn a_file_that_was_just_written_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let hash = || Checked::open(folder.path()).sha256(&path).unwrap();
        fs::write(&path, b"one").unwrap();
        let first = hash();
        fs::write(&path, b"two").unwrap();
        assert_ne!(hash(), first);
    }
}
