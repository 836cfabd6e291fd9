//! Products of a few rows with a matrix that lies in strips of sixteen columns:
//! queries with keys, then weights with values.
//!
//! Each sum is one chain of fused multiply-adds from zero, in the order of the
//! matrix's rows. Sixteen columns are one register or two, so no instruction
//! set needs another order, and an output does not depend on the others.

use crate::Isa;
use crate::dequantize::scalar::f16;

#[cfg(target_arch = "aarch64")]
use super::neon;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// Columns of a strip; positions of a tile.
pub(super) const LANES: usize = 16;

/// Rows on the left that are multiplied together.
pub(super) const ROWS: usize = 6;

/// Positions whose weights are added up before the next sum begins.
pub(super) const SEGMENT: usize = 256;

/// Stored numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numbers<'a> {
    F32(&'a [f32]),
    F16(&'a [u16]),
    /// Integers: what they are to be multiplied by is left to the caller.
    I8(&'a [i8]),
}

impl Numbers<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F32(numbers) => numbers.len(),
            Self::F16(numbers) => numbers.len(),
            Self::I8(numbers) => numbers.len(),
        }
    }

    fn at(&self, index: usize) -> f32 {
        match self {
            Self::F32(numbers) => numbers[index],
            Self::F16(numbers) => f16(&numbers[index].to_le_bytes()),
            Self::I8(numbers) => f32::from(numbers[index]),
        }
    }

    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(super) fn start(&self) -> *const u8 {
        match self {
            Self::F32(numbers) => numbers.as_ptr().cast(),
            Self::F16(numbers) => numbers.as_ptr().cast(),
            Self::I8(numbers) => numbers.as_ptr().cast(),
        }
    }
}

/// A matrix in strips: its number (row, column) is at `column / 16 *
/// strip_stride + row / rows_per_block * block_stride + row % rows_per_block *
/// row_stride + column % 16`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strips<'a> {
    pub(super) numbers: Numbers<'a>,
    /// Strips; columns by sixteen.
    pub(super) count: usize,
    pub(super) strip_stride: usize,
    pub(super) rows: usize,
    pub(super) row_stride: usize,
    pub(super) rows_per_block: usize,
    pub(super) block_stride: usize,
}

/// Up to [`ROWS`] rows on the left.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left<'a> {
    /// Shape (E, ROWS).
    Queries(&'a [f32]),
    /// Shape (ROWS, SEGMENT), perhaps from a later position on.
    Weights(&'a [f32]),
}

impl Left<'_> {
    /// Between rows, and between the numbers of a row.
    const QUERY_STRIDES: (usize, usize) = (1, ROWS);
    const WEIGHT_STRIDES: (usize, usize) = (SEGMENT, 1);

    fn parts(&self) -> (&[f32], (usize, usize)) {
        match self {
            Self::Queries(numbers) => (numbers, Self::QUERY_STRIDES),
            Self::Weights(numbers) => (numbers, Self::WEIGHT_STRIDES),
        }
    }
}

/// A product whose reads and writes are within its slices.
///
/// Invariant, by [`Product::new`]: so are those of [`ROWS`] rows on the left, of
/// `strips` as it says, and of `rows` rows of `strips.count * 16` numbers from
/// `out` on, `out_stride` apart.
pub(super) struct Product<'a> {
    pub(super) left: Left<'a>,
    /// Rows on the left.
    pub(super) rows: usize,
    pub(super) strips: Strips<'a>,
    pub(super) out: &'a mut [f32],
    pub(super) out_stride: usize,
}

impl<'a> Product<'a> {
    /// Checks that everything is there.
    pub(super) fn new(
        (left, rows): (Left<'a>, usize),
        strips: Strips<'a>,
        (out, out_stride): (&'a mut [f32], usize),
    ) -> Self {
        let (numbers, (by_row, by_step)) = left.parts();
        let Strips { count, rows: steps, rows_per_block, .. } = strips;
        assert!(0 < rows && rows <= ROWS && 0 < count && 0 < steps, "an empty product");
        assert!((ROWS - 1) * by_row + (steps - 1) * by_step < numbers.len(), "left rows");
        assert!((rows - 1) * out_stride + count * LANES <= out.len(), "room for products");
        let last = (count - 1) * strips.strip_stride
            + (steps - 1) / rows_per_block * strips.block_stride
            + (steps.min(rows_per_block) - 1) * strips.row_stride;
        assert!(last + LANES <= strips.numbers.len(), "strips past their slice");
        Self { left, rows, strips, out, out_stride }
    }

    /// Writes the products.
    pub(super) fn write(self, isa: Isa) {
        match isa {
            Isa::Scalar => self.write_scalar(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(proof) => avx2::write(proof, self),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni(proof) => avx2::write(proof.avx2(), self),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(proof) => avx512::write(proof, self),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(proof) => neon::write(proof, self),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot(proof) => neon::write(proof.neon(), self),
        }
    }

    /// The definition.
    fn write_scalar(self) {
        let (left, (by_row, by_step)) = self.left.parts();
        let strips = self.strips;
        for row in 0..self.rows {
            for column in 0..strips.count * LANES {
                let mut sum = 0.0;
                for step in 0..strips.rows {
                    sum = left[row * by_row + step * by_step].mul_add(strips.at(step, column), sum);
                }
                self.out[row * self.out_stride + column] = sum;
            }
        }
    }
}

impl Strips<'_> {
    fn at(&self, row: usize, column: usize) -> f32 {
        self.numbers.at(column / LANES * self.strip_stride
            + row / self.rows_per_block * self.block_stride
            + row % self.rows_per_block * self.row_stride
            + column % LANES)
    }
}
