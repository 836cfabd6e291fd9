//! The definitions, compiled for AVX-512.

#![expect(unsafe_code, reason = "calls a function that needs AVX-512")]

use crate::isa::Avx512;

use super::{Step, scalar};

pub(super) fn apply(_: Avx512, step: Step) {
    // SAFETY: holding an `Avx512` proves that the CPU has the features.
    unsafe { apply_avx512(step) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
fn apply_avx512(step: Step) {
    scalar::apply(step);
}
