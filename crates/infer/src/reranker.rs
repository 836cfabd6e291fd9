//! How well passages answer a query.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use plumb_kernels::Pool;
use plumb_model::{Encoder, EncoderSpec, Input};
use plumb_text::{Pair, Tokenizer};

use crate::Error;
use crate::batches::{batches, by_length};
use crate::tokenizers;

/// A cross-encoder with its tokenizer: an encoder that reads a query and a
/// passage together and scores the pair.
pub struct Reranker {
    encoder: Encoder,
    tokenizer: Tokenizer,
    pool: Arc<Pool>,
}

impl Reranker {
    /// Loads a Hugging Face folder of a model for the classification of
    /// sequences, with one label or two, for use on `threads` threads with
    /// products in integers.
    pub fn load(path: &Path, threads: NonZeroUsize) -> Result<Self, Error> {
        let mut reranker = Self::load_exact(path, threads)?;
        reranker.encoder.pack(&reranker.pool);
        Ok(reranker)
    }

    /// Loads a model and computes in floats throughout: slow, and the reference
    /// for what is fast.
    pub fn load_exact(path: &Path, threads: NonZeroUsize) -> Result<Self, Error> {
        let encoder = Encoder::load(path)?;
        let labels = encoder.spec().labels();
        if !labels.is_some_and(|labels| (1..=2).contains(&labels)) {
            return Err(Error::NotAReranker { path: path.to_owned(), labels: labels.unwrap_or(0) });
        }
        let tokenizer = tokenizers::load(path, encoder.spec().vocab)?;
        Ok(Self { encoder, tokenizer, pool: Pool::shared(threads) })
    }

    /// What the encoder is made of.
    pub fn spec(&self) -> &EncoderSpec {
        self.encoder.spec()
    }

    /// Tokens of query and passage together that are read; the rest of the
    /// longer one is cut off. Special tokens count.
    pub fn max_tokens(&self) -> usize {
        self.spec().max_tokens
    }

    /// How many tokens are read of `query` and `passage`, special ones among
    /// them.
    pub fn count_tokens(&self, query: &str, passage: &str) -> Result<usize, Error> {
        Ok(self.encode(query, passage)?.ids.len())
    }

    /// How many tokens the pair has, special ones among them: more than
    /// [`max_tokens`](Self::max_tokens) are not all read.
    pub fn full_length(&self, query: &str, passage: &str) -> Result<usize, Error> {
        Ok(self.tokenizer.encode_pair(query, passage, usize::MAX)?.ids.len())
    }

    /// A score for each passage, higher for better answers to `query`: the
    /// model's logit, or the second less the first of two. A sigmoid makes a
    /// probability of it if the model was trained that way.
    ///
    /// A score depends on the query and its own passage alone, not on the
    /// others.
    pub fn scores(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>, Error> {
        let pairs: Vec<Pair> =
            passages.iter().map(|passage| self.encode(query, passage)).collect::<Result<_, _>>()?;
        let lengths: Vec<usize> = pairs.iter().map(|pair| pair.ids.len()).collect();
        let mut scores = vec![0.0; passages.len()];
        for batch in batches(&by_length(&lengths), &lengths) {
            let pairs: Vec<&Pair> = batch.iter().map(|&i| &pairs[i]).collect();
            for (&i, score) in batch.iter().zip(self.scores_of(&pairs)?) {
                scores[i] = score;
            }
        }
        Ok(scores)
    }

    /// The tokens of a pair, cut to what the model reads.
    pub(crate) fn encode(&self, query: &str, passage: &str) -> Result<Pair, Error> {
        Ok(self.tokenizer.encode_pair(query, passage, self.max_tokens())?)
    }

    /// The scores of a batch of pairs.
    pub(crate) fn scores_of(&self, pairs: &[&Pair]) -> Result<Vec<f32>, Error> {
        let inputs: Vec<Input> = pairs.iter().map(|pair| input(pair)).collect();
        let labels = self.encoder.classify(&self.pool, &inputs)?;
        let score = |labels: &Vec<f32>| match labels.as_slice() {
            [no, yes] => yes - no,
            labels => labels[0],
        };
        Ok(labels.iter().map(score).collect())
    }
}

fn input(pair: &Pair) -> Input<'_> {
    let second = pair.types.iter().position(|&kind| kind != 0).unwrap_or(pair.ids.len());
    Input { tokens: &pair.ids, second }
}
