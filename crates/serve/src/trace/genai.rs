//! The spans of this service, named and filled as OpenTelemetry's conventions
//! for generative models say. Names that begin with `plumb.` are our own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use plumb_answer::{Answer, Watch};
use plumb_infer::{Finish, Generation};
use serde_json::{Value, json};

use super::span::Kind;
use super::{Scope, SharedSpan, Span};
use crate::allowance::Allowance;
use crate::collection::Asked;
use crate::failure::Failure;
use crate::observe::Metrics;

const PROVIDER: &str = "plumb";

/// A message as spans hold it.
pub fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "parts": [{"type": "text", "content": text}]})
}

impl Scope {
    /// A model of this process does something.
    pub fn operation(&self, operation: &'static str, model: &str) -> Span {
        self.of_model(operation, model, Kind::Internal)
    }

    /// A model on another machine does something.
    pub fn client(&self, operation: &'static str, model: &str) -> Span {
        self.of_model(operation, model, Kind::Client)
    }

    fn of_model(&self, operation: &'static str, model: &str, kind: Kind) -> Span {
        let mut span = self.span(format!("{operation} {model}"), kind);
        span.set("gen_ai.operation.name", operation);
        span.set("gen_ai.provider.name", PROVIDER);
        span.set("gen_ai.request.model", model);
        span
    }

    /// Passages of a collection are looked for.
    pub fn retrieval(&self, collection: &str, query: &str) -> Span {
        let mut span = self.span(format!("retrieval {collection}"), Kind::Internal);
        span.set("gen_ai.operation.name", "retrieval");
        span.set("gen_ai.provider.name", PROVIDER);
        span.set("gen_ai.data_source.id", collection);
        if self.has_content() {
            span.set("gen_ai.retrieval.query.text", query);
        }
        span
    }

    fn step(&self, name: &str, (start, end): (Instant, Instant)) -> Span {
        self.span(name.to_owned(), Kind::Internal).between(start, end)
    }
}

impl Span {
    /// The documents that were found, best first, with their scores.
    pub fn found(&mut self, documents: impl Iterator<Item = (String, f32)>) {
        if self.is_recorded() {
            let documents: Vec<Value> =
                documents.map(|(id, score)| json!({"id": id, "score": score})).collect();
            self.set("gen_ai.retrieval.documents", Value::Array(documents).to_string());
        }
    }

    /// Tokens that were read and written.
    pub fn used(&mut self, read: usize, written: usize) {
        self.set("gen_ai.usage.input_tokens", read);
        self.set("gen_ai.usage.output_tokens", written);
    }
}

impl SharedSpan {
    /// A text was generated, that was asked for at `submitted`: what it took,
    /// and a span for each part of the way.
    pub fn generated(&self, done: &Generation, submitted: Instant) {
        let scope = self.with(|span| {
            let timings = &done.timings;
            span.used(timings.prompt_tokens, done.tokens.len());
            span.set("gen_ai.usage.cache_read.input_tokens", timings.cached_tokens);
            span.set("gen_ai.response.finish_reasons", vec![finish(done.finish).to_owned()]);
            let scope = span.scope();
            if scope.has_content() {
                let output = Value::Array(vec![message("assistant", &done.text)]);
                span.set("gen_ai.output.messages", output.to_string());
            }
            scope
        });
        let end = Instant::now();
        let back = |from: Instant, by: Duration| from.checked_sub(by).unwrap_or(from);
        let first = back(end, done.timings.decode).max(submitted);
        let begun = back(first, done.timings.prefill).max(submitted);
        drop(scope.step("queue", (submitted, begun)));
        drop(scope.step("prompt reading", (begun, first)));
        drop(scope.step("generation", (first, end)));
    }
}

fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::EndOfTurn | Finish::StopString => "stop",
        Finish::Length => "length",
        Finish::Cancelled => "cancelled",
    }
}

/// The span of a question to documents. Its steps are told when it is answered.
pub struct Told {
    span: Mutex<Span>,
    scope: Scope,
    collection: String,
    question: String,
    started: Instant,
    /// Whether something was generated, whose span is told by itself.
    has_generated: Arc<AtomicBool>,
    /// When the last text was generated.
    generated: Arc<Mutex<Option<Instant>>>,
}

impl Told {
    /// A question is asked.
    pub fn begin(asked: &Asked<'_>, collection: &str) -> Self {
        let above = asked.call.scope();
        let mut span = above.span(format!("invoke_workflow docs/{collection}"), Kind::Internal);
        span.set("gen_ai.operation.name", "invoke_workflow");
        span.set("gen_ai.provider.name", PROVIDER);
        span.set("gen_ai.workflow.name", format!("docs/{collection}"));
        let scope = span.scope();
        if scope.has_content() {
            let input = Value::Array(vec![message("user", asked.question)]);
            span.set("gen_ai.input.messages", input.to_string());
        }
        Self {
            span: Mutex::new(span),
            scope,
            collection: collection.to_owned(),
            question: asked.question.to_owned(),
            started: Instant::now(),
            has_generated: Arc::default(),
            generated: Arc::default(),
        }
    }

    /// Where its steps belong.
    pub fn scope(&self) -> Scope {
        self.scope.clone()
    }

    /// What the generator `model` is watched by: it counts, measures and tells.
    pub fn watch(&self, metrics: &Arc<Metrics>, call: &Allowance, model: &str) -> Watch {
        let (metrics, call, model) = (metrics.clone(), call.clone(), model.to_owned());
        let (scope, generated) = (self.scope.clone(), self.generated.clone());
        let has_generated = self.has_generated.clone();
        Arc::new(move |done: &Generation, submitted: Instant| {
            metrics.generated(&model, done, submitted.elapsed());
            call.read(done.timings.prompt_tokens);
            call.wrote(done.tokens.len());
            let span = scope.operation("chat", &model);
            span.between(submitted, Instant::now()).shared().generated(done, submitted);
            has_generated.store(true, Ordering::Relaxed);
            *generated.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        })
    }

    /// It could not be answered.
    pub fn failed(&self, failure: Failure) -> Failure {
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        span.fail(failure.kind.label(), &failure.message);
        failure
    }

    /// It was answered.
    pub fn end(self, answer: &Answer, embedder: &str) {
        let end = Instant::now();
        let written = self.steps(answer, embedder);
        let generated = *self.generated.lock().unwrap_or_else(PoisonError::into_inner);
        let status = answer.status.name();
        let mut check = self.scope.step("verification", (generated.unwrap_or(written), end));
        check.set("plumb.claims", answer.claims.len());
        let support = vec![
            ("gen_ai.evaluation.name", "support".into()),
            ("gen_ai.evaluation.score.value", f64::from(answer.support.score).into()),
            ("gen_ai.evaluation.score.label", status.into()),
        ];
        check.event("gen_ai.evaluation.result", support);
        drop(check);
        let mut span = self.span.into_inner().unwrap_or_else(PoisonError::into_inner);
        span.set("plumb.answer.id", answer.answer_id.clone());
        span.set("plumb.answer.status", status);
        span.set("plumb.snapshot", answer.snapshot.clone());
        if self.scope.has_content() {
            let output = Value::Array(vec![message("assistant", &answer.answer)]);
            span.set("gen_ai.output.messages", output.to_string());
        }
    }

    /// The steps before anything is written, one after the other as the answer
    /// says how long they took; gives when the last was over.
    fn steps(&self, answer: &Answer, embedder: &str) -> Instant {
        let laps: &BTreeMap<String, f64> = &answer.timings_ms;
        let mut at = self.started;
        let mut lap = |name: &str| {
            let begun = at;
            let ms = laps.get(name).copied().unwrap_or_default().max(0.0);
            at += Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default();
            (begun, at)
        };
        if laps.contains_key("rewrite") {
            drop(self.scope.step("rewriting", lap("rewrite")));
        }
        let embedding = lap("embed");
        let searching = lap("search");
        let mut retrieval = self.scope.retrieval(&self.collection, &self.question);
        retrieval = retrieval.between(embedding.0, searching.1);
        let within = retrieval.scope();
        drop(within.operation("embeddings", embedder).between(embedding.0, embedding.1));
        drop(retrieval);
        drop(self.scope.step("rerank sentences", lap("sentences")));
        let chosen = lap("select");
        drop(self.scope.step("select evidence", chosen));
        chosen.1
    }
}
