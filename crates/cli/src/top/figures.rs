//! What happened between two readings of `/metrics`.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::Reading;
use super::exposition::Exposition;

/// Values of a line of history.
const KEPT: usize = 300;

/// Keys that are shown.
const KEYS: usize = 5;

/// The numbers of a moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Whether requests are served.
    pub ready: bool,
    /// Of the process.
    pub memory_bytes: u64,
    pub requests: Requests,
    /// From a request's head to the last byte of its response.
    pub latency_seconds: Quantiles,
    /// From a request's arrival to the first text.
    pub first_token_seconds: Quantiles,
    /// From one text to the next.
    pub inter_token_seconds: Quantiles,
    /// Of finding passages.
    pub retrieval_seconds: Quantiles,
    pub tokens_per_second: Tokens,
    pub queue: Queue,
    pub cache: Cache,
    /// Since the server began, by kind.
    pub errors: BTreeMap<String, u64>,
    /// The keys that took most tokens.
    pub keys: Vec<KeyUse>,
}

/// Requests that ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Requests {
    pub total: u64,
    pub per_second: f64,
    pub errors_per_second: f64,
}

/// Of what ended between the readings, or ever if nothing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    pub p50: Option<f64>,
    pub p95: Option<f64>,
}

/// Tokens of all models together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tokens {
    pub prompt: f64,
    pub generated: f64,
    /// Embedded or reranked.
    pub encoded: f64,
}

/// What runs and waits now.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Queue {
    pub running: u64,
    pub waiting: u64,
    /// Questions and other work that waits for a thread.
    pub work_waiting: u64,
}

/// What an earlier request has read already.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cache {
    pub tokens: u64,
    /// Part of all prompt tokens, from 0 to 1.
    pub hit_ratio: Option<f64>,
}

/// Tokens of a key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyUse {
    pub key: String,
    pub tokens: u64,
}

impl Figures {
    /// What happened from one reading to the other.
    pub fn between(earlier: &Reading, later: &Reading) -> Self {
        let seconds = later.at.saturating_duration_since(earlier.at).as_secs_f64();
        let (old, new) = (&earlier.metrics, &later.metrics);
        let rate = |name: &str| {
            // A counter that went back is that of a server that began again.
            let more = (new.sum(name) - old.sum(name)).max(0.0);
            if seconds > 0.0 { rounded(more / seconds) } else { 0.0 }
        };
        let quantiles = |name: &str| Quantiles {
            p50: quantile(old, new, name, 0.5).map(rounded),
            p95: quantile(old, new, name, 0.95).map(rounded),
        };
        let prompt = new.sum("plumb_prompt_tokens_total");
        let cached = new.sum("plumb_cached_prompt_tokens_total");
        let mut keys: Vec<KeyUse> = new
            .by("plumb_key_tokens_total", "key")
            .into_iter()
            .map(|(key, tokens)| KeyUse { key, tokens: whole(tokens) })
            .collect();
        keys.sort_by(|a, b| b.tokens.cmp(&a.tokens).then_with(|| a.key.cmp(&b.key)));
        keys.truncate(KEYS);
        let errors = new.by("plumb_errors_total", "kind");
        Self {
            ready: new.sum("plumb_ready") > 0.0,
            memory_bytes: whole(new.sum("process_resident_memory_bytes")),
            requests: Requests {
                total: whole(new.sum("plumb_requests_total")),
                per_second: rate("plumb_requests_total"),
                errors_per_second: rate("plumb_errors_total"),
            },
            latency_seconds: quantiles("plumb_request_duration_seconds"),
            first_token_seconds: quantiles("plumb_time_to_first_token_seconds"),
            inter_token_seconds: quantiles("plumb_inter_token_seconds"),
            retrieval_seconds: quantiles("plumb_retrieval_seconds"),
            tokens_per_second: Tokens {
                prompt: rate("plumb_prompt_tokens_total"),
                generated: rate("plumb_generated_tokens_total"),
                encoded: rate("plumb_encoded_tokens_total"),
            },
            queue: Queue {
                running: whole(new.sum("plumb_running")),
                waiting: whole(new.sum("plumb_waiting")),
                work_waiting: whole(new.sum("plumb_work_waiting")),
            },
            cache: Cache {
                tokens: whole(new.sum("plumb_cached_tokens")),
                hit_ratio: (prompt > 0.0).then(|| rounded(cached / prompt)),
            },
            errors: errors.into_iter().map(|(kind, count)| (kind, whole(count))).collect(),
            keys,
        }
    }
}

/// A count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole, and a negative one is none"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

/// To a ten-thousandth.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A quantile of what a histogram counted between two readings, or ever if that
/// is nothing: linear within a bucket, as Prometheus' `histogram_quantile` does.
fn quantile(old: &Exposition, new: &Exposition, name: &str, q: f64) -> Option<f64> {
    let buckets = format!("{name}_bucket");
    let counts = |exposition: &Exposition| -> Vec<(f64, f64)> {
        let by = exposition.by(&buckets, "le");
        let bound = |text: &str| match text {
            "+Inf" => f64::INFINITY,
            number => number.parse().unwrap_or(f64::NAN),
        };
        let mut all: Vec<_> = by.into_iter().map(|(le, count)| (bound(&le), count)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all
    };
    let ever = counts(new);
    let before = counts(old);
    let earlier = |le: f64| {
        before.iter().find(|(b, _)| b.total_cmp(&le).is_eq()).map_or(0.0, |(_, count)| *count)
    };
    let since: Vec<_> = ever.iter().map(|&(le, count)| (le, count - earlier(le))).collect();
    let has_some = since.last().is_some_and(|(_, count)| *count > 0.0);
    let used = if has_some { since } else { ever };
    let total = used.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
    let wanted = q * total;
    let place = used.iter().position(|(_, count)| wanted <= *count)?;
    let (upper, count) = used[place];
    let (lower, below) = if place == 0 { (0.0, 0.0) } else { used[place - 1] };
    if upper.is_infinite() {
        // All that is known is that it is above the last bound.
        return Some(lower);
    }
    Some(lower + (upper - lower) * (wanted - below) / (count - below).max(f64::MIN_POSITIVE))
}

/// The figures of the last minutes, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Requests a second, in hundredths.
    pub requests: VecDeque<u64>,
    /// Tokens a second, read and written.
    pub tokens: VecDeque<u64>,
    /// The 95th percentile of latencies, in milliseconds.
    pub latency: VecDeque<u64>,
    /// MiB.
    pub memory: VecDeque<u64>,
}

impl History {
    /// Adds a moment, and forgets the oldest.
    pub fn push(&mut self, figures: &Figures) {
        let tokens = &figures.tokens_per_second;
        let values = [
            whole(figures.requests.per_second * 100.0),
            whole(tokens.prompt + tokens.generated + tokens.encoded),
            whole(figures.latency_seconds.p95.unwrap_or_default() * 1000.0),
            figures.memory_bytes >> 20,
        ];
        let lines = [&mut self.requests, &mut self.tokens, &mut self.latency, &mut self.memory];
        for (line, value) in lines.into_iter().zip(values) {
            if line.len() == KEPT {
                line.pop_front();
            }
            line.push_back(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: [u32; 3]) -> Exposition {
        let [a, b, c] = counts;
        let text = format!(
            "t_bucket{{le=\"0.1\"}} {a}\nt_bucket{{le=\"1\"}} {b}\nt_bucket{{le=\"+Inf\"}} {c}\n"
        );
        Exposition::parse(&text).unwrap()
    }

    #[test]
    fn a_quantile_is_that_of_what_happened_since() {
        let (old, new) = (histogram([100, 100, 100]), histogram([100, 110, 110]));
        // Ten between 0.1 and 1: half of them at most at 0.55.
        assert_eq!(quantile(&old, &new, "t", 0.5), Some(0.1 + 0.9 * 0.5));
        // Nothing since: of all that ever was.
        assert_eq!(quantile(&new, &new, "t", 0.5).map(rounded), Some(0.055));
        assert_eq!(quantile(&old, &histogram([100, 100, 105]), "t", 0.5), Some(1.0));
        assert_eq!(quantile(&Exposition::default(), &histogram([0, 0, 0]), "t", 0.5), None);
    }
}
