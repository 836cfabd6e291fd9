//! The sizes of a decoder, as its file states them.

use std::path::Path;

use plumb_formats::Gguf;

use crate::Error;

/// No model comes near it; it keeps products of two sizes far from overflow.
const MAX_SIZE: u64 = 1 << 24;

/// What a model file says about its sizes, before an architecture gives them
/// a meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) layers: usize,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_width: usize,
    pub(crate) feed_forward: usize,
    pub(crate) vocab: usize,
    pub(crate) context: usize,
    pub(crate) norm_eps: f32,
    pub(crate) rope_base: f32,
    /// Numbers of a head that are rotated.
    pub(crate) rope_width: usize,
    /// Positions are divided by it.
    pub(crate) rope_scale: f32,
    pub(crate) window: Option<usize>,
}

impl Config {
    /// Reads the keys of the architecture `prefix`.
    pub(crate) fn from_gguf(file: &Gguf, prefix: &str, path: &Path) -> Result<Self, Error> {
        let reader = Reader { file, prefix, path };
        let heads = reader.size("attention.head_count")?;
        let width = reader.size("embedding_length")?;
        let head_width = reader.optional_size("attention.key_length")?.unwrap_or(width / heads);
        let norm_eps = match reader.optional_f32("attention.layer_norm_rms_epsilon")? {
            Some(eps) => eps,
            None => reader.f32("attention.layer_norm_epsilon")?,
        };
        let config = Self {
            layers: reader.size("block_count")?,
            width,
            heads,
            kv_heads: reader.optional_size("attention.head_count_kv")?.unwrap_or(heads),
            head_width,
            feed_forward: reader.size("feed_forward_length")?,
            vocab: reader.vocab()?,
            context: reader.size("context_length")?,
            norm_eps,
            rope_base: reader.optional_f32("rope.freq_base")?.unwrap_or(10_000.0),
            rope_width: reader.optional_size("rope.dimension_count")?.unwrap_or(head_width),
            rope_scale: reader.rope_scale()?,
            window: reader.optional_size("attention.sliding_window")?,
        };
        config.check(&reader)?;
        Ok(config)
    }

    /// Refuses sizes that contradict each other.
    fn check(&self, reader: &Reader) -> Result<(), Error> {
        let refuse = |key, found: usize| Err(reader.unsupported(key, found.to_string()));
        if !self.heads.is_multiple_of(self.kv_heads) {
            return refuse("attention.head_count_kv", self.kv_heads);
        }
        if !self.head_width.is_multiple_of(2) || 1024 < self.head_width {
            return refuse("attention.key_length", self.head_width);
        }
        if !self.rope_width.is_multiple_of(2) || self.head_width < self.rope_width {
            return refuse("rope.dimension_count", self.rope_width);
        }
        Ok(())
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
            Ok(size) if (1..=MAX_SIZE).contains(&found) => Ok(size),
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

    fn rope_scale(&self) -> Result<f32, Error> {
        let key = "rope.scaling.type";
        let kind = self.file.optional(&self.key(key), Gguf::string).map_err(|e| self.format(e))?;
        match kind {
            None | Some("none") => Ok(1.0),
            Some("linear") => self.f32("rope.scaling.factor"),
            Some(found) => Err(self.unsupported(key, format!("`{found}`"))),
        }
    }
}
