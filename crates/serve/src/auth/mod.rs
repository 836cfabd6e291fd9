//! Who may do what: keys, roles, collections, sessions of the page, and what a
//! browser may be talked into.
//!
//! - [`key`] makes and checks keys; [`role`] says what they allow;
//! - [`gate`] is the layer that every request goes through: it finds out who
//!   asks and refuses what a foreign page makes a browser send;
//! - [`session`] lets the page log in with a key, for a cookie;
//! - [`headers`] goes with every response; [`guard`] puts all of it together;
//! - [`routes`] is the API for keys, sessions and the audit log.

pub mod gate;
pub mod guard;
pub mod headers;
pub mod key;
pub mod listen;
pub mod origin;
pub mod role;
pub mod routes;
pub mod session;

use crate::auth::role::Role;
use crate::data;

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("there is no API key; send one as `Authorization: Bearer KEY`")]
    NoKey,

    #[error("the API key is not known")]
    BadKey,

    #[error("the API key has expired")]
    Expired,

    #[error("the API key was revoked")]
    Revoked,

    #[error("this needs the role `{}`, and the key has `{}`", need.name(), has.name())]
    Role { need: Role, has: Role },

    /// Not there, or not for this key: the two are not told apart.
    #[error("there is no collection `{name}`")]
    NoCollection { name: String },

    #[error("the host `{host}` is not one that this service answers for")]
    Host { host: String },

    #[error("pages of `{origin}` may not use this service")]
    Origin { origin: String },

    #[error("a change that a browser sends with its cookie needs the header `{header}`")]
    NoCsrfHeader { header: &'static str },
}

impl Denied {
    /// Whether another key could help.
    fn is_about_the_key(&self) -> bool {
        matches!(self, Self::NoKey | Self::BadKey | Self::Expired | Self::Revoked)
    }
}

/// Denied, or the database could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error(transparent)]
    Denied(#[from] Denied),

    #[error("cannot look up the key")]
    Data(#[from] data::Error),
}
