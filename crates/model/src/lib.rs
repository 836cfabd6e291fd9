//! Transformers as data, their weights, and the forward passes.
//!
//! A model is a [`DecoderSpec`] or an [`EncoderSpec`]: sizes and choices, read
//! from a GGUF file or a Hugging Face folder. One forward pass serves all
//! decoders and one all encoders; a family of models is a function that fills
//! in a spec. Token ids go in and numbers come out: no text here.
//!
//! A model just loaded computes in floats on dequantised weights: the reference.
//! `pack` makes its products run in integers, several times as fast.
//!
//! Letters used for shapes in this workspace: `B` batch, `T` tokens, `D` model
//! width, `H` query heads, `K` key/value heads, `E` head width, `F`
//! feed-forward width, `V` vocabulary.

mod blocks;
mod chunk;
mod config;
mod decoder;
mod encoder;
mod encoder_spec;
mod error;
mod families;
mod files;
mod names;
mod packed_file;
mod rope;
mod spec;
mod weights;
mod workspace;

pub use chunk::{ChunkType, KvChunk};
pub use decoder::{Decoder, KvCache, Logits, Run};
pub use encoder::{Encoder, Input};
pub use encoder_spec::{EncoderSpec, Pooling};
pub use error::Error;
pub use plumb_kernels::CacheType;
pub use spec::DecoderSpec;
pub use weights::gguf_metadata;
