//! Products with many rows of the input, with a step of eight rows in one
//! instruction: four products of bytes are added to a sum of 32 bits, which cannot
//! overflow. With few rows memory is what takes time, and AVX2 does as well.

#![expect(unsafe_code, reason = "loads through pointers and calls that need AVX-VNNI")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::cast_ptr_alignment,
    clippy::needless_range_loop,
    reason = "every operation of a kernel's inner loop is one of these"
)]

use std::arch::x86_64::{
    __m256, __m256i, _mm256_cvtepi32_ps, _mm256_dpbusd_avx_epi32, _mm256_fmadd_ps,
    _mm256_load_si256, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_setzero_si256, _mm256_storeu_ps,
};

use super::Panel;
use super::activations::QuantizedRows;
use super::avx2::ROWS;
use super::groups::Group;
use super::layout::{BLOCK, PANEL, STEP_BYTES, STEPS};
use super::wide::Wide;
use crate::isa::AvxVnni;

/// Registers of a panel's rows.
const HALVES: usize = PANEL / ROWS;

/// Rows of the input that a tile takes: their sums, those of the block at hand and
/// what is multiplied fill fifteen registers.
pub(super) const COLUMNS: usize = 3;

/// Products of an unpacked panel with all rows of the input, which `out` has as
/// many of.
///
/// Blocks are taken a chunk at a time, so that they stay in the first cache
/// while all groups pass.
pub(super) fn multiply(_: AvxVnni, wide: &Wide, x: &QuantizedRows, out: &mut [[f32; PANEL]]) {
    assert_eq!(out.len(), x.rows(), "a row of products for each of the input");
    let panel = wide.panel();
    for chunk in x.chunks(panel.blocks) {
        let mut rest = &mut *out;
        for x in x.groups(chunk.clone()) {
            let out;
            (out, rest) = rest.split_at_mut(x.rows);
            let task = Task { panel, first: chunk.start, blocks: chunk.len(), x };
            // SAFETY: holding an `AvxVnni` proves the features; `Panel` and `Group`
            // hold as many blocks as they say.
            unsafe {
                match wide.layout.groups() {
                    1 => task.any_rows::<1>(out),
                    _ => task.any_rows::<2>(out),
                }
            }
        }
    }
}

/// Some blocks of a panel, and a group of the input.
#[derive(Clone, Copy)]
struct Task {
    panel: Panel,
    first: usize,
    blocks: usize,
    x: Group,
}

impl Task {
    #[target_feature(enable = "avxvnni,avx2,fma,f16c")]
    unsafe fn any_rows<const GROUPS: usize>(self, out: &mut [[f32; PANEL]]) {
        // SAFETY: passed on.
        unsafe {
            match self.x.rows {
                1 => self.tile::<GROUPS, 1>(out),
                2 => self.tile::<GROUPS, 2>(out),
                COLUMNS => self.tile::<GROUPS, COLUMNS>(out),
                rows => unreachable!("{rows} rows in a group"),
            }
        }
    }

    /// Adds the products of the blocks to the output, which they begin if they are
    /// the first.
    #[target_feature(enable = "avxvnni,avx2,fma,f16c")]
    unsafe fn tile<const GROUPS: usize, const C: usize>(self, out: &mut [[f32; PANEL]]) {
        let mut sums = [[_mm256_setzero_ps(); HALVES]; C];
        if self.first != 0 {
            for (sums, out) in sums.iter_mut().zip(&*out) {
                for (sum, out) in sums.iter_mut().zip(out.as_chunks::<ROWS>().0) {
                    // SAFETY: eight floats are there.
                    *sum = unsafe { _mm256_loadu_ps(out.as_ptr()) };
                }
            }
        }
        for block in 0..self.blocks {
            for group in 0..GROUPS {
                // SAFETY: the block is one of panel and group.
                unsafe { self.add_block::<GROUPS, C>((block, group), &mut sums) };
            }
        }
        for (sums, out) in sums.iter().zip(out) {
            for (sum, out) in sums.iter().zip(out.as_chunks_mut::<ROWS>().0) {
                // SAFETY: eight floats go to eight floats.
                unsafe { _mm256_storeu_ps(out.as_mut_ptr(), *sum) };
            }
        }
    }

    /// Adds what one group of a block gives, as the definition has it.
    #[inline]
    #[target_feature(enable = "avxvnni,avx2,fma,f16c")]
    unsafe fn add_block<const GROUPS: usize, const C: usize>(
        self,
        (block, group): (usize, usize),
        sums: &mut [[__m256; HALVES]; C],
    ) {
        let (index, steps) = (self.first + block, STEPS / GROUPS);
        // SAFETY: the caller's block is one of panel and group, whose sizes are these.
        unsafe {
            let quants = self.panel.quants.add((index * STEPS + group * steps) * STEP_BYTES);
            let values = self.x.values.add(block * BLOCK * C).cast::<i32>().add(group * steps * C);
            let totals = totals::<C>((quants, steps), values);
            let sums_of = if GROUPS == 1 { self.x.sums } else { self.x.half_sums };
            let sums_of = sums_of.add((block * GROUPS + group) * C);
            let scales_of = self.x.scales.add(block * C);
            let floats = self.panel.scales.cast::<f32>().add((index * GROUPS + group) * 2 * PANEL);
            for half in 0..HALVES {
                let scales = _mm256_loadu_ps(floats.add(half * ROWS));
                let mins = _mm256_loadu_ps(floats.add(PANEL + half * ROWS));
                for c in 0..C {
                    let scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(totals[c][half]), scales);
                    let scale = _mm256_set1_ps(*scales_of.add(c));
                    let sum = _mm256_set1_ps(*sums_of.add(c));
                    sums[c][half] = _mm256_fmadd_ps(scaled, scale, sums[c][half]);
                    sums[c][half] = _mm256_fmadd_ps(mins, sum, sums[c][half]);
                }
            }
        }
    }
}

/// Sums of the products of `steps` steps with as many times four values of each row.
#[inline]
#[target_feature(enable = "avxvnni,avx2,fma,f16c")]
unsafe fn totals<const C: usize>(
    (quants, steps): (*const u8, usize),
    values: *const i32,
) -> [[__m256i; HALVES]; C] {
    let mut totals = [[_mm256_setzero_si256(); HALVES]; C];
    for s in 0..steps {
        let step = [0, 1].map(|half| {
            // SAFETY: the caller's steps are there, each a whole line.
            unsafe { _mm256_load_si256(quants.add(s * STEP_BYTES + half * 4 * ROWS).cast()) }
        });
        for c in 0..C {
            // SAFETY: the caller has four values of each row for each step.
            let value = _mm256_set1_epi32(unsafe { values.add(s * C + c).read_unaligned() });
            for half in 0..HALVES {
                totals[c][half] = _mm256_dpbusd_avx_epi32(totals[c][half], step[half], value);
            }
        }
    }
    totals
}
