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
use plumb_kernels::{DType, Isa, Matrix, PackedMatrix, Packing, Pool, dequantize, quantize_q8_0};

use crate::Error;
use crate::files::Files;
use crate::names::Names;

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

/// Where the numbers of a tensor lie.
#[derive(Clone, Debug)]
enum Data {
    Map(Arc<Mmap>),
    /// Rearranged when the model was loaded.
    Memory(Arc<Vec<u8>>),
}

/// Some rows of a tensor.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    data: Data,
    dtype: DType,
    /// Rows and columns; a vector is one row.
    rows: usize,
    columns: usize,
    range: Range<usize>,
    /// Whether most products are searched for the largest.
    is_searched: bool,
}

impl Tensor {
    fn new(map: &Arc<Mmap>, info: &TensorInfo) -> Self {
        let columns = info.shape.last().copied().unwrap_or(1);
        let rows = info.shape.iter().rev().skip(1).product();
        let data = Data::Map(Arc::clone(map));
        let range = info.range.clone();
        Self { data, dtype: info.dtype, rows, columns, range, is_searched: false }
    }

    /// A matrix in the part `range` of a map.
    #[cfg(test)]
    pub(crate) fn of_map(
        map: &Arc<Mmap>,
        dtype: DType,
        (rows, columns): (usize, usize),
        range: Range<usize>,
    ) -> Self {
        Self { data: Data::Map(Arc::clone(map)), dtype, rows, columns, range, is_searched: false }
    }

    fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Map(map) => &map[self.range.clone()],
            Data::Memory(bytes) => &bytes[self.range.clone()],
        }
    }

    pub(crate) fn matrix(&self) -> Matrix<'_> {
        Matrix::new(self.dtype, self.bytes(), self.rows, self.columns)
            .expect("the parser checked that bytes and shape agree")
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The same tensor, of whose products mostly the largest is wanted.
    pub(crate) fn searched(self) -> Self {
        Self { is_searched: true, ..self }
    }

    /// How it is packed.
    pub(crate) fn packing(&self) -> Packing {
        Packing { dtype: self.dtype, is_split: self.is_searched && self.dtype == DType::Q8_0 }
    }

    /// Gives the memory of the file's pages back: what is asked of the tensor
    /// from now on is read from the file again.
    pub(crate) fn release(&self) {
        if let Data::Map(map) = &self.data {
            release(map, self.range.clone());
        }
    }

    /// The same for all of the file.
    pub(crate) fn release_file(&self) {
        if let Data::Map(map) = &self.data {
            release(map, 0..map.len());
        }
    }

    /// The weights repacked, or `None` if their type has no blocks.
    pub(crate) fn pack(&self, pool: &Pool) -> Option<PackedMatrix> {
        let shape = (self.rows, self.columns);
        PackedMatrix::new(pool, self.packing(), self.bytes(), shape)
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
        dequantize(Isa::best(), self.dtype, self.bytes(), &mut numbers);
        numbers
    }

    /// Columns as rows; `None` if the type has blocks, which lie along rows.
    fn transposed(&self) -> Option<Self> {
        if self.dtype.block_len() != 1 {
            return None;
        }
        let (width, stored) = (self.dtype.block_bytes(), self.bytes());
        let mut bytes = Vec::with_capacity(stored.len());
        for column in 0..self.columns {
            for row in 0..self.rows {
                bytes.extend_from_slice(&stored[(row * self.columns + column) * width..][..width]);
            }
        }
        let range = 0..bytes.len();
        let (rows, columns, dtype) = (self.columns, self.rows, self.dtype);
        let data = Data::Memory(Arc::new(bytes));
        Some(Self { data, dtype, rows, columns, range, is_searched: false })
    }

    /// Rows `rows` as a tensor of their own.
    pub(crate) fn slice(&self, rows: Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        let row_bytes = self.range.len() / self.rows.max(1);
        let start = self.range.start + rows.start * row_bytes;
        Self { rows: rows.len(), range: start..start + rows.len() * row_bytes, ..self.clone() }
    }
}

/// Gives the memory of a part of a file back.
#[expect(unsafe_code, reason = "other advice of this kind can change what is read")]
fn release(map: &Mmap, range: Range<usize>) {
    #[cfg(unix)]
    // SAFETY: pages of a map that is only read, and not of this process alone,
    // are the same when they are read again.
    let _ = unsafe {
        // Advice that is not taken costs memory only.
        map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len())
    };
}

/// All tensors of a model, by the name in its files.
#[derive(Debug)]
pub(crate) struct Weights {
    path: PathBuf,
    tensors: HashMap<String, Stored>,
}

/// A tensor of a file.
#[derive(Debug)]
struct Stored {
    path: PathBuf,
    shape: Vec<usize>,
    tensor: Tensor,
}

impl Weights {
    /// Maps a GGUF file and reads its table.
    pub(crate) fn from_gguf(path: &Path) -> Result<(Gguf, Self), Error> {
        let map = Arc::new(map(path)?);
        let file =
            gguf::parse(&map).map_err(|source| Error::Format { path: path.to_owned(), source })?;
        let mut weights = Self { path: path.to_owned(), tensors: HashMap::new() };
        weights.insert(path, &map, &file.tensors);
        // Its table has been read, and a vocabulary takes megabytes.
        let table = file.tensors.iter().map(|info| info.range.start).min().unwrap_or(map.len());
        release(&map, 0..table);
        Ok((file, weights))
    }

    /// Maps the safetensors files `paths` of the folder `folder`.
    pub(crate) fn from_safetensors(folder: &Path, paths: &[PathBuf]) -> Result<Self, Error> {
        let path = if let [path] = paths { path } else { folder };
        let mut weights = Self { path: path.to_owned(), tensors: HashMap::new() };
        for path in paths {
            let map = Arc::new(map(path)?);
            let file = safetensors::parse(&map)
                .map_err(|source| Error::Format { path: path.clone(), source })?;
            weights.insert(path, &map, &file.tensors);
        }
        Ok(weights)
    }

    fn insert(&mut self, path: &Path, map: &Arc<Mmap>, tensors: &[TensorInfo]) {
        for info in tensors {
            let (shape, tensor) = (info.shape.clone(), Tensor::new(map, info));
            let stored = Stored { path: path.to_owned(), shape, tensor };
            self.tensors.insert(info.name.clone(), stored);
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The vector `name` of `len` numbers, if there is one.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<Option<Vec<f32>>, Error> {
        if !self.contains(name) {
            return Ok(None);
        }
        Ok(Some(self.find(name, &[len])?.to_f32()))
    }

    /// The parameters by their GGUF names, with every shape checked. `names`
    /// says what these files call them.
    pub(crate) fn take(
        &self,
        parameters: &[Parameter],
        names: &Names,
    ) -> Result<Parameters, Error> {
        let root = names.root(|name| self.contains(name));
        let mut taken = HashMap::new();
        for Parameter { name, shape } in parameters {
            let stored = names.stored(root, name);
            let tensor = if names.is_transposed(name) {
                let mut reversed = shape.clone();
                reversed.reverse();
                let tensor = self.find(&stored, &reversed)?;
                tensor.transposed().ok_or_else(|| Error::Unsupported {
                    path: self.path.clone(),
                    key: stored,
                    found: format!("blocks of {}", tensor.dtype.name()),
                })?
            } else {
                self.find(&stored, shape)?.clone()
            };
            taken.insert(name.clone(), tensor);
        }
        Ok(Parameters(taken))
    }

    fn find(&self, name: &str, expected: &[usize]) -> Result<&Tensor, Error> {
        let (name, expected) = (name.to_owned(), expected.to_vec());
        match self.tensors.get(&name) {
            None => Err(Error::MissingTensor { path: self.path.clone(), name, expected }),
            Some(Stored { path, shape, .. }) if *shape != expected => {
                let (path, found) = (path.clone(), shape.clone());
                Err(Error::WrongShape { path, name, expected, found })
            }
            Some(stored) => Ok(&stored.tensor),
        }
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
