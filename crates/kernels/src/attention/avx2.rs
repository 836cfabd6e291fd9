//! A strip is two registers of 256 bits; a tile of 6 × 2 sums fills twelve.

#![expect(unsafe_code, reason = "loads through pointers and calls that need AVX2")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::needless_range_loop,
    reason = "every operation of a kernel's inner loop is one of these"
)]

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "most of them are used"))]
use std::arch::x86_64::*;

use super::strips::{LANES, Left, Numbers, Product, ROWS, SEGMENT};
use super::weights::{self, Scores};
use crate::isa::Avx2;

/// Numbers of a register: half of a strip.
const WIDTH: usize = LANES / 2;

/// Writes the products.
pub(super) fn write(_: Avx2, product: Product) {
    // SAFETY: holding an `Avx2` proves the features; that everything is there is
    // the invariant of `Product`.
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

/// See [`weights::weigh`].
pub(super) fn weigh(_: Avx2, row: Scores) -> (f32, f32) {
    #[target_feature(enable = "avx2,fma,f16c")]
    fn compiled(row: Scores) -> (f32, f32) {
        weights::weigh_here(row)
    }
    // SAFETY: holding an `Avx2` proves the features.
    unsafe { compiled(row) }
}

/// See [`weights::merge`].
pub(super) fn merge(_: Avx2, sums: &mut [f32], next: &[f32]) {
    #[target_feature(enable = "avx2,fma,f16c")]
    fn compiled(sums: &mut [f32], next: &[f32]) {
        weights::merge_here(sums, next);
    }
    // SAFETY: holding an `Avx2` proves the features.
    unsafe { compiled(sums, next) }
}

/// See [`weights::finish`].
pub(super) fn finish(_: Avx2, sums: &[f32], sink: f32, out: &mut [f32]) {
    #[target_feature(enable = "avx2,fma,f16c")]
    fn compiled(sums: &[f32], sink: f32, out: &mut [f32]) {
        weights::finish_here(sums, sink, out);
    }
    // SAFETY: holding an `Avx2` proves the features.
    unsafe { compiled(sums, sink, out) }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn any_rows<const BYTES: usize, const BY_ROW: usize, const BY_STEP: usize>(
    product: Product,
) {
    // SAFETY: passed on. A fifth row is computed with a sixth, which is there
    // but is not written.
    unsafe {
        match product.rows {
            1 => any_strips::<BYTES, BY_ROW, BY_STEP, 1, 2>(product),
            2 => any_strips::<BYTES, BY_ROW, BY_STEP, 2, 2>(product),
            3 => any_strips::<BYTES, BY_ROW, BY_STEP, 3, 2>(product),
            4 => any_strips::<BYTES, BY_ROW, BY_STEP, 4, 1>(product),
            _ => any_strips::<BYTES, BY_ROW, BY_STEP, 6, 1>(product),
        }
    }
}

/// Takes `WIDE` strips at a time, and then what is left.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn any_strips<
    const BYTES: usize,
    const BY_ROW: usize,
    const BY_STEP: usize,
    const R: usize,
    const WIDE: usize,
>(
    mut product: Product,
) {
    let count = product.strips.count;
    let mut strip = 0;
    // SAFETY: there are as many strips from `strip` on.
    unsafe {
        while strip + WIDE <= count {
            tile::<BYTES, BY_ROW, BY_STEP, R, WIDE>(&mut product, strip);
            strip += WIDE;
        }
        if 2 < WIDE && strip + 2 <= count {
            tile::<BYTES, BY_ROW, BY_STEP, R, 2>(&mut product, strip);
            strip += 2;
        }
        while strip < count {
            tile::<BYTES, BY_ROW, BY_STEP, R, 1>(&mut product, strip);
            strip += 1;
        }
    }
}

/// `R` rows times `P` strips from strip `first` on.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn tile<
    const BYTES: usize,
    const BY_ROW: usize,
    const BY_STEP: usize,
    const R: usize,
    const P: usize,
>(
    product: &mut Product,
    first: usize,
) {
    let strips = product.strips;
    let (Left::Queries(left) | Left::Weights(left)) = product.left;
    let mut left = left.as_ptr();
    // The hardware stops at the end of a page, which a tile of a head often is:
    // the tiles that follow are asked for, whether they come as strips or rows.
    let ahead = if BY_ROW == 1 { P * strips.strip_stride } else { strips.block_stride };
    let mut sums = [[[_mm256_setzero_ps(); 2]; P]; R];
    let mut done = 0;
    // SAFETY: the invariant of `Product`, for strips `first` to `first + P`.
    unsafe {
        let mut block = strips.numbers.start().add(BYTES * (first * strips.strip_stride));
        while done < strips.rows {
            let steps = strips.rows_per_block.min(strips.rows - done);
            let mut right = block;
            for _ in 0..steps {
                let mut x = [[_mm256_setzero_ps(); 2]; P];
                for p in 0..P {
                    let at = p * strips.strip_stride;
                    x[p] = [load::<BYTES>(right, at), load::<BYTES>(right, at + WIDTH)];
                    prefetch::<BYTES>(right, at + ahead);
                }
                for r in 0..R {
                    let y = _mm256_set1_ps(*left.add(r * BY_ROW));
                    for p in 0..P {
                        for h in 0..2 {
                            sums[r][p][h] = _mm256_fmadd_ps(y, x[p][h], sums[r][p][h]);
                        }
                    }
                }
                left = left.add(BY_STEP);
                right = right.wrapping_add(BYTES * strips.row_stride);
            }
            block = block.wrapping_add(BYTES * strips.block_stride);
            done += steps;
        }
        for (r, sums) in sums.iter().enumerate().take(product.rows) {
            let out = product.out.as_mut_ptr().add(r * product.out_stride + first * LANES);
            for (p, sum) in sums.iter().enumerate() {
                _mm256_storeu_ps(out.add(p * LANES), sum[0]);
                _mm256_storeu_ps(out.add(p * LANES + WIDTH), sum[1]);
            }
        }
    }
}

/// Asks for the numbers `index` from `start`, which may be anywhere.
#[inline]
fn prefetch<const BYTES: usize>(start: *const u8, index: usize) {
    let line = start.wrapping_add(BYTES * index);
    // SAFETY: a prefetch reads nothing that the program could see.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn load<const BYTES: usize>(start: *const u8, index: usize) -> __m256 {
    // SAFETY: the caller has eight numbers there.
    unsafe {
        let start = start.add(BYTES * index);
        match BYTES {
            1 => _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(start.cast()))),
            2 => _mm256_cvtph_ps(_mm_loadu_si128(start.cast())),
            _ => _mm256_loadu_ps(start.cast()),
        }
    }
}
