//! The collections of a server as a library.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use plumb_answer::{Answer, Evidence, support};
use plumb_retrieve::{Bm25, Mode, Query};
use plumb_store::Snapshot;
use serde_json::{Value, json};

use crate::auth::role::Granted;
use crate::collection::Collection;
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
            mode: Mode::default(),
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
        let (collection, _) = self.open(granted)?;
        let never = Arc::new(AtomicBool::new(false));
        let mut on_event = |_: plumb_answer::Event<'_>| ControlFlow::Continue(());
        let answer = collection.ask(&self.0, (question, &[]), &never, &mut on_event);
        let answer = answer.map_err(|failure: Failure| failure.message)?;
        serde_json::to_value(answer).map_err(told)
    }

    fn verify(&self, granted: &Granted, answer: &Value) -> Result<Value, String> {
        let (collection, snapshot) = self.open(granted)?;
        let answer: Answer = serde_json::from_value(answer.clone())
            .map_err(|error| format!("this is no answer of ask_question: {error}"))?;
        let mut faults = Vec::new();
        for (claim, place) in answer.claims.iter().zip(0..) {
            let mut fault = |text: String| faults.push(json!({"claim": place, "fault": text}));
            if claim.citations.is_empty() {
                fault("it cites nothing".to_owned());
            }
            for citation in &claim.citations {
                if let Some(text) = quote_fault(&snapshot, citation) {
                    fault(text);
                }
            }
            if let Some(text) = support_fault(claim, &collection) {
                fault(text);
            }
        }
        Ok(json!({
            "verified": faults.is_empty(),
            "claims": answer.claims.len(),
            "snapshot": snapshot.id().to_string(),
            "faults": faults,
        }))
    }
}

/// What is wrong with a quote: the bytes at its place in the document as it is
/// now, found by the hash of its content.
fn quote_fault(snapshot: &Snapshot, citation: &plumb_answer::Citation) -> Option<String> {
    let uri = &citation.uri;
    let gone = || Some(format!("`{uri}` is not among the documents any more"));
    let Some(binding) = snapshot.binding(uri) else { return gone() };
    let Some(document) = snapshot.document(&binding.document) else { return gone() };
    let (Ok(info), Ok(text)) = (document.info(), document.text()) else { return gone() };
    let sha256: String = info.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    if sha256 != citation.sha256 {
        return Some(format!("`{uri}` was changed since the answer was given"));
    }
    let [start, end] = citation.byte_range.map(|at| usize::try_from(at).unwrap_or(usize::MAX));
    let is_there = text.get(start..end) == Some(citation.quote.as_str());
    (!is_there).then(|| format!("bytes {start}-{end} of `{uri}` are not the quote"))
}

/// Why no quote of a claim, nor all of them together, support it.
fn support_fault(claim: &plumb_answer::Claim, collection: &Collection) -> Option<String> {
    let shown = |citation: &plumb_answer::Citation| {
        citation.quote_text.clone().unwrap_or_else(|| citation.quote.clone())
    };
    let all: Vec<String> = claim.citations.iter().map(shown).collect();
    let context: Vec<String> = claim
        .citations
        .iter()
        .map(|citation| format!("{} {}", citation.title, citation.heading_path.join(" ")))
        .collect();
    let (quote, context) = (all.join(" "), context.join(" "));
    let evidence = Evidence { quote: &quote, context: &context };
    support(&claim.text, evidence, &collection.analyzer).err().map(|error| error.to_string())
}
