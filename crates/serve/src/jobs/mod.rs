//! Work that takes longer than a request: it is written down, done in the
//! background, and goes on after a restart.
//!
//! A worker for each collection takes its jobs one after the other, so that one
//! at a time writes to an index; another fetches models. The files of a job lie beside the collection;
//! the kind of its jobs says which, so that of several servers with one database
//! only the one that has the files takes them.

mod index;
mod pull;
mod queued;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;

use crate::clock;
use crate::collection::Collection;
use crate::data::{self, Job};
use crate::failure::chain;
use crate::shelf::Shelf;
use crate::state::App;

use index::kind_of;
pub(crate) use index::{INCOMING, IndexInput, NewFile, UPLOADS, make_kind};

/// A job whose worker says nothing for so long may be taken up again.
const LEASE: Duration = Duration::from_mins(1);

/// How often a worker looks for jobs that nobody told it of.
const LOOK: Duration = Duration::from_secs(5);

/// Tells workers of new jobs, and listeners of changed ones.
#[derive(Debug)]
pub struct Jobs {
    changes: channel::Sender<u64>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self { changes: channel::Sender::new(0) }
    }
}

impl Jobs {
    /// Says that some job is new, further or over.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Receives whenever that was said.
    pub(crate) fn listen(&self) -> channel::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// What those models are called that are fetched.
pub(crate) const PULL: &str = "pull";

/// What a job needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum JobInput {
    Index(IndexInput),
    Pull { model: String },
}

/// Who does jobs of one kind.
#[derive(Clone)]
enum Worker {
    Index(Arc<Collection>),
    Pull(Shelf),
}

impl Worker {
    /// The kind; `None` while there can be no jobs of it.
    fn kind(&self) -> Option<String> {
        match self {
            Self::Index(collection) => kind_of(collection),
            Self::Pull(_) => Some(PULL.to_owned()),
        }
    }

    fn run(&self, app: &Arc<App>, job: &Job) -> Ending {
        match self {
            Self::Index(collection) => index::run(app, collection, job),
            Self::Pull(shelf) => pull::run(app, shelf, job),
        }
    }
}

/// How a job ended.
enum Ending {
    /// With a result, as JSON.
    Done(String),
    Failed(String),
    /// Somebody called it off, and its state says so.
    Cancelled,
    /// The server stops: the job goes on when it is started again.
    PutBack,
}

/// Starts the workers. They end with the set.
pub(crate) fn start(app: &Arc<App>) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    let collections = app.loaded().map(|loaded| loaded.collections.clone()).unwrap_or_default();
    for collection in collections {
        workers.spawn(work(app.clone(), Worker::Index(collection)));
    }
    if let Some(shelf) = app.settings.shelf.clone() {
        workers.spawn(work(app.clone(), Worker::Pull(shelf)));
    }
    workers
}

async fn work(app: Arc<App>, worker: Worker) {
    let mut changes = app.jobs.listen();
    while app.drain.is_accepting() {
        changes.mark_unchanged();
        let who = worker.clone();
        let take = move |data: &data::Database| match who.kind() {
            Some(kind) => data.take_job(&kind, clock::now(), millis(LEASE)),
            None => Ok(None),
        };
        match app.guard.database().call(take).await {
            Ok(Some(job)) => {
                do_job(&app, &worker, job).await;
                continue;
            }
            Ok(None) => {}
            Err(error) => app.log.write("jobs_not_read", json!({"error": chain(&error)})),
        }
        let _ = tokio::time::timeout(LOOK, changes.changed()).await;
    }
}

/// Does a job, and writes down how it ended.
async fn do_job(app: &Arc<App>, worker: &Worker, job: Job) {
    // A server that stops waits for what counts as running.
    let running = app.drain.enter();
    app.jobs.changed();
    let (id, started) = (job.id.clone(), std::time::Instant::now());
    let (shared, worker) = (app.clone(), worker.clone());
    let done = tokio::task::spawn_blocking(move || worker.run(&shared, &job)).await;
    let ending = done.unwrap_or_else(|_| Ending::Failed("the work on it failed".to_owned()));
    let (state, error) = match &ending {
        Ending::Done(_) => ("done", None),
        Ending::Failed(error) => ("failed", Some(error.clone())),
        Ending::Cancelled => ("cancelled", None),
        Ending::PutBack => ("queued", None),
    };
    let seconds = started.elapsed().as_secs_f64();
    app.log.write("job", json!({"id": id, "state": state, "error": error, "seconds": seconds}));
    let written = app.guard.database().call(move |data| end(data, &id, ending)).await;
    if let Err(error) = written {
        app.log.write("job_not_ended", json!({"error": chain(&error)}));
    }
    app.jobs.changed();
    drop(running);
}

fn end(data: &data::Database, id: &str, ending: Ending) -> Result<bool, data::Error> {
    let now = clock::now();
    match ending {
        Ending::Done(result) => data.finish_job(id, Ok(&result), now),
        Ending::Failed(error) => data.finish_job(id, Err(&error), now),
        Ending::PutBack => data.release_job(id, now),
        Ending::Cancelled => Ok(true),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
