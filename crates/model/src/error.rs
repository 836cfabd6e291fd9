//! Why a model could not be loaded or run.

use std::io;
use std::path::PathBuf;

/// Why a model could not be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read `{path}`")]
    Io { path: PathBuf, source: io::Error },

    #[error("`{path}` is not a model file that can be read")]
    Format { path: PathBuf, source: plumb_formats::Error },

    #[error("`{path}` is not valid")]
    Json { path: PathBuf, source: serde_json::Error },

    #[error("`{path}` holds {found} model files; it must hold one GGUF file or a `config.json`")]
    NoModel { path: PathBuf, found: usize },

    #[error("`{path}` is of architecture `{found}`, which is not one of: {known}")]
    UnknownArchitecture { path: PathBuf, found: String, known: String },

    #[error("`{path}` sets `{key}` to {found}, which is not supported")]
    Unsupported { path: PathBuf, key: String, found: String },

    #[error("`{path}` sets `{key}` to `{found}`, which is not one of: {known}")]
    UnknownValue { path: PathBuf, key: String, found: String, known: &'static str },

    #[error("`{path}` has no `{key}`, which its `{because}` needs")]
    MissingValue { path: PathBuf, key: &'static str, because: String },

    #[error("`{path}` lists the file `{file}`, which is not in its folder")]
    MissingShard { path: PathBuf, file: String },

    #[error("`{path}` has no tensor `{name}` of shape {expected:?}, which its architecture needs")]
    MissingTensor { path: PathBuf, name: String, expected: Vec<usize> },

    #[error("tensor `{name}` of `{path}` has shape {found:?}, not {expected:?}")]
    WrongShape { path: PathBuf, name: String, expected: Vec<usize>, found: Vec<usize> },

    #[error("token {token} is not in the vocabulary of {vocab}")]
    UnknownToken { token: u32, vocab: usize },

    #[error("{tokens} tokens do not fit: the model can read {context}")]
    TooLong { tokens: usize, context: usize },

    #[error("there is no token to read")]
    NoTokens,

    #[error("keys and values of this model of architecture `{architecture}` cannot be moved there")]
    NotMovable { architecture: String },

    #[error("the model has {layers} layers, not {layer}")]
    NoLayer { layer: usize, layers: usize },

    #[error("this model of architecture `{architecture}` has no head that gives scores")]
    NoHead { architecture: String },
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Format { source, .. } => source.hint(),
            Self::MissingTensor { .. } | Self::WrongShape { .. } => {
                Some("the file is damaged or was converted for another program; fetch it again")
            }
            Self::NoModel { .. } => Some("give the path of the GGUF file itself"),
            Self::UnknownArchitecture { .. } => Some("`plumb model list` shows models that work"),
            Self::TooLong { .. } => Some("shorten the input"),
            _ => None,
        }
    }
}
