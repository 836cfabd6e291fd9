//! A durable map of keys to bytes, for answers and conversations.
//!
//! Several processes may append to one journal: each append takes a lock for
//! its own length. Reading takes none.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::codec::{Cursor, Malformed, put_str, wide};
use crate::disk::{FileDisk, create_folder};
use crate::error::Error;
use crate::lock::Lock;
use crate::log::{self, Frame, Log, Purpose};

/// A journal: `append` adds a value, the last value of a key counts.
pub struct Journal {
    path: PathBuf,
    /// `None` until there is a file.
    log: Option<Log<FileDisk>>,
    entries: BTreeMap<String, Frame>,
}

impl Journal {
    /// Opens the journal at `path`. The file is made by the first append.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut journal = Self { path: path.to_owned(), log: None, entries: BTreeMap::new() };
        journal.refresh()?;
        Ok(journal)
    }

    /// Sets the value of a key, durably.
    pub fn append(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        if let Some(folder) = self.path.parent() {
            create_folder(folder).map_err(|source| self.io(source))?;
        }
        let mut lock = OsString::from(&self.path);
        lock.push(".lock");
        let _lock = Lock::wait(Path::new(&lock))?;
        let disk = FileDisk::open_to_write(&self.path, &log::empty(Purpose::Journal))
            .map_err(|source| self.io(source))?;
        let mut log = Log::open_to_write(disk, &self.path, Purpose::Journal)?;
        self.catch_up(&log)?;
        let mut payload = Vec::new();
        put_str(&mut payload, key);
        payload.extend_from_slice(value);
        let frame = log.append(&payload)?;
        self.entries.insert(key.to_owned(), frame);
        self.log = Some(log);
        Ok(())
    }

    /// The last value of a key that this journal has seen.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.entries.get(key).map(|frame| self.value(frame)).transpose()
    }

    /// Keys and their last values, in the order of the appends.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Result<Vec<u8>, Error>)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(_, frame)| frame.sequence);
        entries.into_iter().map(|(key, frame)| (key.as_str(), self.value(frame)))
    }

    /// Takes in what other processes have appended since.
    pub fn refresh(&mut self) -> Result<(), Error> {
        let disk = match FileDisk::open_to_read(&self.path) {
            Ok(disk) => disk,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.io(error)),
        };
        let log = Log::open_to_read(disk, &self.path, Purpose::Journal)?;
        self.catch_up(&log)?;
        self.log = Some(log);
        Ok(())
    }

    fn catch_up(&mut self, log: &Log<FileDisk>) -> Result<(), Error> {
        if self.log.as_ref().is_some_and(|seen| seen.sequence() == log.sequence()) {
            return Ok(());
        }
        for frame in log.all_frames()? {
            if !frame.is_whole() {
                let malformed = Malformed { at: 0, what: "an entry fails its checksum" };
                return Err(self.corrupt(&frame, malformed));
            }
            let key = Cursor::new(&frame.payload).string();
            let key = key.map_err(|malformed| self.corrupt(&frame, malformed))?;
            self.entries.insert(key, frame);
        }
        Ok(())
    }

    fn value(&self, frame: &Frame) -> Result<Vec<u8>, Error> {
        let mut cursor = Cursor::new(&frame.payload);
        cursor.str().map_err(|malformed| self.corrupt(frame, malformed))?;
        Ok(frame.payload[cursor.at()..].to_vec())
    }

    fn corrupt(&self, frame: &Frame, malformed: Malformed) -> Error {
        let offset = frame.offset + wide(malformed.at);
        Error::Corrupt { path: self.path.clone(), offset, what: malformed.what }
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}
