//! What can go wrong, with the file and the place.

use std::io;
use std::path::PathBuf;

/// Why the store could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read or write `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },

    #[error("`{}` is not a log of this program: it starts with {found:02x?}", path.display())]
    NotALog { path: PathBuf, found: [u8; 8] },

    #[error("`{}` has format version {found}, and this build reads version {expected}", path.display())]
    Version { path: PathBuf, found: u32, expected: u32 },

    #[error("`{}` is {found}, not {expected}", path.display())]
    Purpose { path: PathBuf, found: &'static str, expected: &'static str },

    #[error("`{}` is damaged at byte {offset}: {what}", path.display())]
    Corrupt { path: PathBuf, offset: u64, what: &'static str },

    #[error("`{}` ends at byte {found}, but {expected} bytes are committed", path.display())]
    Truncated { path: PathBuf, expected: u64, found: u64 },

    #[error("another process{} is writing to `{}`", holder.map(|pid| format!(" ({pid})")).unwrap_or_default(), path.display())]
    Locked { path: PathBuf, holder: Option<u32> },

    #[error("an earlier commit to `{}` failed; open it again", path.display())]
    Broken { path: PathBuf },

    #[error("there is no index in `{}`", path.display())]
    NoStore { path: PathBuf },

    #[error("there is no snapshot `{id}`")]
    UnknownSnapshot { id: String },

    #[error("`{prefix}` is the beginning of several snapshot ids")]
    AmbiguousSnapshot { prefix: String },

    #[error("`{uri}` is to be bound to document {document}, which is not stored")]
    UnknownDocument { uri: String, document: String },

    #[error("there is no passage {ordinal} in segment {segment}")]
    UnknownPassage { segment: u32, ordinal: u32 },

    #[error("document {document}: the vector of passage {passage} holds {value} at place {place}")]
    BadVector { document: String, passage: usize, place: usize, value: f32 },

    #[error(
        "document {document}: the vector of passage {passage} has {found} numbers, and this index has {expected}"
    )]
    MixedDimensions { document: String, passage: usize, expected: usize, found: usize },

    #[error("document {document}: passage {passage}: {what}")]
    BadPassage { document: String, passage: usize, what: &'static str },

    #[error("the index was made with {key} `{stored}`, not `{given}`")]
    Setting { key: String, stored: String, given: String },

    #[error("{what} does not fit the file format: {size} is too large")]
    TooLarge { what: &'static str, size: usize },
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("the disk is full; what was committed is safe, free some space and try again")
            }
            Self::Version { .. } => {
                Some("index the documents again in a new folder, or use the build that wrote it")
            }
            Self::Corrupt { .. } | Self::Truncated { .. } => {
                Some("restore the file from a copy, or delete it and index the documents again")
            }
            Self::Locked { .. } => Some("wait for the other process, or stop it"),
            Self::Broken { .. } => Some("what was committed before is safe"),
            Self::NoStore { .. } => Some("add documents first"),
            Self::Setting { .. } | Self::MixedDimensions { .. } => {
                Some("one index holds one embedder and one way of splitting; index again to change")
            }
            _ => None,
        }
    }
}
