//! As with AVX2, with a step of eight rows in one instruction: four products
//! of bytes are added to a sum of 32 bits, which cannot overflow.

#![expect(unsafe_code, reason = "loads through pointers and calls that need AVX-VNNI")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::cast_ptr_alignment,
    reason = "every operation of a kernel's inner loop is one of these"
)]

use std::arch::x86_64::{
    __m256i, _mm256_cvtepi32_ps, _mm256_dpbusd_avx_epi32, _mm256_fmadd_ps, _mm256_mul_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_storeu_ps,
};

use super::avx2::{Place, ROWS, block};
use super::format::{WIDE, groups, with_bits, with_layout};
use super::layout::{BLOCK, Layout, PANEL, STEPS};
use super::prefetch::prefetch;
use super::wide::Wide;
use super::{Input, Panel};
use crate::isa::AvxVnni;

/// Rows of the input that a tile takes.
const COLUMNS: usize = 4;

/// Products of a panel with rows of the input.
pub(super) fn products(
    _: AvxVnni,
    layout: Layout,
    panel: Panel,
    x: &[Input],
    out: &mut [[f32; PANEL]],
) {
    // SAFETY: holding an `AvxVnni` proves the features; `Panel` and `Input` hold
    // as many blocks as they say.
    unsafe { with_layout!(layout, any_columns(panel, x, out)) }
}

/// The same with an unpacked panel.
pub(super) fn wide_products(_: AvxVnni, wide: &Wide, x: &[Input], out: &mut [[f32; PANEL]]) {
    let panel = wide.panel();
    // SAFETY: as in `products`.
    unsafe { with_bits!(wide.layout, any_columns(panel, x, out)) }
}

#[target_feature(enable = "avxvnni,avx2,fma,f16c")]
unsafe fn any_columns<const BITS: usize, const KIND: u8>(
    panel: Panel,
    x: &[Input],
    out: &mut [[f32; PANEL]],
) {
    let mut start = 0;
    while start < x.len() {
        let (x, out) = (&x[start..], &mut out[start..]);
        // SAFETY: passed on.
        start += unsafe {
            match x.len() {
                1 => tile::<BITS, KIND, 1>(panel, x, out),
                2 => tile::<BITS, KIND, 2>(panel, x, out),
                3 => tile::<BITS, KIND, 3>(panel, x, out),
                _ => tile::<BITS, KIND, COLUMNS>(panel, x, out),
            }
        };
    }
}

#[target_feature(enable = "avxvnni,avx2,fma,f16c")]
unsafe fn tile<const BITS: usize, const KIND: u8, const C: usize>(
    panel: Panel,
    x: &[Input],
    out: &mut [[f32; PANEL]],
) -> usize {
    let x: &[Input; C] = x.first_chunk().expect("the caller counted the rows");
    for half in 0..2 {
        let mut sums = [_mm256_setzero_ps(); C];
        for index in 0..panel.blocks {
            if half == 0 && KIND != WIDE {
                prefetch::<BITS, KIND>(panel, index);
            }
            // SAFETY: `index` is below the number of blocks of panel and inputs.
            unsafe {
                let block = block::<BITS, KIND>(panel, Place { index, half });
                for group in 0..groups(BITS) {
                    let length = STEPS / groups(BITS);
                    let steps = &block.steps[group * length..][..length];
                    for c in 0..C {
                        let values = x[c].values.add(index * BLOCK).cast::<i32>();
                        let total = _mm256_cvtepi32_ps(dot(steps, values.add(group * length)));
                        let scaled = _mm256_mul_ps(total, block.scales[group]);
                        let scale = _mm256_set1_ps(*x[c].scales.add(index));
                        sums[c] = _mm256_fmadd_ps(scaled, scale, sums[c]);
                        let sum = if groups(BITS) == 1 {
                            _mm256_set1_ps(*x[c].sums.add(index))
                        } else {
                            _mm256_set1_ps(*x[c].half_sums.add(2 * index + group))
                        };
                        sums[c] = _mm256_fmadd_ps(block.mins[group], sum, sums[c]);
                    }
                }
            }
        }
        for (sums, out) in sums.iter().zip(&mut *out) {
            let out = &mut out[half * ROWS..][..ROWS];
            // SAFETY: eight floats go to eight floats.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), *sums) };
        }
    }
    C
}

/// Sums of the products of steps with as many times four values.
#[inline]
#[target_feature(enable = "avxvnni,avx2,fma,f16c")]
unsafe fn dot(steps: &[__m256i], values: *const i32) -> __m256i {
    let mut total = _mm256_setzero_si256();
    for (i, step) in steps.iter().enumerate() {
        // SAFETY: the caller has four values for each step.
        let value = _mm256_set1_epi32(unsafe { values.add(i).read_unaligned() });
        total = _mm256_dpbusd_avx_epi32(total, *step, value);
    }
    total
}
