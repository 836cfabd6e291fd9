//! The durable file: documents, passages, vectors and postings in one
//! append-only log, and journals for answers and conversations.
//!
//! A [`Batch`] of changes becomes a [`Segment`](SegmentView) in one atomic
//! commit, named by a hash that is chained over all commits. A [`Snapshot`] is
//! what a reader sees: it never changes and never waits, and every past one
//! can be opened again. How a commit survives a crash is argued in `log`.
//!
//! This crate knows no models and no text beyond bytes: vectors and terms are
//! given to it. It is the only one that syncs files.
//!
//! Bytes are described in `docs/formats/store.md`.

mod batch;
mod codec;
#[cfg(test)]
mod crash;
mod disk;
mod error;
mod journal;
mod lock;
mod log;
mod mmap;
mod record;
mod segment;
mod snapshot;
mod state;
mod store;

pub use batch::Batch;
pub use error::Error;
pub use journal::Journal;
pub use record::{
    Binding, DocId, DocumentInfo, DocumentRecord, MapEntry, Passage, PassageRecord, PassageRef,
    SnapshotId, SnapshotInfo,
};
pub use segment::Postings;
pub use snapshot::{Document, SegmentView, Snapshot};
pub use store::{Reader, Store};
