//! What can go wrong while documents are indexed.

/// Why documents could not be indexed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] plumb_store::Error),

    #[error(transparent)]
    Embed(#[from] plumb_infer::Error),

    #[error("the pool `{pool}` could not embed the documents")]
    Elsewhere { pool: String, source: Box<dyn std::error::Error + Send + Sync> },

    #[error("the store has no document behind `{uri}`")]
    NoDocument { uri: String },

    #[error("`{uri}` is of the kind `{kind}`, which is not known")]
    UnknownKind { uri: String, kind: String },

    #[error(
        "the documents were embedded with `{made}` and the settings say `{set}`: set \
         `models.embedder` back, or index again with `plumb add --rebuild`"
    )]
    OtherEmbedder { made: String, set: String },

    #[error(
        "the documents were cut to {made} tokens and `chunks.max_tokens` is {set}: set it back, \
         or index again with `plumb add --rebuild`"
    )]
    OtherLength { made: String, set: usize },

    #[error(
        "the documents were indexed with `chunks.headings` = {made} and it is {set}: set it back, \
         or index again with `plumb add --rebuild`"
    )]
    OtherHeadings { made: bool, set: bool },
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Embed(error) => error.hint(),
            _ => None,
        }
    }
}
