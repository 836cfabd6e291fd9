//! The collections of a server as a library.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use plumb_answer::Citation;
use plumb_retrieve::{Bm25, Query};
use plumb_store::Snapshot;
use serde_json::{Value, json};

use crate::allowance::Allowance;
use crate::auth::role::Granted;
use crate::cache::Policy;
use crate::collection::{Asked, Collection};
use crate::data::hex;
use crate::failure::{Failure, chain};
use crate::mcp::library::{Library, Slice};
use crate::state::App;

/// What a server serves, for the tools.
pub(crate) struct Served(pub(crate) Arc<App>);

impl Served {
    fn open(&self, granted: &Granted) -> Result<(Arc<Collection>, Snapshot), String> {
        let loaded = self.0.ready().map_err(|failure| failure.message)?;
        let none = || format!("there is no collection `{}`", granted.name());
        let collection = loaded.collection(granted).ok_or_else(none)?;
        let snapshot = collection.snapshot().map_err(|failure| failure.message)?;
        Ok((collection, snapshot))
    }
}

fn told(error: impl std::error::Error) -> String {
    chain(&error)
}

impl Library for Served {
    fn collections(&self) -> Vec<String> {
        self.0.loaded().map_or_else(Vec::new, |loaded| loaded.collection_names())
    }

    fn search(&self, granted: &Granted, query: &str, limit: usize) -> Result<Value, String> {
        let (collection, snapshot) = self.open(granted)?;
        let vector = collection.embedder.embed_query(query).map_err(told)?;
        let query = Query {
            terms: &collection.analyzer.terms(query),
            vector: Some(&vector),
            top_k: limit,
            mode: collection.mode(),
            bm25: Bm25::default(),
            filter: None,
        };
        let mut passages = Vec::new();
        for hit in plumb_retrieve::search(&snapshot, &query).map_err(told)? {
            let passage = snapshot.passage(hit.passage).map_err(told)?;
            passages.push(json!({
                "rank": hit.rank,
                "score": hit.score,
                "dense": hit.dense,
                "lexical": hit.lexical,
                "uri": hit.uri,
                "byte_range": [passage.range.start, passage.range.end],
                "heading_path": passage.heading_path,
                "page": passage.page,
                "text": passage.text,
            }));
        }
        Ok(json!({"snapshot": snapshot.id().to_string(), "passages": passages}))
    }

    fn document(&self, granted: &Granted, uri: &str, slice: Slice) -> Result<Value, String> {
        let (_, snapshot) = self.open(granted)?;
        let none = || format!("there is no document `{uri}`");
        let binding = snapshot.binding(uri).ok_or_else(none)?;
        let document = snapshot.document(&binding.document).ok_or_else(none)?;
        let (info, text) = (document.info().map_err(told)?, document.text().map_err(told)?);
        let start = text.floor_char_boundary(slice.start.min(text.len()));
        let end = text.ceil_char_boundary(start.saturating_add(slice.length).min(text.len()));
        Ok(json!({
            "uri": uri,
            "title": info.title,
            "kind": info.kind,
            "byte_range": [start, end],
            "bytes": text.len(),
            "byte_ranges_count": if info.is_original { "the file" } else { "the extracted text" },
            "metadata": info.metadata,
            "text": &text[start..end],
        }))
    }

    fn documents(
        &self,
        granted: &Granted,
        containing: &str,
        slice: Slice,
    ) -> Result<Value, String> {
        let (_, snapshot) = self.open(granted)?;
        let found = || snapshot.bindings().filter(|binding| binding.uri.contains(containing));
        let mut list = Vec::new();
        for binding in found().skip(slice.start).take(slice.length) {
            let Some(document) = snapshot.document(&binding.document) else { continue };
            let info = document.info().map_err(told)?;
            list.push(json!({
                "uri": binding.uri,
                "title": info.title,
                "kind": info.kind,
                "bytes": binding.size,
            }));
        }
        Ok(json!({"total": found().count(), "documents": list}))
    }

    fn ask(&self, granted: &Granted, question: &str) -> Result<Value, String> {
        let (collection, snapshot) = self.open(granted)?;
        let settings = &collection.settings();
        // The tokens are guessed from the lengths of the messages.
        let call = &Allowance::free();
        let policy = Policy::ALLOWED;
        let (history, sampling) = (&[][..], None);
        let snapshot = &snapshot;
        let asked = Asked { snapshot, question, history, settings, sampling, policy, call };
        let never = Arc::new(AtomicBool::new(false));
        let mut on_event = |_: plumb_answer::Event<'_>| ControlFlow::Continue(());
        let answer = collection.ask(&self.0, &asked, &never, &mut on_event);
        let answer = answer.map_err(|failure: Failure| failure.message)?;
        // Through its JSON: as a value a number would get digits that the digest
        // does not know.
        let json = serde_json::to_string(&answer.answer).map_err(told)?;
        serde_json::from_str(&json).map_err(told)
    }

    fn verify(&self, granted: &Granted, answer: &Value) -> Result<Value, String> {
        let (_, snapshot) = self.open(granted)?;
        let source = |citation: &Citation| source(&snapshot, citation);
        let (read, findings) = plumb_answer::verify(&answer.to_string(), &source);
        let read = read.ok_or("this is no answer of ask_question")?;
        let faults: Vec<Value> = findings
            .iter()
            .map(|found| json!({"claim": found.claim, "fault": found.fault.to_string()}))
            .collect();
        Ok(json!({
            "verified": faults.is_empty(),
            "claims": read.claims.len(),
            "snapshot": snapshot.id().to_string(),
            "faults": faults,
        }))
    }
}

/// The text that a quote's range counts in: of the document at its address, if
/// that still has the content that the citation names.
fn source(snapshot: &Snapshot, citation: &Citation) -> Option<String> {
    let document = snapshot.document(&snapshot.binding(&citation.uri)?.document)?;
    (hex(&document.info().ok()?.sha256) == citation.sha256).then(|| document.text().ok())?
}
