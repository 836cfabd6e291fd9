//! Files that were read, into the store.
//!
//! A batch is committed every few seconds at the latest, so that an
//! interruption, a crash or a full disk loses seconds of work and never what was
//! reported as done. A document becomes visible with all its passages or not at
//! all.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use plumb_infer::Embedder;
use plumb_ingest::{Budget, Document, Limits, Passage};
use plumb_store::{Batch, Binding, DocId, DocumentRecord, MapEntry, PassageRecord, Store};
use plumb_text::Analyzer;

use crate::error::Error;
use crate::made::Chunking;
use crate::report::{Report, SkippedItem};
use crate::stored::StoredDocument;

/// Passages in a batch before it is committed.
const BATCH_PASSAGES: usize = 256;
/// Age of a batch before it is committed.
const BATCH_AGE: Duration = Duration::from_secs(3);
/// Remembered with the addresses of the documents of one file, if it has
/// several: how many.
const MEMBERS: &str = "members";

/// A file or page to be indexed, already read.
pub struct Item {
    /// Address that the documents in it get.
    pub uri: String,
    /// File name, for its extension.
    pub name: String,
    pub bytes: Vec<u8>,
    /// Nanoseconds since 1970, 0 if unknown.
    pub mtime: i64,
    /// What is remembered of the address beside its document.
    pub metadata: BTreeMap<String, String>,
}

/// Computes the vectors of documents, here or elsewhere.
pub trait DocumentEmbedder {
    /// One vector for each text, in their order: what the embedder that made the
    /// index gives them.
    fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error>;
}

impl DocumentEmbedder for Embedder {
    fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        Ok(self.embed_documents(texts)?)
    }
}

/// What documents are turned into passages with.
pub struct Tools<'a> {
    /// Counts the tokens of passages.
    pub embedder: &'a Embedder,
    /// Computes their vectors: the same embedder, or what stands in for it.
    pub vectors: &'a dyn DocumentEmbedder,
    pub analyzer: &'a Analyzer,
    pub chunking: Chunking,
    pub limits: Limits,
}

/// Texts that are embedded in one step.
const STEP: usize = 64;

/// Follows the work of an [`Indexer`], and may end it.
pub trait Watch {
    /// Whether to stop. Looked at between steps.
    fn is_stopped(&self) -> bool;

    /// Told after each step.
    fn embedded(&self, progress: &Progress);
}

/// How far an [`Indexer`] is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Passages that were embedded since the beginning.
    pub passages: usize,
    /// Seconds that this took.
    pub seconds: f64,
    /// Passages of the document in hand that are embedded, and all it has.
    pub in_hand: (usize, usize),
}

/// Writes to a store, a batch at a time.
pub struct Indexer<'a> {
    store: &'a Store,
    tools: &'a Tools<'a>,
    watch: &'a dyn Watch,
    batch: Batch,
    batch_since: Instant,
    pending: HashSet<DocId>,
    all_at_once: bool,
    started: Instant,
    pub report: Report,
}

impl<'a> Indexer<'a> {
    /// Starts with `batch`, which holds what must be committed first.
    pub fn new(store: &'a Store, tools: &'a Tools<'a>, watch: &'a dyn Watch, batch: Batch) -> Self {
        let now = Instant::now();
        Self {
            store,
            tools,
            watch,
            batch,
            batch_since: now,
            pending: HashSet::new(),
            all_at_once: false,
            started: now,
            report: Report::default(),
        }
    }

    /// For a batch that begins with a reset: what the store holds is as good
    /// as gone, and everything is committed in one step at the end, or nothing.
    #[must_use]
    pub fn all_at_once(mut self) -> Self {
        self.all_at_once = true;
        self
    }

    /// Indexes every document in `item`.
    ///
    /// Addresses under the item's that it no longer provides are unbound.
    pub fn add(&mut self, item: &Item) -> Result<(), Error> {
        self.report.read.push(item.uri.clone());
        let loaded = plumb_ingest::load(&item.name, &item.bytes, &self.tools.limits);
        for skipped in loaded.skipped {
            let uri = member_uri(&item.uri, &skipped.name);
            self.report.skipped.push(SkippedItem { uri, reason: skipped.reason });
        }
        let mut metadata = item.metadata.clone();
        if loaded.documents.len() > 1 {
            metadata.insert(MEMBERS.to_owned(), loaded.documents.len().to_string());
        }
        let mut uris = Vec::new();
        for document in &loaded.documents {
            let uri = member_uri(&item.uri, &document.name);
            uris.push(uri.clone());
            let binding = Binding {
                uri,
                document: DocId::of(document.kind.name(), &document.sha256),
                mtime: item.mtime,
                size: item.bytes.len() as u64,
                metadata: metadata.clone(),
            };
            self.add_document(binding, document)?;
            if self.watch.is_stopped() {
                break;
            }
        }
        if !self.watch.is_stopped() && !self.all_at_once {
            self.unbind_others(&item.uri, &uris);
        }
        self.commit_if_due()
    }

    fn add_document(&mut self, binding: Binding, document: &Document) -> Result<(), Error> {
        for warning in &document.warnings {
            let warning = SkippedItem { uri: binding.uri.clone(), reason: warning.clone() };
            self.report.warnings.push(warning);
        }
        let snapshot = self.store.snapshot();
        let id = binding.document;
        let bound = snapshot.binding(&binding.uri).is_some_and(|bound| bound.document == id);
        let stored = snapshot.document(&id).is_some();
        match (bound && !self.all_at_once, stored && !self.all_at_once) {
            (true, _) => self.report.unchanged += 1,
            (false, false) if !self.pending.contains(&id) => {
                let passages = plumb_ingest::split(document, &self.budget(&self.count()));
                if !self.put(id, document, passages)? {
                    return Ok(());
                }
                self.report.added += 1;
            }
            (false, _) => self.report.duplicates += 1,
        }
        self.batch.bind(binding);
        Ok(())
    }

    /// Indexes what the store holds of a document whose source cannot be read
    /// any more: its passages, which are cut again if they have become too long.
    pub fn keep(&mut self, stored: &StoredDocument, reason: &str) -> Result<(), Error> {
        let id = stored.binding.document;
        if !self.pending.contains(&id) {
            let passages = stored.passages(&self.budget(&self.count()));
            if !self.put(id, &stored.document, passages)? {
                return Ok(());
            }
        }
        let uri = stored.binding.uri.clone();
        self.report.kept.push(SkippedItem { uri, reason: reason.to_owned() });
        self.batch.bind(stored.binding.clone());
        Ok(())
    }

    /// Counts tokens. A text that cannot be counted is cut by its bytes, which
    /// are never fewer.
    fn count(&self) -> impl Fn(&str) -> usize + use<'a> {
        let embedder = self.tools.embedder;
        |text: &str| embedder.count_tokens(text).unwrap_or(text.len())
    }

    fn budget<'c>(&self, count: &'c dyn Fn(&str) -> usize) -> Budget<'c> {
        Budget { max_tokens: self.tools.chunking.max_tokens, count }
    }

    /// Puts a document into the batch; false if it was stopped first.
    fn put(
        &mut self,
        id: DocId,
        document: &Document,
        passages: Vec<Passage>,
    ) -> Result<bool, Error> {
        let Some(record) = self.record(id, document, passages)? else { return Ok(false) };
        self.report.passages += record.passages.len();
        self.batch.put(record);
        self.pending.insert(id);
        Ok(true)
    }

    /// The document with its passages embedded; `None` if it was stopped first.
    fn record(
        &self,
        id: DocId,
        document: &Document,
        passages: Vec<Passage>,
    ) -> Result<Option<DocumentRecord>, Error> {
        let searchable = |passage: &Passage| {
            if self.tools.chunking.headings {
                searchable(&document.title, passage)
            } else {
                passage.text.clone()
            }
        };
        let texts: Vec<String> = passages.iter().map(searchable).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for texts in texts.chunks(STEP) {
            if self.watch.is_stopped() {
                return Ok(None);
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            vectors.extend(self.tools.vectors.embed_documents(&texts)?);
            self.watch.embedded(&self.progress((vectors.len(), passages.len())));
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

    fn progress(&self, in_hand: (usize, usize)) -> Progress {
        let seconds = self.started.elapsed().as_secs_f64();
        Progress { passages: self.report.passages + in_hand.0, seconds, in_hand }
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

    fn commit_if_due(&mut self) -> Result<(), Error> {
        if self.all_at_once {
            return Ok(());
        }
        let due = self.batch.passages() >= BATCH_PASSAGES || self.batch_since.elapsed() > BATCH_AGE;
        if due { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), Error> {
        if !self.batch.is_empty() {
            self.store.commit(&self.batch)?;
        }
        self.batch = Batch::new();
        self.pending.clear();
        self.batch_since = Instant::now();
        Ok(())
    }

    /// Commits what is left and says what came of it.
    ///
    /// What is to be committed all at once is not if it was stopped first.
    pub fn finish(mut self) -> Result<Report, Error> {
        if self.all_at_once && self.watch.is_stopped() {
            self.report = Report { skipped: self.report.skipped, ..Report::default() };
        } else {
            self.commit()?;
        }
        self.report.seconds = self.started.elapsed().as_secs_f64();
        self.report.interrupted = self.watch.is_stopped();
        self.report.snapshot = self.store.snapshot().id().to_string();
        Ok(self.report)
    }
}

/// True if `bindings` are all that a file with this time and size gives: an
/// archive may have been read in part, or have lost a member to `plumb rm`.
pub fn is_whole(bindings: &[&Binding], (mtime, size): (i64, u64)) -> bool {
    let Some(first) = bindings.first() else { return false };
    let members = first.metadata.get(MEMBERS).map_or(Ok(1), |members| members.parse());
    members == Ok(bindings.len())
        && mtime != 0
        && bindings.iter().all(|binding| binding.mtime == mtime && binding.size == size)
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
