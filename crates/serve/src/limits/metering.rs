//! Tokens and requests by key, for `/metrics`.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::observe::Counter;

/// Keys that have series of their own. More share one: a database of metrics
/// bears few values of a label, and a key is never forgotten.
const MOST: usize = 100;

/// What keys beyond [`MOST`] are called.
const OTHERS: &str = "other";

/// What each key has used since the process began.
#[derive(Debug)]
pub struct Metering {
    tokens: Counter,
    requests: Counter,
    refused: Counter,
    keys: Mutex<BTreeSet<String>>,
}

impl Default for Metering {
    fn default() -> Self {
        Self {
            tokens: Counter::new(
                "plumb_key_tokens_total",
                "Tokens by key, read and written.",
                &["key", "direction"],
            ),
            requests: Counter::new(
                "plumb_key_requests_total",
                "Requests that were let in, by key.",
                &["key"],
            ),
            refused: Counter::new(
                "plumb_key_refused_total",
                "Requests that a limit of their key refused.",
                &["key", "limit"],
            ),
            keys: Mutex::default(),
        }
    }
}

impl Metering {
    /// Notes what a request of `key` took.
    pub fn count(&self, key: &str, read: u64, written: u64) {
        let key = self.label(key);
        self.requests.add(&[&key], 1);
        self.tokens.add(&[&key, "input"], read);
        self.tokens.add(&[&key, "output"], written);
    }

    /// Notes a request of `key` that `limit` refused.
    pub fn refuse(&self, key: &str, limit: &str) {
        self.refused.add(&[&self.label(key), limit], 1);
    }

    /// All of it as text.
    pub fn write(&self, out: &mut String) {
        for counter in [&self.tokens, &self.requests, &self.refused] {
            counter.write(out);
        }
    }

    fn label(&self, key: &str) -> String {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let has_own = keys.contains(key) || keys.len() < MOST;
        if has_own {
            keys.insert(key.to_owned());
        }
        if has_own { key.to_owned() } else { OTHERS.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_keys_than_fit_share_a_series() {
        let metering = Metering::default();
        for key in 0..MOST + 5 {
            metering.count(&format!("k{key}"), 2, 1);
        }
        metering.count("k0", 3, 4);
        let mut text = String::new();
        metering.write(&mut text);
        assert!(text.contains("plumb_key_tokens_total{key=\"k0\",direction=\"input\"} 5\n"));
        assert!(text.contains("plumb_key_tokens_total{key=\"other\",direction=\"input\"} 10\n"));
        assert_eq!(text.matches("plumb_key_requests_total{").count(), MOST + 1);
    }
}
