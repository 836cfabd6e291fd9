//! Numeric kernels: slices in, slices out.
//!
//! SIMD and threads live here and nowhere else. Nothing here knows of files,
//! models or text.

mod dtype;

pub use dtype::DType;
