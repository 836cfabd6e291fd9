//! What can go wrong between text and tokens.

/// Why a tokenizer or a chat template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the tokenizer in the model file cannot be read")]
    Gguf(#[from] plumb_formats::Error),

    #[error("`tokenizer.ggml.model` is `{found}`; `gpt2`, `llama` and `bert` can be read")]
    UnknownModel { found: String },

    #[error("`tokenizer.ggml.pre` is `{found}`, a pre-tokenizer that is not known here")]
    UnknownPreTokenizer { found: String },

    #[error("`{key}` has {found} entries, but the vocabulary has {expected}")]
    WrongLength { key: &'static str, found: usize, expected: usize },

    #[error("`{key}` names token {id}, but the vocabulary has {size}")]
    NoSuchToken { key: &'static str, id: u64, size: usize },

    #[error("merge {index} of `tokenizer.ggml.merges` is `{found}`, not two pieces")]
    BadMerge { index: usize, found: String },

    #[error("the vocabulary has no token for unknown text")]
    NoUnknownToken,

    #[error("the tokenizer cannot be built: {message}")]
    Build { message: String },

    #[error("`{file}` is not valid: {message}")]
    BadJson { file: &'static str, message: String },

    #[error("the text cannot be tokenized: {message}")]
    Encode { message: String },

    #[error("the tokenizer of a GGUF file cannot join two texts")]
    NoPairs,

    #[error("the chat template is not valid")]
    BadTemplate(#[source] minijinja::Error),

    #[error("the chat template cannot render these messages")]
    Render(#[source] minijinja::Error),
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Gguf(source) => source.hint(),
            Self::UnknownModel { .. } | Self::UnknownPreTokenizer { .. } => {
                Some("use a model of a family that `plumb model list` shows")
            }
            Self::Render(_) => Some("some templates want user and assistant to take turns"),
            _ => None,
        }
    }
}
