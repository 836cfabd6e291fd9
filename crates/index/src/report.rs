//! What came of documents that were to be indexed.

use serde::Serialize;

/// What came of the items so far.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Documents that are new or changed.
    pub added: usize,
    /// Documents that were there already, byte for byte.
    pub unchanged: usize,
    /// Documents whose bytes are stored under another address too.
    pub duplicates: usize,
    pub removed: usize,
    pub passages: usize,
    pub skipped: Vec<SkippedItem>,
    pub warnings: Vec<SkippedItem>,
    /// What could not be read again and was taken from the index, and why.
    pub kept: Vec<SkippedItem>,
    pub seconds: f64,
    pub interrupted: bool,
    pub snapshot: String,
    /// Addresses of the files that were looked into, whatever came of them.
    #[serde(skip)]
    pub read: Vec<String>,
}

/// Something that was not read, or not fully, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedItem {
    pub uri: String,
    pub reason: String,
}
