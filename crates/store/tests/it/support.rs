//! Small documents, made from a number.

use std::collections::BTreeMap;

use plumb_store::{Batch, Binding, DocId, DocumentRecord, PassageRecord};

pub(crate) fn document(number: u64) -> DocumentRecord {
    let text = format!("Document {number} says something. And number {number} again.");
    let passage = |range: std::ops::Range<u64>| PassageRecord {
        range,
        heading_path: vec!["Top".to_owned(), format!("Section {number}")],
        vector: vec![number as f32, 1.0, 0.0, -1.0],
        terms: vec![("document".to_owned(), 2), (format!("n{number}"), 1)],
        ..PassageRecord::default()
    };
    let end = text.len() as u64;
    DocumentRecord {
        id: DocId::of("text", text.as_bytes()),
        sha256: [7; 32],
        kind: "text".to_owned(),
        title: format!("Number {number}"),
        is_original: true,
        metadata: BTreeMap::from([("author".to_owned(), "nobody".to_owned())]),
        passages: vec![passage(0..9), passage(9..end)],
        text,
    }
}

pub(crate) fn binding(uri: &str, document: DocId) -> Binding {
    let metadata = BTreeMap::from([("tag".to_owned(), "x".to_owned())]);
    Binding { uri: uri.to_owned(), document, mtime: 1_700_000_000_000_000_000, size: 10, metadata }
}

pub(crate) fn uri(number: u64) -> String {
    format!("file:///{number:06}.txt")
}

/// Adds document `number` and nothing else.
pub(crate) fn add(number: u64) -> Batch {
    let mut batch = Batch::new();
    let document = document(number);
    batch.bind(binding(&uri(number), document.id));
    batch.put(document);
    batch
}
