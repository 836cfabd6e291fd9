//! Texts to vectors.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use plumb_kernels::Pool;
use plumb_model::{Encoder, EncoderSpec, gguf_metadata};
use plumb_text::{Special, Tokenizer};
use serde::Deserialize;

use crate::Error;

/// Tokens of a batch: enough to keep matrix products efficient, few enough
/// that their activations stay small.
const BATCH_TOKENS: usize = 2048;

/// Architectures trained with words before queries and before documents.
const PREFIXES: &[(&str, &str, &str)] = &[("nomic-bert", "search_query: ", "search_document: ")];

/// An encoder with its tokenizer.
pub struct Embedder {
    encoder: Encoder,
    tokenizer: Tokenizer,
    pool: Pool,
    query_prefix: String,
    document_prefix: String,
}

/// What sentence-transformers stores about prefixes.
#[derive(Debug, Default, Deserialize)]
struct SentenceTransformersConfig {
    #[serde(default)]
    prompts: BTreeMap<String, String>,
}

impl Embedder {
    /// Loads a Hugging Face folder or a GGUF file for use on `threads`
    /// threads, with products in integers.
    pub fn load(path: &Path, threads: NonZeroUsize) -> Result<Self, Error> {
        let mut embedder = Self::load_exact(path, threads)?;
        embedder.encoder.pack(&embedder.pool);
        Ok(embedder)
    }

    /// Loads a model and computes in floats throughout: slow, and the reference
    /// for everything that is fast.
    pub fn load_exact(path: &Path, threads: NonZeroUsize) -> Result<Self, Error> {
        let encoder = Encoder::load(path)?;
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let metadata = gguf_metadata(path)?;
        let (tokenizer, mut prompts) = match &metadata {
            Some(file) => (Tokenizer::from_gguf(file)?, BTreeMap::new()),
            None => {
                (Tokenizer::from_json(&read(&folder.join("tokenizer.json"))?)?, prompts(folder)?)
            }
        };
        let (tokens, vocab) = (tokenizer.vocab_size(), encoder.spec().vocab);
        if vocab < tokens {
            return Err(Error::Vocabulary { path: path.to_owned(), tokens, vocab });
        }
        let architecture = &encoder.spec().architecture;
        if let Some((_, query, document)) = PREFIXES.iter().find(|(name, ..)| name == architecture)
        {
            prompts.entry("query".to_owned()).or_insert_with(|| (*query).to_owned());
            prompts.entry("document".to_owned()).or_insert_with(|| (*document).to_owned());
        }
        let query_prefix = prompts.remove("query").unwrap_or_default();
        let document_prefix =
            prompts.remove("document").or_else(|| prompts.remove("passage")).unwrap_or_default();
        let pool = Pool::new(threads);
        Ok(Self { encoder, tokenizer, pool, query_prefix, document_prefix })
    }

    /// What the encoder is made of.
    pub fn spec(&self) -> &EncoderSpec {
        self.encoder.spec()
    }

    /// Numbers in a vector.
    pub fn dimension(&self) -> usize {
        self.spec().width
    }

    /// Tokens of a text that are read; the rest is cut off. Special tokens and
    /// the prefix of documents count.
    pub fn max_tokens(&self) -> usize {
        self.spec().max_tokens
    }

    /// How many tokens `text` has, without special ones and prefix.
    pub fn count_tokens(&self, text: &str) -> Result<usize, Error> {
        Ok(self.tokenizer.count(text)?)
    }

    /// One vector for each document, in their order.
    ///
    /// A vector depends on its own text alone, not on the others.
    pub fn embed_documents(&self, documents: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        self.embed(&self.document_prefix, documents)
    }

    /// The vector of a query.
    pub fn embed_query(&self, query: &str) -> Result<Vec<f32>, Error> {
        let vectors = self.embed(&self.query_prefix, &[query])?;
        Ok(vectors.into_iter().next().expect("one text gives one vector"))
    }

    /// One vector for each text as it is, without any prefix.
    pub fn embed_plain(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        self.embed("", texts)
    }

    fn embed(&self, prefix: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let tokens: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| self.encode(&format!("{prefix}{text}")))
            .collect::<Result<_, _>>()?;
        let mut by_length: Vec<usize> = (0..texts.len()).collect();
        by_length.sort_by_key(|&i| tokens[i].len());
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in batches(&by_length, &tokens) {
            let ids: Vec<&[u32]> = batch.iter().map(|&i| tokens[i].as_slice()).collect();
            for (&i, vector) in batch.iter().zip(self.encoder.embed(&self.pool, &ids)?) {
                vectors[i] = vector;
            }
        }
        Ok(vectors)
    }

    /// The ids of a text with its special tokens, cut to what the model reads
    /// but ending in the same token.
    fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let mut ids = self.tokenizer.encode(text, Special::AddAndParse)?;
        if self.max_tokens() < ids.len()
            && let Some(last) = ids.pop()
        {
            ids.truncate(self.max_tokens() - 1);
            ids.push(last);
        }
        Ok(ids)
    }
}

/// Cuts `order` into runs of at most [`BATCH_TOKENS`] tokens, or one text.
fn batches<'a>(order: &'a [usize], tokens: &[Vec<u32>]) -> Vec<&'a [usize]> {
    let mut batches = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (end, &i) in order.iter().enumerate() {
        if start < end && BATCH_TOKENS < size + tokens[i].len() {
            batches.push(&order[start..end]);
            (start, size) = (end, 0);
        }
        size += tokens[i].len();
    }
    if start < order.len() {
        batches.push(&order[start..]);
    }
    batches
}

/// Prefixes by role, from `config_sentence_transformers.json`.
fn prompts(folder: &Path) -> Result<BTreeMap<String, String>, Error> {
    let path = folder.join("config_sentence_transformers.json");
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let config: SentenceTransformersConfig = serde_json::from_slice(&read(&path)?)
        .map_err(|source| Error::Json { path: path.clone(), source })?;
    Ok(config.prompts)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_text_once_and_respect_the_limit() {
        let tokens: Vec<Vec<u32>> =
            [1, 900, 900, 900, 3000, 3000].iter().map(|&n| vec![0; n]).collect();
        let order: Vec<usize> = (0..tokens.len()).collect();
        let sizes: Vec<usize> = batches(&order, &tokens).iter().map(|b| b.len()).collect();
        assert_eq!(sizes, [3, 1, 1, 1]);
        assert!(batches(&[], &[]).is_empty());
    }
}
