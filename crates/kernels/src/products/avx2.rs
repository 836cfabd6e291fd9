//! Eight lanes are one register; a tile of 4 × 3 sums fills twelve.

#![expect(unsafe_code, reason = "AVX2 loads and a call that needs AVX2")]

use std::arch::x86_64::{
    __m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use crate::isa::Avx2;

use super::{LANES, sum_lanes};

#[inline]
pub(super) fn tile<const R: usize, const C: usize>(
    _: Avx2,
    rows: [&[f32]; R],
    columns: [&[f32]; C],
) -> [[f32; R]; C] {
    // SAFETY: holding an `Avx2` proves that the CPU has AVX2 and FMA.
    unsafe { tile_avx2(rows, columns) }
}

#[target_feature(enable = "avx2,fma")]
fn tile_avx2<const R: usize, const C: usize>(
    rows: [&[f32]; R],
    columns: [&[f32]; C],
) -> [[f32; R]; C] {
    let len = rows.iter().chain(&columns).map(|x| x.len()).min().unwrap_or(0);
    let whole = len / LANES;
    // Slices of one length let the compiler drop the checks in the loop.
    let mut row_chunks = [[[0.0; LANES]; 0].as_slice(); R];
    let mut column_chunks = [[[0.0; LANES]; 0].as_slice(); C];
    for (chunks, row) in row_chunks.iter_mut().zip(rows) {
        *chunks = &row.as_chunks().0[..whole];
    }
    for (chunks, column) in column_chunks.iter_mut().zip(columns) {
        *chunks = &column.as_chunks().0[..whole];
    }

    let mut sums = [[_mm256_setzero_ps(); R]; C];
    for step in 0..whole {
        let mut x = [_mm256_setzero_ps(); R];
        for r in 0..R {
            x[r] = load(&row_chunks[r][step]);
        }
        for c in 0..C {
            let y = load(&column_chunks[c][step]);
            for r in 0..R {
                sums[c][r] = _mm256_fmadd_ps(x[r], y, sums[c][r]);
            }
        }
    }
    if whole * LANES < len {
        for c in 0..C {
            let y = load(&tail(&columns[c][whole * LANES..len]));
            for r in 0..R {
                let x = load(&tail(&rows[r][whole * LANES..len]));
                sums[c][r] = _mm256_fmadd_ps(x, y, sums[c][r]);
            }
        }
    }
    let mut out = [[0.0; R]; C];
    for c in 0..C {
        for r in 0..R {
            out[c][r] = sum_lanes(store(sums[c][r]));
        }
    }
    out
}

/// The last numbers of a row, then zeros. A zero product leaves a lane as it
/// is, but for the sign of a zero, which the sum over segments forgets.
fn tail(rest: &[f32]) -> [f32; LANES] {
    std::array::from_fn(|i| rest.get(i).copied().unwrap_or(0.0))
}

#[target_feature(enable = "avx2")]
fn load(numbers: &[f32; LANES]) -> __m256 {
    // SAFETY: the array has the eight numbers that are read.
    unsafe { _mm256_loadu_ps(numbers.as_ptr()) }
}

#[target_feature(enable = "avx2")]
fn store(register: __m256) -> [f32; LANES] {
    let mut numbers = [0.0; LANES];
    // SAFETY: the array has room for the eight numbers that are written.
    unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), register) };
    numbers
}
