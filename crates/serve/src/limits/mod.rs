//! What one key may take, and how keys share what is there.
//!
//! - [`Limiter`] holds requests and tokens a minute in token buckets, and
//!   requests and tokens a day as quotas that outlive the process;
//! - [`FairQueue`] lets requests in, in turns between keys, before the engine's
//!   own queue, so that one client with many requests does not starve others.
//!
//! Times are arguments, in milliseconds.

mod bucket;
mod fair;
mod layer;
mod limiter;
mod metering;

pub use bucket::Bucket;
pub use fair::{FairQueue, FairSettings, Permit, QueueFull};
pub use layer::layer;
pub use limiter::{Admission, Limited, Limiter, Standing};
pub use metering::Metering;
