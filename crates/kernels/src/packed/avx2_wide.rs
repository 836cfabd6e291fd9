//! Products with many rows of the input: a panel is unpacked to bytes once, and
//! its sixteen rows are multiplied with four of the input at a time. The sums of
//! some blocks are formed as integers before they are scaled, because sums of
//! both kinds would not fit in the registers.

#![expect(unsafe_code, reason = "loads through pointers and calls that need AVX2")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::cast_ptr_alignment,
    clippy::needless_range_loop,
    reason = "every operation of a kernel's inner loop is one of these"
)]

use std::arch::x86_64::{
    __m256, __m256i, _mm256_add_epi16, _mm256_add_epi32, _mm256_load_si256, _mm256_loadu_ps,
    _mm256_maddubs_epi16, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_store_si256,
    _mm256_storeu_ps,
};
use std::mem::MaybeUninit;

use super::Panel;
use super::activations::QuantizedRows;
use super::avx2::{self, ROWS, add_block, chain_length, pairs, signed_products, value, zeros};
use super::format::groups;
use super::groups::{CHUNK, GROUP, Group};
use super::layout::{BLOCK, Layout, PANEL, STEP_BYTES, STEPS};
use super::wide::Wide;
use crate::isa::Avx2;

/// Unpacks a panel; quants of eight bits become signed.
pub(super) fn widen(proof: Avx2, layout: Layout, panel: Panel, wide: &mut Wide) {
    avx2::widen(proof, layout, panel, wide);
    if layout.bits == 8 {
        for quant in wide.parts().0 {
            *quant ^= 0x80;
        }
    }
}

/// Products of an unpacked panel with all rows of the input, which `out` has as
/// many of.
///
/// Blocks are taken a chunk at a time, so that they stay in the first cache
/// while all groups pass.
pub(super) fn multiply(_: Avx2, wide: &Wide, x: &QuantizedRows, out: &mut [[f32; PANEL]]) {
    assert_eq!(out.len(), x.rows(), "a row of products for each of the input");
    let panel = wide.panel();
    for chunk in x.chunks(panel.blocks) {
        let mut rest = &mut *out;
        for x in x.groups(chunk.clone()) {
            let out;
            (out, rest) = rest.split_at_mut(x.rows);
            let out = out.as_flattened_mut().as_mut_ptr();
            let task = Task { panel, first: chunk.start, blocks: chunk.len(), x, out };
            // SAFETY: holding an `Avx2` proves the features; `Panel` and `Group`
            // hold as many blocks as they say, and `out` the rows of the group.
            unsafe {
                match wide.layout.bits {
                    4 => task.any_rows::<4>(),
                    5 => task.any_rows::<5>(),
                    6 => task.any_rows::<6>(),
                    _ => task.any_rows::<8>(),
                }
            }
        }
    }
}

/// Sums of the products of a chunk of blocks: shape (blocks, 1 or 2, C, 16).
type Sums = [__m256i; CHUNK * 2 * GROUP * 2];

/// Some blocks of a panel, and a group of the input.
#[derive(Clone, Copy)]
struct Task {
    panel: Panel,
    first: usize,
    blocks: usize,
    x: Group,
    /// Shape (rows of the group, 16).
    out: *mut f32,
}

impl Task {
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn any_rows<const BITS: usize>(self) {
        // SAFETY: passed on.
        unsafe {
            match self.x.rows {
                1 => self.tile::<BITS, 1>(),
                2 => self.tile::<BITS, 2>(),
                3 => self.tile::<BITS, 3>(),
                _ => self.tile::<BITS, GROUP>(),
            }
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn tile<const BITS: usize, const C: usize>(self) {
        let mut sums = MaybeUninit::<Sums>::uninit();
        let sums = sums.as_mut_ptr().cast::<__m256i>();
        for block in 0..self.blocks {
            // SAFETY: the block is one of panel and group, and there is room for
            // its sums.
            unsafe { self.multiply_block::<BITS, C>(block, sums) };
        }
        // SAFETY: the sums of all blocks have been written.
        unsafe { self.add_blocks::<BITS, C>(sums) };
    }

    /// Writes the sums of the products of block `block` of the chunk.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn multiply_block<const BITS: usize, const C: usize>(
        self,
        block: usize,
        out: *mut __m256i,
    ) {
        let index = self.first + block;
        // SAFETY: the caller's block is one of the panel and of the group, whose
        // sizes are these.
        let (quants, values) = unsafe {
            (
                self.panel.quants.add(index * STEPS * STEP_BYTES),
                self.x.values.add(block * BLOCK * C).cast::<i32>(),
            )
        };
        let per_group = STEPS / groups(BITS);
        for group in 0..groups(BITS) {
            // SAFETY: there are eight steps in a block, four values for each step
            // of each row, and room for two registers of sums of each row and
            // group.
            unsafe {
                let mut sums = [[_mm256_setzero_si256(); 2]; C];
                add_steps::<BITS, C>(
                    (quants.add(group * per_group * STEP_BYTES), per_group),
                    values.add(group * per_group * C),
                    &mut sums,
                );
                let out = out.add((block * groups(BITS) + group) * 2 * C);
                for (i, sum) in sums.as_flattened().iter().enumerate() {
                    _mm256_store_si256(out.add(i), *sum);
                }
            }
        }
    }

    /// Adds the blocks to the output, in turn and as the definition has it.
    ///
    /// Both halves of the rows pass together: their sums wait for nothing of each
    /// other.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add_blocks<const BITS: usize, const C: usize>(self, sums: *const __m256i) {
        let mut out = [[_mm256_setzero_ps(); C]; 2];
        let row = |half: usize, c: usize| self.out.wrapping_add(c * PANEL + half * ROWS);
        if self.first != 0 {
            for half in 0..2 {
                for c in 0..C {
                    // SAFETY: the sums so far are there.
                    out[half][c] = unsafe { _mm256_loadu_ps(row(half, c)) };
                }
            }
        }
        for block in 0..self.blocks {
            for half in 0..2 {
                // SAFETY: the sums of the block are there.
                unsafe { self.add_half::<BITS, C>((block, half), sums, &mut out[half]) };
            }
        }
        for half in 0..2 {
            for c in 0..C {
                // SAFETY: there is room for the products of each row.
                unsafe { _mm256_storeu_ps(row(half, c), out[half][c]) };
            }
        }
    }

    /// Adds half of the rows of a block.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add_half<const BITS: usize, const C: usize>(
        self,
        (block, half): (usize, usize),
        sums: *const __m256i,
        out: &mut [__m256; C],
    ) {
        let mut totals = [[_mm256_setzero_si256(); C]; 2];
        for group in 0..groups(BITS) {
            for (c, total) in totals[group].iter_mut().enumerate() {
                let at = ((block * groups(BITS) + group) * C + c) * 2 + half;
                // SAFETY: these are the sums of the block.
                *total = unsafe { _mm256_load_si256(sums.add(at)) };
                if BITS == 8 {
                    // SAFETY: each row has a total of the block.
                    let values = unsafe { *self.x.totals.add(block * C + c) };
                    *total = _mm256_add_epi32(*total, zeros(values));
                }
            }
        }
        // SAFETY: the block is one of panel and group.
        unsafe {
            let floats = floats::<BITS>(self.panel.scales.cast(), self.first + block, half);
            add_block::<BITS, C>(floats, totals, (self.x, block), out);
        }
    }
}

/// Adds the products of `count` steps of the panel with `values` to `sums`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn add_steps<const BITS: usize, const C: usize>(
    (quants, count): (*const u8, usize),
    values: *const i32,
    sums: &mut [[__m256i; 2]; C],
) {
    // SAFETY: the caller has so many steps.
    let step = |s: usize, half: usize| unsafe {
        _mm256_load_si256(quants.add(s * STEP_BYTES + half * STEP_BYTES / 2).cast())
    };
    // SAFETY: the caller has four values of each row for each step.
    let value = |s: usize, c: usize| unsafe { value(values, s * C + c) };
    if BITS == 4 {
        for s in 0..count {
            let steps = [step(s, 0), step(s, 1)];
            for (c, sums) in sums.iter_mut().enumerate() {
                let value = value(s, c);
                for (sum, step) in sums.iter_mut().zip(steps) {
                    *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(step, value));
                }
            }
        }
        for sum in sums.as_flattened_mut() {
            *sum = pairs(*sum);
        }
    } else if BITS == 8 {
        for s in 0..count {
            let steps = [step(s, 0), step(s, 1)];
            for (c, sums) in sums.iter_mut().enumerate() {
                let value = value(s, c);
                for (sum, step) in sums.iter_mut().zip(steps) {
                    *sum = _mm256_add_epi32(*sum, signed_products(step, value));
                }
            }
        }
    } else {
        let length = chain_length(BITS);
        for start in (0..count).step_by(length) {
            let mut chains = [[_mm256_setzero_si256(); 2]; C];
            for s in start..start + length {
                let steps = [step(s, 0), step(s, 1)];
                for (c, sums) in chains.iter_mut().enumerate() {
                    let value = value(s, c);
                    for (sum, step) in sums.iter_mut().zip(steps) {
                        *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(step, value));
                    }
                }
            }
            for (sum, chain) in sums.as_flattened_mut().iter_mut().zip(chains.as_flattened()) {
                *sum = _mm256_add_epi32(*sum, pairs(*chain));
            }
        }
    }
}

/// Scales and minima of half of the rows of a block.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn floats<const BITS: usize>(
    floats: *const f32,
    index: usize,
    half: usize,
) -> ([__m256; 2], [__m256; 2]) {
    let (mut scales, mut mins) = ([_mm256_setzero_ps(); 2], [_mm256_setzero_ps(); 2]);
    for group in 0..groups(BITS) {
        let at = (index * groups(BITS) + group) * 2 * PANEL + half * ROWS;
        // SAFETY: a block has as many floats, as `Wide` says.
        unsafe {
            scales[group] = _mm256_loadu_ps(floats.add(at));
            mins[group] = _mm256_loadu_ps(floats.add(at + PANEL));
        }
    }
    (scales, mins)
}
