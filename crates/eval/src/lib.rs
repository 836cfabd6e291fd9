//! Evaluations: from what a system gave and what was right to scores.
//!
//! `metrics` knows numbers only; here they get their items: queries with runs
//! and judgements, labels, tasks. Every score comes with its interval, the
//! number of items behind it and the number that could not be scored, and with
//! a signature of everything that decides its value. A run can be written down
//! item by item, compared with another and shown as a page.

pub mod classify;
pub mod compare;
mod error;
pub mod lm;
pub mod report;
mod results;
pub mod retrieval;
pub mod run;
mod score;

pub use error::Error;
pub use results::parse_results;
pub use score::{Interval, Score};
