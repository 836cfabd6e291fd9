//! The project's documents in passages that are cut otherwise, in an index of their own.
//!
//! Files are read again. What cannot be (a page of the web, which is not fetched for an
//! experiment, or what came from standard input) is cut from the passages that the
//! project has, and so never into longer ones.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plumb_index::{Chunking, Indexer, StoredDocument, Tools};
use plumb_infer::Embedder;
use plumb_ingest::Limits;
use plumb_store::{Batch, Snapshot, Store};

use crate::add::{OnTerminal, Source, read};
use crate::context::Context;
use crate::fetch::{Fetcher, Policy};
use crate::project::{Project, analyzer};
use crate::rebuild::known;

/// An index that goes when this is dropped.
pub(super) struct Built {
    store: Store,
    /// Dropped after the store, which has files in it.
    _folder: Folder,
}

impl Built {
    pub(super) fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is found by its name, and no use is made of it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Indexes all documents of `before` in passages that are cut by `chunking`.
pub(super) fn build(
    project: &Project,
    before: &Snapshot,
    (chunking, embedder): (Chunking, &Embedder),
    context: &Context,
) -> Result<Built> {
    let folder = Folder(project.data_folder().join(format!("tuning-{}", std::process::id())));
    let store = Store::open(&folder.0)
        .with_context(|| format!("cannot make an index in `{}`", folder.0.display()))?;
    let analyzer = analyzer();
    let limits = Limits::default();
    let tools = Tools { embedder, vectors: embedder, analyzer: &analyzer, chunking, limits };
    let sources = known(before, Vec::new(), Policy::PublicOnly);
    let bar =
        context.progress(sources.len() as u64, "{pos}/{len} files [{bar:24}] {msg}, {eta} left");
    let watch = OnTerminal { stop: &context.stop, bar: &bar };
    let mut indexer = Indexer::new(&store, &tools, &watch, Batch::new());
    let fetcher = Fetcher::new();
    for known in sources.values() {
        if context.stop.is_set() {
            bail!("interrupted; nothing was changed");
        }
        let file = known.source.as_ref().filter(|source| matches!(source, Source::File(_)));
        match file.map(|file| read(file, &fetcher)) {
            Some(Ok(item)) => indexer.add(&item)?,
            Some(Err(_)) | None => {
                for binding in &known.bindings {
                    indexer
                        .keep(&StoredDocument::read(before, binding)?, "it was not read again")?;
                }
            }
        }
        bar.inc(1);
    }
    let report = indexer.finish()?;
    bar.finish_and_clear();
    if !report.kept.is_empty() {
        context.note(format!("{} documents are cut from their passages", report.kept.len()));
    }
    Ok(Built { store, _folder: folder })
}
