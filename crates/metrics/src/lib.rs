//! Measures of quality: numbers in, number out.
//!
//! The crate knows nothing of documents, models or files. A caller turns a
//! ranked list into gains, a run into one value per question, and gets back a
//! measure, its interval, or a test of the difference between two systems.
//!
//! Conventions, the same everywhere:
//!
//! - A NaN or infinite input is an [`Error`]. It is never dropped and never
//!   counted as a failure, since both change the mean without a trace.
//! - A measure that has no meaning for a query (nothing is relevant to it) is
//!   `None`, and the caller says how many queries that were.
//! - Everything drawn at random comes from a seed that the caller names, so a
//!   printed interval can be printed again.
//! - An interval or a test names the method behind it, because two honest
//!   methods disagree on the same data.

mod bootstrap;
mod error;
mod normal;
mod paired;
mod proportion;
mod random;
mod ranking;
mod sample;

pub use bootstrap::{Estimate, Method, Resampling, estimate_mean};
pub use error::Error;
pub use paired::{Comparison, compare};
pub use proportion::{Proportion, wilson};
pub use random::SplitMix64;
pub use ranking::{Gain, Ranking};
pub use sample::mean;
