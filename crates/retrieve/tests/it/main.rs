//! Searches over real stores.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bm25;
mod search;
mod support;
