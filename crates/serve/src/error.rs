//! Why the server could not start or go on.

use std::io;
use std::net::SocketAddr;

/// Why the server could not start or go on. What goes wrong with one request
/// is no such error: its client is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {listen}")]
    Listen { listen: SocketAddr, source: io::Error },

    #[error("cannot start the server")]
    Start { source: io::Error },

    #[error(transparent)]
    Guard(#[from] crate::auth::guard::Error),

    #[error(transparent)]
    Pool(#[from] crate::upstream::Error),

    #[error("cannot load the model `{name}`")]
    Model { name: String, source: plumb_infer::Error },

    #[error("cannot open the collection `{name}`")]
    Collection { name: String, source: plumb_store::Error },

    #[error("cannot read what the collection `{name}` could not read")]
    Unread { name: String, source: plumb_index::Error },

    #[error("the settings of the collection `{name}` cannot be used")]
    Answers { name: String, source: plumb_answer::Error },

    #[error("the collection `{collection}` wants the model `{model}`, which is not served")]
    NoModel { collection: String, model: String },

    #[error("two served models are called `{name}`")]
    SameName { name: String },

    #[error(
        "the documents of `{collection}` were embedded with `{made}`, and the settings say `{set}`"
    )]
    OtherEmbedder { collection: String, made: String, set: String },
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("another program listens there: choose another port with --listen")
            }
            Self::Guard(error) => error.hint(),
            Self::Model { source, .. } => source.hint(),
            Self::Collection { source, .. } => source.hint(),
            Self::OtherEmbedder { .. } => {
                Some("set `models.embedder` back, or index again with `plumb add --rebuild`")
            }
            _ => None,
        }
    }
}
