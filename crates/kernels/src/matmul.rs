//! Products with a weight matrix, whatever its storage type.
//!
//! Each task takes some rows of the matrix, dequantises a tile of them into
//! the scratch buffer of its thread, and multiplies it with every row of the
//! input. The order of every sum is that of [`products`](crate::products), so
//! an output has the same bits for one input row or many, one thread or many.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use crate::products::{SEGMENT, add_products};
use crate::{DType, Pool, Rows, dequantize};

/// A matrix (rows, columns) in its stored form, rows one after another.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    dtype: DType,
    bytes: &'a [u8],
    rows: usize,
    columns: usize,
}

/// Input rows up to which a tile is small enough for the first-level cache.
const FEW: usize = 4;

thread_local! {
    /// Dequantised weights of the tile at hand, then its outputs.
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

impl<'a> Matrix<'a> {
    /// A matrix over `bytes`, or `None` if they are not exactly `rows` rows of
    /// `columns` numbers, with whole blocks in each row.
    pub fn new(dtype: DType, bytes: &'a [u8], rows: usize, columns: usize) -> Option<Self> {
        let len = dtype.bytes_of(columns)?.checked_mul(rows)?;
        (len == bytes.len()).then_some(Self { dtype, bytes, rows, columns })
    }

    /// Rows of the matrix: the width of a product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the matrix: the width of an input.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Writes row `row` to `out`.
    pub fn row(&self, pool: &Pool, row: usize, out: &mut [f32]) {
        dequantize(pool.isa(), self.dtype, self.part(row, 0, self.columns), out);
    }

    /// Bytes of `len` numbers of `row` from number `from` on, both multiples
    /// of the block length or `len` reaching the row's end.
    fn part(&self, row: usize, from: usize, len: usize) -> &'a [u8] {
        let (block_len, block_bytes) = (self.dtype.block_len(), self.dtype.block_bytes());
        let start = (row * self.columns + from) / block_len * block_bytes;
        &self.bytes[start..][..len / block_len * block_bytes]
    }
}

/// Writes to `out` (T, O) the products of `x` (T, K) with `weights` (O, K):
/// `out[t][o] = x[t] · weights[o]`.
pub fn matmul(pool: &Pool, weights: Matrix, x: &[f32], out: &mut [f32]) {
    let (columns, rows) = (weights.columns, weights.rows);
    if rows == 0 || columns == 0 {
        return out.fill(0.0);
    }
    let tokens = x.len() / columns;
    assert_eq!((x.len(), out.len()), (tokens * columns, tokens * rows), "shapes of a product");
    let rows_per_tile = if tokens <= FEW { 4 } else { 32 };
    // Enough tasks to share the work evenly, few enough to be worth a hand-over.
    let rows_per_task = (rows / (8 * pool.threads())).clamp(16, 128).next_multiple_of(32);
    let out = Mutex::new(out);
    pool.run(rows.div_ceil(rows_per_task), &|task| {
        let start = task * rows_per_task;
        let end = (start + rows_per_task).min(rows);
        for first in (start..end).step_by(rows_per_tile) {
            let count = rows_per_tile.min(end - first);
            SCRATCH.with_borrow_mut(|(tile, sums)| {
                sums.clear();
                sums.resize(tokens * count, 0.0);
                multiply_tile(pool, weights, (first, count), x, (tile, sums));
                let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
                for (out, sums) in out.chunks_exact_mut(rows).zip(sums.chunks_exact(count)) {
                    out[first..first + count].copy_from_slice(sums);
                }
            });
        }
    });
}

/// Adds to `sums` (T, count) the products of `x` with rows `first` to
/// `first + count`.
fn multiply_tile(
    pool: &Pool,
    weights: Matrix,
    (first, count): (usize, usize),
    x: &[f32],
    (tile, sums): (&mut Vec<f32>, &mut [f32]),
) {
    let columns = weights.columns;
    let tokens = x.len() / columns;
    for from in (0..columns).step_by(SEGMENT) {
        let len = SEGMENT.min(columns - from);
        tile.resize(tile.len().max(count * len), 0.0);
        for (i, row) in tile.chunks_exact_mut(len).take(count).enumerate() {
            dequantize(pool.isa(), weights.dtype, weights.part(first + i, from, len), row);
        }
        let weights = Rows::new(tile, count, len, len);
        let inputs = Rows::new(&x[from..], tokens, len, columns);
        add_products(pool.isa(), weights, inputs, sums, count);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;
    use crate::sizes::{cases, size};
    use crate::{Isa, dot};

    fn product(pool: &Pool, weights: Matrix, x: &[f32]) -> Vec<u32> {
        let mut out = vec![f32::NAN; x.len() / weights.columns() * weights.rows()];
        matmul(pool, weights, x, &mut out);
        out.iter().map(|x| x.to_bits()).collect()
    }

    fn check(dtype: DType, bytes: &[u8], (rows, columns): (usize, usize), x: &[f32]) {
        let weights = Matrix::new(dtype, bytes, rows, columns).unwrap();
        let one = Pool::with_isa(NonZeroUsize::MIN, Isa::Scalar);
        let two = Pool::new(NonZeroUsize::new(2).unwrap());
        let mut want = Vec::new();
        let mut row = vec![0.0; columns];
        for x in x.chunks(columns) {
            for i in 0..rows {
                weights.row(&one, i, &mut row);
                want.push(dot(Isa::Scalar, &row, x).to_bits());
            }
        }
        assert_eq!(product(&one, weights, x), want);
        assert_eq!(product(&two, weights, x), want, "two threads");
        let alone: Vec<u32> = x.chunks(columns).flat_map(|x| product(&two, weights, x)).collect();
        assert_eq!(alone, want, "row by row");
    }

    #[test]
    fn a_matrix_must_have_whole_blocks_and_all_its_bytes() {
        assert!(Matrix::new(DType::Q4_0, &[0; 36], 2, 32).is_some());
        assert!(Matrix::new(DType::Q4_0, &[0; 36], 2, 31).is_none());
        assert!(Matrix::new(DType::Q4_0, &[0; 35], 2, 32).is_none());
        assert!(Matrix::new(DType::F32, &[], usize::MAX, usize::MAX).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases(24)))]
        #[test]
        fn outputs_have_the_same_bits_for_any_batch_threads_and_instructions(
            seed in proptest::collection::vec(any::<u8>(), 97),
            rows in 1..size(70),
            tokens in 1..1 + size(8),
            blocks in prop_oneof![1_usize..4, size(31)..size(66)],
        ) {
            let columns = 32 * blocks;
            let mut bytes: Vec<u8> =
                seed.iter().copied().cycle().take(rows * blocks * 34).collect();
            for block in bytes.chunks_exact_mut(34) {
                block[1] &= 0x3b; // A scale below one.
            }
            let x: Vec<f32> = (0..tokens * columns).map(|i| (i as f32 * 0.37).sin()).collect();
            check(DType::Q8_0, &bytes, (rows, columns), &x);
        }
    }
}
