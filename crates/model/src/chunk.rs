//! Keys and values of a piece of text, to be put behind other texts.
//!
//! They are those of the piece after the text that it was read after; behind
//! another one they are an approximation, whose loss is the caller's to measure.
//! Keys are rotated from the old positions to the new: Gim et al. 2023,
//! arXiv:2311.04934; Yao et al. 2024, arXiv:2405.16444.

use std::ops::Range;

use plumb_kernels::{DType, Pool, Rotation, dequantize, quantize_q8_0};

use crate::decoder::{Decoder, KvCache};
use crate::rope::{Reach, Rope};
use crate::{DecoderSpec, Error};

/// How the numbers of a chunk are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkType {
    /// As half floats, which is what a cache holds.
    F16,
    /// As blocks of 32 integers of eight bits with a half float that scales
    /// them (`Q8_0` of GGUF): about half the bytes, and another rounding.
    Q8,
}

impl ChunkType {
    fn dtype(self) -> DType {
        match self {
            Self::F16 => DType::F16,
            Self::Q8 => DType::Q8_0,
        }
    }
}

/// Keys and values of consecutive tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvChunk {
    tokens: usize,
    /// Position of the first, for which its key is rotated.
    start: usize,
    stored: ChunkType,
    /// Little-endian, shape (layers, 2, T, K, E): keys, then values.
    bytes: Vec<u8>,
}

impl KvChunk {
    /// Tokens held.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Position of the first token where it was read.
    pub fn start(&self) -> usize {
        self.start
    }

    /// How its numbers are kept.
    pub fn stored(&self) -> ChunkType {
        self.stored
    }

    /// All numbers, as [`from_bytes`](Self::from_bytes) takes them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A chunk of `tokens` tokens that were read from position `start` on, or
    /// `None` if `bytes` are not as many as those have in a model of `spec`.
    pub fn from_bytes(
        spec: &DecoderSpec,
        (tokens, start): (usize, usize),
        (stored, bytes): (ChunkType, Vec<u8>),
    ) -> Option<Self> {
        let wanted = bytes_of_token(spec, stored)?.checked_mul(tokens)?;
        (0 < tokens && bytes.len() == wanted).then_some(Self { tokens, start, stored, bytes })
    }

    /// Part `part` of `parts` (keys and values of each layer), without the first
    /// `skipped` tokens: shape (T, K, E).
    fn numbers(&self, pool: &Pool, (part, parts): (usize, usize), skipped: usize) -> Vec<f32> {
        let len = self.bytes.len() / parts;
        let bytes = &self.bytes[part * len..][skipped * (len / self.tokens)..len];
        numbers(pool, self.stored, bytes)
    }
}

fn numbers(pool: &Pool, stored: ChunkType, bytes: &[u8]) -> Vec<f32> {
    let dtype = stored.dtype();
    let mut numbers = vec![0.0; bytes.len() / dtype.block_bytes() * dtype.block_len()];
    dequantize(pool.isa(), dtype, bytes, &mut numbers);
    numbers
}

/// Bytes of a token's keys and values in all layers, or `None` if its keys are
/// no whole blocks.
fn bytes_of_token(spec: &DecoderSpec, stored: ChunkType) -> Option<usize> {
    Some(2 * spec.layers * stored.dtype().bytes_of(spec.kv_heads * spec.head_width)?)
}

impl Decoder {
    /// Fails if keys of this model cannot be moved to other positions: they
    /// must be rotated by positions alone, and be kept as half floats.
    pub fn check_movable(&self) -> Result<(), Error> {
        let is_rotated = self.spec().rope().is_some_and(|rope| rope.short_tokens().is_none());
        if is_rotated && self.new_cache().layers.iter().all(|layer| layer.halves(0..0).is_some()) {
            return Ok(());
        }
        Err(Error::NotMovable { architecture: self.spec().architecture.clone() })
    }

    /// Copies keys and values of `positions` in `cache`.
    pub fn copy(&self, cache: &KvCache, positions: Range<usize>) -> Result<KvChunk, Error> {
        let refused = || Error::NotMovable { architecture: self.spec().architecture.clone() };
        self.check_movable()?;
        let token = bytes_of_token(self.spec(), ChunkType::F16).unwrap_or_default();
        let mut bytes = Vec::with_capacity(token * positions.len());
        for layer in &cache.layers {
            let copied = layer.halves(positions.clone()).ok_or_else(refused)?;
            bytes.extend(copied.into_iter().flatten());
        }
        let stored = ChunkType::F16;
        Ok(KvChunk { tokens: positions.len(), start: positions.start, stored, bytes })
    }

    /// `chunk`, of half floats, with its numbers kept as `stored`.
    ///
    /// Fails if the keys of a token are no whole number of blocks.
    pub fn store_as(
        &self,
        pool: &Pool,
        chunk: KvChunk,
        stored: ChunkType,
    ) -> Result<KvChunk, Error> {
        if chunk.stored == stored {
            return Ok(chunk);
        }
        if stored == ChunkType::F16 || bytes_of_token(self.spec(), stored).is_none() {
            return Err(Error::NotMovable { architecture: self.spec().architecture.clone() });
        }
        let bytes = quantize_q8_0(&numbers(pool, chunk.stored, &chunk.bytes));
        Ok(KvChunk { stored, bytes, ..chunk })
    }

    /// Adds `chunk` without its first `skipped` tokens to `cache`, as if they
    /// had been read there. They must not move to earlier positions.
    pub fn append(
        &self,
        pool: &Pool,
        cache: &mut KvCache,
        chunk: &KvChunk,
        skipped: usize,
    ) -> Result<(), Error> {
        let spec = self.spec();
        self.check_movable()?;
        let count = chunk.tokens.saturating_sub(skipped);
        let (total, context) = (cache.len() + count, spec.context);
        if context < total {
            return Err(Error::TooLong { tokens: total, context });
        }
        let moved = || Error::NotMovable { architecture: spec.architecture.clone() };
        let distance = cache.len().checked_sub(chunk.start + skipped).ok_or_else(moved)?;
        if count == 0 {
            return Ok(());
        }
        let all = spec.rope().ok_or_else(moved)?;
        let local = spec.local_rope().unwrap_or_else(|| all.clone());
        let shift = |rope: &Rope| {
            Rotation::shift(rope.pairs, &rope.frequencies(Reach::Short), distance, count)
        };
        let (all, local) = (shift(all), shift(&local));
        let parts = 2 * spec.layers;
        for (index, layer) in cache.layers.iter_mut().enumerate() {
            let mut keys = chunk.numbers(pool, (2 * index, parts), skipped);
            let values = chunk.numbers(pool, (2 * index + 1, parts), skipped);
            if distance != 0 {
                let rotation = if spec.window_of(index).is_some() { &local } else { &all };
                rotation.apply(pool, &mut keys, spec.kv_heads, spec.head_width);
            }
            layer.push(pool, &keys, &values);
        }
        Ok(())
    }
}
