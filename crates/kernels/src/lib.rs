//! Numeric kernels: slices in, slices out.
//!
//! SIMD and threads live here and nowhere else. Nothing here knows of files,
//! models or text.
//!
//! Results do not depend on the instruction set, the number of threads or the
//! size of a batch: work is split by outputs, and every sum has one order (see
//! [`dot`] and its module).
//!
//! Letters used for shapes in this workspace: `B` batch, `T` tokens, `D` model
//! width, `H` query heads, `K` key/value heads (of a matrix: columns), `E` head
//! width, `F` feed-forward width, `V` vocabulary.

mod attention;
mod dequantize;
mod dtype;
mod elementwise;
mod isa;
mod limits;
mod matmul;
mod norm;
mod packed;
mod pool;
mod products;
mod rope;
mod shared;
mod shares;
#[cfg(test)]
mod sizes;

pub use attention::{Attention, CacheType, KeyValues, Mask};
pub use dequantize::dequantize;
pub use dtype::DType;
pub use elementwise::{Activation, activate, activate_and_multiply, exponentials, softmax};
pub use isa::Isa;
pub use limits::Limits;
pub use matmul::{Matrix, matmul};
pub use norm::{layer_norm, normalize, rms_norm};
pub use packed::{
    Image, PACKED_VERSION, PackedMatrix, Packing, QuantizedRows, SharedBytes, largest_products,
    packed_matmul, quantize_q8_0,
};
pub use pool::Pool;
pub use products::{Rows, dot};
pub use rope::{Pairs, Rotation, rope_frequencies};
