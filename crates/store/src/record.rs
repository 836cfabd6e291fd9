//! What goes into the store and what comes out of it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

/// Names a document by its content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId(pub [u8; 32]);

impl DocId {
    /// The id of `bytes` read as `kind`: the same bytes read in two ways are
    /// two documents.
    pub fn of(kind: &str, bytes: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        hash.update([0]);
        hash.update(bytes);
        Self(hash.finalize().into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        parse_hex(hex).map(Self)
    }
}

/// Names a snapshot by its content and its history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub [u8; 32]);

impl SnapshotId {
    /// The snapshot before the first commit.
    pub const EMPTY: Self = Self([0; 32]);

    /// Reads 64 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        parse_hex(hex).map(Self)
    }
}

fn parse_hex(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0[..4], f)
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0[..4], f)
    }
}

/// A document to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentRecord {
    pub id: DocId,
    /// Of the original bytes.
    pub sha256: [u8; 32],
    pub kind: String,
    pub title: String,
    /// The text whose bytes every range counts.
    pub text: String,
    /// Whether `text` is the original file, byte for byte.
    pub is_original: bool,
    pub metadata: BTreeMap<String, String>,
    pub passages: Vec<PassageRecord>,
}

/// A passage to be stored with its document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PassageRecord {
    /// Bytes of the document's text.
    pub range: Range<u64>,
    /// The passage without markup; empty if it equals the text at `range`.
    pub text: String,
    /// Where the clean text comes from; empty if `text` is.
    pub map: Vec<MapEntry>,
    pub heading_path: Vec<String>,
    pub page: Option<u32>,
    pub part: Option<String>,
    /// As the embedder made it. Every vector of a store has the same length.
    pub vector: Vec<f32>,
    /// Each distinct term and how often it occurs, in any order.
    pub terms: Vec<(String, u32)>,
}

/// `length` bytes at `clean_start` of a clean text are those at
/// `source_start` of the document's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapEntry {
    pub clean_start: u64,
    pub source_start: u64,
    pub length: u64,
}

/// An address, and the document that was found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub uri: String,
    pub document: DocId,
    /// When the file was modified: nanoseconds since 1970, 0 if unknown.
    pub mtime: i64,
    /// Bytes of the file.
    pub size: u64,
    pub metadata: BTreeMap<String, String>,
}

/// What is known of a stored document without reading its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentInfo {
    pub sha256: [u8; 32],
    pub kind: String,
    pub title: String,
    pub is_original: bool,
    pub metadata: BTreeMap<String, String>,
}

/// Where a passage is stored. Stays valid in every later snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PassageRef {
    pub segment: u32,
    pub ordinal: u32,
}

/// A stored passage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    pub document: DocId,
    /// Its place among the passages of its document, from 0.
    pub number: u32,
    /// Bytes of the document's text.
    pub range: Range<u64>,
    /// The clean text.
    pub text: String,
    /// Where `text` comes from. Never empty, unless `text` is: an identical
    /// text has one entry.
    pub map: Vec<MapEntry>,
    pub heading_path: Vec<String>,
    pub page: Option<u32>,
    pub part: Option<String>,
}

/// One commit of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    pub id: SnapshotId,
    /// How many commits it took, from 1.
    pub sequence: u64,
    /// Documents with an address.
    pub documents: u64,
    /// Passages of those documents.
    pub passages: u64,
    /// Bytes of the log up to and with this commit.
    pub bytes: u64,
}
