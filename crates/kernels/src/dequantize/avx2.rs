//! The definition, compiled for AVX2.

#![expect(unsafe_code, reason = "calls a function that needs AVX2")]

use crate::DType;
use crate::isa::Avx2;

use super::scalar;

pub(super) fn dequantize(_: Avx2, dtype: DType, bytes: &[u8], out: &mut [f32]) {
    // SAFETY: holding an `Avx2` proves that the CPU has the feature.
    unsafe { dequantize_avx2(dtype, bytes, out) }
}

#[target_feature(enable = "avx2")]
fn dequantize_avx2(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    scalar::dequantize(dtype, bytes, out);
}
