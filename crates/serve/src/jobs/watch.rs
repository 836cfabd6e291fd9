//! How far a job is: written down now and then, and whether it is to go on.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plumb_index::{Progress, Watch};

use super::{LEASE, millis};
use crate::clock;
use crate::state::App;

/// Between two times that progress is written down.
const EVERY: Duration = Duration::from_millis(400);

/// Follows the work on one job, in bytes of its files.
pub(super) struct JobWatch<'a> {
    app: &'a Arc<App>,
    id: &'a str,
    total: u64,
    done: Cell<u64>,
    /// Bytes of the files before the one in hand, and of that one.
    place: Cell<(u64, u64)>,
    last: Cell<Option<Instant>>,
    is_cancelled: Cell<bool>,
}

impl<'a> JobWatch<'a> {
    pub(super) fn new(app: &'a Arc<App>, id: &'a str, total: u64) -> Self {
        Self {
            app,
            id,
            total,
            done: Cell::new(0),
            place: Cell::new((0, 0)),
            last: Cell::new(None),
            is_cancelled: Cell::new(false),
        }
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
        self.last.set(None);
        self.tell();
    }

    /// Whether somebody called the job off.
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.get()
    }

    /// Writes down how far it is, unless that was done just now. So it is found
    /// out, too, whether the job was called off.
    fn tell(&self) {
        let now = Instant::now();
        if self.last.get().is_some_and(|last| now.duration_since(last) < EVERY) {
            return;
        }
        self.last.set(Some(now));
        let count = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let steps = (count(self.done.get()), Some(count(self.total)));
        let data = self.app.guard.database();
        // A database that cannot be written to now is no reason to stop.
        if let Ok(false) = data.keep_job(self.id, steps, clock::now(), millis(LEASE)) {
            self.is_cancelled.set(true);
        }
        self.app.jobs.changed();
    }
}

impl Watch for JobWatch<'_> {
    fn is_stopped(&self) -> bool {
        self.tell();
        self.is_cancelled.get() || !self.app.drain.is_accepting()
    }

    fn embedded(&self, progress: &Progress) {
        let (before, bytes) = self.place.get();
        let (done, all) = progress.in_hand;
        let part = u128::from(bytes) * done as u128 / all.max(1) as u128;
        self.done.set(before + u64::try_from(part).unwrap_or(bytes).min(bytes));
        self.tell();
    }
}
