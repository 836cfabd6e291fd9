//! Loops that do nothing but arithmetic: enough independent sums to fill the
//! pipelines of current cores.

#![expect(unsafe_code, reason = "SIMD")]

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "most of them are used"))]
use std::arch::x86_64::*;
use std::hint::black_box;

use crate::isa::{Avx2, Avx512, AvxVnni};

/// Independent sums with AVX2, which has 16 registers.
const SUMS: usize = 12;
/// Independent sums with AVX-512, which has 32.
const WIDE_SUMS: usize = 24;

pub(super) fn float_operations_avx2(_proof: Avx2, rounds: usize) -> usize {
    // SAFETY: the proof says that this CPU has AVX2 and FMA.
    unsafe { floats_avx2(rounds) }
    rounds * SUMS * 8 * 2
}

pub(super) fn float_operations_avx512(_proof: Avx512, rounds: usize) -> usize {
    // SAFETY: the proof says that this CPU has AVX-512F.
    unsafe { floats_avx512(rounds) }
    rounds * WIDE_SUMS * 16 * 2
}

pub(super) fn byte_operations_avx2(_proof: Avx2, rounds: usize) -> usize {
    // SAFETY: the proof says that this CPU has AVX2.
    unsafe { bytes_avx2(rounds) }
    rounds * SUMS * 32 * 2
}

pub(super) fn byte_operations_avx_vnni(_proof: AvxVnni, rounds: usize) -> usize {
    // SAFETY: the proof says that this CPU has AVX-VNNI.
    unsafe { bytes_avx_vnni(rounds) }
    rounds * SUMS * 32 * 2
}

pub(super) fn byte_operations_avx512(_proof: Avx512, rounds: usize) -> usize {
    // SAFETY: the proof says that this CPU has AVX-512 VNNI.
    unsafe { bytes_avx512(rounds) }
    rounds * WIDE_SUMS * 64 * 2
}

#[target_feature(enable = "avx2,fma")]
fn floats_avx2(rounds: usize) {
    let (factor, term) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(1.0)));
    let mut sums = [_mm256_setzero_ps(); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, factor, term);
        }
    }
    black_box(sums);
}

#[target_feature(enable = "avx512f")]
fn floats_avx512(rounds: usize) {
    let (factor, term) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(1.0)));
    let mut sums = [_mm512_setzero_ps(); WIDE_SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, factor, term);
        }
    }
    black_box(sums);
}

/// `maddubs` and an addition in 16 bits: what a kernel does while its sums fit.
#[target_feature(enable = "avx2")]
fn bytes_avx2(rounds: usize) {
    let weights = _mm256_set1_epi8(black_box(3));
    let mut sums = [_mm256_setzero_si256(); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(weights, *sum));
        }
    }
    black_box(sums);
}

#[target_feature(enable = "avx2,avxvnni")]
fn bytes_avx_vnni(rounds: usize) {
    let (a, b) = (_mm256_set1_epi8(black_box(3)), _mm256_set1_epi8(black_box(5)));
    let mut sums = [_mm256_setzero_si256(); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_dpbusd_avx_epi32(*sum, a, b);
        }
    }
    black_box(sums);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn bytes_avx512(rounds: usize) {
    let (a, b) = (_mm512_set1_epi8(black_box(3)), _mm512_set1_epi8(black_box(5)));
    let mut sums = [_mm512_setzero_si512(); WIDE_SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, a, b);
        }
    }
    black_box(sums);
}
