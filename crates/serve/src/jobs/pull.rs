//! Models that are fetched in the background.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Ending, JobInput, LEASE, millis};
use crate::clock;
use crate::data::Job;
use crate::shelf::{Pulling, Shelf};
use crate::state::App;

/// Between two times that progress is written down.
const EVERY: Duration = Duration::from_millis(500);

/// Fetches the model of a job.
pub(super) fn run(app: &Arc<App>, shelf: &Shelf, job: &Job) -> Ending {
    let Ok(JobInput::Pull { model }) = serde_json::from_str(&job.input) else {
        return Ending::Failed("the job cannot be read".to_owned());
    };
    let is_cancelled = AtomicBool::new(false);
    let (last, done) = (Mutex::new(None::<Instant>), Mutex::new((0, None)));
    let tell = || {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        *last = Some(Instant::now());
        let steps = *done.lock().unwrap_or_else(PoisonError::into_inner);
        let data = app.guard.database();
        // A database that cannot be written to now is no reason to stop.
        if let Ok(false) = data.keep_job(&job.id, steps, clock::now(), millis(LEASE)) {
            is_cancelled.store(true, Ordering::Release);
        }
        app.jobs.changed();
    };
    let on_bytes = |bytes: u64, all: u64| {
        let count = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        *done.lock().unwrap_or_else(PoisonError::into_inner) = (count(bytes), Some(count(all)));
        tell();
    };
    let is_stopped = || {
        tell();
        is_cancelled.load(Ordering::Acquire) || !app.drain.is_accepting()
    };
    let pulled = (shelf.pull)(&model, &Pulling { on_bytes: &on_bytes, is_stopped: &is_stopped });
    match pulled {
        Ok(()) => Ending::Done(json!({"model": model}).to_string()),
        Err(_) if is_cancelled.load(Ordering::Acquire) => Ending::Cancelled,
        Err(_) if !app.drain.is_accepting() => Ending::PutBack,
        Err(error) => Ending::Failed(error),
    }
}
