//! Models that are fetched in the background.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::watch::Notes;
use super::{Ending, JobInput};
use crate::data::Job;
use crate::shelf::{Pulling, Shelf};
use crate::state::App;

/// Fetches the model of a job.
pub(super) fn run(app: &Arc<App>, shelf: &Shelf, job: &Job) -> Ending {
    let Ok(JobInput::Pull { model }) = serde_json::from_str(&job.input) else {
        return Ending::Failed("the job cannot be read".to_owned());
    };
    let notes = Notes::new(app, &job.id);
    let bytes = Mutex::new((0, None));
    let tell = || {
        let (done, all) = *bytes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.tell(done, all);
    };
    let on_bytes = |done: u64, all: u64| {
        *bytes.lock().unwrap_or_else(PoisonError::into_inner) = (done, Some(all));
        tell();
    };
    let is_stopped = || {
        tell();
        notes.is_stopped()
    };
    let pulled = (shelf.pull)(&model, &Pulling { on_bytes: &on_bytes, is_stopped: &is_stopped });
    match pulled {
        Ok(()) => Ending::Done(json!({"model": model}).to_string()),
        Err(_) if notes.is_cancelled() => Ending::Cancelled,
        Err(_) if notes.is_stopped() => Ending::PutBack,
        Err(error) => Ending::Failed(error),
    }
}
