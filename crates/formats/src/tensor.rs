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
pub(crate) fn elements(name: &str, dims: &[u64]) -> Result<u64, Error> {
    dims.iter()
        .try_fold(1_u64, |product, &dim| product.checked_mul(dim))
        .ok_or_else(|| Error::ShapeTooLarge { name: name.to_owned(), shape: dims.to_vec() })
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
