//! Public interfaces against the values of reference implementations.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod paired;
mod text;
