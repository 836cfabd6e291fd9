//! Files to documents, and documents to passages.
//!
//! - [`walk`] lists the files of a folder, as `.gitignore` files allow.
//! - [`load`] reads one file, of any format, into [`Document`]s: one, or as
//!   many as an archive holds. What cannot be read is named with the reason.
//! - [`split`] cuts a document into [`Passage`]s that fit a token budget.
//!
//! Everything is counted in bytes of [`Document::text`], which is the file
//! itself wherever the file is UTF-8 text; so a quotation can be found in the
//! file again. Nothing here knows models, vectors or the index.

mod archive;
mod dates;
mod document;
mod docx;
mod encoding;
mod epub;
mod error;
mod guard;
mod html;
mod json;
mod kind;
mod limits;
mod load;
mod mail;
mod markdown;
mod pdf;
mod plain;
mod pptx;
mod sheet;
mod split;
mod table;
mod walk;
mod xml;

pub use document::{Block, BlockKind, Document, Kind, MapEntry};
pub use guard::is_guarded;
pub use limits::Limits;
pub use load::{Loaded, Skipped, load};
pub use split::{Budget, Passage, split};
pub use walk::{Walk, walk};
