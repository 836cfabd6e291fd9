//! The Model Context Protocol: what an agent may ask of the documents.
//!
//! Five tools that read: `search_documents`, `get_document`, `list_documents`,
//! `ask_question` and `verify_answer`. There is none that writes.
//!
//! - [`protocol`] is JSON-RPC 2.0 and the handshake, without any transport;
//! - [`tools`] says what the tools are and calls them on a [`Library`];
//! - [`stdio`] serves one client over standard input and output, [`http`] many
//!   over the streamable HTTP transport, which here needs no stream: each
//!   request is answered with one JSON message, and no session is kept.
//!
//! Specification: modelcontextprotocol.io, revisions 2024-11-05 to 2025-11-25.

mod collections;
pub mod http;
pub mod library;
pub mod protocol;
pub(crate) mod routes;
pub mod stdio;
pub mod tools;

pub use library::Library;
pub use protocol::Server;

use std::io::{BufRead, Write};
use std::sync::Arc;

use crate::state::App;

/// Serves the collections of `app` to one client.
pub(crate) fn serve_stdio(
    app: &Arc<App>,
    input: impl BufRead,
    output: impl Write,
) -> std::io::Result<()> {
    let library = collections::Served(Arc::clone(app));
    stdio::serve(&Server::new(Arc::new(library)), input, output)
}
