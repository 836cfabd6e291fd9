//! Models: the catalogue, the cache folder, and how the one gets into the
//! other.
//!
//! A model of the catalogue lies in `CACHE/NAME/` under the names of its
//! files. An imported one has a `plumb-model.json` there, which says what it
//! is. Weights as generators compute with them are kept in `CACHE/.packed/`, by
//! the SHA-256 of their file. Nothing is used before its SHA-256 has been compared.

mod catalogue;
mod checked;
mod error;
mod http;
mod import;
mod logits;
mod pull;
#[cfg(test)]
mod pull_tests;
mod python;
mod shelf;
mod verb;

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Result as Anyhow;
use plumb_infer::{CacheType, LanguageModel};
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::progress::Show;

use checked::Checked;

use catalogue::{Catalogue, Kind, Model, ModelFile};
use import::Import;
use pull::Pull;

pub use error::Error;
pub use shelf::shelf;
pub use verb::{ModelVerb, run};

const IMPORTED: &str = "plumb-model.json";

/// The folder of packed weights.
const PACKED: &str = ".packed";

/// A model that is on this machine and was found to be sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    pub name: String,
    /// What loads it: a GGUF file, or a folder.
    pub path: PathBuf,
    /// The file with the weights.
    pub weights: PathBuf,
    /// Of the weights; of the hashes of their files if there are several.
    pub sha256: String,
    /// Where the weights are kept as a generator computes with them.
    pub packed: PathBuf,
}

impl Located {
    /// Loads it as a generator that keeps keys and values as `stored`.
    pub fn generator(
        &self,
        threads: NonZeroUsize,
        stored: CacheType,
    ) -> Result<LanguageModel, plumb_infer::Error> {
        let mut model = LanguageModel::load_cached(&self.path, &self.packed, threads)?;
        model.set_cache_type(stored);
        Ok(model)
    }
}

/// Finds the model of a name or a path, and checks that it is sound.
pub fn locate(context: &Context, name_or_path: &str) -> Anyhow<Located> {
    let models = Models::open(&context.models)?;
    Ok(models.located(models.resolve(name_or_path)?))
}

/// Gets a model of the catalogue, unless it is here.
pub fn pull(context: &Context, name: &str) -> Anyhow<Located> {
    let models = Models::open(&context.models)?;
    let model = models.catalogue.find(name).ok_or_else(|| models.unknown(name))?;
    models.pull(model, &how(context))?;
    Ok(models.located(models.resolve(name)?))
}

/// The names of the models that are here, unchecked.
pub fn names_here(context: &Context) -> Anyhow<Vec<String>> {
    let models = Models::open(&context.models)?;
    let here = models.catalogue.models.iter().filter(|model| models.is_there(model));
    Ok(here.map(|model| model.name.clone()).chain(models.imported_names()).collect())
}

/// The bytes of a model of a name or a path, unchecked; `None` if it is not here.
pub fn bytes_here(context: &Context, name_or_path: &str) -> Anyhow<Option<u64>> {
    let models = Models::open(&context.models)?;
    let total = |files: &[ModelFile]| files.iter().map(|file| file.bytes).sum();
    if let Some(model) = models.catalogue.find(name_or_path) {
        return Ok(models.is_there(model).then(|| total(&model.files)));
    }
    if let Some(imported) = models.imported(name_or_path)? {
        return Ok(Some(total(&imported.files)));
    }
    let weights = import::weights_at(Path::new(name_or_path)).ok();
    let size = |path: &PathBuf| Some(fs::metadata(path).ok()?.len());
    Ok(weights.and_then(|paths| paths.iter().map(size).sum()))
}

/// Whether an error is that the user pressed Ctrl-C.
pub fn is_interruption(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(Error::Interrupted)))
}

fn how(context: &Context) -> Pull<'_> {
    let show = Show::new(context.quiet);
    Pull { endpoint: &context.hub, show, stop: &context.stop, on_bytes: None }
}

/// The models of this machine.
struct Models {
    cache: PathBuf,
    catalogue: Catalogue,
}

/// What an imported model is, as kept in its folder.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Imported {
    pub kind: Kind,
    /// Where it came from.
    pub origin: PathBuf,
    /// Where its files are; below the cache unless it is only linked.
    pub folder: PathBuf,
    pub files: Vec<ModelFile>,
}

/// What is known of a model that is here and sound.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Installed {
    pub name: String,
    pub kind: Option<Kind>,
    /// The weights: what identifies the model.
    pub weights: PathBuf,
    /// Of the weights.
    pub sha256: String,
    /// Of the weights.
    pub bytes: u64,
    pub licence: Option<String>,
}

impl Models {
    /// The models in a cache folder, which need not exist yet.
    pub fn open(cache: &Path) -> Result<Self, Error> {
        Ok(Self { cache: cache.to_owned(), catalogue: Catalogue::built_in()? })
    }

    #[cfg(test)]
    fn with(cache: &Path, catalogue: Catalogue) -> Self {
        Self { cache: cache.to_owned(), catalogue }
    }

    /// Where the files of a model of the catalogue lie.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.cache.join(name)
    }

    /// What was imported under a name.
    pub fn imported(&self, name: &str) -> Result<Option<Imported>, Error> {
        if !is_name(name) {
            return Ok(None);
        }
        let path = self.folder(name).join(IMPORTED);
        let Ok(bytes) = fs::read(&path) else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| Error::Damaged { path, what: e.to_string() })
    }

    /// The names of the imported models, sorted.
    pub fn imported_names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.cache) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().join(IMPORTED).is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Whether all files of a model are there with their sizes; hashes are not
    /// looked at.
    pub fn is_there(&self, model: &Model) -> bool {
        let folder = self.folder(&model.name);
        model.files.iter().all(|file| has_size(&folder.join(&file.name), file.bytes))
    }

    /// Whether all files of a model are there, with their sizes and hashes.
    pub(super) fn is_whole(&self, model: &Model) -> Result<bool, Error> {
        if !self.is_there(model) {
            return Ok(false);
        }
        let folder = self.folder(&model.name);
        let mut checked = Checked::open(&self.cache);
        for file in &model.files {
            if checked.sha256(&folder.join(&file.name))? != file.sha256 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the user means: a model of the catalogue, an imported one, or a
    /// path to a GGUF file or a folder.
    pub fn resolve(&self, name_or_path: &str) -> Result<Installed, Error> {
        let name = name_or_path;
        if let Some(model) = self.catalogue.find(name) {
            if !self.folder(name).exists() {
                return Err(Error::NotInstalled { name: name.to_owned() });
            }
            let mut installed = self.check(name, &self.folder(name), &model.files)?;
            installed.kind = Some(model.kind);
            installed.licence = Some(model.licence.clone());
            return Ok(installed);
        }
        if let Some(imported) = self.imported(name)? {
            let mut installed = self.check(name, &imported.folder, &imported.files)?;
            installed.kind = Some(imported.kind);
            return Ok(installed);
        }
        let path = Path::new(name);
        if !path.exists() {
            return Err(self.unknown(name));
        }
        let mut checked = Checked::open(&self.cache);
        let (mut weights, mut hashes, mut bytes) = (PathBuf::new(), Vec::new(), 0);
        for file in import::weights_at(path)? {
            let file = fs::canonicalize(&file).map_err(Error::io(&file))?;
            hashes.push(checked.sha256(&file)?);
            bytes += fs::metadata(&file).map_err(Error::io(&file))?.len();
            weights = file;
        }
        let (name, sha256) = (name.to_owned(), checked::together(hashes));
        Ok(Installed { name, kind: None, weights, sha256, bytes, licence: None })
    }

    fn check(&self, name: &str, folder: &Path, files: &[ModelFile]) -> Result<Installed, Error> {
        let mut checked = Checked::open(&self.cache);
        for file in files {
            let path = folder.join(&file.name);
            if !has_size(&path, file.bytes) {
                let what = format!("it does not have the {} bytes it should have", file.bytes);
                return Err(Error::Damaged { path, what });
            }
            let found = checked.sha256(&path)?;
            if found != file.sha256 {
                let what = format!("its SHA-256 is {found}, not {}", file.sha256);
                return Err(Error::Damaged { path, what });
            }
        }
        let weights = catalogue::weights(files);
        let Some(largest) = weights.first() else {
            let what = "it has no weights".to_owned();
            return Err(Error::NotAModel { path: folder.to_owned(), what });
        };
        Ok(Installed {
            name: name.to_owned(),
            kind: None,
            weights: folder.join(&largest.name),
            sha256: identity(files),
            bytes: weights.iter().map(|file| file.bytes).sum(),
            licence: None,
        })
    }

    fn located(&self, installed: Installed) -> Located {
        let Installed { name, weights, sha256, .. } = installed;
        let is_gguf = weights.extension().is_some_and(|extension| extension == "gguf");
        let folder = weights.parent().unwrap_or(&weights);
        let path = if is_gguf { weights.clone() } else { folder.to_owned() };
        let packed = self.packed(&sha256);
        Located { name, path, weights, sha256, packed }
    }

    /// Where the packed form of weights is kept.
    fn packed(&self, sha256: &str) -> PathBuf {
        self.cache.join(PACKED).join(format!("{sha256}.pack"))
    }

    /// The files of a model of the catalogue, or of an imported one.
    fn files(&self, name: &str) -> Result<Vec<ModelFile>, Error> {
        let imported = || Ok(self.imported(name)?.map(|imported| imported.files));
        let files = self.catalogue.find(name).map(|model| model.files.clone());
        Ok(files.map_or_else(imported, |files| Ok(Some(files)))?.unwrap_or_default())
    }

    /// Removes a model from the cache. Files that were only linked stay.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let is_known = self.catalogue.find(name).is_some() || self.imported(name)?.is_some();
        if !is_known {
            return Err(self.unknown(name));
        }
        let folder = self.folder(name);
        if !folder.exists() {
            return Err(Error::NotInstalled { name: name.to_owned() });
        }
        let files = self.files(name)?;
        let _lock = self.lock(name)?;
        fs::remove_dir_all(&folder).map_err(Error::io(&folder))?;
        // Most models have no packed form.
        let _ = fs::remove_file(self.packed(&identity(&files)));
        Checked::open(&self.cache).forget(&folder);
        Ok(())
    }

    /// The error for a name that stands for nothing.
    pub fn unknown(&self, name: &str) -> Error {
        let mut known: BTreeSet<String> =
            self.catalogue.models.iter().map(|model| model.name.clone()).collect();
        known.extend(self.imported_names());
        Error::Unknown { name: name.to_owned(), known: known.into_iter().collect() }
    }
}

/// The SHA-256 that identifies the weights among the files of a model.
fn identity(files: &[ModelFile]) -> String {
    let weights = catalogue::weights(files);
    checked::together(weights.into_iter().map(|file| file.sha256.clone()).collect())
}

fn has_size(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == bytes)
}

/// Whether a name can be that of a folder of the cache.
fn is_name(name: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty()
        && !name.starts_with('.')
        && name != "partial"
        && name.len() < 128
        && name.chars().all(is_fine)
}
