//! Half of the rows of a panel are two registers of 128 bits. Where the
//! processor has them, dot products of four bytes do a step of four rows at
//! once; elsewhere bytes are multiplied to 16 bits, and neighbours are added.
//!
//! Both multiply signed bytes: quants of eight bits lose 128 first, which the
//! sum of the input's values brings back.
//!
//! NEON is part of every 64-bit Arm processor, so that nothing here needs
//! [`Neon`] but what is compiled once more for [`NeonDot`].

#![expect(unsafe_code, reason = "loads through pointers and calls that need dot products")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::cast_ptr_alignment,
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "inner loops of one kernel, compiled for two instruction sets"
)]

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "most of them are used"))]
use std::arch::aarch64::*;
use std::arch::asm;

use super::format::{
    CENTRED, SHARED_CENTRED, SHARED_SHIFTED, SHIFTED, SPLIT, WIDE, groups, with_bits, with_layout,
};
use super::layout::{BLOCK, Layout, PANEL, STEP_BYTES, STEPS};
use super::wide::Wide;
use super::{Input, Panel};
use crate::isa::{Neon, NeonDot};

/// Rows of the input that a tile takes.
const COLUMNS: usize = 4;

/// Rows of a panel that a tile takes.
const ROWS: usize = 8;

/// Eight numbers.
type Eight = [float32x4_t; 2];

/// Half of the rows of a block in registers.
#[derive(Clone, Copy)]
struct Block {
    /// Signed: quants of eight bits less 128.
    steps: [[int8x16_t; 2]; STEPS],
    scales: [Eight; 2],
    mins: [Eight; 2],
}

/// Where a block is: its number, and which half of the rows.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    half: usize,
}

/// Products of a panel with rows of the input.
pub(super) fn products(
    _: Neon,
    layout: Layout,
    panel: Panel,
    x: &[Input],
    out: &mut [[f32; PANEL]],
) {
    // SAFETY: `Panel` and `Input` hold as many blocks as they say.
    unsafe { with_layout!(layout, without_dot(panel, x, out)) }
}

/// The same with dot products.
pub(super) fn products_dot(
    _: NeonDot,
    layout: Layout,
    panel: Panel,
    x: &[Input],
    out: &mut [[f32; PANEL]],
) {
    // SAFETY: holding a `NeonDot` proves the feature; and as in `products`.
    unsafe { with_layout!(layout, with_dot(panel, x, out)) }
}

/// The same as [`products`] with an unpacked panel.
pub(super) fn wide_products(_: Neon, wide: &Wide, x: &[Input], out: &mut [[f32; PANEL]]) {
    let panel = wide.panel();
    // SAFETY: as in `products`.
    unsafe { with_bits!(wide.layout, without_dot(panel, x, out)) }
}

/// The same as [`products_dot`] with an unpacked panel.
pub(super) fn wide_products_dot(_: NeonDot, wide: &Wide, x: &[Input], out: &mut [[f32; PANEL]]) {
    let panel = wide.panel();
    // SAFETY: as in `products_dot`.
    unsafe { with_bits!(wide.layout, with_dot(panel, x, out)) }
}

/// Unpacks a panel.
pub(super) fn widen(_: Neon, layout: Layout, panel: Panel, wide: &mut Wide) {
    wide.reset(layout, panel.blocks);
    // SAFETY: as in `products`; `reset` made room for the blocks.
    unsafe { with_layout!(layout, widen_blocks(panel, wide)) }
}

unsafe fn without_dot<const BITS: usize, const KIND: u8>(
    panel: Panel,
    x: &[Input],
    out: &mut [[f32; PANEL]],
) {
    // SAFETY: passed on.
    unsafe { any_columns::<BITS, KIND, false>(panel, x, out) }
}

#[target_feature(enable = "neon,dotprod")]
unsafe fn with_dot<const BITS: usize, const KIND: u8>(
    panel: Panel,
    x: &[Input],
    out: &mut [[f32; PANEL]],
) {
    // SAFETY: passed on.
    unsafe { any_columns::<BITS, KIND, true>(panel, x, out) }
}

#[inline(always)]
unsafe fn any_columns<const BITS: usize, const KIND: u8, const DOT: bool>(
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
                1 => tile::<BITS, KIND, DOT, 1>(panel, x, out),
                2 | 3 => tile::<BITS, KIND, DOT, 2>(panel, x, out),
                _ => tile::<BITS, KIND, DOT, COLUMNS>(panel, x, out),
            }
        };
    }
}

#[inline(always)]
unsafe fn tile<const BITS: usize, const KIND: u8, const DOT: bool, const C: usize>(
    panel: Panel,
    x: &[Input],
    out: &mut [[f32; PANEL]],
) -> usize {
    let x: &[Input; C] = x.first_chunk().expect("the caller counted the rows");
    for half in 0..2 {
        // SAFETY: eight floats go to eight floats, and `index` is below the
        // number of blocks of panel and inputs.
        unsafe {
            let mut sums = [[vdupq_n_f32(0.0); 2]; C];
            for index in 0..panel.blocks {
                let block = block::<BITS, KIND>(panel, Place { index, half });
                for c in 0..C {
                    let values = x[c].values.add(index * BLOCK);
                    let totals = totals::<BITS, DOT>(&block.steps, values);
                    let scale = *x[c].scales.add(index);
                    for group in 0..groups(BITS) {
                        let sum = if groups(BITS) == 1 {
                            *x[c].sums.add(index)
                        } else {
                            *x[c].half_sums.add(2 * index + group)
                        };
                        for r in 0..2 {
                            let total = vcvtq_f32_s32(totals[group][r]);
                            let scaled = vmulq_f32(total, block.scales[group][r]);
                            sums[c][r] = vfmaq_n_f32(sums[c][r], scaled, scale);
                            sums[c][r] = vfmaq_n_f32(sums[c][r], block.mins[group][r], sum);
                        }
                    }
                }
            }
            for (sums, out) in sums.iter().zip(&mut *out) {
                put_eight(&mut out[half * ROWS..][..ROWS], *sums);
            }
        }
    }
    C
}

/// The sums of the products of a block with a row of the input; of its halves
/// where quants have six bits.
#[inline(always)]
unsafe fn totals<const BITS: usize, const DOT: bool>(
    steps: &[[int8x16_t; 2]; STEPS],
    values: *const i8,
) -> [[int32x4_t; 2]; 2] {
    // SAFETY: the caller has four values for each step.
    unsafe {
        let mut totals = [[vdupq_n_s32(0); 2]; 2];
        if BITS == 8 {
            let (low, high) = (vld1q_s8(values), vld1q_s8(values.add(16)));
            let sum = i32::from(vaddlvq_s8(low)) + i32::from(vaddlvq_s8(high));
            totals[0] = [vdupq_n_s32(128 * sum); 2];
        }
        for (s, step) in steps.iter().enumerate() {
            let group = s * groups(BITS) / STEPS;
            let value = values.cast::<i32>().add(s).read_unaligned();
            let value = vreinterpretq_s8_s32(vdupq_n_s32(value));
            for r in 0..2 {
                totals[group][r] = dot::<DOT>(totals[group][r], step[r], value);
            }
        }
        totals
    }
}

/// Adds to each of the four sums four products of bytes.
#[inline(always)]
unsafe fn dot<const DOT: bool>(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    if DOT {
        let mut sums = sums;
        // SAFETY: the instruction reads and writes its registers; the caller
        // has dot products where `DOT` is true.
        unsafe {
            asm!(
                "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
                sums = inlateout(vreg) sums,
                a = in(vreg) a,
                b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        return sums;
    }
    // SAFETY: every processor has these. Two products of bytes, neither of them
    // twice -128, are less than 16 bits.
    unsafe {
        let low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
        vpadalq_s16(sums, vpaddq_s16(low, vmull_high_s8(a, b)))
    }
}

#[inline(always)]
unsafe fn block<const BITS: usize, const KIND: u8>(panel: Panel, place: Place) -> Block {
    // SAFETY: the caller's `index` is below `panel.blocks`.
    unsafe {
        let (scales, mins) = scales::<BITS, KIND>(panel.scales, place);
        let mut steps = [[vdupq_n_s8(0); 2]; STEPS];
        for r in 0..2 {
            let quants = steps_of::<BITS, KIND>(panel, place, r);
            for s in 0..STEPS {
                let quants =
                    if BITS == 8 { veorq_u8(quants[s], vdupq_n_u8(0x80)) } else { quants[s] };
                steps[s][r] = vreinterpretq_s8_u8(quants);
            }
        }
        Block { steps, scales, mins }
    }
}

/// The quants of four rows: quarter `2 * half + r` of the panel.
#[inline(always)]
unsafe fn steps_of<const BITS: usize, const KIND: u8>(
    panel: Panel,
    place: Place,
    r: usize,
) -> [uint8x16_t; STEPS] {
    let bits = match KIND {
        WIDE => 8,
        SPLIT => 4,
        _ => BITS,
    };
    let start = place.index * bits * PANEL * BLOCK / 8 + place.half * 32 + r * 16;
    // SAFETY: the caller's `index` is below the number of blocks; a block has
    // `bits` times 64 bytes, and `v` is below `bits`.
    let vector = |v: usize| unsafe { vld1q_u8(panel.quants.add(start + v * STEP_BYTES)) };
    if KIND == SPLIT {
        let mut steps = [vector(0); STEPS];
        for v in 0..STEPS / 2 {
            // SAFETY: as above, for the lower halves.
            unsafe {
                let (upper, lower) = (vector(v), vld1q_u8(panel.lower.add(start + v * STEP_BYTES)));
                steps[v] = vorrq_u8(vshlq_n_u8::<4>(upper), vandq_u8(lower, vdupq_n_u8(15)));
                let upper = vandq_u8(upper, vdupq_n_u8(0xf0));
                steps[v + STEPS / 2] = vorrq_u8(upper, vshrq_n_u8::<4>(lower));
            }
        }
        return steps;
    }
    if bits == 8 {
        return [0, 1, 2, 3, 4, 5, 6, 7].map(vector);
    }
    // SAFETY: every processor has these.
    unsafe {
        let mut steps = [vdupq_n_u8(0); STEPS];
        for v in 0..STEPS / 2 {
            let low = vector(v);
            steps[v] = vandq_u8(low, vdupq_n_u8(15));
            steps[v + STEPS / 2] = vshrq_n_u8::<4>(low);
        }
        for s in 0..STEPS {
            // To bit 4 from bit `s`, or from bits `2 (s % 4)` and the next.
            let (high, shift, mask) = match BITS {
                5 => (vector(4), 4 - s as i8, 0x10),
                6 => (vector(4 + s / 4), 4 - 2 * (s % 4) as i8, 0x30),
                _ => break,
            };
            let high = vandq_u8(vshlq_u8(high, vdupq_n_s8(shift)), vdupq_n_u8(mask));
            steps[s] = vorrq_u8(steps[s], high);
        }
        steps
    }
}

#[inline(always)]
unsafe fn scales<const BITS: usize, const KIND: u8>(
    bytes: *const u8,
    Place { index, half }: Place,
) -> ([Eight; 2], [Eight; 2]) {
    // SAFETY: the offsets are those of the layout, for an index below the
    // number of blocks; an unpacked panel has floats.
    unsafe {
        let halves = |at: usize| {
            let eight = vreinterpretq_f16_u16(vld1q_u16(bytes.add(at + 16 * half).cast()));
            [vcvt_f32_f16(vget_low_f16(eight)), vcvt_high_f32_f16(eight)]
        };
        let times = |x: Eight, factor: f32| x.map(|x| vmulq_n_f32(x, factor));
        let by = |x: Eight, y: Eight| [vmulq_f32(x[0], y[0]), vmulq_f32(x[1], y[1])];
        let zero = [vdupq_n_f32(0.0); 2];
        match KIND {
            CENTRED | SPLIT => {
                let scale = halves(32 * index);
                ([scale, zero], [times(scale, -((1 << (BITS - 1)) as f32)), zero])
            }
            SHIFTED => ([halves(64 * index), zero], [halves(64 * index + 32), zero]),
            SHARED_SHIFTED => {
                let shared = index / 8 * 320;
                let own = shared + 64 + index % 8 * 32;
                let factor = |at: usize| {
                    let words = vmovl_u8(vld1_u8(bytes.add(at + 8 * half)));
                    let (low, high) = (vmovl_u16(vget_low_u16(words)), vmovl_high_u16(words));
                    [vcvtq_f32_u32(low), vcvtq_f32_u32(high)]
                };
                let scale = by(halves(shared), factor(own));
                let min = by(halves(shared + 32), factor(own + 16));
                ([scale, zero], [times(min, -1.0), zero])
            }
            SHARED_CENTRED => {
                let shared = index / 8 * 288;
                let own = shared + 32 + index % 8 * 32;
                let factor = |at: usize| {
                    let words = vmovl_s8(vld1_s8(bytes.add(at + 8 * half).cast()));
                    let (low, high) = (vmovl_s16(vget_low_s16(words)), vmovl_high_s16(words));
                    [vcvtq_f32_s32(low), vcvtq_f32_s32(high)]
                };
                let scales = [own, own + 16].map(|at| by(halves(shared), factor(at)));
                (scales, scales.map(|scale| times(scale, -32.0)))
            }
            _ => {
                let floats = bytes.cast::<f32>();
                let eight = |at: usize| {
                    let at = floats.add(at + 8 * half);
                    [vld1q_f32(at), vld1q_f32(at.add(4))]
                };
                let at = index * groups(BITS) * 2 * PANEL;
                let second = at + (groups(BITS) - 1) * 2 * PANEL;
                ([eight(at), eight(second)], [eight(at + PANEL), eight(second + PANEL)])
            }
        }
    }
}

unsafe fn widen_blocks<const BITS: usize, const KIND: u8>(panel: Panel, wide: &mut Wide) {
    let (quants, floats) = wide.parts();
    for (index, quants) in quants.chunks_exact_mut(STEPS * STEP_BYTES).enumerate() {
        let width = 2 * groups(BITS) * PANEL;
        let floats = &mut floats[index * width..][..width];
        for half in 0..2 {
            let place = Place { index, half };
            // SAFETY: `index` is below the number of blocks of both.
            let (scales, mins) = unsafe { scales::<BITS, KIND>(panel.scales, place) };
            for r in 0..2 {
                // SAFETY: as above.
                let steps = unsafe { steps_of::<BITS, KIND>(panel, place, r) };
                for (step, out) in steps.iter().zip(quants.chunks_exact_mut(STEP_BYTES)) {
                    let out = &mut out[half * 32 + r * 16..][..16];
                    // SAFETY: sixteen bytes go to sixteen bytes.
                    unsafe { vst1q_u8(out.as_mut_ptr(), *step) };
                }
            }
            for (group, out) in floats.chunks_exact_mut(2 * PANEL).enumerate() {
                put_eight(&mut out[half * ROWS..][..ROWS], scales[group]);
                put_eight(&mut out[PANEL + half * ROWS..][..ROWS], mins[group]);
            }
        }
    }
}

#[inline(always)]
fn put_eight(out: &mut [f32], numbers: Eight) {
    let out: &mut [f32; ROWS] = out.try_into().expect("the caller cut eight");
    // SAFETY: eight floats go to eight floats.
    unsafe {
        vst1q_f32(out.as_mut_ptr(), numbers[0]);
        vst1q_f32(out.as_mut_ptr().add(4), numbers[1]);
    }
}
