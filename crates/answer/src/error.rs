//! Why a question could not be dealt with.

use std::ops::Range;

/// A failure, as opposed to an abstention.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the store")]
    Store(#[from] plumb_store::Error),

    #[error("cannot search the documents")]
    Retrieve(#[from] plumb_retrieve::Error),

    #[error("cannot embed the question")]
    Infer(#[from] plumb_infer::Error),

    #[error("cannot word the answer")]
    Writer(#[from] crate::writer::WriterError),

    #[error("the store has a passage of document {document} and no such document")]
    MissingDocument { document: String },

    #[error("bytes {range:?} of `{uri}` are not a stretch of its text")]
    BadRange { uri: String, range: Range<u64> },

    #[error("the retrieval mode `{mode}` is not known")]
    UnknownMode { mode: String },

    #[error("cannot read the filter")]
    Filter(#[from] plumb_retrieve::FilterError),

    #[error("the question is empty")]
    EmptyQuestion,

    #[error("the question was interrupted")]
    Interrupted,
}
