//! The numbers of this server, by name.

use std::time::Duration;

use plumb_infer::{Finish, Generation};

use super::registry::{Counter, Histogram, gauge};
use crate::state::App;

/// Everything that is counted and timed.
#[derive(Debug)]
pub struct Metrics {
    pub requests: Counter,
    pub failures: Counter,
    pub request_seconds: Histogram,
    pub first_token_seconds: Histogram,
    pub inter_token_seconds: Histogram,
    pub queue_seconds: Histogram,
    pub prompt_seconds: Histogram,
    pub generation_seconds: Histogram,
    pub retrieval_seconds: Histogram,
    pub embedding_seconds: Histogram,
    pub rerank_seconds: Histogram,
    pub prompt_tokens: Counter,
    pub cached_tokens: Counter,
    pub generated_tokens: Counter,
    pub cancelled: Counter,
    pub answers: Counter,
    pub reloads: Counter,
    pub cache_hits: Counter,
    pub cache_misses: Counter,
    pub encoded_tokens: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let model: &[&str] = &["model"];
        let (time, count) = (Histogram::new, Counter::new);
        Self {
            requests: count(
                "plumb_requests_total",
                "Requests by endpoint and status.",
                &["endpoint", "status"],
            ),
            failures: count(
                "plumb_errors_total",
                "Requests not served, by endpoint and kind.",
                &["endpoint", "kind"],
            ),
            request_seconds: time(
                "plumb_request_duration_seconds",
                "From the head of a request to the last byte of its response.",
                &["endpoint"],
            ),
            first_token_seconds: time(
                "plumb_time_to_first_token_seconds",
                "From the arrival of a request to the first text.",
                model,
            ),
            inter_token_seconds: time(
                "plumb_inter_token_seconds",
                "Between one text of a stream and the next.",
                model,
            ),
            queue_seconds: time("plumb_queue_seconds", "Waiting for the engine.", model),
            prompt_seconds: time("plumb_prompt_seconds", "Reading the prompt.", model),
            generation_seconds: time("plumb_generation_seconds", "Writing the completion.", model),
            retrieval_seconds: time(
                "plumb_retrieval_seconds",
                "Searching a collection, the question's embedding included.",
                &["collection"],
            ),
            embedding_seconds: time("plumb_embedding_seconds", "Embedding texts.", model),
            rerank_seconds: time("plumb_rerank_seconds", "Reranking passages.", model),
            prompt_tokens: count("plumb_prompt_tokens_total", "Prompt tokens.", model),
            cached_tokens: count(
                "plumb_cached_prompt_tokens_total",
                "Prompt tokens that an earlier request had read.",
                model,
            ),
            generated_tokens: count("plumb_generated_tokens_total", "Generated tokens.", model),
            cancelled: count(
                "plumb_cancelled_total",
                "Generations whose client went or whose deadline passed.",
                model,
            ),
            answers: count(
                "plumb_answers_total",
                "Answers from documents, by collection and status.",
                &["collection", "status"],
            ),
            encoded_tokens: count(
                "plumb_encoded_tokens_total",
                "Tokens that were embedded or reranked.",
                model,
            ),
            reloads: count(
                "plumb_reloads_total",
                "Settings that were read again, by what came of it.",
                &["outcome"],
            ),
            cache_hits: by_layer("hits"),
            cache_misses: by_layer("misses"),
        }
    }
}

/// How often a layer of the cache was looked into with this outcome.
fn by_layer(outcome: &str) -> Counter {
    let (name, help) = match outcome {
        "hits" => ("plumb_cache_hits_total", "Requests that found something kept, by layer."),
        _ => ("plumb_cache_misses_total", "Requests that looked for it in vain, by layer."),
    };
    Counter::new(name, help, &["layer"])
}

impl Metrics {
    /// Notes that a layer of the cache was looked into.
    pub fn looked_up(&self, layer: &str, is_hit: bool) {
        let counter = if is_hit { &self.cache_hits } else { &self.cache_misses };
        counter.add(&[layer], 1);
    }

    /// Notes a generation that ended `total` after it was handed to the engine.
    pub fn generated(&self, model: &str, done: &Generation, total: Duration) {
        let label = &[model];
        let timings = &done.timings;
        if done.finish == Finish::Cancelled {
            self.cancelled.add(label, 1);
        }
        self.looked_up("prefix", timings.cached_tokens != 0);
        let count = |n: usize| n as u64;
        self.prompt_tokens.add(label, count(timings.prompt_tokens));
        self.cached_tokens.add(label, count(timings.cached_tokens));
        self.generated_tokens.add(label, count(done.tokens.len()));
        let queued = total.saturating_sub(timings.prefill + timings.decode);
        self.queue_seconds.observe(label, queued.as_secs_f64());
        self.prompt_seconds.observe(label, timings.prefill.as_secs_f64());
        self.generation_seconds.observe(label, timings.decode.as_secs_f64());
    }

    /// All of it as text.
    pub fn text(&self, app: &App) -> String {
        let mut out = String::new();
        for counter in [
            &self.requests,
            &self.failures,
            &self.prompt_tokens,
            &self.cached_tokens,
            &self.generated_tokens,
            &self.cancelled,
            &self.answers,
            &self.reloads,
            &self.cache_hits,
            &self.cache_misses,
            &self.encoded_tokens,
        ] {
            counter.write(&mut out);
        }
        for histogram in [
            &self.request_seconds,
            &self.first_token_seconds,
            &self.inter_token_seconds,
            &self.queue_seconds,
            &self.prompt_seconds,
            &self.generation_seconds,
            &self.retrieval_seconds,
            &self.embedding_seconds,
            &self.rerank_seconds,
        ] {
            histogram.write(&mut out);
        }
        app.guard.metering.write(&mut out);
        app.tracer.write(&mut out);
        write_gauges(app, &mut out);
        out
    }
}

fn write_gauges(app: &App, out: &mut String) {
    let loaded = app.loaded();
    let engines = loaded.iter().flat_map(|loaded| &loaded.generators);
    let rows: Vec<_> = engines.map(|g| (g.id.name.clone(), g.engine.status())).collect();
    let of = |value: &dyn Fn(&plumb_infer::EngineStatus) -> f64| -> Vec<_> {
        rows.iter().map(|(name, status)| (vec![("model", name.clone())], value(status))).collect()
    };
    let number = |n: usize| n as f64;
    gauge(out, ("plumb_running", "Sequences that run."), &of(&|s| number(s.running)));
    gauge(out, ("plumb_waiting", "Requests that wait for an engine."), &of(&|s| number(s.waiting)));
    gauge(
        out,
        ("plumb_cached_tokens", "Tokens held for what may come again."),
        &of(&|s| number(s.cached_tokens)),
    );
    let held = [("exact", app.caches.exact.bytes()), ("answer", app.caches.wordings.bytes())];
    let held = held.map(|(layer, bytes)| (vec![("layer", layer.to_owned())], number(bytes)));
    gauge(out, ("plumb_cache_bytes", "Bytes that a layer of the cache holds."), &held);
    let encoding = of(&|s| number(s.encoding));
    gauge(out, ("plumb_encoding", "Requests to embed or to rerank that are not done."), &encoding);
    gauge(out, ("plumb_engine_steps", "Steps that an engine took."), &of(&|s| s.steps as f64));
    let alone = |value: f64| [(Vec::new(), value)];
    let waiting = alone(number(app.workers.waiting()));
    gauge(out, ("plumb_work_waiting", "Pieces of work that wait for a thread."), &waiting);
    let ready = alone(f64::from(u8::from(app.drain.is_accepting() && loaded.is_some())));
    gauge(out, ("plumb_ready", "1 if requests are served."), &ready);
    if let Some(bytes) = resident_bytes() {
        let name = ("process_resident_memory_bytes", "Memory of this process.");
        gauge(out, name, &alone(bytes as f64));
    }
}

/// Bytes of this process that are in memory, where the system says so.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
