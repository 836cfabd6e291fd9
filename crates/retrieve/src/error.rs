//! Why a search cannot be made.

/// A query that makes no sense, or a store that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("dense search needs the vector of the query")]
    NoVector,

    #[error("the vector of the query holds {value} at place {place}")]
    BadVector { place: usize, value: f32 },

    #[error("the vector of the query has {found} numbers, and those of the index have {expected}")]
    Dimension { expected: usize, found: usize },

    #[error("`{name}` is {value}, and must be {expected}")]
    Setting { name: &'static str, value: f32, expected: &'static str },

    #[error(transparent)]
    Store(#[from] plumb_store::Error),
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Dimension { .. } => Some("search with the embedder that the index was made with"),
            Self::NoVector => Some("give a vector, or search by words only"),
            Self::Store(error) => error.hint(),
            Self::BadVector { .. } | Self::Setting { .. } => None,
        }
    }
}
