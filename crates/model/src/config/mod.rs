//! The sizes of a decoder, as its files state them.
//!
//! [`gguf`] and [`json`] read the same facts from the two kinds of files; the
//! [`crate::families`] give them their meaning.

mod gguf;
mod json;

use plumb_kernels::Activation;

use crate::rope::Scaling;

pub(crate) use gguf::Reader;
pub(crate) use json::{ModelConfig, activation};

/// No model comes near it; it keeps products of two sizes far from overflow.
const MAX_SIZE: usize = 1 << 24;

/// More layers than this are a damaged file.
const MAX_LAYERS: usize = 1024;

/// What a model's files say about it, before an architecture gives that a
/// meaning.
#[derive(Clone, Debug, PartialEq)]
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
    /// Base of the rotation in layers with a window, if it is stated.
    pub(crate) local_rope_base: Option<f32>,
    /// Numbers of a head that are rotated.
    pub(crate) rope_width: usize,
    pub(crate) rope_scaling: Scaling,
    pub(crate) window: Option<usize>,
    /// Whether each layer sees the window only, if it is stated.
    pub(crate) local_layers: Option<Vec<bool>>,
    /// The square of the divisor of attention scores, if it is not E.
    pub(crate) score_divisor: Option<f32>,
    pub(crate) attention_cap: Option<f32>,
    pub(crate) logit_cap: Option<f32>,
    /// If it is not that of the family.
    pub(crate) activation: Option<Activation>,
    /// All linear maps of attention add a bias.
    pub(crate) has_attention_biases: bool,
}

/// What a kind of file calls the sizes that are checked.
struct Keys {
    layers: &'static str,
    heads: &'static str,
    kv_heads: &'static str,
    head_width: &'static str,
    rope_width: &'static str,
}

impl Config {
    /// Sizes that contradict each other or are absurd, by their key.
    fn check(&self, keys: &Keys) -> Result<(), (&'static str, usize)> {
        if MAX_LAYERS < self.layers {
            return Err((keys.layers, self.layers));
        }
        if MAX_SIZE < self.heads.saturating_mul(self.head_width) {
            return Err((keys.heads, self.heads));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err((keys.kv_heads, self.kv_heads));
        }
        if !self.head_width.is_multiple_of(2) || 1024 < self.head_width {
            return Err((keys.head_width, self.head_width));
        }
        if !self.rope_width.is_multiple_of(2) || self.head_width < self.rope_width {
            return Err((keys.rope_width, self.rope_width));
        }
        Ok(())
    }
}
