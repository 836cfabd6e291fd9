//! Changes that become visible together.

use std::collections::{BTreeMap, HashMap};

use crate::error::Error;
use crate::record::{Binding, DocId, DocumentRecord, PassageRecord};

/// What one commit changes. Nothing is checked or stored until it is given to
/// [`Store::commit`](crate::Store::commit).
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) reset: bool,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) documents: Vec<DocumentRecord>,
    by_id: HashMap<DocId, usize>,
    /// `None` unbinds.
    pub(crate) bindings: BTreeMap<String, Option<Binding>>,
}

impl Batch {
    /// A batch that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets every document, binding and setting of the store, before the
    /// rest of this batch is applied. Past snapshots keep theirs. For indexing
    /// again with another embedder.
    pub fn reset(&mut self) {
        self.reset = true;
    }

    /// Stores a document, unless one with this id is stored already.
    ///
    /// It can be found once it is bound to an address.
    pub fn put(&mut self, document: DocumentRecord) {
        let next = self.documents.len();
        if *self.by_id.entry(document.id).or_insert(next) == next {
            self.documents.push(document);
        }
    }

    /// Says that a document was found at an address, which until now may have
    /// held another one. The later of two bindings of one address counts.
    pub fn bind(&mut self, binding: Binding) {
        self.bindings.insert(binding.uri.clone(), Some(binding));
    }

    /// Says that an address holds nothing any more.
    pub fn unbind(&mut self, uri: &str) {
        self.bindings.insert(uri.to_owned(), None);
    }

    /// Writes down a setting that everything in the store must agree with. A
    /// commit that gives a key another value than the stored one is refused.
    pub fn set_meta(&mut self, key: &str, value: &str) {
        self.meta.insert(key.to_owned(), value.to_owned());
    }

    /// Whether a commit of this batch would change nothing whatever the store
    /// holds.
    pub fn is_empty(&self) -> bool {
        !self.reset && self.meta.is_empty() && self.documents.is_empty() && self.bindings.is_empty()
    }

    /// Passages of the documents in this batch.
    pub fn passages(&self) -> usize {
        self.documents.iter().map(|document| document.passages.len()).sum()
    }

    pub(crate) fn puts(&self, id: &DocId) -> bool {
        self.by_id.contains_key(id)
    }
}

/// Checks everything that later code takes for granted. `dimension` is that
/// of the store, if it has passages.
pub(crate) fn check(document: &DocumentRecord, dimension: &mut Option<usize>) -> Result<(), Error> {
    for (number, passage) in document.passages.iter().enumerate() {
        check_vector(document, number, *dimension.get_or_insert(passage.vector.len()))?;
        if let Err(what) = check_passage(&document.text, passage) {
            return Err(Error::BadPassage { document: label(document), passage: number, what });
        }
    }
    Ok(())
}

fn check_vector(document: &DocumentRecord, passage: usize, expected: usize) -> Result<(), Error> {
    let vector = &document.passages[passage].vector;
    let found = vector.len();
    if found != expected {
        let document = label(document);
        return Err(Error::MixedDimensions { document, passage, expected, found });
    }
    match vector.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((place, &value)) => {
            Err(Error::BadVector { document: label(document), passage, place, value })
        }
        None => Ok(()),
    }
}

fn check_passage(text: &str, passage: &PassageRecord) -> Result<(), &'static str> {
    let range = as_usize(passage.range.start).zip(as_usize(passage.range.end));
    if range.and_then(|(start, end)| text.get(start..end)).is_none() {
        return Err("its range is not within the text, on whole characters");
    }
    if passage.text.is_empty() && !passage.map.is_empty() {
        return Err("it has a map but no clean text");
    }
    for entry in &passage.map {
        let fits = |start: u64, all: usize| {
            start.checked_add(entry.length).and_then(as_usize).is_some_and(|end| end <= all)
        };
        if !fits(entry.clean_start, passage.text.len()) || !fits(entry.source_start, text.len()) {
            return Err("its map leaves the text");
        }
    }
    if passage.terms.iter().any(|(_, count)| *count == 0) {
        return Err("a term occurs 0 times");
    }
    let total: u64 = passage.terms.iter().map(|(_, count)| u64::from(*count)).sum();
    u32::try_from(total).map(drop).map_err(|_| "it has too many terms")
}

fn as_usize(value: u64) -> Option<usize> {
    usize::try_from(value).ok()
}

/// How messages name a document: by title, and by the id that finds it.
pub(crate) fn label(document: &DocumentRecord) -> String {
    match document.title.as_str() {
        "" => format!("{}", document.id),
        title => format!("`{title}` ({:?})", document.id),
    }
}
