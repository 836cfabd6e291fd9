//! Tests of the service from outside.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod data;
mod encrypted;
mod guarded;
mod upstream;
