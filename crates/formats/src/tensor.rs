//! Where a tensor lies in its file, and the checks that both formats share.

use std::ops::Range;

use plumb_kernels::DType;

use crate::Error;

/// A tensor of a file: what it is called, how it is stored and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub name: String,
    pub dtype: DType,
    /// Outermost dimension first (row-major). GGUF stores the reverse.
    pub shape: Vec<usize>,
    /// Bytes of the file that hold the numbers.
    ///
    /// Invariant: inside the parsed bytes, and exactly as long as `dtype` and
    /// `shape` say.
    pub range: Range<usize>,
}

impl TensorInfo {
    /// How many numbers the tensor has.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The product of `dims`, or the error that it overflows.
///
/// A zero does not excuse its neighbours: the other dimensions must have a
/// product too, so that no caller can overflow by multiplying in another
/// order or over a part of the shape.
pub(crate) fn elements(name: &str, dims: &[u64]) -> Result<u64, Error> {
    let nonzero = dims.iter().try_fold(1_u64, |product, &dim| product.checked_mul(dim.max(1)));
    match nonzero {
        Some(_) if dims.contains(&0) => Ok(0),
        Some(product) => Ok(product),
        None => Err(Error::ShapeTooLarge { name: name.to_owned(), shape: dims.to_vec() }),
    }
}

/// Names of tensors in file order of their data, with their byte ranges.
pub(crate) struct Extent<'a> {
    pub(crate) name: &'a str,
    pub(crate) range: &'a Range<usize>,
}

/// Sorts by position and refuses a repeated name or two tensors that share
/// bytes. (Sharing would let a small file stand for any amount of weights.)
pub(crate) fn check_disjoint(extents: &mut [Extent<'_>]) -> Result<(), Error> {
    extents.sort_by(|a, b| a.name.cmp(b.name));
    if let Some(pair) = extents.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(Error::DuplicateTensor { name: pair[0].name.to_owned() });
    }
    extents.sort_by_key(|e| (e.range.start, e.range.end));
    match extents.windows(2).find(|pair| pair[0].range.end > pair[1].range.start) {
        Some(pair) => Err(Error::TensorsOverlap {
            first: pair[0].name.to_owned(),
            second: pair[1].name.to_owned(),
            offset: pair[1].range.start as u64,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_does_not_hide_dimensions_that_overflow() {
        let huge = 1_u64 << 40;
        for dims in [[0, huge, huge], [huge, 0, huge], [huge, huge, 0]] {
            assert!(matches!(elements("w", &dims), Err(Error::ShapeTooLarge { .. })), "{dims:?}");
        }
        assert_eq!(elements("w", &[0, huge]).ok(), Some(0));
        assert_eq!(elements("w", &[]).ok(), Some(1));
        assert_eq!(elements("w", &[3, 4]).ok(), Some(12));
    }
}
