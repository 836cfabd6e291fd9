//! The passages that a query is about: live, and let through by its filter.

use std::collections::HashMap;

use plumb_store::{DocId, PassageRef, Snapshot};

use crate::error::Error;
use crate::filter::{Facts, Filter};

/// A number that is no candidate's.
const NONE: u32 = u32::MAX;

/// Candidates are numbered by address and place in the document. That is the
/// order of ties.
pub(crate) struct Candidates<'a> {
    documents: Vec<Document<'a>>,
    /// For each candidate, where it is.
    pub(crate) places: Vec<PassageRef>,
    /// For each candidate, the number of its document.
    owners: Vec<u32>,
    /// For each segment and ordinal, the number of the candidate.
    numbers: Vec<Vec<u32>>,
}

pub(crate) struct Document<'a> {
    pub(crate) id: DocId,
    /// The first address in front.
    pub(crate) uris: Vec<&'a str>,
}

impl<'a> Candidates<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, filter: Option<&Filter>) -> Result<Self, Error> {
        let unnumbered = snapshot.segments().map(|segment| vec![NONE; segment.len() as usize]);
        let mut candidates = Self {
            documents: Vec::new(),
            places: Vec::new(),
            owners: Vec::new(),
            numbers: unnumbered.collect(),
        };
        let mut seen = HashMap::new();
        for binding in snapshot.bindings() {
            let Some(document) = snapshot.document(&binding.document) else { continue };
            if let Some(filter) = filter
                && !filter.admits(&Facts { binding, document: document.info()? })
            {
                continue;
            }
            let next = candidates.documents.len();
            let number = *seen.entry(binding.document).or_insert(next);
            if number < next {
                candidates.documents[number].uris.push(&binding.uri);
                continue;
            }
            let (id, uris) = (binding.document, vec![binding.uri.as_str()]);
            candidates.documents.push(Document { id, uris });
            document.passages().for_each(|place| candidates.add(place, number));
        }
        Ok(candidates)
    }

    fn add(&mut self, place: PassageRef, document: usize) {
        let number = |count: usize| u32::try_from(count).expect("a store of this size is refused");
        self.numbers[place.segment as usize][place.ordinal as usize] = number(self.places.len());
        self.places.push(place);
        self.owners.push(number(document));
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The number of the candidate at a place, if it is one.
    pub(crate) fn number(&self, segment: u32, ordinal: u32) -> Option<usize> {
        let number = *self.numbers.get(segment as usize)?.get(ordinal as usize)?;
        (number != NONE).then_some(number as usize)
    }

    pub(crate) fn document(&self, candidate: usize) -> &Document<'a> {
        &self.documents[self.owners[candidate] as usize]
    }
}
