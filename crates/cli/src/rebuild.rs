//! `plumb add --rebuild`: everything in the project again, in one commit.
//!
//! All of it is read and embedded before anything is committed, so that an
//! error, a crash or Ctrl-C leaves the index as it was. What cannot be read
//! again (standard input, a file that is gone, a page that does not answer) is
//! taken from the index and embedded anew; only `plumb rm` and `plumb sync`
//! forget documents.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use plumb_index::address::source_address;
use plumb_index::{Indexer, Item, META_COLLECTION, Report, SkippedItem, StoredDocument, Tools};
use plumb_ingest::Limits;
use plumb_store::{Batch, Binding, Snapshot, Store};

use crate::add::{OnTerminal, Source, address, made, name_documents, read, source_of};
use crate::context::Context;
use crate::fetch::{Fetcher, Policy};
use crate::models::locate;
use crate::project::{LoadedEmbedder, Project, analyzer};

/// One source, with what the index has from it.
#[derive(Debug, Default)]
pub struct Known {
    /// `None` if it cannot be read a second time.
    pub source: Option<Source>,
    pub bindings: Vec<Binding>,
}

/// Indexes every known source and those that are `given` again.
///
/// With [`Policy::Anywhere`] as `policy`, known pages may be on private
/// networks; otherwise only those may that were added so.
pub fn rebuild(
    project: &Project,
    context: &Context,
    store: &Store,
    given: Vec<Source>,
    policy: Policy,
) -> Result<Report> {
    let before = store.snapshot();
    let all = known(&before, given, policy);
    if all.is_empty() {
        bail!(
            "the project in `{}` has no documents to index again: run `plumb add PATH`",
            project.root.display()
        );
    }
    let located = locate(context, &project.config.embedder)?;
    let loaded = LoadedEmbedder::load(&located, project.config.threads)?;
    let analyzer = analyzer();
    let tools = Tools {
        embedder: &loaded.embedder,
        vectors: &loaded.embedder,
        analyzer: &analyzer,
        chunking: project.config.chunking,
        limits: Limits::default(),
    };
    // The old state stays in the log and can still be named.
    let mut batch = Batch::new();
    batch.reset();
    made(project, &located).write(&mut batch);
    if let Some(name) = before.meta().get(META_COLLECTION) {
        name_documents(&mut batch, &before, name);
    }
    let bar = context.progress(all.len() as u64, "{pos}/{len} files [{bar:24}] {msg}, {eta} left");
    let watch = OnTerminal { stop: &context.stop, bar: &bar };
    let mut indexer = Indexer::new(store, &tools, &watch, batch).all_at_once();
    let fetcher = Fetcher::new();
    let mut unread = Vec::new();
    for (uri, known) in &all {
        if context.stop.is_set() {
            break;
        }
        match read_again(known, &fetcher) {
            Ok(item) => indexer.add(&item)?,
            Err(error) => unread.push((uri, known, format!("{error:#}"))),
        }
        bar.inc(1);
    }
    // After what could be read, which may hold the same documents.
    for (uri, known, reason) in unread {
        if known.bindings.is_empty() {
            indexer.report.skipped.push(SkippedItem { uri: uri.clone(), reason: reason.clone() });
        }
        for binding in &known.bindings {
            indexer.keep(&StoredDocument::read(&before, binding)?, &reason)?;
        }
    }
    let report = indexer.finish()?;
    bar.finish_and_clear();
    Ok(report)
}

fn read_again(known: &Known, fetcher: &Fetcher) -> Result<Item> {
    let source = known.source.as_ref().ok_or_else(|| anyhow!("it came from standard input"))?;
    read(source, fetcher)
}

/// The sources that the store knows and those that are given, by address.
pub fn known(snapshot: &Snapshot, given: Vec<Source>, policy: Policy) -> BTreeMap<String, Known> {
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    for binding in snapshot.bindings() {
        let source = match source_of(binding) {
            Some(Source::Url { url, .. }) if policy == Policy::Anywhere => {
                Some(Source::Url { url, policy })
            }
            source => source,
        };
        let uri = source.as_ref().map_or(source_address(&binding.uri).to_owned(), address);
        let known = all.entry(uri).or_default();
        known.source = source;
        known.bindings.push(binding.clone());
    }
    for source in given {
        let uri = address(&source);
        all.entry(uri).or_default().source = Some(source);
    }
    all
}
