//! The store as other crates use it, on a real disk.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod behaviour;
mod kill;
mod support;
