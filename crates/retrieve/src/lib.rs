//! Vectors, postings, filters and fusion over a snapshot.
//!
//! [`search`] ranks the live passages of a snapshot by a dense score (the dot
//! product with the query's vector), a lexical one ([`Bm25`]), or a sum of
//! both. Everything is exact: no passage is left out for speed, and ties are
//! broken by address and place, so that the same snapshot and query give the
//! same list.
//!
//! Where vectors and terms come from is not known here: the caller makes those
//! of a query with the embedder and the analyser that made the passages'.

mod bm25;
mod candidates;
mod dense;
mod error;
mod filter;
mod fusion;
mod query;
mod search;

pub use bm25::{Bm25, idf};
pub use error::Error;
pub use filter::{Filter, FilterError};
pub use query::{Elsewhere, Fusion, Hit, Mode, Query};
pub use search::search;
