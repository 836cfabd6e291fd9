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

    #[error("`{path}` gives a pair of texts {labels} scores; a reranker gives one or two")]
    NotAReranker { path: PathBuf, labels: usize },

    #[error("there is no `{path}`, which a model in a folder needs")]
    NoTokenizer { path: PathBuf },

    #[error("`{path}` has no chat template")]
    NoChatTemplate { path: PathBuf },

    #[error(
        "the prompt has {tokens} tokens, and the model reads less than {context} before it writes"
    )]
    PromptTooLong { tokens: usize, context: usize },

    #[error("the prompt is empty")]
    EmptyPrompt,

    #[error("keys and values of {chunk} tokens cannot stand at {at} of a prompt of {tokens}")]
    Misplaced { at: usize, chunk: usize, tokens: usize },

    #[error("after {generated} tokens the constraint allows no token")]
    NothingAllowed { generated: usize },

    #[error("after {generated} tokens the constraint gave up: {message}")]
    ConstraintFailed { generated: usize, message: String },

    #[error("the {kind} cannot be used: {message}")]
    Grammar { kind: &'static str, message: String },

    #[error("the {kind} has {bytes} bytes; at most {limit} are read")]
    GrammarTooLong { kind: &'static str, bytes: usize, limit: usize },

    #[error("the {kind} has more than {limit} brackets open at once")]
    GrammarTooDeep { kind: &'static str, limit: usize },

    #[error("the tokenizer has no token that ends a text, which output under a grammar needs")]
    NoEndToken,

    #[error("token {token} has {bytes} bytes, more than a grammar can be held against")]
    PieceTooLong { token: u32, bytes: usize },

    #[error("`{field}` is {value}; it must be {range}")]
    Setting { field: &'static str, value: String, range: &'static str },

    #[error("{waiting} requests wait already")]
    EngineBusy { waiting: usize },

    #[error("the engine was stopped")]
    EngineClosed,

    #[error("the engine has no model that writes")]
    NoGenerator,

    #[error("the request was cancelled")]
    Cancelled,

    #[error("cannot start a thread")]
    Thread { source: io::Error },

    #[error("the step that read the request failed: {message}")]
    Step { message: String },

    #[error("`logit_bias` names token {token}, but the vocabulary has {vocabulary} tokens")]
    UnknownBias { token: u32, vocabulary: usize },
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
            Self::EngineBusy { .. } => Some("try again later"),
            _ => None,
        }
    }
}
