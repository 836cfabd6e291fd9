//! Tensors in memory-mapped files.
//!
//! Weights stay in their stored form, in the pages of the file; kernels
//! dequantise them as they go.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use plumb_formats::{Gguf, TensorInfo, gguf, safetensors};
use plumb_kernels::{DType, Isa, Matrix, PackedMatrix, Pool, dequantize, quantize_q8_0};

use crate::Error;
use crate::files::Files;

/// A named tensor and its shape, as an architecture needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// The name in GGUF files of this architecture.
    pub(crate) name: String,
    /// Outermost dimension first.
    pub(crate) shape: Vec<usize>,
}

impl Parameter {
    pub(crate) fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self { name: name.into(), shape: shape.into() }
    }

    pub(crate) fn len(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }
}

/// Some rows of a tensor of a mapped file.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    map: Arc<Mmap>,
    dtype: DType,
    /// Rows and columns; a vector is one row.
    rows: usize,
    columns: usize,
    range: Range<usize>,
}

impl Tensor {
    fn new(map: &Arc<Mmap>, info: &TensorInfo) -> Self {
        let columns = info.shape.last().copied().unwrap_or(1);
        let rows = info.shape.iter().rev().skip(1).product();
        Self { map: Arc::clone(map), dtype: info.dtype, rows, columns, range: info.range.clone() }
    }

    /// A matrix in the part `range` of a map.
    #[cfg(test)]
    pub(crate) fn of_map(
        map: &Arc<Mmap>,
        dtype: DType,
        (rows, columns): (usize, usize),
        range: Range<usize>,
    ) -> Self {
        Self { map: Arc::clone(map), dtype, rows, columns, range }
    }

    pub(crate) fn matrix(&self) -> Matrix<'_> {
        Matrix::new(self.dtype, &self.map[self.range.clone()], self.rows, self.columns)
            .expect("the parser checked that bytes and shape agree")
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Gives the memory of the file's pages back: what is asked of the tensor
    /// from now on is read from the file again.
    #[expect(unsafe_code, reason = "other advice of this kind can change what is read")]
    pub(crate) fn release(&self) {
        #[cfg(unix)]
        // SAFETY: pages of a map that is only read, and not of this process
        // alone, are the same when they are read again.
        let _ = unsafe {
            // Advice that is not taken costs memory only.
            self.map.unchecked_advise_range(
                memmap2::UncheckedAdvice::DontNeed,
                self.range.start,
                self.range.len(),
            )
        };
    }

    /// The weights repacked, or `None` if their type has no blocks.
    pub(crate) fn pack(&self, pool: &Pool) -> Option<PackedMatrix> {
        let shape = (self.rows, self.columns);
        PackedMatrix::new(pool, self.dtype, &self.map[self.range.clone()], shape)
    }

    /// The weights rounded to eight bits, after multiplying each row by
    /// `factors` if there are any; `None` if rows are not whole blocks.
    pub(crate) fn round(&self, pool: &Pool, factors: &[f32]) -> Option<PackedMatrix> {
        if !self.columns.is_multiple_of(DType::Q8_0.block_len()) {
            return None;
        }
        let mut numbers = self.to_f32();
        if !factors.is_empty() {
            for row in numbers.chunks_exact_mut(self.columns) {
                row.iter_mut().zip(factors).for_each(|(x, factor)| *x *= factor);
            }
        }
        let rounded = quantize_q8_0(&numbers);
        PackedMatrix::new(pool, DType::Q8_0, &rounded, (self.rows, self.columns))
    }

    /// The numbers as `f32`.
    pub(crate) fn to_f32(&self) -> Vec<f32> {
        let mut numbers = vec![0.0; self.rows * self.columns];
        dequantize(Isa::best(), self.dtype, &self.map[self.range.clone()], &mut numbers);
        numbers
    }

    /// Rows `rows` as a tensor of their own.
    pub(crate) fn slice(&self, rows: Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        let row_bytes = self.range.len() / self.rows.max(1);
        let start = self.range.start + rows.start * row_bytes;
        Self { rows: rows.len(), range: start..start + rows.len() * row_bytes, ..self.clone() }
    }
}

/// All tensors of a model, by the name in its files.
#[derive(Debug)]
pub(crate) struct Weights {
    path: PathBuf,
    tensors: HashMap<String, (Vec<usize>, Tensor)>,
}

impl Weights {
    /// Maps a GGUF file and reads its table.
    pub(crate) fn from_gguf(path: &Path) -> Result<(Gguf, Self), Error> {
        let map = Arc::new(map(path)?);
        let file =
            gguf::parse(&map).map_err(|source| Error::Format { path: path.to_owned(), source })?;
        let mut weights = Self { path: path.to_owned(), tensors: HashMap::new() };
        weights.insert(&map, &file.tensors);
        Ok((file, weights))
    }

    /// Maps the safetensors files `paths` of the folder `folder`.
    pub(crate) fn from_safetensors(folder: &Path, paths: &[PathBuf]) -> Result<Self, Error> {
        let mut weights = Self { path: folder.to_owned(), tensors: HashMap::new() };
        for path in paths {
            let map = Arc::new(map(path)?);
            let file = safetensors::parse(&map)
                .map_err(|source| Error::Format { path: path.clone(), source })?;
            weights.insert(&map, &file.tensors);
        }
        Ok(weights)
    }

    fn insert(&mut self, map: &Arc<Mmap>, tensors: &[TensorInfo]) {
        for info in tensors {
            let tensor = (info.shape.clone(), Tensor::new(map, info));
            self.tensors.insert(info.name.clone(), tensor);
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The parameters by their GGUF names, with every shape checked. `rename`
    /// gives the name in these files.
    pub(crate) fn take(
        &self,
        parameters: &[Parameter],
        rename: impl Fn(&str) -> String,
    ) -> Result<Parameters, Error> {
        let mut taken = HashMap::new();
        for Parameter { name, shape } in parameters {
            let stored = rename(name);
            let Some((found, tensor)) = self.tensors.get(&stored) else {
                return Err(Error::MissingTensor { path: self.path.clone(), name: stored });
            };
            if found != shape {
                return Err(Error::WrongShape {
                    path: self.path.clone(),
                    name: stored,
                    expected: shape.clone(),
                    found: found.clone(),
                });
            }
            taken.insert(name.clone(), tensor.clone());
        }
        Ok(Parameters(taken))
    }
}

/// The checked tensors of a model, by GGUF name.
#[derive(Debug)]
pub(crate) struct Parameters(HashMap<String, Tensor>);

impl Parameters {
    /// The tensor that the spec listed as `name`.
    pub(crate) fn get(&self, name: &str) -> Tensor {
        self.try_get(name).unwrap_or_else(|| panic!("the spec lists no parameter `{name}`"))
    }

    pub(crate) fn try_get(&self, name: &str) -> Option<Tensor> {
        self.0.get(name).cloned()
    }
}

/// The metadata of the GGUF file at `path` (or in that folder), or `None` if
/// it is a Hugging Face folder.
pub fn gguf_metadata(path: &Path) -> Result<Option<Gguf>, Error> {
    match Files::find(path)? {
        Files::Gguf(path) => Ok(Some(Weights::from_gguf(&path)?.0)),
        Files::HuggingFace(..) => Ok(None),
    }
}

/// Maps a file into memory for reading.
#[expect(unsafe_code, reason = "a memory map changes if someone writes to its file")]
pub(crate) fn map(path: &Path) -> Result<Mmap, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    // SAFETY: model files are replaced by renaming, never written in place.
    // Were one written to regardless, numbers would change: every offset was
    // checked once against the length, and every bit pattern is a valid number.
    unsafe { Mmap::map(&file) }.map_err(io)
}
