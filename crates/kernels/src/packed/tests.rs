//! Packed products against the plain ones, and every variant against the
//! definition.

use std::num::NonZeroUsize;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::sizes::{cases, size};
use crate::{dot, matmul};

const TYPES: [DType; 8] = [
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
    DType::Q8_0,
    DType::Q4K,
    DType::Q5K,
    DType::Q6K,
];

fn pool(isa: Isa, threads: usize) -> Pool {
    Pool::with_isa(NonZeroUsize::new(threads).unwrap(), isa)
}

/// Random blocks whose half floats are small numbers.
fn weights(dtype: DType, blocks: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes: Vec<u8> = (0..blocks * dtype.block_bytes())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()[7]
        })
        .collect();
    let halves: &[usize] = match dtype {
        DType::Q4_1 | DType::Q5_1 | DType::Q4K | DType::Q5K => &[1, 3],
        DType::Q6K => &[209],
        _ => &[1],
    };
    for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
        for &at in halves {
            block[at] = block[at] & 0x83 | 0x24; // From 0.015 to 0.03 in size.
        }
    }
    bytes
}

fn inputs(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 12.9898 + 0.3).sin()).collect()
}

fn packed(pool: &Pool, matrix: &PackedMatrix, x: &[f32]) -> Vec<f32> {
    image(pool, (matrix, &[]), x)
}

fn image(pool: &Pool, (matrix, bias): (&PackedMatrix, &[f32]), x: &[f32]) -> Vec<f32> {
    let rows = QuantizedRows::new(pool, x, matrix.columns());
    let mut out = vec![f32::NAN; rows.rows() * matrix.rows()];
    packed_matmul(pool, &mut [Image { matrix, bias, out: &mut out }], &rows);
    out
}

#[test]
fn products_are_near_those_in_floats() {
    let pool = pool(Isa::best(), 2);
    let (rows, columns, tokens) = (size(40), 512, size(11));
    let x = inputs(tokens * columns);
    for dtype in TYPES {
        let bytes = weights(dtype, rows * columns / dtype.block_len(), 7);
        let matrix = Matrix::new(dtype, &bytes, rows, columns).unwrap();
        let mut want = vec![0.0; tokens * rows];
        matmul(&pool, matrix, &x, &mut want);
        let packed_matrix = PackedMatrix::new(&pool, dtype, &bytes, (rows, columns)).unwrap();
        let found = packed(&pool, &packed_matrix, &x);
        let norm = dot(Isa::Scalar, &want, &want).sqrt();
        let off: Vec<f32> = found.iter().zip(&want).map(|(a, b)| a - b).collect();
        let error = dot(Isa::Scalar, &off, &off).sqrt() / norm;
        assert!(error < 0.01, "{dtype:?}: {error}");
    }
}

#[test]
#[should_panic(expected = "rows for another instruction set")]
fn rows_are_multiplied_on_the_instructions_that_they_were_put_in_order_for() {
    let (scalar, best) = (pool(Isa::Scalar, 1), pool(Isa::best(), 1));
    assert_ne!(scalar.isa(), best.isa(), "rows for another instruction set cannot be had here");
    let matrix = PackedMatrix::new(&scalar, DType::Q8_0, &[0; 34], (1, 32)).unwrap();
    let rows = QuantizedRows::new(&scalar, &[1.0; 32], 32);
    packed_matmul(&best, &mut [Image { matrix: &matrix, bias: &[], out: &mut [0.0] }], &rows);
}

#[test]
fn inputs_that_are_whole_numbers_give_exact_products() {
    let (rows, columns) = (17, 256);
    let x: Vec<f32> =
        (0..columns).map(|i| if i % 32 == 0 { 127.0 } else { (i % 5) as f32 }).collect();
    for isa in Isa::available() {
        let on = pool(isa, 1);
        for dtype in TYPES {
            let bytes = weights(dtype, rows * columns / dtype.block_len(), 3);
            let matrix = Matrix::new(dtype, &bytes, rows, columns).unwrap();
            let packed_matrix = PackedMatrix::new(&on, dtype, &bytes, (rows, columns)).unwrap();
            let mut row = vec![0.0; columns];
            for (i, found) in packed(&on, &packed_matrix, &x).iter().enumerate() {
                matrix.row(&on, i, &mut row);
                let want: f64 =
                    row.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                let size: f64 = row.iter().zip(&x).map(|(w, x)| f64::from((w * x).abs())).sum();
                let off = (f64::from(*found) - want).abs();
                assert!(off <= 1e-5 * size, "{isa:?} {dtype:?} row {i}: {found} {want}");
            }
        }
    }
}

#[test]
fn the_largest_quants_and_inputs_do_not_overflow() {
    for isa in Isa::available() {
        let on = pool(isa, 1);
        for dtype in TYPES {
            let mut bytes = vec![0xff; dtype.block_bytes() * 16 * 256 / dtype.block_len()];
            for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
                let halves = weights(dtype, 1, 1);
                for at in [0, 1, 2, 3, dtype.block_bytes() - 2, dtype.block_bytes() - 1] {
                    block[at] = halves[at];
                }
            }
            let matrix = PackedMatrix::new(&on, dtype, &bytes, (16, 256)).unwrap();
            let one = pool(Isa::Scalar, 1);
            for x in [127.0, -127.0] {
                let x = vec![x; 256 * size(9)];
                assert_eq!(
                    packed(&on, &matrix, &x),
                    packed(&one, &matrix, &x),
                    "{isa:?} {dtype:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(40)))]
    #[test]
    fn outputs_have_the_same_bits_for_any_batch_threads_and_instructions(
        dtype in proptest::sample::select(&TYPES[..]),
        seed in any::<u64>(),
        rows in 1..size(90),
        tokens in 1..size(30),
        blocks in prop_oneof![1..1 + size(7), 1..1 + size(60)],
    ) {
        let columns = blocks * dtype.block_len().max(64);
        let bytes = weights(dtype, rows * columns / dtype.block_len(), seed);
        let x = inputs(tokens * columns);
        let one = pool(Isa::Scalar, 1);
        let matrix = PackedMatrix::new(&one, dtype, &bytes, (rows, columns)).unwrap();
        let bits = |out: Vec<f32>| -> Vec<u32> { out.iter().map(|x| x.to_bits()).collect() };
        let want = bits(packed(&one, &matrix, &x));
        for isa in Isa::available() {
            let two = pool(isa, 2);
            prop_assert_eq!(&bits(packed(&two, &matrix, &x)), &want, "{:?}", isa);
            let alone = x.chunks(columns).flat_map(|x| packed(&two, &matrix, x)).collect();
            prop_assert_eq!(&bits(alone), &want, "{:?} row by row", isa);
            let bias = inputs(rows);
            let biased = bits(image(&two, (&matrix, &bias), &x));
            let want = want.iter().zip(bias.iter().cycle()).map(|(x, b)| f32::from_bits(*x) + b);
            prop_assert_eq!(biased, bits(want.collect()), "{:?} with a bias", isa);
        }
    }
}

#[test]
fn packed_bytes_in_shared_memory_make_the_same_matrix() {
    let (pool, shape) = (Pool::new(NonZeroUsize::MIN), (21, 64));
    let len = DType::Q8_0.bytes_of(21 * 64).unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(len).collect();
    let own = PackedMatrix::new(&pool, DType::Q8_0, &bytes, shape).unwrap();
    let len = PackedMatrix::bytes_of(DType::Q8_0, shape).unwrap();
    assert_eq!(own.as_bytes().len(), len);

    // Room to begin at a multiple of 64 in memory.
    let mut memory = vec![0_u8; len + 128];
    let start = memory.as_ptr().align_offset(64);
    memory[start..start + len].copy_from_slice(own.as_bytes());
    let memory: SharedBytes = Arc::new(memory);
    let at = |range| PackedMatrix::from_packed(DType::Q8_0, shape, &memory, range);
    assert_eq!(at(start..start + len).unwrap().as_bytes(), own.as_bytes());
    assert!(at(start + 1..start + len + 1).is_none());
    assert!(at(start..start + len - 64).is_none());
    assert!(at(start + 192..start + 192 + len).is_none());
    let wrong = PackedMatrix::from_packed(DType::F32, shape, &memory, start..start + len);
    assert!(wrong.is_none());
}

fn split(pool: &Pool, bytes: &[u8], shape: (usize, usize)) -> PackedMatrix {
    let packing = Packing { dtype: DType::Q8_0, is_split: true };
    PackedMatrix::new(pool, packing, bytes, shape).unwrap()
}

fn largest(pool: &Pool, search: (&PackedMatrix, usize), x: &[f32]) -> Vec<f32> {
    let rows = QuantizedRows::new(pool, x, search.0.columns());
    let mut out = vec![f32::NAN; rows.rows() * search.0.rows()];
    largest_products(pool, search, &rows, &mut out);
    out
}

/// The first of the largest numbers.
fn first_largest(numbers: &[f32]) -> (usize, f32) {
    let larger = |best: (usize, f32), next: (usize, f32)| if best.1 < next.1 { next } else { best };
    numbers.iter().copied().enumerate().reduce(larger).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(40)))]
    #[test]
    fn halves_give_the_bits_of_the_whole_and_its_largest_product(
        seed in any::<u64>(),
        rows in 1..size(300),
        tokens in 1..1 + size(11),
        blocks in 1..1 + size(8),
        among in 1..size(300),
        // A few rows far larger than the others, or none.
        outliers in 0_usize..4,
    ) {
        let (columns, among) = (32 * blocks, among.min(rows));
        let mut bytes = weights(DType::Q8_0, rows * blocks, seed);
        for outlier in 0..outliers {
            let row = (outlier * 7919 + bytes[0] as usize) % rows;
            for block in bytes[row * blocks * 34..][..blocks * 34].chunks_exact_mut(34) {
                block[1] += 8;
            }
        }
        let x = inputs(tokens * columns);
        let one = pool(Isa::Scalar, 1);
        let whole = PackedMatrix::new(&one, DType::Q8_0, &bytes, (rows, columns)).unwrap();
        let want = packed(&one, &whole, &x);
        for isa in Isa::available() {
            let two = pool(isa, 2);
            let halves = split(&one, &bytes, (rows, columns));
            prop_assert_eq!(&packed(&two, &halves, &x), &want, "{:?}", isa);
            let found = largest(&two, (&halves, among), &x);
            for (found, want) in found.chunks(rows).zip(want.chunks(rows)) {
                prop_assert_eq!(first_largest(&found[..among]), first_largest(&want[..among]));
                for (found, want) in found.iter().zip(want) {
                    let is_out = found.is_infinite();
                    prop_assert!(is_out || found.to_bits() == want.to_bits(), "{:?}", isa);
                }
            }
        }
    }
}

#[test]
fn most_lower_halves_are_not_read_where_one_product_stands_out() {
    let (rows, columns) = (size(1_600), 256);
    let mut bytes = weights(DType::Q8_0, rows * columns / 32, 5);
    let x = inputs(columns);
    // A row that is like the input.
    let start = rows / 2 * columns / 32 * 34;
    let own = quantize_q8_0(&x.iter().map(|x| x * 3.0).collect::<Vec<_>>());
    bytes[start..start + own.len()].copy_from_slice(&own);
    for isa in Isa::available() {
        let on = pool(isa, 2);
        let found = largest(&on, (&split(&on, &bytes, (rows, columns)), rows), &x);
        assert_eq!(first_largest(&found).0, rows / 2);
        let read = found.iter().filter(|product| product.is_finite()).count();
        assert!(read < rows / 4, "{isa:?}: {read} of {rows}");
    }
}

#[test]
fn numbers_that_are_not_finite_leave_no_product_out() {
    let (rows, columns) = (40, 64);
    let bytes = weights(DType::Q8_0, rows * columns / 32, 5);
    let mut x = inputs(2 * columns);
    x[3] = f32::NAN;
    let mut scaled = bytes.clone();
    scaled[1] = 0x7e; // The first row's scale is no number.
    for isa in Isa::available() {
        let on = pool(isa, 1);
        let found = largest(&on, (&split(&on, &bytes, (rows, columns)), rows), &x);
        assert!(found[..rows].iter().all(|product| product.is_nan()));
        assert!(first_largest(&found[rows..]).1.is_finite());
        let found = largest(&on, (&split(&on, &scaled, (rows, columns)), rows), &x[columns..]);
        assert!(found[0].is_nan());
    }
}

#[test]
fn a_search_that_leaves_most_rows_open_is_not_tried_again_at_once() {
    let (rows, columns) = (320, 64);
    let bytes = weights(DType::Q8_0, rows * columns / 32, 5);
    let on = pool(Isa::best(), 2);
    // All products are nought, and so all are the largest.
    let alike = split(&on, &bytes, (rows, columns));
    let written = |x: &[f32]| {
        largest(&on, (&alike, rows), x).iter().filter(|product| product.is_finite()).count()
    };
    assert_eq!(written(&vec![0.0; columns]), rows);
    let mut x = vec![0.0; columns];
    x[..4].copy_from_slice(&[40.0, -3.0, 50.0, 7.0]);
    let fresh = split(&on, &bytes, (rows, columns));
    assert!(largest(&on, (&fresh, rows), &x).iter().any(|product| product.is_infinite()));
    assert_eq!(written(&x), rows);
}

#[test]
fn only_eight_bits_are_split() {
    let pool = pool(Isa::Scalar, 1);
    for dtype in TYPES {
        let bytes = weights(dtype, 256 / dtype.block_len(), 1);
        let packing = Packing { dtype, is_split: true };
        let is_split = PackedMatrix::new(&pool, packing, &bytes, (1, 256)).is_some();
        assert_eq!(is_split, dtype == DType::Q8_0, "{dtype:?}");
        assert_eq!(PackedMatrix::bytes_of(packing, (1, 256)).is_some(), is_split);
    }
}
