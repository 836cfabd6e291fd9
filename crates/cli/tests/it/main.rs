//! The command line from outside: whole outputs, exit codes, and models from
//! a pip that is a script.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod accountable;
mod asking;
mod caching;
mod e2e;
mod embedder;
mod embedding;
mod eval_text;
mod fake;
mod fleet;
mod folders;
mod indexing;
mod models;
mod native;
mod operating;
mod outputs;
mod project;
mod run;
mod scoring;
mod server;
mod serving;
mod statistics;
mod traces;
mod writer;
