//! A document that the store has already.

use plumb_ingest::{Block, BlockKind, Budget, Document, Kind, Passage};
use plumb_store::{Binding, Snapshot};

use crate::error::Error;

/// A document as a snapshot has it, with the address that it is bound to.
pub struct StoredDocument {
    pub(crate) binding: Binding,
    /// Without blocks.
    pub(crate) document: Document,
    passages: Vec<plumb_store::Passage>,
}

impl StoredDocument {
    /// Reads what `binding` stands for in `snapshot`.
    pub fn read(snapshot: &Snapshot, binding: &Binding) -> Result<Self, Error> {
        let uri = || binding.uri.clone();
        let stored = snapshot.document(&binding.document);
        let stored = stored.ok_or_else(|| Error::NoDocument { uri: uri() })?;
        let info = stored.info()?;
        let kind = Kind::named(&info.kind);
        let kind =
            kind.ok_or_else(|| Error::UnknownKind { uri: uri(), kind: info.kind.clone() })?;
        let document = Document {
            name: String::new(),
            kind,
            sha256: info.sha256,
            text: stored.text()?,
            is_original: info.is_original,
            title: info.title.clone(),
            blocks: Vec::new(),
            metadata: info.metadata.clone(),
            warnings: Vec::new(),
        };
        let passages =
            stored.passages().map(|at| snapshot.passage(at)).collect::<Result<_, _>>()?;
        Ok(Self { binding: binding.clone(), document, passages })
    }

    /// The stored passages, each cut to `budget`.
    pub(crate) fn passages(&self, budget: &Budget<'_>) -> Vec<Passage> {
        let mut all = Vec::new();
        let mut document = self.document.clone();
        for stored in &self.passages {
            document.blocks = vec![block(stored, &document.text)];
            let passages = plumb_ingest::split(&document, budget).into_iter();
            all.extend(
                passages.map(|passage| Passage {
                    heading_path: stored.heading_path.clone(),
                    ..passage
                }),
            );
        }
        all
    }
}

/// A passage of `text` as one block of it.
fn block(stored: &plumb_store::Passage, text: &str) -> Block {
    // Invariant of the store: a range is within the text, which is in memory.
    let at = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX);
    let range = at(stored.range.start)..at(stored.range.end);
    let is_same = text.get(range.clone()) == Some(stored.text.as_str());
    let map = stored.map.iter().map(|entry| plumb_ingest::MapEntry {
        clean_start: at(entry.clean_start),
        source_start: at(entry.source_start),
        length: at(entry.length),
    });
    Block {
        kind: BlockKind::Paragraph,
        range,
        text: if is_same { String::new() } else { stored.text.clone() },
        map: if is_same { Vec::new() } else { map.collect() },
        page: stored.page,
        part: stored.part.clone(),
    }
}
