//! Structured logs: one JSON object a line, without secrets and content.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::clock;

/// Where lines go.
pub struct Log {
    out: Mutex<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// Writes to `out`, a line at a time.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out: Mutex::new(out) }
    }

    /// Writes `event` with its `fields`, an object, and the time.
    pub fn write(&self, event: &str, fields: Value) {
        let mut line = Map::new();
        line.insert("time_ms".to_owned(), clock::unix_millis().into());
        line.insert("event".to_owned(), event.into());
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing can be done about a log that cannot be written.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
