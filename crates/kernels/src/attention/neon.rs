//! A strip is four registers of 128 bits; a tile of 6 × 1 sums fills 24.
//!
//! NEON is part of every 64-bit Arm processor: what [`super::weights`] defines
//! is compiled with it as it is.

#![expect(unsafe_code, reason = "loads through pointers")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::needless_range_loop,
    reason = "every operation of a kernel's inner loop is one of these"
)]

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "most of them are used"))]
use std::arch::aarch64::*;

use super::strips::{LANES, Left, Numbers, Product, ROWS, SEGMENT};
use crate::isa::Neon;

/// Numbers of a register.
const WIDTH: usize = 4;

/// Registers of a strip.
const REGISTERS: usize = LANES / WIDTH;

/// Writes the products.
pub(super) fn write(_: Neon, product: Product) {
    // SAFETY: that everything is there is the invariant of `Product`.
    unsafe {
        match (&product.left, product.strips.numbers) {
            (Left::Queries(_), Numbers::F32(_)) => any_rows::<4, 1, ROWS>(product),
            (Left::Queries(_), Numbers::F16(_)) => any_rows::<2, 1, ROWS>(product),
            (Left::Queries(_), Numbers::I8(_)) => any_rows::<1, 1, ROWS>(product),
            (Left::Weights(_), Numbers::F32(_)) => any_rows::<4, SEGMENT, 1>(product),
            (Left::Weights(_), Numbers::F16(_)) => any_rows::<2, SEGMENT, 1>(product),
            (Left::Weights(_), Numbers::I8(_)) => any_rows::<1, SEGMENT, 1>(product),
        }
    }
}

unsafe fn any_rows<const BYTES: usize, const BY_ROW: usize, const BY_STEP: usize>(
    mut product: Product,
) {
    let product = &mut product;
    for strip in 0..product.strips.count {
        // SAFETY: passed on. A fifth row is computed with a sixth, which is
        // there but is not written.
        unsafe {
            match product.rows {
                1 => tile::<BYTES, BY_ROW, BY_STEP, 1>(product, strip),
                2 => tile::<BYTES, BY_ROW, BY_STEP, 2>(product, strip),
                3 => tile::<BYTES, BY_ROW, BY_STEP, 3>(product, strip),
                4 => tile::<BYTES, BY_ROW, BY_STEP, 4>(product, strip),
                _ => tile::<BYTES, BY_ROW, BY_STEP, 6>(product, strip),
            }
        }
    }
}

/// `R` rows times strip `strip`.
unsafe fn tile<const BYTES: usize, const BY_ROW: usize, const BY_STEP: usize, const R: usize>(
    product: &mut Product,
    strip: usize,
) {
    let strips = product.strips;
    let (Left::Queries(left) | Left::Weights(left)) = product.left;
    let mut left = left.as_ptr();
    let mut done = 0;
    // SAFETY: the invariant of `Product`.
    unsafe {
        let mut sums = [[vdupq_n_f32(0.0); REGISTERS]; R];
        let mut block = strips.numbers.start().add(BYTES * strip * strips.strip_stride);
        while done < strips.rows {
            let steps = strips.rows_per_block.min(strips.rows - done);
            let mut right = block;
            for _ in 0..steps {
                let x = load::<BYTES>(right);
                for r in 0..R {
                    let y = *left.add(r * BY_ROW);
                    for h in 0..REGISTERS {
                        sums[r][h] = vfmaq_n_f32(sums[r][h], x[h], y);
                    }
                }
                left = left.add(BY_STEP);
                right = right.wrapping_add(BYTES * strips.row_stride);
            }
            block = block.wrapping_add(BYTES * strips.block_stride);
            done += steps;
        }
        for (r, sums) in sums.iter().enumerate().take(product.rows) {
            let out = product.out.as_mut_ptr().add(r * product.out_stride + strip * LANES);
            for (h, sum) in sums.iter().enumerate() {
                vst1q_f32(out.add(h * WIDTH), *sum);
            }
        }
    }
}

/// Sixteen stored numbers as floats.
#[inline]
unsafe fn load<const BYTES: usize>(start: *const u8) -> [float32x4_t; REGISTERS] {
    // SAFETY: the caller has sixteen numbers there.
    unsafe {
        match BYTES {
            1 => {
                let bytes = vld1q_s8(start.cast());
                let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
                [
                    vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
                    vcvtq_f32_s32(vmovl_high_s16(low)),
                    vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                    vcvtq_f32_s32(vmovl_high_s16(high)),
                ]
            }
            2 => {
                let start = start.cast::<u16>();
                let low = vreinterpretq_f16_u16(vld1q_u16(start));
                let high = vreinterpretq_f16_u16(vld1q_u16(start.add(8)));
                [
                    vcvt_f32_f16(vget_low_f16(low)),
                    vcvt_high_f32_f16(low),
                    vcvt_f32_f16(vget_low_f16(high)),
                    vcvt_high_f32_f16(high),
                ]
            }
            _ => {
                let start = start.cast::<f32>();
                std::array::from_fn(|h| vld1q_f32(start.add(h * WIDTH)))
            }
        }
    }
}
