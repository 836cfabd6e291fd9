//! The store as a process holds it: one writer, or any number of readers.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::batch::Batch;
use crate::disk::{Disk, FileDisk, create_folder};
use crate::error::Error;
use crate::lock::Lock;
use crate::log::{self, Frame, Log, Purpose};
use crate::record::{SnapshotId, SnapshotInfo};
use crate::segment::{Segment, encode};
use crate::snapshot::Snapshot;
use crate::state::State;

const LOG: &str = "store.log";
const LOCK: &str = "store.lock";
/// Fewer digits name a commit too loosely to be meant.
const SHORTEST_PREFIX: usize = 4;

/// A store open for writing. No other process can write while it lives.
pub struct Store {
    log: Mutex<Log<Box<dyn Disk>>>,
    /// Replaced as a whole, never changed: readers hold it for a moment.
    current: RwLock<Snapshot>,
    _lock: Option<Lock>,
}

/// A store open for reading, whatever a writer is doing to it.
pub struct Reader {
    log: Log<Box<dyn Disk>>,
    current: Snapshot,
}

impl Store {
    /// Opens the store in a folder, and makes both if they do not exist.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: folder.to_owned(), source };
        create_folder(folder).map_err(io)?;
        let lock = Lock::take(&folder.join(LOCK))?;
        let path = folder.join(LOG);
        let disk = FileDisk::open_to_write(&path, &log::empty(Purpose::Store))
            .map_err(|source| Error::Io { path: path.clone(), source })?;
        Self::on(Box::new(disk), &path, Some(lock))
    }

    /// Opens a store on any disk; a simulated one needs no lock.
    pub(crate) fn on(disk: Box<dyn Disk>, path: &Path, lock: Option<Lock>) -> Result<Self, Error> {
        let log = Log::open_to_write(disk, path, Purpose::Store)?;
        let current = replay(log.all_frames()?, path, State::empty())?;
        Ok(Self { log: Mutex::new(log), current: RwLock::new(current), _lock: lock })
    }

    /// Applies a batch, durably and all at once, and gives the id of the
    /// snapshot that shows it. A batch that changes nothing commits nothing.
    ///
    /// After an error from the disk the store takes no more commits; what was
    /// committed before can still be read, and is there when it is opened
    /// again.
    pub fn commit(&self, batch: &Batch) -> Result<SnapshotId, Error> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // Also before a batch that seems to change nothing: after a failure
        // nobody knows what it would be compared with.
        log.check_usable()?;
        let before = self.snapshot();
        let changes = before.state().changes(batch)?;
        if changes.is_empty() {
            return Ok(before.id());
        }
        let frame = log.append(&encode(&changes)?)?;
        let after = replay(vec![frame], log.path(), before.state().clone())?;
        let id = after.id();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = after;
        Ok(id)
    }

    /// The last commit.
    pub fn snapshot(&self) -> Snapshot {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A past commit.
    pub fn snapshot_at(&self, id: &SnapshotId) -> Result<Snapshot, Error> {
        at(&self.snapshot(), id)
    }

    /// The id that begins with these hexadecimal digits.
    pub fn resolve(&self, prefix: &str) -> Result<SnapshotId, Error> {
        resolve(&self.snapshot(), prefix)
    }

    /// Every commit, in order.
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        history(&self.snapshot())
    }
}

impl Reader {
    /// Opens the store in a folder.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(LOG);
        let disk = FileDisk::open_to_read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NoStore { path: folder.to_owned() },
            _ => Error::Io { path: path.clone(), source },
        })?;
        let disk: Box<dyn Disk> = Box::new(disk);
        let log = Log::open_to_read(disk, &path, Purpose::Store)?;
        let current = replay(log.all_frames()?, &path, State::empty())?;
        Ok(Self { log, current })
    }

    /// Looks for commits since, and says whether there are any.
    pub fn refresh(&mut self) -> Result<bool, Error> {
        let frames = self.log.refresh()?;
        let is_new = !frames.is_empty();
        if is_new {
            self.current = replay(frames, self.log.path(), self.current.state().clone())?;
        }
        Ok(is_new)
    }

    /// The last commit when the store was opened or refreshed.
    pub fn snapshot(&self) -> Snapshot {
        self.current.clone()
    }

    /// A past commit.
    pub fn snapshot_at(&self, id: &SnapshotId) -> Result<Snapshot, Error> {
        at(&self.current, id)
    }

    /// The id that begins with these hexadecimal digits.
    pub fn resolve(&self, prefix: &str) -> Result<SnapshotId, Error> {
        resolve(&self.current, prefix)
    }

    /// Every commit, in order.
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        history(&self.current)
    }
}

fn replay(frames: Vec<Frame>, path: &Path, mut state: State) -> Result<Snapshot, Error> {
    let path: Arc<Path> = Arc::from(path);
    for frame in frames {
        state.apply(&Arc::new(Segment::open(frame, Arc::clone(&path))?));
    }
    Ok(Snapshot::new(state))
}

fn at(last: &Snapshot, id: &SnapshotId) -> Result<Snapshot, Error> {
    if last.id() == *id {
        return Ok(last.clone());
    }
    let mut state = State::empty();
    let mut segments = last.state().segments.iter();
    while state.id != *id {
        let Some(segment) = segments.next() else {
            return Err(Error::UnknownSnapshot { id: id.to_string() });
        };
        state.apply(segment);
    }
    Ok(Snapshot::new(state))
}

fn history(last: &Snapshot) -> Vec<SnapshotInfo> {
    let mut state = State::empty();
    let step = |segment: &Arc<Segment>| {
        state.apply(segment);
        state.info()
    };
    last.state().segments.iter().map(step).collect()
}

fn resolve(last: &Snapshot, prefix: &str) -> Result<SnapshotId, Error> {
    let unknown = || Error::UnknownSnapshot { id: prefix.to_owned() };
    if prefix.len() < SHORTEST_PREFIX {
        return Err(unknown());
    }
    let wanted = prefix.to_ascii_lowercase();
    let ids = last.state().segments.iter().map(|segment| segment.id());
    let mut found = ids.filter(|id| id.to_string().starts_with(&wanted));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(unknown()),
        (Some(_), Some(_)) => Err(Error::AmbiguousSnapshot { prefix: prefix.to_owned() }),
    }
}
