//! Models on other machines: a pool of OpenAI-compatible servers that is used
//! as if it were one.
//!
//! - [`Pool::send`] chooses an endpoint, sends, and tries another where that
//!   is safe; `route` chooses, `breaker` and `health` say who may be chosen;
//! - what a server says of its health is one thing and whether its answers are
//!   answers is another: only answers close a breaker that answers opened;
//! - `budget` bounds how many more requests than were asked for reach the
//!   servers, so that retries do not make an overload worse;
//! - [`PoolWriter`] lets a pool word answers from documents, [`PoolEmbedder`] embed
//!   them, and holds its vectors to those of the index.

mod breaker;
mod budget;
mod client;
mod embedder;
mod endpoint;
mod error;
mod health;
mod layer;
mod metering;
mod pool;
mod reply;
mod route;
mod settings;
mod writer;

pub(crate) use client::{Web, connections};
pub use embedder::{Fingerprint, PoolEmbedder};
pub use endpoint::EndpointView;
pub use error::Error;
pub use health::watch;
pub(crate) use layer::layer;
pub use pool::{Check, Pool, UpstreamRequest};
pub use reply::{Reply, ReplyStream};
pub use settings::{EndpointSettings, PoolSettings, Tuning};
pub use writer::PoolWriter;
