//! The metadata of a GGUF file.

use std::path::Path;

use plumb_formats::Gguf;

use super::{Config, Keys, MAX_SIZE};
use crate::Error;
use crate::rope::{LongRope, Scaling, Yarn, long_rope_magnitude, yarn_magnitude};
use crate::weights::Weights;

/// Divisors of frequencies that converters have computed.
const ROPE_FACTORS: &str = "rope_freqs.weight";
const SHORT_FACTORS: &str = "rope_factors_short.weight";
const LONG_FACTORS: &str = "rope_factors_long.weight";

const ORIGINAL: &str = "rope.scaling.original_context_length";

const KEYS: &Keys = &Keys {
    layers: "block_count",
    heads: "attention.head_count",
    kv_heads: "attention.head_count_kv",
    head_width: "attention.key_length",
    rope_width: "rope.dimension_count",
};

impl Config {
    /// Reads the keys of the architecture `prefix`, and the tensors that are
    /// settings rather than weights.
    pub(crate) fn from_gguf(
        (file, weights): (&Gguf, &Weights),
        prefix: &str,
        path: &Path,
    ) -> Result<Self, Error> {
        let reader = Reader { file, prefix, path };
        let heads = reader.size(KEYS.heads)?;
        let width = reader.size("embedding_length")?;
        let head_width = reader.optional_size(KEYS.head_width)?.unwrap_or(width / heads);
        let norm_eps = match reader.optional_f32("attention.layer_norm_rms_epsilon")? {
            Some(eps) => eps,
            None => reader.f32("attention.layer_norm_epsilon")?,
        };
        let context = reader.size("context_length")?;
        let rope_width = reader.optional_size(KEYS.rope_width)?.unwrap_or(head_width);
        let config = Self {
            layers: reader.size(KEYS.layers)?,
            width,
            heads,
            kv_heads: reader.optional_size(KEYS.kv_heads)?.unwrap_or(heads),
            head_width,
            feed_forward: reader.size("feed_forward_length")?,
            vocab: reader.vocab()?,
            context,
            norm_eps,
            rope_base: reader.optional_f32("rope.freq_base")?.unwrap_or(10_000.0),
            local_rope_base: reader.optional_f32("rope.freq_base_swa")?,
            rope_width,
            rope_scaling: reader.rope_scaling(weights, rope_width / 2, context)?,
            window: reader.optional_size("attention.sliding_window")?,
            local_layers: None,
            score_divisor: None,
            attention_cap: reader.optional_factor("attn_logit_softcapping")?,
            logit_cap: reader.optional_factor("final_logit_softcapping")?,
            activation: None,
            has_attention_biases: false,
        };
        config.check(KEYS).map_err(|(key, found)| reader.unsupported(key, found.to_string()))?;
        Ok(config)
    }
}

/// Reads metadata keys under the name of an architecture.
pub(crate) struct Reader<'a> {
    pub(crate) file: &'a Gguf,
    pub(crate) prefix: &'a str,
    pub(crate) path: &'a Path,
}

impl Reader<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn format(&self, source: plumb_formats::Error) -> Error {
        Error::Format { path: self.path.to_owned(), source }
    }

    /// The error that the value of `key` is not supported.
    pub(crate) fn unsupported(&self, key: &str, found: impl Into<String>) -> Error {
        Error::Unsupported { path: self.path.to_owned(), key: self.key(key), found: found.into() }
    }

    /// A size of at least 1.
    pub(crate) fn size(&self, key: &str) -> Result<usize, Error> {
        let found = self.file.u64(&self.key(key)).map_err(|e| self.format(e))?;
        match usize::try_from(found) {
            Ok(size) if (1..=MAX_SIZE).contains(&size) => Ok(size),
            _ => Err(self.unsupported(key, found.to_string())),
        }
    }

    pub(crate) fn optional_size(&self, key: &str) -> Result<Option<usize>, Error> {
        self.file.metadata.contains_key(&self.key(key)).then(|| self.size(key)).transpose()
    }

    pub(crate) fn optional_u64(&self, key: &str) -> Result<Option<u64>, Error> {
        self.file.optional(&self.key(key), Gguf::u64).map_err(|e| self.format(e))
    }

    pub(crate) fn f32(&self, key: &str) -> Result<f32, Error> {
        let found = self.file.f32(&self.key(key)).map_err(|e| self.format(e))?;
        if found.is_finite() { Ok(found) } else { Err(self.unsupported(key, found.to_string())) }
    }

    pub(crate) fn optional_f32(&self, key: &str) -> Result<Option<f32>, Error> {
        self.file.metadata.contains_key(&self.key(key)).then(|| self.f32(key)).transpose()
    }

    /// Rows of the embedding, which is what the vocabulary must agree with.
    pub(crate) fn vocab(&self) -> Result<usize, Error> {
        let embedding = self.file.tensor("token_embd.weight").map_err(|e| self.format(e))?;
        Ok(embedding.shape[0])
    }

    /// A number above zero, as divisors are.
    fn factor(&self, key: &str) -> Result<f32, Error> {
        let found = self.f32(key)?;
        if 0.0 < found { Ok(found) } else { Err(self.unsupported(key, found.to_string())) }
    }

    fn optional_factor(&self, key: &str) -> Result<Option<f32>, Error> {
        self.file.metadata.contains_key(&self.key(key)).then(|| self.factor(key)).transpose()
    }

    /// How the frequencies of `pairs` pairs are stretched.
    fn rope_scaling(
        &self,
        weights: &Weights,
        pairs: usize,
        context: usize,
    ) -> Result<Scaling, Error> {
        let long = weights.vector(LONG_FACTORS, pairs)?;
        let short = weights.vector(SHORT_FACTORS, pairs)?;
        if let (Some(short), Some(long)) = (short, long) {
            let original = self.size(ORIGINAL)?;
            let magnitude = match self.optional_factor("rope.scaling.attn_factor")? {
                Some(magnitude) => magnitude,
                None => long_rope_magnitude(context as f32 / original as f32, original),
            };
            return Ok(Scaling::LongRope(LongRope { short, long, original, magnitude }));
        }
        if let Some(factors) = weights.vector(ROPE_FACTORS, pairs)? {
            return Ok(Scaling::Factors(factors));
        }
        let key = "rope.scaling.type";
        let kind = self.file.optional(&self.key(key), Gguf::string).map_err(|e| self.format(e))?;
        match kind {
            None | Some("none") => Ok(Scaling::None),
            Some("linear") => Ok(Scaling::Linear(self.factor("rope.scaling.factor")?)),
            Some("yarn") => self.yarn().map(Scaling::Yarn),
            Some(found) => Err(Error::UnknownValue {
                path: self.path.to_owned(),
                key: self.key(key),
                found: found.to_owned(),
                known: "none, linear, yarn",
            }),
        }
    }

    fn yarn(&self) -> Result<Yarn, Error> {
        let factor = self.factor("rope.scaling.factor")?;
        let attention = self.optional_factor("rope.scaling.attn_factor")?.unwrap_or(1.0);
        Ok(Yarn {
            factor,
            fast: self.optional_factor("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
            slow: self.optional_factor("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
            original: self.size(ORIGINAL)?,
            is_truncated: true,
            magnitude: attention * yarn_magnitude(factor),
        })
    }
}
