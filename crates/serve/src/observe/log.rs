//! Structured logs: one JSON object a line, without secrets and content.

use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::clock;

/// How much a line matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something did not work that should have.
    Error,
    /// Somebody was refused something.
    Warn,
    /// What happens.
    #[default]
    Info,
}

impl Level {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }
}

/// Where lines go.
pub struct Log {
    out: Mutex<Box<dyn Write + Send>>,
    /// The last [`Level`] that is written, as its number.
    level: AtomicU8,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// Writes to `out`, a line at a time.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out: Mutex::new(out), level: AtomicU8::new(Level::Info as u8) }
    }

    /// Leaves out what matters less than `level` from now on.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Writes `event` with its `fields`, an object, and the time.
    pub fn write(&self, event: &str, fields: Value) {
        self.write_at(Level::Info, event, fields);
    }

    /// Writes `event` if lines of `level` are wanted.
    pub fn write_at(&self, level: Level, event: &str, fields: Value) {
        if self.level.load(Ordering::Relaxed) < level as u8 {
            return;
        }
        let mut line = Map::new();
        line.insert("time_ms".to_owned(), clock::unix_millis().into());
        line.insert("level".to_owned(), level.name().into());
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
