//! Documents into the store: parse, split, embed, commit, in small batches.
//!
//! - [`Indexer`] takes files that were read, an [`Item`] each, and commits what
//!   is in them; [`StoredDocument`] is one that the store has already;
//! - [`Made`] is what the passages of a store are made with, and refuses others;
//! - [`Unread`] remembers which files could not be read, and why;
//! - [`address`] turns paths into the addresses of documents and back.
//!
//! Where files come from, and who waits for them, is the caller's business: it
//! reads them, and follows the work as a [`Watch`].

pub mod address;
mod error;
mod indexer;
mod made;
mod report;
mod stored;
mod unread;

pub use error::Error;
pub use indexer::{DocumentEmbedder, Indexer, Item, Progress, Tools, Watch, is_whole};
pub use made::{Chunking, META_COLLECTION, META_EMBEDDER, Made};
pub use report::{Report, SkippedItem};
pub use stored::StoredDocument;
pub use unread::{Unread, UnreadFile};
