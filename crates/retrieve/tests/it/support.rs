//! Stores of small passages.

use std::collections::BTreeMap;

use plumb_retrieve::{Bm25, Hit, Mode, Query};
use plumb_store::{Batch, Binding, DocId, DocumentRecord, PassageRecord, Store};

/// A passage to be: its text is what identifies it.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    pub(crate) text: String,
    pub(crate) vector: Vec<f32>,
    pub(crate) terms: Vec<String>,
}

pub(crate) fn passage(terms: &[&str], vector: &[f32]) -> Passage {
    let terms: Vec<_> = terms.iter().map(|term| (*term).to_owned()).collect();
    Passage { text: terms.join(" ") + ".", vector: vector.to_vec(), terms }
}

pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

pub(crate) fn add(batch: &mut Batch, uri: &str, kind: &str, passages: &[Passage]) {
    let mut text = String::new();
    let mut records = Vec::new();
    for passage in passages {
        let start = text.len() as u64;
        text.push_str(&passage.text);
        let terms = passage.terms.iter().map(|term| (term.clone(), 1)).collect();
        let (range, vector) = (start..text.len() as u64, passage.vector.clone());
        records.push(PassageRecord { range, vector, terms, ..PassageRecord::default() });
    }
    let id = DocId::of(kind, text.as_bytes());
    let metadata = BTreeMap::from([("kind".to_owned(), kind.to_owned())]);
    let (uri, title, kind) = (uri.to_owned(), uri.to_owned(), kind.to_owned());
    let is_original = true;
    let sha256 = [0; 32];
    let document = DocumentRecord {
        id,
        sha256,
        kind,
        title,
        text,
        is_original,
        metadata: metadata.clone(),
        passages: records,
    };
    batch.put(document);
    batch.bind(Binding { uri, document: id, mtime: 0, size: 1, metadata });
}

pub(crate) fn query<'a>(terms: &'a [String], vector: Option<&'a [f32]>, mode: Mode) -> Query<'a> {
    Query { terms, vector, top_k: 10, mode, bm25: Bm25::default(), filter: None }
}

pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

pub(crate) fn uris(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.uri.as_str()).collect()
}
