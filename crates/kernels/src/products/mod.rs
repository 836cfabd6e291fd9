//! Inner products of rows of `f32`: one, or all of two sets of rows.
//!
//! This is the only place where long sums are formed, and their order is
//! fixed. A row is cut into segments of [`SEGMENT`] numbers. In a segment,
//! number `i` goes to lane `i % 8` by a fused multiply-add; then the lanes are
//! added as `((0+4) + (2+6)) + ((1+5) + (3+7))`; then the segments are added
//! from the first to the last. So a product has the same bits alone or among
//! others, on any thread and any instruction set: [`scalar`] is the
//! definition, and the property test holds the others to it.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;

use crate::Isa;

/// Numbers of a row that are added up before the next sum begins. A multiple
/// of every block length.
pub(crate) const SEGMENT: usize = 1024;

/// Partial sums of a segment.
const LANES: usize = 8;

/// Rows of equal length in one slice, `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    data: &'a [f32],
    count: usize,
    len: usize,
    stride: usize,
}

impl<'a> Rows<'a> {
    /// `count` rows of `len` numbers; row `i` starts at `i * stride`.
    pub fn new(data: &'a [f32], count: usize, len: usize, stride: usize) -> Self {
        assert!(count == 0 || (count - 1) * stride + len <= data.len(), "rows past their slice");
        Self { data, count, len, stride }
    }

    fn row(&self, index: usize) -> &'a [f32] {
        &self.data[index * self.stride..][..self.len]
    }
}

/// The inner product of `a` and `b`, which must be equally long.
pub fn dot(isa: Isa, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lengths of a dot product");
    let segments = a.chunks(SEGMENT).zip(b.chunks(SEGMENT));
    segments.fold(0.0, |sum, (a, b)| sum + tile(isa, [a], [b])[0][0])
}

/// Adds to `out[j * out_stride + i]` the inner product of `a`'s row `i` and
/// `b`'s row `j`. Rows are one segment at most.
pub(crate) fn add_products(isa: Isa, a: Rows, b: Rows, out: &mut [f32], out_stride: usize) {
    assert!(a.len == b.len && a.len <= SEGMENT, "rows of {} and {}", a.len, b.len);
    let mut j = 0;
    while j < b.count {
        j += match b.count - j {
            1 => add_columns::<1>(isa, a, b, j, (out, out_stride)),
            2 => add_columns::<2>(isa, a, b, j, (out, out_stride)),
            _ => add_columns::<3>(isa, a, b, j, (out, out_stride)),
        };
    }
}

/// [`add_products`] for rows `j` to `j + C` of `b`; returns `C`.
fn add_columns<const C: usize>(
    isa: Isa,
    a: Rows,
    b: Rows,
    j: usize,
    (out, stride): (&mut [f32], usize),
) -> usize {
    let columns: [&[f32]; C] = std::array::from_fn(|c| b.row(j + c));
    let mut add = |i: usize, sums: &[f32], c: usize| {
        let out = &mut out[(j + c) * stride + i..][..sums.len()];
        out.iter_mut().zip(sums).for_each(|(o, s)| *o += s);
    };
    let mut i = 0;
    while i + 4 <= a.count {
        let sums = tile(isa, [a.row(i), a.row(i + 1), a.row(i + 2), a.row(i + 3)], columns);
        sums.iter().enumerate().for_each(|(c, sums)| add(i, sums, c));
        i += 4;
    }
    while i < a.count {
        let sums = tile(isa, [a.row(i)], columns);
        sums.iter().enumerate().for_each(|(c, sums)| add(i, sums, c));
        i += 1;
    }
    C
}

/// The inner products of `R` rows with `C` columns of one segment or less.
fn tile<const R: usize, const C: usize>(
    isa: Isa,
    rows: [&[f32]; R],
    columns: [&[f32]; C],
) -> [[f32; R]; C] {
    match isa {
        Isa::Scalar => scalar::tile(rows, columns),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::tile(proof, rows, columns),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::tile(proof.avx2(), rows, columns),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => avx2::tile(proof.avx2(), rows, columns),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(_) | Isa::NeonDot(_) => scalar::tile(rows, columns),
    }
}

/// Adds the lanes of a segment in the order that the module fixes.
#[inline]
fn sum_lanes(l: [f32; LANES]) -> f32 {
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_products_are_exact() {
        for isa in Isa::available() {
            assert_eq!(dot(isa, &[], &[]).to_bits(), 0.0_f32.to_bits());
            assert_eq!(dot(isa, &[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).to_bits(), 32.0_f32.to_bits());
            let ones = vec![1.0; 3000];
            assert_eq!(dot(isa, &ones, &ones).to_bits(), 3000.0_f32.to_bits());
        }
    }

    fn numbers(n: usize) -> impl Strategy<Value = Vec<f32>> {
        proptest::collection::vec(-2.0_f32..2.0, n)
    }

    proptest! {
        #[test]
        fn a_product_has_the_same_bits_alone_and_among_others(
            (len, a, b) in (0_usize..70).prop_flat_map(|len| {
                (Just(len), numbers(len * 9), numbers(len * 7))
            }),
        ) {
            for isa in Isa::available() {
                let mut out = vec![0.0; 7 * 9];
                let (rows, columns) = (Rows::new(&a, 9, len, len), Rows::new(&b, 7, len, len));
                add_products(isa, rows, columns, &mut out, 9);
                for (j, out) in out.chunks(9).enumerate() {
                    for (i, found) in out.iter().enumerate() {
                        let want = dot(Isa::Scalar, rows.row(i), columns.row(j));
                        prop_assert_eq!(found.to_bits(), want.to_bits(), "{:?} {} {}", isa, i, j);
                    }
                }
            }
        }

        #[test]
        fn a_long_product_is_near_the_exact_one(a in numbers(2500), b in numbers(2500)) {
            let exact: f64 = a.iter().zip(&b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
            for isa in Isa::available() {
                let found = dot(isa, &a, &b);
                prop_assert_eq!(found.to_bits(), dot(Isa::Scalar, &a, &b).to_bits());
                prop_assert!((f64::from(found) - exact).abs() < 1e-3, "{} {}", found, exact);
            }
        }
    }
}
