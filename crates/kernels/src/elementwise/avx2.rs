//! The definitions, compiled for AVX2 and FMA.

#![expect(unsafe_code, reason = "calls a function that needs AVX2")]

use crate::isa::Avx2;

use super::{Step, scalar};

pub(super) fn apply(_: Avx2, step: Step) {
    // SAFETY: holding an `Avx2` proves that the CPU has AVX2 and FMA.
    unsafe { apply_avx2(step) }
}

#[target_feature(enable = "avx2,fma")]
fn apply_avx2(step: Step) {
    scalar::apply(step);
}
