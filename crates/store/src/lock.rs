//! One writer at a time.
//!
//! The lock is on a file of its own, so that reading the log is never blocked,
//! and the system lets go of it when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::Error;

/// Held for as long as it lives.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only a courtesy in the message: it may be half written.
                let read = file.read_to_string(&mut holder);
                let holder = read.ok().and_then(|_| holder.trim().parse().ok());
                return Err(Error::Locked { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io { path: path.to_owned(), source });
            }
        }
        // A process id that cannot be written must not stop a commit.
        let named = file.set_len(0).and_then(|()| file.rewind());
        let _ = named.and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }

    /// Waits for the lock: for writers that hold it for a moment only.
    pub(crate) fn wait(path: &Path) -> Result<Self, Error> {
        let file = open(path)?;
        file.lock().map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> Result<File, Error> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    options.map_err(|source| Error::Io { path: path.to_owned(), source })
}
