//! Sixteen rows are one register of 512 bits, and a step is one instruction
//! for each row of the input.

#![expect(unsafe_code, reason = "loads through pointers and calls that need AVX-512")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::cast_ptr_alignment,
    reason = "every operation of a kernel's inner loop is one of these"
)]

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "most of them are used"))]
use std::arch::x86_64::*;

use super::format::{CENTRED, SHARED_CENTRED, SHARED_SHIFTED, SHIFTED, SPLIT, groups, with_layout};
use super::layout::{BLOCK, Layout, PANEL, STEP_BYTES, STEPS};
use super::prefetch::prefetch;
use super::wide::Wide;
use super::{Input, Panel};
use crate::isa::Avx512;

/// Rows of the input that a tile takes.
const COLUMNS: usize = 8;

/// A block in registers.
#[derive(Clone, Copy)]
struct Block {
    steps: [__m512i; STEPS],
    scales: [__m512; 2],
    mins: [__m512; 2],
}

/// Products of a panel with up to [`COLUMNS`] rows of the input.
pub(super) fn products(
    _: Avx512,
    layout: Layout,
    panel: Panel,
    x: &[Input],
    out: &mut [[f32; PANEL]],
) {
    // SAFETY: holding an `Avx512` proves the features; `Panel` and `Input` hold
    // as many blocks as they say.
    unsafe { with_layout!(layout, any_columns(panel, x, out)) }
}

/// Unpacks a panel.
pub(super) fn widen(_: Avx512, layout: Layout, panel: Panel, wide: &mut Wide) {
    wide.reset(layout, panel.blocks);
    // SAFETY: as in `products`; `reset` made room for the blocks.
    unsafe { with_layout!(layout, widen_blocks(panel, wide)) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
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
                4 | 5 => tile::<BITS, KIND, 4>(panel, x, out),
                6 | 7 => tile::<BITS, KIND, 6>(panel, x, out),
                _ => tile::<BITS, KIND, COLUMNS>(panel, x, out),
            }
        };
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn tile<const BITS: usize, const KIND: u8, const C: usize>(
    panel: Panel,
    x: &[Input],
    out: &mut [[f32; PANEL]],
) -> usize {
    let x: &[Input; C] = x.first_chunk().expect("the caller counted the rows");
    let mut sums = [_mm512_setzero_ps(); C];
    for index in 0..panel.blocks {
        prefetch::<BITS, KIND>(panel, index);
        // SAFETY: `index` is below the number of blocks of panel and inputs.
        unsafe {
            let block = block::<BITS, KIND>(panel, index);
            for c in 0..C {
                let values = x[c].values.add(index * BLOCK).cast::<i32>();
                let scale = _mm512_set1_ps(*x[c].scales.add(index));
                if groups(BITS) == 1 {
                    let total = dot(&block.steps, values);
                    let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(total), block.scales[0]);
                    sums[c] = _mm512_fmadd_ps(scaled, scale, sums[c]);
                    let sum = _mm512_set1_ps(*x[c].sums.add(index));
                    sums[c] = _mm512_fmadd_ps(block.mins[0], sum, sums[c]);
                } else {
                    for half in 0..2 {
                        let steps = &block.steps[half * STEPS / 2..][..STEPS / 2];
                        let total = dot(steps, values.add(half * STEPS / 2));
                        let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(total), block.scales[half]);
                        sums[c] = _mm512_fmadd_ps(scaled, scale, sums[c]);
                        let sum = _mm512_set1_ps(*x[c].half_sums.add(2 * index + half));
                        sums[c] = _mm512_fmadd_ps(block.mins[half], sum, sums[c]);
                    }
                }
            }
        }
    }
    for (sums, out) in sums.iter().zip(out) {
        // SAFETY: sixteen floats go to sixteen floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), *sums) };
    }
    C
}

/// Sums of the products of steps with as many times four values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn dot(steps: &[__m512i], values: *const i32) -> __m512i {
    let mut total = _mm512_setzero_si512();
    for (i, step) in steps.iter().enumerate() {
        // SAFETY: the caller has four values for each step.
        let value = _mm512_set1_epi32(unsafe { values.add(i).read_unaligned() });
        total = _mm512_dpbusd_epi32(total, *step, value);
    }
    total
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn block<const BITS: usize, const KIND: u8>(panel: Panel, index: usize) -> Block {
    // SAFETY: the caller's `index` is below `panel.blocks`.
    unsafe {
        let (scales, mins) = scales::<BITS, KIND>(panel.scales, index);
        Block { steps: steps::<BITS, KIND>(panel, index), scales, mins }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn steps<const BITS: usize, const KIND: u8>(panel: Panel, index: usize) -> [__m512i; STEPS] {
    if KIND == SPLIT {
        // SAFETY: passed on.
        return unsafe { joined(panel, index) };
    }
    // SAFETY: the caller's `index` is below the number of blocks.
    let quants = unsafe { panel.quants.add(index * BITS * PANEL * BLOCK / 8) };
    // SAFETY: a block has `bits` times 64 bytes, and `v` is below `bits`.
    let vector = |v: usize| unsafe { _mm512_loadu_si512(quants.add(v * STEP_BYTES).cast()) };
    if BITS == 8 {
        return [0, 1, 2, 3, 4, 5, 6, 7].map(vector);
    }
    let low = [vector(0), vector(1), vector(2), vector(3)];
    let nibble = _mm512_set1_epi8(15);
    let mut steps = [_mm512_setzero_si512(); STEPS];
    for v in 0..4 {
        steps[v] = _mm512_and_si512(low[v], nibble);
        steps[v + 4] = _mm512_and_si512(_mm512_srli_epi16::<4>(low[v]), nibble);
    }
    let high = match BITS {
        5 => {
            let bits = vector(4);
            [
                _mm512_slli_epi16::<4>(bits),
                _mm512_slli_epi16::<3>(bits),
                _mm512_slli_epi16::<2>(bits),
                _mm512_slli_epi16::<1>(bits),
                bits,
                _mm512_srli_epi16::<1>(bits),
                _mm512_srli_epi16::<2>(bits),
                _mm512_srli_epi16::<3>(bits),
            ]
        }
        6 => {
            let (a, b) = (vector(4), vector(5));
            [
                _mm512_slli_epi16::<4>(a),
                _mm512_slli_epi16::<2>(a),
                a,
                _mm512_srli_epi16::<2>(a),
                _mm512_slli_epi16::<4>(b),
                _mm512_slli_epi16::<2>(b),
                b,
                _mm512_srli_epi16::<2>(b),
            ]
        }
        _ => return steps,
    };
    let mask = _mm512_set1_epi8(if BITS == 5 { 0x10 } else { 0x30 });
    for s in 0..STEPS {
        steps[s] = _mm512_or_si512(steps[s], _mm512_and_si512(high[s], mask));
    }
    steps
}

/// Quants of eight bits from halves that lie apart.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn joined(panel: Panel, index: usize) -> [__m512i; STEPS] {
    let vector = |half: *const u8, v: usize| {
        // SAFETY: the caller's `index` is below the number of blocks; a block of
        // either half has four times 64 bytes.
        unsafe { _mm512_loadu_si512(half.add(index * PANEL * BLOCK / 2 + v * STEP_BYTES).cast()) }
    };
    let nibble = _mm512_set1_epi8(15);
    let mut steps = [_mm512_setzero_si512(); STEPS];
    for v in 0..STEPS / 2 {
        let (upper, lower) = (vector(panel.quants, v), vector(panel.lower, v));
        let first = _mm512_slli_epi16::<4>(_mm512_and_si512(upper, nibble));
        let second = _mm512_and_si512(_mm512_srli_epi16::<4>(lower), nibble);
        steps[v] = _mm512_or_si512(first, _mm512_and_si512(lower, nibble));
        steps[v + STEPS / 2] = _mm512_or_si512(_mm512_andnot_si512(nibble, upper), second);
    }
    steps
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn scales<const BITS: usize, const KIND: u8>(
    bytes: *const u8,
    index: usize,
) -> ([__m512; 2], [__m512; 2]) {
    // SAFETY: the offsets are those of the layout, for an index below the
    // number of blocks.
    let halves = |at: usize| unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(bytes.add(at).cast())) };
    // SAFETY: as above.
    let load = |at: usize| unsafe { _mm_loadu_si128(bytes.add(at).cast()) };
    let zero = _mm512_setzero_ps();
    match KIND {
        CENTRED | SPLIT => {
            let scale = halves(32 * index);
            let min = _mm512_mul_ps(scale, _mm512_set1_ps(-((1 << (BITS - 1)) as f32)));
            ([scale, zero], [min, zero])
        }
        SHIFTED => ([halves(64 * index), zero], [halves(64 * index + 32), zero]),
        SHARED_SHIFTED => {
            let shared = index / 8 * 320;
            let own = shared + 64 + index % 8 * 32;
            let factor = |at| _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load(at)));
            let scale = _mm512_mul_ps(halves(shared), factor(own));
            let min = _mm512_mul_ps(halves(shared + 32), factor(own + 16));
            ([scale, zero], [_mm512_mul_ps(min, _mm512_set1_ps(-1.0)), zero])
        }
        SHARED_CENTRED => {
            let shared = index / 8 * 288;
            let own = shared + 32 + index % 8 * 32;
            let factor = |at| _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load(at)));
            let scales = [own, own + 16].map(|at| _mm512_mul_ps(halves(shared), factor(at)));
            (scales, scales.map(|scale| _mm512_mul_ps(scale, _mm512_set1_ps(-32.0))))
        }
        _ => unreachable!("a layout is one of these"),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn widen_blocks<const BITS: usize, const KIND: u8>(panel: Panel, wide: &mut Wide) {
    let (quants, floats) = wide.parts();
    for index in 0..panel.blocks {
        // SAFETY: `index` is below the number of blocks of both.
        let block = unsafe { block::<BITS, KIND>(panel, index) };
        let quants = &mut quants[index * STEPS * STEP_BYTES..][..STEPS * STEP_BYTES];
        for (step, out) in block.steps.iter().zip(quants.chunks_exact_mut(STEP_BYTES)) {
            // SAFETY: 64 bytes go to 64 bytes.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *step) };
        }
        let width = 2 * groups(BITS) * PANEL;
        let floats = &mut floats[index * width..][..width];
        for (group, out) in floats.chunks_exact_mut(2 * PANEL).enumerate() {
            // SAFETY: twice sixteen floats go to 32 floats.
            unsafe {
                _mm512_storeu_ps(out.as_mut_ptr(), block.scales[group]);
                _mm512_storeu_ps(out.as_mut_ptr().add(PANEL), block.mins[group]);
            }
        }
    }
}
