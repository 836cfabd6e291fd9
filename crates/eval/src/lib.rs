//! Evaluations: from what a system gave and what was right to scores.
//!
//! `metrics` knows numbers only; here they get their items: queries with runs
//! and judgements, labels, tasks. Every score comes with its interval, the
//! number of items behind it and the number that could not be scored, and with
//! a signature of everything that decides its value.

mod error;
pub mod retrieval;
mod score;

pub use error::Error;
pub use score::{Interval, Score};
