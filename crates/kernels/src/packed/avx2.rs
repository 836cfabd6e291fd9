//! Sixteen rows are two registers of 256 bits. Bytes are multiplied in pairs
//! whose sums are 16 bits wide, and as many pairs are added in 16 bits as
//! cannot overflow: eight for quants of four bits, four for five, two for six.
//! Eight bits are multiplied as magnitudes, with the input turned by the sign.

#![expect(unsafe_code, reason = "loads through pointers and calls that need AVX2")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::needless_range_loop,
    reason = "every operation of a kernel's inner loop is one of these"
)]

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "most of them are used"))]
use std::arch::x86_64::*;

use super::Panel;
use super::format::{CENTRED, SHARED_CENTRED, SHARED_SHIFTED, SHIFTED, SPLIT, groups, with_layout};
use super::groups::{GROUP, Group};
use super::layout::{BLOCK, Layout, PANEL, STEP_BYTES, STEPS};
use super::prefetch::prefetch;
use super::wide::Wide;
use crate::isa::Avx2;

/// Rows of a register.
pub(super) const ROWS: usize = 8;

/// Half of the rows of a block in registers.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) steps: [__m256i; STEPS],
    pub(super) scales: [__m256; 2],
    pub(super) mins: [__m256; 2],
}

/// Where a block is: its number, and which half of the rows.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) index: usize,
    pub(super) half: usize,
}

/// Products of a panel with a group of the input.
pub(super) fn products(_: Avx2, layout: Layout, panel: Panel, x: Group, out: &mut [[f32; PANEL]]) {
    // SAFETY: holding an `Avx2` proves the features; `Panel` and `Group` hold
    // as many blocks as they say.
    unsafe { with_layout!(layout, any_rows(panel, x, out)) }
}

/// Unpacks a panel.
pub(super) fn widen(_: Avx2, layout: Layout, panel: Panel, wide: &mut Wide) {
    wide.reset(layout, panel.blocks);
    // SAFETY: as in `products`; `reset` made room for the blocks.
    unsafe { with_layout!(layout, widen_blocks(panel, wide)) }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn any_rows<const BITS: usize, const KIND: u8>(
    panel: Panel,
    x: Group,
    out: &mut [[f32; PANEL]],
) {
    // SAFETY: passed on.
    unsafe {
        match x.rows {
            1 => tile::<BITS, KIND, 1>(panel, x, out),
            2 => tile::<BITS, KIND, 2>(panel, x, out),
            3 => tile::<BITS, KIND, 3>(panel, x, out),
            _ => tile::<BITS, KIND, GROUP>(panel, x, out),
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn tile<const BITS: usize, const KIND: u8, const C: usize>(
    panel: Panel,
    x: Group,
    out: &mut [[f32; PANEL]],
) {
    // In two passes memory would be idle during the second, which finds the panel in
    // the cache; of more rows the sums of both halves would not stay in registers.
    let together = if C <= 2 { 2 } else { 1 };
    for first in (0..2).step_by(together) {
        let mut sums = [[_mm256_setzero_ps(); C]; 2];
        for index in 0..panel.blocks {
            if first == 0 {
                prefetch::<BITS, KIND>(panel, index);
            }
            for half in 0..together {
                // SAFETY: `index` is below the number of blocks of panel and inputs.
                unsafe {
                    let block = block::<BITS, KIND>(panel, Place { index, half: first + half });
                    let values = x.values.add(index * BLOCK * C).cast();
                    let totals = totals::<BITS, C>(&block.steps, values, x.totals.add(index * C));
                    let floats = (block.scales, block.mins);
                    add_block::<BITS, C>(floats, totals, (x, index), &mut sums[half]);
                }
            }
        }
        for (half, sums) in sums[..together].iter().enumerate() {
            for (sums, out) in sums.iter().zip(&mut *out) {
                let out = &mut out[(first + half) * ROWS..][..ROWS];
                // SAFETY: eight floats go to eight floats.
                unsafe { _mm256_storeu_ps(out.as_mut_ptr(), *sums) };
            }
        }
    }
}

/// Adds to `sums` what block `index` gives, as the definition has it.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn add_block<const BITS: usize, const C: usize>(
    (scales, mins): ([__m256; 2], [__m256; 2]),
    totals: [[__m256i; C]; 2],
    (x, index): (Group, usize),
    sums: &mut [__m256; C],
) {
    for c in 0..C {
        // SAFETY: the group has C rows, and `index` is below its blocks.
        let scale = _mm256_set1_ps(unsafe { *x.scales.add(index * C + c) });
        for group in 0..groups(BITS) {
            let total = _mm256_cvtepi32_ps(totals[group][c]);
            let scaled = _mm256_mul_ps(total, scales[group]);
            sums[c] = _mm256_fmadd_ps(scaled, scale, sums[c]);
            // SAFETY: as above.
            let sum = unsafe {
                if groups(BITS) == 1 {
                    *x.sums.add(index * C + c)
                } else {
                    *x.half_sums.add((2 * index + group) * C + c)
                }
            };
            sums[c] = _mm256_fmadd_ps(mins[group], _mm256_set1_ps(sum), sums[c]);
        }
    }
}

/// For each row of the input, the sums of the products of a block; of its
/// halves where quants have six bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn totals<const BITS: usize, const C: usize>(
    steps: &[__m256i; STEPS],
    values: *const i32,
    sums: *const i32,
) -> [[__m256i; C]; 2] {
    let mut totals = [[_mm256_setzero_si256(); C]; 2];
    if BITS == 8 {
        for (c, total) in totals[0].iter_mut().enumerate() {
            // SAFETY: the caller has a sum for each row.
            *total = zeros(unsafe { *sums.add(c) });
        }
        for (i, step) in steps.iter().enumerate() {
            let step = _mm256_xor_si256(*step, _mm256_set1_epi8(-128));
            for (c, total) in totals[0].iter_mut().enumerate() {
                // SAFETY: the caller has four values of each row for each step.
                let value = unsafe { value(values, i * C + c) };
                *total = _mm256_add_epi32(*total, signed_products(step, value));
            }
        }
        return totals;
    }
    let length = chain_length(BITS);
    for (i, steps) in steps.chunks_exact(length).enumerate() {
        let group = i * length * groups(BITS) / STEPS;
        for c in 0..C {
            let mut sum = _mm256_setzero_si256();
            for (s, step) in steps.iter().enumerate() {
                // SAFETY: the caller has four values of each row for each step.
                let value = unsafe { value(values, (i * length + s) * C + c) };
                sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(*step, value));
            }
            totals[group][c] = _mm256_add_epi32(totals[group][c], pairs(sum));
        }
    }
    totals
}

/// Steps whose products can be added in 16 bits.
pub(super) const fn chain_length(bits: usize) -> usize {
    match bits {
        4 => 8,
        5 => 4,
        _ => 2,
    }
}

/// The four values at `index`, for every row.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn value(values: *const i32, index: usize) -> __m256i {
    // SAFETY: the caller has them.
    _mm256_set1_epi32(unsafe { values.add(index).read_unaligned() })
}

/// Sums of pairs, which are 16 bits wide, as 32.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn pairs(sums: __m256i) -> __m256i {
    _mm256_madd_epi16(sums, _mm256_set1_epi16(1))
}

/// What quants of eight bits give more than signed numbers, where the values of a
/// block add up to `total`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn zeros(total: i32) -> __m256i {
    _mm256_slli_epi32::<7>(_mm256_set1_epi32(total))
}

/// Sums of four products of a step of signed numbers with `value`.
///
/// Of a pair they are at most 2 * 128 * 127, which fits in 16 bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn signed_products(step: __m256i, value: __m256i) -> __m256i {
    let turned = _mm256_sign_epi8(value, step);
    pairs(_mm256_maddubs_epi16(_mm256_abs_epi8(step), turned))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn block<const BITS: usize, const KIND: u8>(panel: Panel, place: Place) -> Block {
    // SAFETY: the caller's `index` is below `panel.blocks`.
    unsafe {
        let (scales, mins) = scales::<BITS, KIND>(panel.scales, place);
        Block { steps: steps::<BITS, KIND>(panel, place), scales, mins }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn steps<const BITS: usize, const KIND: u8>(panel: Panel, place: Place) -> [__m256i; STEPS] {
    if KIND == SPLIT {
        // SAFETY: passed on.
        return unsafe { joined(panel, place) };
    }
    // SAFETY: the caller's `index` is below the number of blocks.
    let quants =
        unsafe { panel.quants.add(place.index * BITS * PANEL * BLOCK / 8 + place.half * 32) };
    // SAFETY: a block has `bits` times 64 bytes, and `v` is below `bits`.
    let vector = |v: usize| unsafe { _mm256_loadu_si256(quants.add(v * STEP_BYTES).cast()) };
    if BITS == 8 {
        // `map` would be a call, and not one with AVX2.
        let v = vector;
        return [v(0), v(1), v(2), v(3), v(4), v(5), v(6), v(7)];
    }
    let low = [vector(0), vector(1), vector(2), vector(3)];
    let nibble = _mm256_set1_epi8(15);
    let mut steps = [_mm256_setzero_si256(); STEPS];
    for v in 0..4 {
        steps[v] = _mm256_and_si256(low[v], nibble);
        steps[v + 4] = _mm256_and_si256(_mm256_srli_epi16::<4>(low[v]), nibble);
    }
    let high = match BITS {
        5 => {
            let bits = vector(4);
            [
                _mm256_slli_epi16::<4>(bits),
                _mm256_slli_epi16::<3>(bits),
                _mm256_slli_epi16::<2>(bits),
                _mm256_slli_epi16::<1>(bits),
                bits,
                _mm256_srli_epi16::<1>(bits),
                _mm256_srli_epi16::<2>(bits),
                _mm256_srli_epi16::<3>(bits),
            ]
        }
        6 => {
            let (a, b) = (vector(4), vector(5));
            [
                _mm256_slli_epi16::<4>(a),
                _mm256_slli_epi16::<2>(a),
                a,
                _mm256_srli_epi16::<2>(a),
                _mm256_slli_epi16::<4>(b),
                _mm256_slli_epi16::<2>(b),
                b,
                _mm256_srli_epi16::<2>(b),
            ]
        }
        _ => return steps,
    };
    let mask = _mm256_set1_epi8(if BITS == 5 { 0x10 } else { 0x30 });
    for s in 0..STEPS {
        steps[s] = _mm256_or_si256(steps[s], _mm256_and_si256(high[s], mask));
    }
    steps
}

/// Quants of eight bits from halves that lie apart.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn joined(panel: Panel, place: Place) -> [__m256i; STEPS] {
    let start = place.index * PANEL * BLOCK / 2 + place.half * 32;
    let vector = |half: *const u8, v: usize| {
        // SAFETY: the caller's `index` is below the number of blocks; a block of
        // either half has four times 64 bytes.
        unsafe { _mm256_loadu_si256(half.add(start + v * STEP_BYTES).cast()) }
    };
    let nibble = _mm256_set1_epi8(15);
    let mut steps = [_mm256_setzero_si256(); STEPS];
    for v in 0..STEPS / 2 {
        let (upper, lower) = (vector(panel.quants, v), vector(panel.lower, v));
        let first = _mm256_slli_epi16::<4>(_mm256_and_si256(upper, nibble));
        let second = _mm256_and_si256(_mm256_srli_epi16::<4>(lower), nibble);
        steps[v] = _mm256_or_si256(first, _mm256_and_si256(lower, nibble));
        steps[v + STEPS / 2] = _mm256_or_si256(_mm256_andnot_si256(nibble, upper), second);
    }
    steps
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn scales<const BITS: usize, const KIND: u8>(
    bytes: *const u8,
    Place { index, half }: Place,
) -> ([__m256; 2], [__m256; 2]) {
    // SAFETY: the offsets are those of the layout, for an index below the
    // number of blocks.
    let halves =
        |at: usize| unsafe { _mm256_cvtph_ps(_mm_loadu_si128(bytes.add(at + 16 * half).cast())) };
    // SAFETY: as above.
    let load = |at: usize| unsafe { _mm_loadl_epi64(bytes.add(at + 8 * half).cast()) };
    let zero = _mm256_setzero_ps();
    match KIND {
        CENTRED | SPLIT => {
            let scale = halves(32 * index);
            let min = _mm256_mul_ps(scale, _mm256_set1_ps(-((1 << (BITS - 1)) as f32)));
            ([scale, zero], [min, zero])
        }
        SHIFTED => ([halves(64 * index), zero], [halves(64 * index + 32), zero]),
        SHARED_SHIFTED => {
            let shared = index / 8 * 320;
            let own = shared + 64 + index % 8 * 32;
            let factor = |at| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load(at)));
            let scale = _mm256_mul_ps(halves(shared), factor(own));
            let min = _mm256_mul_ps(halves(shared + 32), factor(own + 16));
            ([scale, zero], [_mm256_mul_ps(min, _mm256_set1_ps(-1.0)), zero])
        }
        SHARED_CENTRED => {
            let shared = index / 8 * 288;
            let own = shared + 32 + index % 8 * 32;
            let factor = |at| _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load(at)));
            let scales = [own, own + 16].map(|at| _mm256_mul_ps(halves(shared), factor(at)));
            (scales, scales.map(|scale| _mm256_mul_ps(scale, _mm256_set1_ps(-32.0))))
        }
        _ => unreachable!("a layout is one of these"),
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn widen_blocks<const BITS: usize, const KIND: u8>(panel: Panel, wide: &mut Wide) {
    let (quants, floats) = wide.parts();
    for (index, quants) in quants.chunks_exact_mut(STEPS * STEP_BYTES).enumerate() {
        let width = 2 * groups(BITS) * PANEL;
        let floats = &mut floats[index * width..][..width];
        for half in 0..2 {
            // SAFETY: `index` is below the number of blocks of both.
            let block = unsafe { block::<BITS, KIND>(panel, Place { index, half }) };
            for (step, out) in block.steps.iter().zip(quants.chunks_exact_mut(STEP_BYTES)) {
                let out = &mut out[half * 32..][..32];
                // SAFETY: 32 bytes go to 32 bytes.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), *step) };
            }
            for (group, out) in floats.chunks_exact_mut(2 * PANEL).enumerate() {
                let (scales, mins) = out.split_at_mut(PANEL);
                let (scales, mins) =
                    (&mut scales[half * ROWS..][..ROWS], &mut mins[half * ROWS..][..ROWS]);
                // SAFETY: eight floats go to eight floats.
                unsafe {
                    _mm256_storeu_ps(scales.as_mut_ptr(), block.scales[group]);
                    _mm256_storeu_ps(mins.as_mut_ptr(), block.mins[group]);
                }
            }
        }
    }
}
