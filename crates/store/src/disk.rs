//! The disk, as far as a log can tell.
//!
//! [`Disk`] has two forms: [`FileDisk`], and the simulated one of the crash
//! tests, which tears, reorders and loses what was not synced.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::mmap;

/// Writes may be lost, torn or reordered until [`Disk::sync`] returns.
pub(crate) trait Disk: Send {
    /// Fills `into` with the bytes at `at`.
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// `len` committed bytes from `at`, which will not change.
    fn view(&self, at: u64, len: usize) -> io::Result<View>;
}

impl<D: Disk + ?Sized> Disk for Box<D> {
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        (**self).read(at, into)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write(at, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn view(&self, at: u64, len: usize) -> io::Result<View> {
        (**self).view(at, len)
    }
}

/// Bytes that do not change, cheap to clone and to narrow.
#[derive(Clone, Debug)]
pub(crate) struct View {
    backing: Arc<Backing>,
    start: usize,
    end: usize,
}

#[derive(Debug)]
enum Backing {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl View {
    pub(crate) fn owned(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self { backing: Arc::new(Backing::Owned(bytes)), start: 0, end }
    }

    /// The part from `start`, `len` bytes long, if there is one.
    pub(crate) fn part(&self, start: usize, len: usize) -> Option<Self> {
        let start = self.start.checked_add(start)?;
        let end = start.checked_add(len).filter(|&end| end <= self.end)?;
        Some(Self { backing: Arc::clone(&self.backing), start, end })
    }
}

impl Deref for View {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &*self.backing {
            Backing::Mapped(map) => map,
            Backing::Owned(bytes) => bytes,
        };
        &all[self.start..self.end]
    }
}

/// A real file.
pub(crate) struct FileDisk {
    file: File,
}

impl FileDisk {
    pub(crate) fn open_to_read(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)? })
    }

    /// Opens the file, or makes it with `first` as its bytes.
    ///
    /// A new file gets its name only after its bytes are on disk, so there is
    /// never a file with this name and half of them. The caller holds the lock.
    pub(crate) fn open_to_write(path: &Path, first: &[u8]) -> io::Result<Self> {
        let options = OpenOptions::new().read(true).write(true).clone();
        match options.open(path) {
            Ok(file) => return Ok(Self { file }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let unnamed = path.with_extension("new");
        let mut file = Self { file: options.clone().create(true).truncate(true).open(&unnamed)? };
        file.write(0, first)?;
        file.sync()?;
        fs::rename(&unnamed, path)?;
        if let Some(folder) = path.parent() {
            sync_folder(folder)?;
        }
        Ok(file)
    }
}

/// Makes `folder` and those above it, durably.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Disk for FileDisk {
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn view(&self, at: u64, len: usize) -> io::Result<View> {
        if len == 0 {
            return Ok(View::owned(Vec::new()));
        }
        let map = mmap::map(&self.file, at, len)?;
        Ok(View { backing: Arc::new(Backing::Mapped(map)), start: 0, end: len })
    }
}
