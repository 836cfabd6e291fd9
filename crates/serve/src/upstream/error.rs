//! Why a pool gave no answer.

use std::time::Duration;

/// A failure of the whole pool.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the pool `{pool}` has no endpoint that works: {last}")]
    NoneWorks { pool: String, last: String, retry_after: Duration },

    #[error("every endpoint of the pool `{pool}` is busy")]
    Busy { pool: String },

    #[error("no endpoint of the pool `{pool}` answered: {last}")]
    Failed { pool: String, last: String },

    #[error("`{url}` is not an address of a server")]
    Address { url: String },

    #[error("the request to the pool `{pool}` is not a JSON object")]
    NotJson { pool: String },
}

/// Why one endpoint gave no answer. The text is shown to users: it names the
/// endpoint, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("`{url}` cannot be reached: {reason}")]
    Unreachable { url: String, reason: String },

    #[error("`{url}` sent nothing for {seconds} s")]
    Silent { url: String, seconds: u64 },

    #[error("`{url}` answered with status {status}")]
    Status { url: String, status: u16 },

    #[error("`{url}` is busy")]
    Busy { url: String, retry_after: Option<Duration> },

    #[error("`{url}` answered with something that is no answer: {reason}")]
    Nonsense { url: String, reason: &'static str },

    #[error("`{url}` cannot be used here: {reason}")]
    Unfit { url: String, reason: String },

    #[error("the connection to `{url}` broke off")]
    Broken { url: String },
}
