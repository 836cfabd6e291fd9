//! What a reader sees: one state of the store, for good.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::disk::View;
use crate::error::Error;
use crate::record::{Binding, DocId, DocumentInfo, Passage, PassageRef, SnapshotId, SnapshotInfo};
use crate::segment::{Postings, Segment};
use crate::state::State;

/// One state of the store. It never changes; clones are cheap.
#[derive(Clone, Debug)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// For each segment, whether each of its documents is live.
    live: Vec<Vec<bool>>,
}

impl Snapshot {
    pub(crate) fn new(state: State) -> Self {
        let documents = |segment: &Arc<Segment>| vec![false; segment.changes.documents.len()];
        let mut live: Vec<_> = state.segments.iter().map(documents).collect();
        for place in state.live_documents() {
            live[place.segment][place.document] = true;
        }
        Self { inner: Arc::new(Inner { state, live }) }
    }

    pub(crate) fn state(&self) -> &State {
        &self.inner.state
    }

    /// The content hash that names this snapshot.
    pub fn id(&self) -> SnapshotId {
        self.state().id
    }

    /// Its place in the history and its size.
    pub fn info(&self) -> SnapshotInfo {
        self.state().info()
    }

    /// The settings that everything in the store agrees with.
    pub fn meta(&self) -> &BTreeMap<String, String> {
        &self.state().meta
    }

    /// Numbers in each vector; `None` until there is a passage.
    pub fn dimension(&self) -> Option<usize> {
        self.state().dimension
    }

    /// Live passages.
    pub fn passage_count(&self) -> u64 {
        self.state().passages
    }

    /// Terms of the live passages, repeats counted.
    pub fn term_count(&self) -> u64 {
        self.state().terms
    }

    /// Every address, in the byte order of the addresses.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.state().bindings.values().map(|binding| &**binding)
    }

    /// What is bound to `uri`.
    pub fn binding(&self, uri: &str) -> Option<&Binding> {
        self.state().bindings.get(uri).map(|binding| &**binding)
    }

    /// A stored document, live or not.
    pub fn document(&self, id: &DocId) -> Option<Document<'_>> {
        let place = self.state().document(id)?;
        let segment = &*self.state().segments[place.segment];
        let is_live = self.inner.live[place.segment][place.document];
        Some(Document { segment, place, is_live })
    }

    /// Every live passage, by segment and ordinal.
    pub fn live_passages(&self) -> impl Iterator<Item = PassageRef> {
        self.segments().flat_map(|segment| {
            (0..segment.len())
                .filter(move |&ordinal| segment.is_live(ordinal))
                .map(move |ordinal| PassageRef { segment: segment.number(), ordinal })
        })
    }

    /// A passage, live or not.
    pub fn passage(&self, at: PassageRef) -> Result<Passage, Error> {
        let passage = self.segment(at)?.passage(at.ordinal)?;
        passage.ok_or(Error::UnknownPassage { segment: at.segment, ordinal: at.ordinal })
    }

    /// The vector of a passage, live or not.
    pub fn vector(&self, at: PassageRef) -> Result<&[f32], Error> {
        let segment = self.segment(at)?;
        let (ordinal, dimension) = (at.ordinal as usize, segment.changes.dimension);
        let vector = segment.vectors()?.get(ordinal * dimension..(ordinal + 1) * dimension);
        vector.ok_or(Error::UnknownPassage { segment: at.segment, ordinal: at.ordinal })
    }

    /// The segments, oldest first, with their liveness here.
    pub fn segments(&self) -> impl Iterator<Item = SegmentView<'_>> {
        let segments = self.state().segments.iter().zip(&self.inner.live);
        (0_u32..).zip(segments).map(|(number, (segment, live))| SegmentView {
            number,
            segment,
            live,
        })
    }

    /// Reads everything that this snapshot could show and checks it against
    /// the checksums and the ids.
    pub fn verify(&self) -> Result<(), Error> {
        self.state().segments.iter().try_for_each(|segment| segment.verify())
    }

    fn segment(&self, at: PassageRef) -> Result<&Segment, Error> {
        let segment = self.state().segments.get(at.segment as usize);
        let unknown = Error::UnknownPassage { segment: at.segment, ordinal: at.ordinal };
        segment.map(|segment| &**segment).ok_or(unknown)
    }
}

/// A stored document, read as far as asked.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    segment: &'a Segment,
    place: crate::state::DocRef,
    is_live: bool,
}

impl<'a> Document<'a> {
    fn entry(&self) -> &'a crate::segment::Entry {
        &self.segment.changes.documents[self.place.document]
    }

    /// The content hash that names the document.
    pub fn id(&self) -> DocId {
        self.entry().id
    }

    /// Whether an address is bound to it.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Its facts, without its text.
    pub fn info(&self) -> Result<&'a DocumentInfo, Error> {
        self.segment.info(self.entry())
    }

    /// The text whose bytes every range counts.
    pub fn text(&self) -> Result<String, Error> {
        let bytes: View = self.segment.text(self.entry())?;
        Ok(std::str::from_utf8(&bytes).expect("`text` checks it").to_owned())
    }

    /// Its passages in their order.
    pub fn passages(&self) -> impl Iterator<Item = PassageRef> + use<> {
        // Invariant of the log: a segment's number fits 32 bits.
        let segment = u32::try_from(self.place.segment).unwrap_or(u32::MAX);
        self.entry().passages.clone().map(move |ordinal| PassageRef { segment, ordinal })
    }
}

/// The passages of one commit, as seen from a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct SegmentView<'a> {
    number: u32,
    segment: &'a Segment,
    live: &'a [bool],
}

impl<'a> SegmentView<'a> {
    /// What [`PassageRef::segment`] says.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Passages, live or not. Ordinals are below this.
    pub fn len(&self) -> u32 {
        self.segment.len()
    }

    /// True if the segment has no passages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers in each vector.
    pub fn dimension(&self) -> usize {
        self.segment.changes.dimension
    }

    /// Whether an address is bound to the passage's document. `false` for an
    /// ordinal that does not exist.
    pub fn is_live(&self, ordinal: u32) -> bool {
        let document = self.segment.document_of(ordinal);
        document.and_then(|document| self.live.get(document)).copied().unwrap_or(false)
    }

    /// The document a passage belongs to.
    pub fn document_of(&self, ordinal: u32) -> Option<DocId> {
        let document = self.segment.document_of(ordinal)?;
        self.segment.changes.documents.get(document).map(|entry| entry.id)
    }

    /// Length of a passage in terms, repeats counted.
    pub fn terms_of(&self, ordinal: u32) -> Option<u32> {
        self.segment.terms_of(ordinal)
    }

    /// Equal for passages whose texts differ in white space only.
    pub fn text_hash(&self, ordinal: u32) -> Option<[u8; 16]> {
        self.segment.text_hash(ordinal)
    }

    /// Every vector, one after the other: [`len`](Self::len) times
    /// [`dimension`](Self::dimension) numbers.
    pub fn vectors(&self) -> Result<&'a [f32], Error> {
        self.segment.vectors()
    }

    /// Where `term` occurs: pairs of passage ordinal and count, by ordinal,
    /// passages that are not live included.
    pub fn postings(&self, term: &str) -> Result<Postings<'a>, Error> {
        self.segment.postings(term)
    }

    /// The live documents and their passages, in order.
    pub fn live_documents(&self) -> impl Iterator<Item = (DocId, std::ops::Range<u32>)> + use<'a> {
        let documents = self.segment.changes.documents.iter().zip(self.live);
        documents.filter(|(_, live)| **live).map(|(entry, _)| (entry.id, entry.passages.clone()))
    }
}
