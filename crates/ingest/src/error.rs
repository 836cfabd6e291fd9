//! Why a file gives no document.

/// The message is the reason that [`Skipped`](crate::Skipped) carries.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("empty")]
    Empty,

    #[error("no text in it")]
    NoText,

    #[error("{what} of {bytes} bytes, more than the {limit} that are read")]
    TooLarge { what: &'static str, bytes: u64, limit: u64 },

    #[error("damaged, or not {kind} as this program knows it")]
    Damaged { kind: &'static str },

    #[error("{0}")]
    Binary(&'static str),
}
