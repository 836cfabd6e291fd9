//! Flags that several suites have, and what they name.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;
use plumb_infer::Embedder;

/// The program that is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Program {
    /// The program to ask: `plumb` as built
    #[arg(long)]
    plumb: PathBuf,
}

impl Program {
    /// Where it is, for a process in any folder.
    pub(crate) fn path(&self) -> anyhow::Result<PathBuf> {
        fs::canonicalize(&self.plumb)
            .with_context(|| format!("there is no program `{}`", self.plumb.display()))
    }
}

/// The embedder that passages are ranked with.
#[derive(Debug, clap::Args)]
pub(crate) struct EmbedderFlags {
    /// Model folder or file of the embedder
    #[arg(long)]
    embedder: PathBuf,

    /// Threads to embed with
    #[arg(long, default_value = "2")]
    pub(crate) threads: NonZeroUsize,
}

impl EmbedderFlags {
    /// Loads it.
    pub(crate) fn load(&self) -> anyhow::Result<Embedder> {
        Embedder::load(&self.embedder, self.threads)
            .with_context(|| format!("cannot load `{}`", self.embedder.display()))
    }
}
