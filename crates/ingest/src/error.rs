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

    #[error("no text on its {pages} pages; they are probably scanned")]
    NoPdfText { pages: usize },

    #[error("encrypted, or packed in a way that is not read")]
    Encrypted,

    #[error("a part that every such file has is missing")]
    NoMember,

    #[error("unpacks to more than {limit} times its size")]
    Ratio { limit: u64 },

    #[error("the members before this one and it unpack to more than {limit} bytes")]
    ArchiveTooLarge { limit: u64 },

    #[error("this member and those after it are left out: more than {limit} members")]
    TooManyMembers { limit: usize },

    #[error("more than {limit} archives inside each other")]
    TooDeep { limit: u32 },

    #[error("damaged, or not {kind} as this program knows it")]
    Damaged { kind: &'static str },

    #[error("{0}")]
    Binary(&'static str),
}
