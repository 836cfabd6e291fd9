//! A project: one folder with its settings, its store and its journals.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use plumb_answer::ModelId;
use plumb_index::{Made, Unread};
use plumb_infer::Embedder;
use plumb_store::{Journal, Reader, Snapshot, Store};
use plumb_text::Analyzer;

use crate::config::{self, Config, Overrides};
use crate::context::Context;
use crate::models::{Located, locate};

/// Name of the folder that holds everything.
pub const DATA_FOLDER: &str = ".plumb";

/// An existing project.
#[derive(Debug)]
pub struct Project {
    /// The folder that holds `.plumb/`.
    pub root: PathBuf,
    pub config: Config,
}

impl Project {
    /// Finds the project that `context.folder` belongs to: there or above.
    pub fn find(context: &Context) -> Result<Self> {
        let root = context
            .folder
            .ancestors()
            .find(|folder| folder.join(DATA_FOLDER).is_dir())
            .map(Path::to_path_buf)
            .with_context(|| {
                format!(
                    "there is no project in `{}` or above it: run `plumb init` or `plumb add PATH`",
                    context.folder.display()
                )
            })?;
        Self::at(root, context)
    }

    /// Finds the project, or makes one in `context.folder`.
    pub fn find_or_init(context: &Context) -> Result<Self> {
        if context.folder.ancestors().any(|folder| folder.join(DATA_FOLDER).is_dir()) {
            return Self::find(context);
        }
        let project = Self::init(context)?;
        context.note(format!("made a project in {}", project.root.display()));
        Ok(project)
    }

    /// Makes a project in `context.folder`, with a commented `plumb.toml`.
    pub fn init(context: &Context) -> Result<Self> {
        let root = context.folder.clone();
        let data = root.join(DATA_FOLDER);
        std::fs::create_dir_all(&data)
            .with_context(|| format!("cannot make the folder `{}`", data.display()))?;
        let settings = root.join("plumb.toml");
        if !settings.exists() {
            std::fs::write(&settings, config::TEMPLATE)
                .with_context(|| format!("cannot write `{}`", settings.display()))?;
        }
        Self::at(root, context)
    }

    fn at(root: PathBuf, context: &Context) -> Result<Self> {
        let config = resolve(context, &root)?;
        Ok(Self { root, config })
    }

    fn data(&self, name: &str) -> PathBuf {
        self.root.join(DATA_FOLDER).join(name)
    }

    /// Opens the store for writing; fails at once if another process has it.
    pub fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.data("index"))?)
    }

    /// Opens the store for reading.
    pub fn reader(&self) -> Result<Reader> {
        if !self.data("index").is_dir() {
            // An empty store is made so that reading an empty project works.
            drop(self.store()?);
        }
        Ok(Reader::open(&self.data("index"))?)
    }

    /// The current snapshot, which must have documents in it.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let snapshot = self.reader()?.snapshot();
        if snapshot.bindings().next().is_none() {
            bail!(
                "the project in `{}` has no documents: run `plumb add PATH`",
                self.root.display()
            );
        }
        Ok(snapshot)
    }

    /// The snapshot whose id starts with `prefix`.
    pub fn snapshot_named(&self, prefix: &str) -> Result<Snapshot> {
        let reader = self.reader()?;
        let id = reader.resolve(prefix)?;
        Ok(reader.snapshot_at(&id)?)
    }

    pub fn answers(&self) -> Result<Journal> {
        Ok(Journal::open(&self.data("answers.log"))?)
    }

    pub fn conversations(&self) -> Result<Journal> {
        Ok(Journal::open(&self.data("conversations.log"))?)
    }

    /// Files that could not be indexed.
    pub fn unread(&self) -> Result<Unread> {
        Ok(Unread::open(&self.root.join(DATA_FOLDER))?)
    }

    /// Runs of `plumb eval rag`.
    pub fn runs(&self) -> Result<Journal> {
        Ok(Journal::open(&self.data("eval-runs.log"))?)
    }

    /// The test set that `plumb eval make` writes.
    pub fn test_set(&self) -> PathBuf {
        self.data("eval.jsonl")
    }

    pub fn calibrations(&self) -> Result<Journal> {
        Ok(Journal::open(&self.data("calibrations.log"))?)
    }

    /// Loads the embedder, which must be the one that the store was made with.
    pub fn embedder(&self, context: &Context, snapshot: &Snapshot) -> Result<LoadedEmbedder> {
        let located = locate(context, &self.config.embedder)?;
        Made::check_embedder(snapshot, &located.name, &located.sha256)?;
        LoadedEmbedder::load(&located, self.config.threads)
    }
}

/// Settings for `root`, or for no project at all.
pub fn resolve(context: &Context, root: &Path) -> Result<Config> {
    let path = context.config_path.clone().or_else(|| config::file_in(root));
    let file = config::read(path.as_deref())?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Config::resolve(file, &Overrides { threads: context.threads }, cores)
}

/// An embedder with its identity.
pub struct LoadedEmbedder {
    pub embedder: Embedder,
    pub id: ModelId,
}

impl LoadedEmbedder {
    pub fn load(located: &Located, threads: NonZeroUsize) -> Result<Self> {
        let embedder = Embedder::load(&located.path, threads)
            .with_context(|| format!("cannot load the embedder `{}`", located.name))?;
        let id = ModelId { name: located.name.clone(), sha256: Some(located.sha256.clone()) };
        Ok(Self { embedder, id })
    }
}

/// The analysis behind BM25; the same for documents and questions.
pub fn analyzer() -> Analyzer {
    Analyzer::english()
}
