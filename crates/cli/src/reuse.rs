//! Whether and how answers reuse what the generator read of the evidence.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use plumb_answer::{ChunkReuse, StoredSettings};
use plumb_infer::{ChunkStore, ChunkType, Reuse, VectorStore};
use serde::Deserialize;

use crate::config::KvCacheName;
use crate::context::now;

/// Where the keys and values are, below a project's data.
const FOLDER: &str = "chunks";

/// Where the vectors of sentences are.
const VECTORS: &str = "vectors";

/// `answer.chunk_reuse`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub enum ReuseName {
    /// Every prompt is read.
    Off,
    /// The part of each piece of evidence that is read anew, from 0 to 1.
    Fresh(f32),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Share(f32),
    Word(String),
}

impl TryFrom<Written> for ReuseName {
    type Error = anyhow::Error;

    fn try_from(written: Written) -> Result<Self> {
        match written {
            Written::Share(share) => Self::from_share(share),
            Written::Word(word) => word.parse(),
        }
    }
}

impl FromStr for ReuseName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse() {
            _ if text == "off" => Ok(Self::Off),
            Ok(share) => Self::from_share(share),
            Err(_) => Err(anyhow!("`{text}` is neither `off` nor a number from 0 to 1")),
        }
    }
}

impl ReuseName {
    fn from_share(share: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&share) {
            bail!("{share} is neither `off` nor from 0 to 1");
        }
        Ok(Self::Fresh(share))
    }
}

/// How keys and values of evidence are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ChunkTypeName {
    /// Half floats, as the model has them
    F16,
    /// Eight bits: about half the disk
    Q8,
}

impl ChunkTypeName {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Q8 => "q8",
        }
    }
}

impl From<ChunkTypeName> for ChunkType {
    fn from(name: ChunkTypeName) -> Self {
        match name {
            ChunkTypeName::F16 => Self::F16,
            ChunkTypeName::Q8 => Self::Q8,
        }
    }
}

/// What the settings of a project say of reuse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReuseConfig {
    pub reuse: ReuseName,
    pub stored: ChunkTypeName,
    pub budget_bytes: u64,
    /// Of disk for vectors of sentences; none are kept with 0.
    pub vector_bytes: u64,
}

impl ReuseConfig {
    /// What is stored with an answer.
    pub fn stored(&self) -> Option<ChunkReuse> {
        let ReuseName::Fresh(fresh) = self.reuse else { return None };
        Some(ChunkReuse { fresh, stored: self.stored.name().to_owned() })
    }
}

/// The folder of keys and values in a project's data.
pub fn folder(data: &Path) -> PathBuf {
    data.join(FOLDER)
}

/// The folder of vectors in a project's data.
pub fn vector_folder(data: &Path) -> PathBuf {
    data.join(VECTORS)
}

/// Where vectors of an embedder of this hash are kept, if they are.
pub fn vectors((data, embedder): (&Path, &str), budget_bytes: u64) -> Option<VectorStore> {
    let store = || VectorStore::new(&vector_folder(data), embedder, budget_bytes, now);
    (budget_bytes != 0).then(store)
}

/// Fails if answers under `settings` cannot reuse what they say they do.
pub fn check(settings: &StoredSettings) -> Result<()> {
    if settings.chunk_reuse.is_none() {
        return Ok(());
    }
    if settings.endpoint.is_some() {
        bail!("chunk reuse needs a generator of this machine, and the settings name an endpoint");
    }
    if settings.kv_cache != KvCacheName::F16.name() {
        bail!("chunk reuse needs `models.kv_cache` to be `f16`, and it is `{}`", settings.kv_cache);
    }
    Ok(())
}

/// What a model of this hash reuses under `settings`, with the data of a
/// project in `data`.
pub fn open(
    settings: &StoredSettings,
    (data, model): (&Path, &str),
    budget_bytes: u64,
) -> Result<Option<Reuse>> {
    check(settings)?;
    let Some(reuse) = &settings.chunk_reuse else { return Ok(None) };
    let store = ChunkStore::new(&folder(data), model, budget_bytes);
    Ok(Some(reuse.open(store, now)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reuse_is_off_or_a_share() {
        #[derive(Deserialize)]
        struct File {
            chunk_reuse: ReuseName,
        }
        let read = |text: &str| toml::from_str::<File>(text).map(|file| file.chunk_reuse);
        assert_eq!(read("chunk_reuse = \"off\"").unwrap(), ReuseName::Off);
        assert_eq!(read("chunk_reuse = 0.25").unwrap(), ReuseName::Fresh(0.25));
        assert_eq!(read("chunk_reuse = 1").unwrap(), ReuseName::Fresh(1.0));
        assert_eq!("0.1".parse::<ReuseName>().unwrap(), ReuseName::Fresh(0.1));
        for wrong in ["on", "1.5", "-0.1", "nan", ""] {
            assert!(wrong.parse::<ReuseName>().is_err(), "{wrong}");
        }
        assert!(read("chunk_reuse = 2").is_err());
        assert!(read("chunk_reuse = true").is_err());
    }
}
