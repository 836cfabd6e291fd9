//! What the server tells of itself: numbers for `/metrics`, and a line of log
//! for each request. Neither holds secrets nor what was asked or answered.

mod log;
mod metrics;
mod registry;
mod request;

pub use log::{Level, Log};
pub use metrics::Metrics;
pub(crate) use metrics::resident_bytes;
pub(crate) use registry::Counter;
pub(crate) use request::{Labels, observed};
