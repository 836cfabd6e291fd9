//! Files that were sent, into the index of a collection.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plumb_index::address::{file_facts, file_url};
use plumb_index::{DocumentEmbedder, Indexer, Item, Report, Tools, Watch};
use plumb_ingest::Limits;
use plumb_store::{Batch, Store};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::Ending;
use super::queued::QueuedEmbedder;
use super::watch::JobWatch;
use crate::clock;
use crate::collection::Collection;
use crate::data::{self, Job};
use crate::failure::chain;
use crate::state::App;
use crate::upstream::PoolEmbedder;

/// Where the files that were sent to a collection lie, under its folder.
pub(crate) const UPLOADS: &str = "uploads";

/// Where they wait for their job, under [`UPLOADS`].
pub(crate) const INCOMING: &str = ".incoming";

/// What the jobs are called by those who ask.
const INDEX: &str = "index";

/// Names the place of a collection's files.
const PLACE: &str = ".place";

/// How long a job waits for another writer of the index.
const PATIENCE: Duration = Duration::from_mins(10);

/// What a job needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct IndexInput {
    pub(crate) collection: String,
    /// The folder under [`INCOMING`] with the files, called `0`, `1` and so on.
    pub(crate) batch: String,
    pub(crate) files: Vec<NewFile>,
}

/// A file that was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NewFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

/// The kind of the jobs whose files lie beside `collection`; `None` before the
/// first.
pub(crate) fn kind_of(collection: &Collection) -> Option<String> {
    let place = fs::read_to_string(collection.folder.join(UPLOADS).join(PLACE)).ok()?;
    let place = place.trim();
    (!place.is_empty()).then(|| format!("{INDEX}@{place}"))
}

/// The same, made up if need be.
pub(crate) fn make_kind(collection: &Collection) -> io::Result<String> {
    if let Some(kind) = kind_of(collection) {
        return Ok(kind);
    }
    let folder = collection.folder.join(UPLOADS);
    fs::create_dir_all(&folder)?;
    let place = data::random_hex::<8>().map_err(io::Error::other)?;
    // Of two at once the first counts.
    match fs::File::create_new(folder.join(PLACE)) {
        Ok(mut file) => file.write_all(place.as_bytes())?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    kind_of(collection).ok_or_else(|| io::Error::other("the file of the place is empty"))
}

/// Does the job: puts the files in their place and indexes them.
pub(super) fn run(app: &Arc<App>, collection: &Collection, job: &Job) -> Ending {
    let input: IndexInput = match serde_json::from_str(&job.input) {
        Ok(input) => input,
        Err(error) => return Ending::Failed(format!("the job cannot be read: {error}")),
    };
    let total = input.files.iter().map(|file| file.bytes).sum();
    let watch = JobWatch::new(app, &job.id, total);
    let incoming = collection.folder.join(UPLOADS).join(INCOMING).join(&input.batch);
    let ending = match index((app, collection), &input, &incoming, &watch) {
        Err(_) if watch.is_stopped() && !watch.is_cancelled() => return Ending::PutBack,
        _ if watch.is_cancelled() => Ending::Cancelled,
        Err(error) => Ending::Failed(error),
        Ok(report) if report.interrupted => return Ending::PutBack,
        Ok(report) => match serde_json::to_string(&report) {
            Ok(json) => Ending::Done(json),
            Err(error) => Ending::Failed(chain(&error)),
        },
    };
    // What was not put in its place by now never will be.
    let _ = fs::remove_dir_all(&incoming);
    ending
}

fn index(
    (app, collection): (&Arc<App>, &Collection),
    input: &IndexInput,
    incoming: &Path,
    watch: &JobWatch<'_>,
) -> Result<Report, String> {
    let store = match open(collection, watch) {
        Ok(Some(store)) => store,
        Ok(None) => return Ok(Report { interrupted: true, ..Report::default() }),
        Err(error) => return Err(chain(&error)),
    };
    let told = |error: plumb_index::Error| chain(&error);
    let made = collection.made();
    made.check(&store.snapshot()).map_err(told)?;
    let mut batch = Batch::new();
    made.write(&mut batch);
    let queued = QueuedEmbedder {
        embedder: collection.embedder.clone(),
        engine: app.ready().map_err(|failure| failure.message)?.encoding_engine.clone(),
        watch,
    };
    let pools = app.pools();
    let pool = pools.iter().find(|pool| pool.name() == collection.embedder_id.name);
    let pool = pool.map(|pool| {
        PoolEmbedder::new(pool.clone(), collection.embedder.clone(), Handle::current())
    });
    let vectors: &dyn DocumentEmbedder = match &pool {
        Some(pool) => pool,
        None => &queued,
    };
    let tools = Tools {
        embedder: &collection.embedder,
        vectors,
        analyzer: &collection.analyzer,
        chunking: collection.chunking,
        limits: Limits::default(),
    };
    let mut indexer = Indexer::new(&store, &tools, watch, batch);
    let mut before = 0;
    for (number, file) in input.files.iter().enumerate() {
        watch.file(before, file.bytes);
        if watch.is_stopped() {
            break;
        }
        let path = put(collection, file, &incoming.join(number.to_string()))
            .map_err(|error| format!("cannot keep `{}`: {error}", file.name))?;
        indexer.add(&read(&path, &file.name)?).map_err(told)?;
        before += file.bytes;
    }
    let report = indexer.finish().map_err(told)?;
    if !report.interrupted {
        watch.end();
    }
    let noted = collection.with_unread(|unread| unread.note(&report, clock::now()));
    noted.map_err(|failure| failure.message)?;
    if !report.interrupted || watch.is_cancelled() {
        remove_unread(collection, input, &store);
    }
    Ok(report)
}

/// Waits for another writer; `None` if it is to stop first.
fn open(
    collection: &Collection,
    watch: &JobWatch<'_>,
) -> Result<Option<Store>, plumb_store::Error> {
    let started = Instant::now();
    loop {
        match collection.store() {
            Err(plumb_store::Error::Locked { .. }) if started.elapsed() < PATIENCE => {}
            opened => return opened.map(Some),
        }
        if watch.is_stopped() {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Moves a file from where it waits to where it stays. A job that was begun
/// before may have done so already.
fn put(collection: &Collection, file: &NewFile, waiting: &Path) -> io::Result<PathBuf> {
    let path = collection.folder.join(UPLOADS).join(&file.name);
    match fs::rename(waiting, &path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_file() => Ok(path),
        moved => moved.map(|()| path),
    }
}

fn read(path: &Path, name: &str) -> Result<Item, String> {
    let failed = |error: io::Error| format!("cannot read `{name}`: {error}");
    let (mtime, _) = file_facts(path).map_err(failed)?;
    let bytes = fs::read(path).map_err(failed)?;
    let uri = file_url(path);
    Ok(Item { uri, name: name.to_owned(), bytes, mtime, metadata: BTreeMap::new() })
}

/// Removes files that no document came of: they are named among the unread.
fn remove_unread(collection: &Collection, input: &IndexInput, store: &Store) {
    let snapshot = store.snapshot();
    for file in &input.files {
        let path = collection.folder.join(UPLOADS).join(&file.name);
        let (uri, member) = (file_url(&path), format!("{}#", file_url(&path)));
        let is_used = snapshot.bindings().any(|b| b.uri == uri || b.uri.starts_with(&member));
        if !is_used {
            let _ = fs::remove_file(path);
        }
    }
}
