//! Models that the user brings: a GGUF file, or a Hugging Face folder.

use std::fs;
use std::path::{Path, PathBuf};

use plumb_model::{Decoder, Encoder};

use super::checked::hash_file;
use super::http::chain;
use super::pull::make_parent;
use super::{Error, IMPORTED, Imported, Kind, ModelFile, Models, is_name};

/// What to import, and how.
pub struct Import<'a> {
    pub path: &'a Path,
    /// Default: the name of the file or folder.
    pub name: Option<&'a str>,
    /// Whether to leave the files where they are.
    pub is_linked: bool,
}

impl Models {
    /// Checks that a model can be run, and takes it into the cache. Gives its
    /// name.
    pub fn import(&self, import: &Import<'_>) -> Result<String, Error> {
        let path = fs::canonicalize(import.path).map_err(Error::io(import.path))?;
        let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
        let own_name = stem.and_then(|stem| stem.to_str()).unwrap_or_default().to_lowercase();
        let name = import.name.unwrap_or(&own_name);
        if !is_name(name) {
            return Err(Error::BadName { name: name.to_owned() });
        }
        if self.catalogue.find(name).is_some() || self.folder(name).exists() {
            return Err(Error::Exists { name: name.to_owned() });
        }
        let _lock = self.lock(name)?;
        let kind = kind_of(&path)?;
        let source = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(&path) };
        let files = describe(&path, source)?;
        let staging = self.cache.join("partial").join(format!("{name}.import"));
        fs::create_dir_all(&staging).map_err(Error::io(&staging))?;
        if !import.is_linked {
            for file in &files {
                let to = staging.join(&file.name);
                make_parent(&to)?;
                fs::copy(source.join(&file.name), &to).map_err(Error::io(&to))?;
            }
        }
        let folder = self.folder(name);
        let place = if import.is_linked { source.to_owned() } else { folder.clone() };
        let imported = Imported { kind, origin: path.clone(), folder: place, files };
        let record = staging.join(IMPORTED);
        let json = serde_json::to_vec_pretty(&imported)
            .map_err(|e| Error::Damaged { path: record.clone(), what: e.to_string() })?;
        fs::write(&record, json).map_err(Error::io(&record))?;
        fs::rename(&staging, &folder).map_err(Error::io(&folder))?;
        Ok(name.to_owned())
    }
}

/// What a model is for, found by loading it.
fn kind_of(path: &Path) -> Result<Kind, Error> {
    let Err(as_decoder) = Decoder::load(path) else {
        return Ok(Kind::Generator);
    };
    match Encoder::load(path) {
        Ok(encoder) => match encoder.spec().labels() {
            None => Ok(Kind::Embedder),
            Some(1 | 2) => Ok(Kind::Reranker),
            Some(labels) => {
                let what = format!("it sorts texts into {labels} classes; a reranker has 1 or 2");
                Err(Error::NotAModel { path: path.to_owned(), what })
            }
        },
        Err(as_encoder) => {
            let (decoder, encoder) = (chain(&as_decoder), chain(&as_encoder));
            let what = if decoder == encoder {
                decoder
            } else {
                format!("as a generator: {decoder}; as an embedder: {encoder}")
            };
            Err(Error::NotAModel { path: path.to_owned(), what })
        }
    }
}

/// Sizes and hashes of the files of a model, by their names below `source`.
fn describe(path: &Path, source: &Path) -> Result<Vec<ModelFile>, Error> {
    let paths = if path.is_dir() { files_below(path, 2)? } else { vec![path.to_owned()] };
    let mut files = Vec::new();
    for path in paths {
        let below = path.strip_prefix(source).unwrap_or(&path);
        let names: Vec<&str> = below.iter().filter_map(|part| part.to_str()).collect();
        let bytes = fs::metadata(&path).map_err(Error::io(&path))?.len();
        files.push(ModelFile { name: names.join("/"), bytes, sha256: hash_file(&path)? });
    }
    Ok(files)
}

/// The files that a model folder may consist of, down to a depth.
fn files_below(folder: &Path, depth: usize) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            if depth > 1 {
                files.extend(files_below(&path, depth - 1)?);
            }
        } else if matches!(
            extension,
            Some("safetensors" | "gguf" | "json" | "jinja" | "txt" | "model")
        ) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The files that identify the model at a path; at least one.
pub(super) fn weights_at(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let extensions = ["safetensors", "gguf"];
    let is_weights = |path: &PathBuf| {
        path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
    };
    let found: Vec<PathBuf> = files_below(path, 1)?.into_iter().filter(is_weights).collect();
    if found.is_empty() {
        let what = "it has no safetensors or GGUF file".to_owned();
        return Err(Error::NotAModel { path: path.to_owned(), what });
    }
    Ok(found)
}
