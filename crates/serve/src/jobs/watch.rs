//! How far a job is: written down now and then, and whether it is to go on.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use plumb_index::{Progress, Watch};

use super::{LEASE, millis};
use crate::clock;
use crate::state::App;

/// Between two times that progress is written down.
const EVERY: Duration = Duration::from_millis(400);

/// Writes down how far a job is, and so finds out whether it was called off.
pub(super) struct Notes<'a> {
    app: &'a Arc<App>,
    id: &'a str,
    last: Mutex<Option<Instant>>,
    is_cancelled: AtomicBool,
}

impl<'a> Notes<'a> {
    pub(super) fn new(app: &'a Arc<App>, id: &'a str) -> Self {
        Self { app, id, last: Mutex::new(None), is_cancelled: AtomicBool::new(false) }
    }

    /// Writes down that so many bytes are done, of so many if that is known,
    /// unless something was written down just now.
    pub(super) fn tell(&self, done: u64, all: Option<u64>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        *last = Some(Instant::now());
        let count = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let steps = (count(done), all.map(count));
        let data = self.app.guard.database();
        // A database that cannot be written to now is no reason to stop.
        if let Ok(false) = data.keep_job(self.id, steps, clock::now(), millis(LEASE)) {
            self.is_cancelled.store(true, Ordering::Release);
        }
        self.app.jobs.changed();
    }

    /// Lets the next be written down at once.
    fn forget_last(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether somebody called the job off.
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Whether the work is to end: that, or because the server stops.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_cancelled() || !self.app.drain.is_accepting()
    }
}

/// Follows the indexing of files, in bytes of them.
pub(super) struct JobWatch<'a> {
    notes: Notes<'a>,
    total: u64,
    done: Cell<u64>,
    /// Bytes of the files before the one in hand, and of that one.
    place: Cell<(u64, u64)>,
}

impl<'a> JobWatch<'a> {
    pub(super) fn new(app: &'a Arc<App>, id: &'a str, total: u64) -> Self {
        let notes = Notes::new(app, id);
        Self { notes, total, done: Cell::new(0), place: Cell::new((0, 0)) }
    }

    /// The next file, after so many bytes of others.
    pub(super) fn file(&self, before: u64, bytes: u64) {
        self.place.set((before, bytes));
        self.done.set(before);
        self.tell();
    }

    /// All files are done.
    pub(super) fn end(&self) {
        self.done.set(self.total);
        self.notes.forget_last();
        self.tell();
    }

    /// Whether somebody called the job off.
    pub(super) fn is_cancelled(&self) -> bool {
        self.notes.is_cancelled()
    }

    fn tell(&self) {
        self.notes.tell(self.done.get(), Some(self.total));
    }
}

impl Watch for JobWatch<'_> {
    fn is_stopped(&self) -> bool {
        self.tell();
        self.notes.is_stopped()
    }

    fn embedded(&self, progress: &Progress) {
        let (before, bytes) = self.place.get();
        let (done, all) = progress.in_hand;
        let part = u128::from(bytes) * done as u128 / all.max(1) as u128;
        self.done.set(before + u64::try_from(part).unwrap_or(bytes).min(bytes));
        self.tell();
    }
}
