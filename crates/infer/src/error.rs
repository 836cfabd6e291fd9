//! Why a model could not generate or embed.

use std::io;
use std::path::PathBuf;

/// Why a model could not generate or embed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Model(#[from] plumb_model::Error),

    #[error(transparent)]
    Text(#[from] plumb_text::Error),

    #[error("cannot read `{path}`")]
    Io { path: PathBuf, source: io::Error },

    #[error("`{path}` is not valid")]
    Json { path: PathBuf, source: serde_json::Error },

    #[error("the tokenizer of `{path}` has {tokens} tokens, but its model has {vocab}")]
    Vocabulary { path: PathBuf, tokens: usize, vocab: usize },

    #[error("`{path}` has no chat template")]
    NoChatTemplate { path: PathBuf },

    #[error(
        "the prompt has {tokens} tokens, and the model reads less than {context} before it writes"
    )]
    PromptTooLong { tokens: usize, context: usize },

    #[error("the prompt is empty")]
    EmptyPrompt,

    #[error("after {generated} tokens the constraint allows no token")]
    NothingAllowed { generated: usize },
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Model(source) => source.hint(),
            Self::Text(source) => source.hint(),
            Self::NoChatTemplate { .. } => {
                Some("this is a base model; choose an instruction-tuned one")
            }
            Self::PromptTooLong { .. } => Some("use fewer or shorter passages"),
            _ => None,
        }
    }
}
