//! Texts to vectors.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use plumb_kernels::Pool;
use plumb_model::{Encoder, EncoderSpec};
use plumb_text::{Special, Tokenizer};
use serde::Deserialize;

use crate::Error;
use crate::batches::{batches, by_length};
use crate::tokenizers;

/// Architectures trained with words before queries and before documents.
const PREFIXES: &[(&str, &str, &str)] = &[("nomic-bert", "search_query: ", "search_document: ")];

/// What a text is to its vector's user: some models are trained with words
/// before the one kind or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRole {
    /// Something looked for.
    Query,
    /// Something to be found.
    Document,
    /// As it is, without any prefix.
    Plain,
}

/// An encoder with its tokenizer.
pub struct Embedder {
    encoder: Encoder,
    tokenizer: Tokenizer,
    pool: Arc<Pool>,
    query_prefix: String,
    document_prefix: String,
}

/// The ids of a text, and a row of numbers for each.
pub type TokenStates = (Vec<u32>, Vec<f32>);

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
        let tokenizer = tokenizers::load(path, encoder.spec().vocab)?;
        let mut prompts = prompts(tokenizers::folder(path))?;
        let architecture = &encoder.spec().architecture;
        if let Some((_, query, document)) = PREFIXES.iter().find(|(name, ..)| name == architecture)
        {
            prompts.entry("query".to_owned()).or_insert_with(|| (*query).to_owned());
            prompts.entry("document".to_owned()).or_insert_with(|| (*document).to_owned());
        }
        let query_prefix = prompts.remove("query").unwrap_or_default();
        let document_prefix =
            prompts.remove("document").or_else(|| prompts.remove("passage")).unwrap_or_default();
        let pool = Pool::shared(threads);
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

    /// How many tokens `text` has in this role, special ones and prefix among
    /// them: more than [`max_tokens`](Self::max_tokens) are not all read.
    pub fn full_length(&self, role: TextRole, text: &str) -> Result<usize, Error> {
        let text = format!("{}{text}", self.prefix(role));
        Ok(self.tokenizer.encode(&text, Special::AddAndParse)?.len())
    }

    /// One vector for each document, in their order.
    ///
    /// A vector depends on its own text alone, not on the others.
    pub fn embed_documents(&self, documents: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        self.embed(TextRole::Document, documents)
    }

    /// The vector of a query.
    pub fn embed_query(&self, query: &str) -> Result<Vec<f32>, Error> {
        let vectors = self.embed(TextRole::Query, &[query])?;
        Ok(vectors.into_iter().next().expect("one text gives one vector"))
    }

    /// One vector for each text as it is, without any prefix.
    pub fn embed_plain(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        self.embed(TextRole::Plain, texts)
    }

    /// The tokens of each text, as it is, with their states after the first
    /// `layers` layers: rows of [`dimension`](Self::dimension) numbers, one a token,
    /// special tokens among them.
    pub fn token_states(&self, texts: &[&str], layers: usize) -> Result<Vec<TokenStates>, Error> {
        let tokens = self.encode_all(TextRole::Plain, texts)?;
        let states = in_batches(&tokens, |ids| {
            let all = self.encoder.hidden_states_after(&self.pool, ids, layers)?;
            let mut rest = all.as_slice();
            let own = |text: &&[u32]| {
                let (own, after) = rest.split_at(text.len() * self.dimension());
                rest = after;
                own.to_vec()
            };
            Ok(ids.iter().map(own).collect())
        })?;
        Ok(tokens.into_iter().zip(states).collect())
    }

    /// The tokens that stand around every text.
    pub fn special_tokens(&self) -> Result<Vec<u32>, Error> {
        self.encode(TextRole::Plain, "")
    }

    fn embed(&self, role: TextRole, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        self.embed_tokens(&self.encode_all(role, texts)?)
    }

    /// One vector for each text, given in tokens, in their order.
    pub(crate) fn embed_tokens(&self, tokens: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, Error> {
        in_batches(tokens, |ids| self.vectors(ids))
    }

    /// The ids of each text: see [`encode`](Self::encode).
    pub(crate) fn encode_all(
        &self,
        role: TextRole,
        texts: &[&str],
    ) -> Result<Vec<Vec<u32>>, Error> {
        texts.iter().map(|text| self.encode(role, text)).collect()
    }

    /// What stands before texts of this role.
    /// The words that the model was trained with before texts of this role.
    pub fn prefix(&self, role: TextRole) -> &str {
        match role {
            TextRole::Query => &self.query_prefix,
            TextRole::Document => &self.document_prefix,
            TextRole::Plain => "",
        }
    }

    /// One vector for each text of a batch, given in tokens.
    pub(crate) fn vectors(&self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, Error> {
        Ok(self.encoder.embed(&self.pool, batch)?)
    }

    /// The ids of a text, its prefix and special tokens, cut to what the model
    /// reads but ending in the same token.
    pub(crate) fn encode(&self, role: TextRole, text: &str) -> Result<Vec<u32>, Error> {
        let text = format!("{}{text}", self.prefix(role));
        let mut ids = self.tokenizer.encode(&text, Special::AddAndParse)?;
        if self.max_tokens() < ids.len()
            && let Some(last) = ids.pop()
        {
            ids.truncate(self.max_tokens() - 1);
            ids.push(last);
        }
        Ok(ids)
    }
}

/// What `read` makes of each text: it is given texts of like length together.
fn in_batches(
    texts: &[Vec<u32>],
    read: impl Fn(&[&[u32]]) -> Result<Vec<Vec<f32>>, Error>,
) -> Result<Vec<Vec<f32>>, Error> {
    let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
    let mut all = vec![Vec::new(); texts.len()];
    for batch in batches(&by_length(&lengths), &lengths) {
        let ids: Vec<&[u32]> = batch.iter().map(|&i| texts[i].as_slice()).collect();
        for (&i, found) in batch.iter().zip(read(&ids)?) {
            all[i] = found;
        }
    }
    Ok(all)
}

/// Prefixes by role, from `config_sentence_transformers.json`.
fn prompts(folder: &Path) -> Result<BTreeMap<String, String>, Error> {
    let path = folder.join("config_sentence_transformers.json");
    let config: Option<SentenceTransformersConfig> = tokenizers::json(&path)?;
    Ok(config.unwrap_or_default().prompts)
}
