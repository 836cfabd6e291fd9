//! A test collection in the program's own store, searched as the program does.

use std::collections::BTreeMap;

use anyhow::Context as _;
use plumb_retrieve::{Bm25, Mode, Query, search};
use plumb_store::{Batch, Binding, DocId, DocumentRecord, PassageRecord, Store};
use plumb_text::Analyzer;
use tempfile::TempDir;

use crate::cranfield::Document;

/// Before the number of a document, in its address.
const SCHEME: &str = "document:";

/// Documents in a store of their own, one passage each, which goes when this
/// is dropped.
pub(crate) struct Index {
    store: Store,
    analyzer: Analyzer,
    _folder: TempDir,
}

/// A query as it is searched.
pub(crate) struct Prepared {
    terms: Vec<String>,
    vector: Vec<f32>,
}

impl Index {
    /// Stores `documents` with their vectors. Documents without any text are
    /// left out: nothing can find them.
    pub(crate) fn build(documents: &[Document], vectors: Vec<Vec<f32>>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for the index")?;
        let store = Store::open(folder.path())?;
        let analyzer = Analyzer::english();
        let mut batch = Batch::new();
        for (number, (document, vector)) in documents.iter().zip(vectors).enumerate() {
            if !document.passage().is_empty() {
                put(&mut batch, number, document, vector, &analyzer);
            }
        }
        store.commit(&batch)?;
        Ok(Self { store, analyzer, _folder: folder })
    }

    /// Analyses a query once, for many searches.
    pub(crate) fn prepare(&self, text: &str, vector: Vec<f32>) -> Prepared {
        Prepared { terms: self.analyzer.terms(text), vector }
    }

    /// Numbers of the best documents, best first.
    pub(crate) fn search(
        &self,
        query: &Prepared,
        mode: Mode,
        top_k: usize,
    ) -> anyhow::Result<Vec<usize>> {
        let found = self.search_scored(query, mode, top_k)?;
        Ok(found.into_iter().map(|(number, _)| number).collect())
    }

    /// The same with what the list is ordered by.
    pub(crate) fn search_scored(
        &self,
        query: &Prepared,
        mode: Mode,
        top_k: usize,
    ) -> anyhow::Result<Vec<(usize, f32)>> {
        let query = Query {
            terms: &query.terms,
            vector: Some(&query.vector),
            top_k,
            mode,
            bm25: Bm25::default(),
            filter: None,
        };
        let hits = search(&self.store.snapshot(), &query)?;
        let number = |uri: &str| uri.strip_prefix(SCHEME).and_then(|number| number.parse().ok());
        let of = |hit: &plumb_retrieve::Hit| {
            let number = number(&hit.uri).context("an address of another index")?;
            Ok((number, hit.score))
        };
        hits.iter().map(of).collect()
    }
}

impl Document {
    /// What stands for the document: its title and its text.
    pub(crate) fn passage(&self) -> String {
        format!("{}\n{}", self.title, self.text).trim().to_owned()
    }
}

fn put(
    batch: &mut Batch,
    number: usize,
    document: &Document,
    vector: Vec<f32>,
    analyzer: &Analyzer,
) {
    let text = document.passage();
    let uri = format!("{SCHEME}{number}");
    // The address is part of the content, so that equal abstracts stay apart.
    let id = DocId::of(&uri, text.as_bytes());
    let mut terms = BTreeMap::new();
    for term in analyzer.terms(&text) {
        *terms.entry(term).or_default() += 1;
    }
    let size = text.len() as u64;
    let passage = PassageRecord {
        range: 0..size,
        vector,
        terms: terms.into_iter().collect(),
        ..PassageRecord::default()
    };
    batch.put(DocumentRecord {
        id,
        sha256: id.0,
        kind: "text".to_owned(),
        title: document.title.clone(),
        text,
        is_original: true,
        metadata: BTreeMap::new(),
        passages: vec![passage],
    });
    batch.bind(Binding { uri, document: id, mtime: 0, size, metadata: BTreeMap::new() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_retrieve::Fusion;

    #[test]
    fn each_leg_finds_its_document_and_an_empty_one_is_never_found() {
        let document = |text: &str| Document { title: String::new(), text: text.to_owned() };
        let documents = [document("wings lift"), document(""), document("heat flows")];
        let vectors = vec![vec![1.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0]];
        let index = Index::build(&documents, vectors).unwrap();
        let query = index.prepare("heat", vec![1.0, 0.0]);
        assert_eq!(index.search(&query, Mode::Lexical, 10).unwrap(), [2]);
        assert_eq!(index.search(&query, Mode::Dense, 10).unwrap(), [0, 2]);
        let fused = Mode::Fused(Fusion::Weighted { dense_weight: 0.25 });
        assert_eq!(index.search(&query, fused, 1).unwrap(), [2]);
    }
}
