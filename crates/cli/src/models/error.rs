//! What can go wrong with models, with the file, the place and the remedy.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

/// Why a model cannot be had or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read or write `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },

    #[error("the built-in catalogue is broken")]
    Catalogue { source: Box<toml::de::Error> },

    #[error("there is no model called `{name}`, and no file or folder of that name")]
    Unknown { name: String, known: Vec<String> },

    #[error("`{name}` is not a name for a model")]
    BadName { name: String },

    #[error("model `{name}` is not on this machine")]
    NotInstalled { name: String },

    #[error("model `{name}` is there already")]
    Exists { name: String },

    #[error("model `{name}` cannot be pulled: none of its sources gave it{}", list(attempts))]
    NoSource { name: String, attempts: Vec<Attempt> },

    #[error("another process is pulling or importing `{name}`")]
    Locked { name: String },

    #[error("`{}` is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },

    #[error("`{}` is not a model that this program can run: {what}", path.display())]
    NotAModel { path: PathBuf, what: String },

    #[error("interrupted")]
    Interrupted,
}

/// A source that was tried.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub place: String,
    pub reason: String,
}

fn list(attempts: &[Attempt]) -> String {
    attempts.iter().fold(String::new(), |mut text, attempt| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  - {}: {}", attempt.place, attempt.reason);
        text
    })
}

impl Error {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// Whether another source cannot help either.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Interrupted => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::QuotaExceeded
            ),
            _ => false,
        }
    }

    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "the disk is full: free some space, or put the cache elsewhere with PLUMB_CACHE; \
                 what was downloaded is kept and goes on from there"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "choose another cache folder with PLUMB_CACHE"
            }
            Self::Unknown { known, .. } => {
                return Some(format!("known models: {}", known.join(", ")));
            }
            Self::NotInstalled { name } => {
                return Some(format!("`plumb model pull {name}` gets it"));
            }
            Self::BadName { .. } => "use letters, digits, `.`, `-` and `_`",
            Self::Exists { name } => {
                return Some(format!(
                    "remove it with `plumb model rm {name}`, or give another --name"
                ));
            }
            Self::NoSource { .. } => {
                "check the network, set HF_ENDPOINT to a mirror, or download the files on another \
                 machine and use `plumb model import PATH`"
            }
            Self::Locked { .. } => "wait for it to end",
            Self::Damaged { .. } => "pull the model again, or import a sound copy",
            Self::NotAModel { .. } => {
                "give a GGUF file, or a folder with config.json and safetensors"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
