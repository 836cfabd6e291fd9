//! The tokenizer that belongs to a model's files.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use plumb_model::gguf_metadata;
use plumb_text::Tokenizer;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// What is read of `generation_config.json`.
#[derive(Default, Deserialize)]
struct GenerationConfig {
    #[serde(default)]
    eos_token_id: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(u32),
    More(Vec<u32>),
}

/// The tokenizer in the GGUF file at `path`, or beside the weights of the
/// Hugging Face folder; it has at most as many tokens as the model's `vocab`.
pub(crate) fn load(path: &Path, vocab: usize) -> Result<Tokenizer, Error> {
    let tokenizer = match gguf_metadata(path)? {
        Some(file) => Tokenizer::from_gguf(&file)?,
        None => of_folder(folder(path))?,
    };
    let tokens = tokenizer.vocab_size();
    if vocab < tokens {
        return Err(Error::Vocabulary { path: path.to_owned(), tokens, vocab });
    }
    Ok(tokenizer)
}

/// The folder of a model, which may be given by one of its files.
pub(crate) fn folder(path: &Path) -> &Path {
    if path.is_dir() { path } else { path.parent().unwrap_or(path) }
}

fn of_folder(folder: &Path) -> Result<Tokenizer, Error> {
    let path = folder.join("tokenizer.json");
    let file = read(&path)?.ok_or_else(|| Error::NoTokenizer { path })?;
    let mut tokenizer = match read(&folder.join("tokenizer_config.json"))? {
        Some(config) => Tokenizer::from_json_with_config(&file, &config)?,
        None => Tokenizer::from_json(&file)?,
    };
    if let Some(template) = read(&folder.join("chat_template.jinja"))? {
        tokenizer.set_chat_template(String::from_utf8_lossy(&template).into_owned());
    }
    let generation: Option<GenerationConfig> = json(&folder.join("generation_config.json"))?;
    match generation.and_then(|config| config.eos_token_id) {
        None => {}
        Some(OneOrMore::One(id)) => tokenizer.add_stop_ids(&[id]),
        Some(OneOrMore::More(ids)) => tokenizer.add_stop_ids(&ids),
    }
    Ok(tokenizer)
}

/// Reads a JSON file; `None` if there is none.
pub(crate) fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|source| Error::Json { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { path: path.to_owned(), source }),
    }
}
