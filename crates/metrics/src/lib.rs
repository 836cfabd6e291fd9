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

pub mod agreement;
mod beta;
mod bootstrap;
pub mod calibration;
pub mod classification;
pub mod correlation;
mod error;
mod mcnemar;
mod multiple;
mod normal;
mod paired;
mod pass_at_k;
mod pcg64;
pub mod permutation;
pub mod planning;
pub mod preference;
mod proportion;
mod random;
mod ranking;
mod sample;
pub mod selective;
pub mod sequential;
pub mod text;
mod wilcoxon;

pub use bootstrap::{
    Estimate, Method, Resampling, Units, clustered_standard_error, estimate_clustered_mean,
    estimate_mean, estimate_statistic,
};
pub use error::Error;
pub use mcnemar::{McNemar, mcnemar};
pub use multiple::{benjamini_hochberg, holm};
pub use paired::{Comparison, compare};
pub use pass_at_k::pass_at_k;
pub use proportion::{Proportion, clopper_pearson, jeffreys, wilson};
pub use random::SplitMix64;
pub use ranking::{Gain, Ranking, bpref};
pub use sample::mean;
pub use wilcoxon::{SignedRank, signed_rank};
