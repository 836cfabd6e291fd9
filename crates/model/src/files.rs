//! What lies at the path of a model: one GGUF file, or a Hugging Face folder.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// A model on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Files {
    Gguf(PathBuf),
    /// A folder with `config.json`, and its safetensors files by name.
    HuggingFace(PathBuf, Vec<PathBuf>),
}

impl Files {
    /// Looks at `path`: a GGUF file, a folder with one, or a Hugging Face
    /// folder (or a file in it).
    pub(crate) fn find(path: &Path) -> Result<Self, Error> {
        let extension = path.extension().unwrap_or_default();
        if extension == "safetensors" {
            return Self::find(path.parent().unwrap_or(path));
        }
        let io = |source| Error::Io { path: path.to_owned(), source };
        if !fs::metadata(path).map_err(io)?.is_dir() {
            return Ok(Self::Gguf(path.to_owned()));
        }
        let mut entries: Vec<PathBuf> = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(io)?;
        entries.sort();
        let with = |extension: &str| -> Vec<PathBuf> {
            let has = |path: &&PathBuf| path.extension().is_some_and(|found| found == extension);
            entries.iter().filter(has).cloned().collect()
        };
        if path.join("config.json").exists() {
            let safetensors = safetensors(path, with("safetensors"))?;
            if !safetensors.is_empty() {
                return Ok(Self::HuggingFace(path.to_owned(), safetensors));
            }
        }
        match with("gguf").as_slice() {
            [file] => Ok(Self::Gguf(file.clone())),
            files => Err(Error::NoModel { path: path.to_owned(), found: files.len() }),
        }
    }
}

/// `model.safetensors.index.json`: where the tensors of a model in several
/// files are.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The files that make up the model of a folder that holds `all`: those of its
/// index, else `model.safetensors`, else all. Some folders hold the weights a
/// second time under other names.
fn safetensors(folder: &Path, all: Vec<PathBuf>) -> Result<Vec<PathBuf>, Error> {
    let path = folder.join("model.safetensors.index.json");
    if let Some(index) = json::<Index>(&path)? {
        let names: BTreeSet<String> = index.weight_map.into_values().collect();
        let find = |name: String| {
            let found = all.iter().find(|file| file.file_name() == Some(OsStr::new(&name)));
            found.cloned().ok_or(Error::MissingShard { path: path.clone(), file: name })
        };
        return names.into_iter().map(find).collect();
    }
    let single = folder.join("model.safetensors");
    Ok(if all.contains(&single) { vec![single] } else { all })
}

/// Reads a JSON file; `None` if there is none.
pub(crate) fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|source| Error::Json { path: path.to_owned(), source })
}
