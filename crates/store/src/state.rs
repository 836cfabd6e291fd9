//! What the store holds after some commits: the fold of their changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::batch::{self, Batch};
use crate::error::Error;
use crate::record::{Binding, DocId, SnapshotId, SnapshotInfo};
use crate::segment::{Changes, Segment};

/// A document's place: the number of its segment, and its own in there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DocRef {
    pub(crate) segment: usize,
    pub(crate) document: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) id: SnapshotId,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) meta: BTreeMap<String, String>,
    /// `None` until there is a passage.
    pub(crate) dimension: Option<usize>,
    pub(crate) bindings: BTreeMap<Arc<str>, Arc<Binding>>,
    documents: HashMap<DocId, DocRef>,
    /// How many addresses each live document has.
    addresses: HashMap<DocId, u32>,
    /// Passages of live documents.
    pub(crate) passages: u64,
    /// Terms in those passages, repeats counted.
    pub(crate) terms: u64,
}

impl State {
    pub(crate) fn empty() -> Self {
        Self {
            id: SnapshotId::EMPTY,
            segments: Vec::new(),
            meta: BTreeMap::new(),
            dimension: None,
            bindings: BTreeMap::new(),
            documents: HashMap::new(),
            addresses: HashMap::new(),
            passages: 0,
            terms: 0,
        }
    }

    pub(crate) fn document(&self, id: &DocId) -> Option<DocRef> {
        self.documents.get(id).copied()
    }

    pub(crate) fn live_documents(&self) -> impl Iterator<Item = DocRef> {
        self.addresses.keys().filter_map(|id| self.document(id))
    }

    pub(crate) fn info(&self) -> SnapshotInfo {
        SnapshotInfo {
            id: self.id,
            sequence: self.segments.last().map_or(0, |segment| segment.sequence()),
            documents: self.addresses.len() as u64,
            passages: self.passages,
            bytes: self.segments.last().map_or(0, |segment| segment.end()),
        }
    }

    /// What of a batch is new here, after checking that it may be added.
    pub(crate) fn changes<'a>(&self, batch: &'a Batch) -> Result<Changes<'a>, Error> {
        let fresh = Self::empty();
        let before = if batch.reset { &fresh } else { self };
        let mut dimension = before.dimension;
        let is_new = |id: &DocId| before.document(id).is_none();
        let documents: Vec<_> = batch.documents.iter().filter(|d| is_new(&d.id)).collect();
        documents.iter().try_for_each(|document| batch::check(document, &mut dimension))?;

        let mut changes = Changes { reset: batch.reset, documents, ..Changes::default() };
        changes.dimension = dimension.unwrap_or(0);
        for (key, given) in &batch.meta {
            match before.meta.get(key) {
                None => drop(changes.meta.insert(key.clone(), given.clone())),
                Some(stored) if stored == given => {}
                Some(stored) => {
                    let (key, stored, given) = (key.clone(), stored.clone(), given.clone());
                    return Err(Error::Setting { key, stored, given });
                }
            }
        }
        for (uri, binding) in &batch.bindings {
            let old = before.bindings.get(uri.as_str());
            match binding {
                Some(new) if is_new(&new.document) && !batch.puts(&new.document) => {
                    let (uri, document) = (uri.clone(), new.document.to_string());
                    return Err(Error::UnknownDocument { uri, document });
                }
                Some(new) if old.is_none_or(|old| **old != *new) => changes.bound.push(new),
                None if old.is_some() => changes.unbound.push(uri),
                Some(_) | None => {}
            }
        }
        Ok(changes)
    }

    /// Adds a committed segment.
    pub(crate) fn apply(&mut self, segment: &Arc<Segment>) {
        self.segments.push(Arc::clone(segment));
        self.id = segment.id();
        let changes = &segment.changes;
        if changes.reset {
            let (id, segments) = (self.id, std::mem::take(&mut self.segments));
            *self = Self { id, segments, ..Self::empty() };
        }
        self.meta.extend(changes.meta.iter().cloned());
        if segment.len() > 0 {
            self.dimension = Some(changes.dimension);
        }
        let number = self.segments.len() - 1;
        for (document, entry) in changes.documents.iter().enumerate() {
            self.documents.entry(entry.id).or_insert(DocRef { segment: number, document });
        }
        for uri in &changes.unbound {
            self.unbind(uri);
        }
        for binding in &changes.bound {
            // The new one first: a document that only moves stays live.
            self.count(&binding.document, Step::Up);
            self.unbind(&binding.uri);
            self.bindings.insert(Arc::from(binding.uri.as_str()), Arc::clone(binding));
        }
    }

    fn unbind(&mut self, uri: &str) {
        if let Some(old) = self.bindings.remove(uri) {
            self.count(&old.document, Step::Down);
        }
    }

    fn count(&mut self, id: &DocId, step: Step) {
        let Some(place) = self.document(id) else { return };
        let entry = &self.segments[place.segment].changes.documents[place.document];
        let (passages, terms) = (entry.passages.len() as u64, entry.terms);
        let addresses = self.addresses.entry(*id).or_default();
        match step {
            Step::Up => {
                *addresses += 1;
                if *addresses == 1 {
                    self.passages += passages;
                    self.terms += terms;
                }
            }
            Step::Down => {
                *addresses -= 1;
                if *addresses == 0 {
                    self.addresses.remove(id);
                    self.passages -= passages;
                    self.terms -= terms;
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    Up,
    Down,
}
