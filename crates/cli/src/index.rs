//! Documents into the store: parse, split, embed, commit, in small batches.
//!
//! A batch is committed every few seconds at the latest, so that Ctrl-C, a
//! crash or a full disk loses seconds of work and never what was reported as
//! done. A document becomes visible with all its passages or not at all.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::ProgressBar;
use plumb_infer::Embedder;
use plumb_ingest::{Budget, Document, Limits, Passage};
use plumb_store::{Batch, Binding, DocId, DocumentRecord, MapEntry, PassageRecord, Store};
use plumb_text::Analyzer;
use serde::Serialize;

use crate::context::Stop;

/// Passages in a batch before it is committed.
const BATCH_PASSAGES: usize = 256;
/// Age of a batch before it is committed.
const BATCH_AGE: Duration = Duration::from_secs(3);

/// A file or page to be indexed, already read.
pub struct Item {
    /// Address that the documents in it get.
    pub uri: String,
    /// File name, for its extension.
    pub name: String,
    pub bytes: Vec<u8>,
    /// Nanoseconds since 1970, 0 if unknown.
    pub mtime: i64,
}

/// What came of the items so far.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Documents that are new or changed.
    pub added: usize,
    /// Documents that were there already, byte for byte.
    pub unchanged: usize,
    /// Documents whose bytes are stored under another address too.
    pub duplicates: usize,
    pub removed: usize,
    pub passages: usize,
    pub skipped: Vec<SkippedItem>,
    pub warnings: Vec<SkippedItem>,
    pub seconds: f64,
    pub interrupted: bool,
    pub snapshot: String,
}

/// Something that was not read, or not fully, and why.
#[derive(Clone, Debug, Serialize)]
pub struct SkippedItem {
    pub uri: String,
    pub reason: String,
}

/// What documents are turned into passages with.
pub struct Tools<'a> {
    pub embedder: &'a Embedder,
    pub analyzer: &'a Analyzer,
    pub chunk_tokens: usize,
    pub limits: Limits,
}

/// Writes to a store, a batch at a time.
pub struct Indexer<'a> {
    store: &'a Store,
    tools: &'a Tools<'a>,
    stop: &'a Stop,
    progress: ProgressBar,
    batch: Batch,
    batch_since: Instant,
    pending: HashSet<DocId>,
    started: Instant,
    pub report: Report,
}

impl<'a> Indexer<'a> {
    /// Starts with `batch`, which holds what must be committed first.
    pub fn new(
        store: &'a Store,
        tools: &'a Tools<'a>,
        stop: &'a Stop,
        progress: ProgressBar,
        batch: Batch,
    ) -> Self {
        let now = Instant::now();
        Self {
            store,
            tools,
            stop,
            progress,
            batch,
            batch_since: now,
            pending: HashSet::new(),
            started: now,
            report: Report::default(),
        }
    }

    /// Indexes every document in `item`.
    ///
    /// Addresses under the item's that it no longer provides are unbound.
    pub fn add(&mut self, item: &Item) -> Result<()> {
        let loaded = plumb_ingest::load(&item.name, &item.bytes, &self.tools.limits);
        for skipped in loaded.skipped {
            let uri = member_uri(&item.uri, &skipped.name);
            self.report.skipped.push(SkippedItem { uri, reason: skipped.reason });
        }
        let mut uris = Vec::new();
        for document in &loaded.documents {
            let uri = member_uri(&item.uri, &document.name);
            uris.push(uri.clone());
            self.add_document(item, uri, document)?;
            if self.stop.is_set() {
                break;
            }
        }
        if !self.stop.is_set() {
            self.unbind_others(&item.uri, &uris);
        }
        self.commit_if_due()
    }

    fn add_document(&mut self, item: &Item, uri: String, document: &Document) -> Result<()> {
        for warning in &document.warnings {
            let warning = SkippedItem { uri: uri.clone(), reason: warning.clone() };
            self.report.warnings.push(warning);
        }
        let snapshot = self.store.snapshot();
        let id = DocId::of(document.kind.name(), &document.sha256);
        let bound = snapshot.binding(&uri).is_some_and(|binding| binding.document == id);
        let stored = snapshot.document(&id).is_some() || self.pending.contains(&id);
        match (bound, stored) {
            (true, _) => self.report.unchanged += 1,
            (false, true) => self.report.duplicates += 1,
            (false, false) => {
                let Some(record) = self.record(id, document)? else { return Ok(()) };
                self.report.added += 1;
                self.report.passages += record.passages.len();
                self.batch.put(record);
                self.pending.insert(id);
            }
        }
        self.batch.bind(Binding {
            uri,
            document: id,
            mtime: item.mtime,
            size: item.bytes.len() as u64,
            metadata: BTreeMap::new(),
        });
        Ok(())
    }

    /// The document with its passages embedded; `None` if Ctrl-C came first.
    fn record(&self, id: DocId, document: &Document) -> Result<Option<DocumentRecord>> {
        // A text that cannot be counted is cut by its bytes, which are never fewer.
        let count = |text: &str| self.tools.embedder.count_tokens(text).unwrap_or(text.len());
        let budget = Budget { max_tokens: self.tools.chunk_tokens, count: &count };
        let passages = plumb_ingest::split(document, &budget);
        let texts: Vec<String> =
            passages.iter().map(|passage| searchable(&document.title, passage)).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for texts in texts.chunks(64) {
            if self.stop.is_set() {
                return Ok(None);
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            vectors.extend(self.tools.embedder.embed_documents(&texts)?);
            self.progress.set_message(self.rate(vectors.len()));
        }
        let records = passages
            .into_iter()
            .zip(texts)
            .zip(vectors)
            .map(|((passage, text), vector)| PassageRecord {
                terms: term_counts(self.tools.analyzer, &text),
                vector,
                ..passage_record(passage, document)
            })
            .collect();
        Ok(Some(DocumentRecord {
            id,
            sha256: document.sha256,
            kind: document.kind.name().to_owned(),
            title: document.title.clone(),
            text: document.text.clone(),
            is_original: document.is_original,
            metadata: document.metadata.clone(),
            passages: records,
        }))
    }

    fn rate(&self, in_hand: usize) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        let passages = self.report.passages + in_hand;
        format!("{passages} passages, {:.0}/s", passages as f64 / seconds)
    }

    fn unbind_others(&mut self, uri: &str, kept: &[String]) {
        let member = format!("{uri}#");
        let snapshot = self.store.snapshot();
        for binding in snapshot.bindings() {
            let is_here = binding.uri == uri || binding.uri.starts_with(&member);
            if is_here && !kept.contains(&binding.uri) {
                self.batch.unbind(&binding.uri);
                self.report.removed += 1;
            }
        }
    }

    fn commit_if_due(&mut self) -> Result<()> {
        let due = self.batch.passages() >= BATCH_PASSAGES || self.batch_since.elapsed() > BATCH_AGE;
        if due { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<()> {
        if !self.batch.is_empty() {
            self.store.commit(&self.batch)?;
        }
        self.batch = Batch::new();
        self.pending.clear();
        self.batch_since = Instant::now();
        Ok(())
    }

    /// Commits what is left and says what came of it.
    pub fn finish(mut self) -> Result<Report> {
        self.commit()?;
        self.progress.finish_and_clear();
        self.report.seconds = self.started.elapsed().as_secs_f64();
        self.report.interrupted = self.stop.is_set();
        self.report.snapshot = self.store.snapshot().id().to_string();
        Ok(self.report)
    }
}

fn member_uri(uri: &str, member: &str) -> String {
    if member.is_empty() { uri.to_owned() } else { format!("{uri}#{member}") }
}

/// What a passage is found by: title, headings and text.
fn searchable(title: &str, passage: &Passage) -> String {
    let mut parts = vec![title];
    parts.extend(passage.heading_path.iter().map(String::as_str));
    parts.dedup();
    format!("{}: {}", parts.join(" > "), passage.text)
}

fn passage_record(passage: Passage, document: &Document) -> PassageRecord {
    let range = passage.range;
    // The store fills in an identical text itself.
    let is_same = document.text.get(range.clone()) == Some(passage.text.as_str());
    PassageRecord {
        range: range.start as u64..range.end as u64,
        text: if is_same { String::new() } else { passage.text },
        map: passage
            .map
            .iter()
            .map(|entry| MapEntry {
                clean_start: entry.clean_start as u64,
                source_start: entry.source_start as u64,
                length: entry.length as u64,
            })
            .collect(),
        heading_path: passage.heading_path,
        page: passage.page,
        part: passage.part,
        ..PassageRecord::default()
    }
}

fn term_counts(analyzer: &Analyzer, text: &str) -> Vec<(String, u32)> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for term in analyzer.terms(text) {
        *counts.entry(term).or_default() += 1;
    }
    counts.into_iter().collect()
}
