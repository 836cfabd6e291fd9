//! File formats: bytes in, checked structs out.
//!
//! Models (GGUF, safetensors), and the runs and judgements of retrieval (TREC).
//! A parser takes the bytes of a whole file (usually a memory map) and returns
//! where everything is. It reads no file itself and never copies weights.
//! Every offset, length and count is checked before use, so that bad bytes
//! give an [`Error`] that names the place and never a panic or a huge
//! allocation. What the numbers of a tensor mean is left to `kernels`.

mod cursor;
mod error;
pub mod gguf;
pub mod safetensors;
mod tensor;
pub mod trec;

pub use error::Error;
pub use gguf::{Gguf, Strings};
pub use safetensors::SafeTensors;
pub use tensor::TensorInfo;
