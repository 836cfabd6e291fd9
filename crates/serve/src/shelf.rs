//! Models that are not served yet: those on this machine, and those that can be
//! fetched.
//!
//! The server knows no catalogue and opens no connection to fetch a model: it is
//! given a shelf that does.

use std::fmt;
use std::sync::Arc;

/// Fetches a model by its name.
pub type Pull = dyn Fn(&str, &Pulling<'_>) -> Result<(), String> + Send + Sync;

/// Lists and fetches models; errors are texts for people.
#[derive(Clone)]
pub struct Shelf {
    /// Every model, here or not.
    pub list: Arc<dyn Fn() -> Result<Vec<Shelved>, String> + Send + Sync>,
    pub pull: Arc<Pull>,
}

/// Follows a model that is being fetched, and may end that.
pub struct Pulling<'a> {
    /// Told the bytes that are there, of so many.
    pub on_bytes: &'a (dyn Fn(u64, u64) + Sync),
    /// Looked at between pieces.
    pub is_stopped: &'a (dyn Fn() -> bool + Sync),
}

/// What is known of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved {
    pub name: String,
    /// `generator`, `embedder` or `reranker`.
    pub kind: &'static str,
    /// Whether its files are on this machine.
    pub is_here: bool,
    /// Whether it is used where nothing else is asked for.
    pub is_default: bool,
    /// Of its files.
    pub bytes: u64,
    pub licence: Option<String>,
    pub summary: Option<String>,
    /// Whether it can be fetched.
    pub can_pull: bool,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shelf")
    }
}
