//! HTTP: the APIs of OpenAI, Anthropic and Cohere, and Plumb's own, over the
//! models and the collections of this process.
//!
//! - [`state`](self) holds what every request shares: the [`App`] with its
//!   models, one engine each, its collections, metrics and limits;
//! - `collection` is a project opened for serving, and `workers` the bounded
//!   pool on which everything that computes or reads files runs, so that no
//!   thread of the server ever waits for it;
//! - `conversation` is what the APIs have in common: a conversation, handed to an
//!   engine or to a collection, and the replies as they come; `generation` runs one
//!   prompt, `encoding` embeds and reranks;
//! - `given` writes down what was answered to whom;
//! - `cache` is what was computed before and may be given again;
//! - `openai`, `anthropic` and `rerank` speak the wire types of OpenAI's API, of
//!   Anthropic's and of Cohere's;
//! - `failure` is what a request ends with when it cannot be served, in the
//!   shape that the API's clients expect; `sse` streams; `shutdown` drains;
//! - `native` is Plumb's own API: documents, searches, questions; `jobs` is what
//!   takes longer than a request; `query` reads what stands in an address;
//! - [`reload`] takes over settings that change, and `live` holds what can be
//!   replaced;
//! - [`shelf`] is what is known of models that are not served;
//! - [`allowance`] is a request as the work on it knows it, with its deadline and its
//!   tokens; [`trace`] tells a collector of spans what was done for it;
//! - `observe` counts and measures, for `/metrics`, and writes a line of log for
//!   each request;
//! - [`data`] is what the service remembers, in SQLite or PostgreSQL;
//! - [`auth`] says who is let in, [`limits`] how much each may take, [`tls`]
//!   encrypts; [`upstream`] uses models on other machines, and [`mcp`] lets
//!   agents ask;
//! - `page` is the web page.
//!
//! This crate is the only one that knows HTTP. It reads no flags, no
//! environment and no configuration: [`Settings`] has them. Wire types stay in
//! it; what they mean is turned into the types of the crates below at once.

#![expect(
    unreachable_pub,
    reason = "few modules are open; `pub` marks what one offers to the others"
)]

pub mod allowance;
mod anthropic;
pub mod auth;
mod body;
mod cache;
mod clock;
mod collection;
mod conversation;
pub mod data;
mod encoding;
mod error;
mod failure;
mod generation;
mod generator;
mod given;
mod health;
mod jobs;
pub mod limits;
pub mod live;
pub mod mcp;
mod native;
mod observe;
mod openai;
mod page;
mod query;
pub mod reload;
mod rerank;
mod router;
mod run;
mod settings;
pub mod shelf;
mod shutdown;
mod sse;
mod state;
pub mod tls;
pub mod trace;
pub mod upstream;
mod vectors;
mod workers;

pub use cache::CacheSettings;
pub use error::Error;
pub use observe::Level;
pub use router::openapi;
pub use run::{Outside, mcp_stdio, run};
pub use settings::{CollectionSource, Limits, ModelSource, Settings};
pub use state::App;
