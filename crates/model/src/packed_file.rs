//! Packed weights on disk, so that a model that was loaded once is loaded by
//! mapping a file.
//!
//! The file begins with a magic, a version and the number of matrices; then
//! comes for each its storage type, whether it is split, rows and columns; then, from the next
//! multiple of 64 on, their bytes one after the other, each matrix a multiple
//! of 64 bytes. Numbers are little-endian. It holds nothing that the model's
//! own file does not, and where anything is not as expected it is made anew.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plumb_kernels::{PACKED_VERSION, PackedMatrix, Pool, SharedBytes};

use crate::Error;
use crate::weights::{Tensor, map};

const MAGIC: &[u8; 8] = b"PLUMBPAK";

/// Bytes before the list of matrices: magic, version, number.
const HEAD: usize = 16;

/// Bytes of a matrix in the list: seven of its type's name, one that says whether it
/// is split, rows, columns.
const ENTRY: usize = 24;

/// Age of a file that nobody writes any more.
const ABANDONED: Duration = Duration::from_hours(1);

/// Where matrices begin.
const ALIGNMENT: usize = 64;

/// The matrices that `tensors` become, from the file at `path`; if that does
/// not hold them, it is written first.
///
/// `None` stands for a tensor whose type has no blocks. An error says why the
/// file could not be written; the model can be used without it.
pub(crate) fn load(
    path: &Path,
    pool: &Pool,
    tensors: &[&Tensor],
) -> Result<Vec<Option<PackedMatrix>>, Error> {
    if let Some(found) = read(path, tensors) {
        return Ok(found);
    }
    let io = |source| Error::Io { path: path.to_owned(), source };
    write(path, pool, tensors).map_err(io)?;
    read(path, tensors).ok_or_else(|| io(io::Error::other("what was written is not found")))
}

/// Bytes from the beginning of the file to the first matrix.
fn head_len(matrices: usize) -> usize {
    (HEAD + matrices * ENTRY).next_multiple_of(ALIGNMENT)
}

fn head(tensors: &[&Tensor]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    // Fits: a model has at most some thousands of matrices.
    let count = u32::try_from(tensors.len()).unwrap_or(u32::MAX);
    bytes.extend(PACKED_VERSION.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    for tensor in tensors {
        let mut name = [0; 8];
        let packing = tensor.packing();
        let known = packing.dtype.name().as_bytes();
        name[..known.len()].copy_from_slice(known);
        // Of no type's name, which are at most seven bytes.
        name[7] = packing.is_split.into();
        bytes.extend(name);
        bytes.extend((tensor.rows() as u64).to_le_bytes());
        bytes.extend((tensor.columns() as u64).to_le_bytes());
    }
    bytes.resize(head_len(tensors.len()), 0);
    bytes
}

/// `None` if there is no such file or it is not what is expected.
fn read(path: &Path, tensors: &[&Tensor]) -> Option<Vec<Option<PackedMatrix>>> {
    let map = Arc::new(map(path).ok()?);
    let head = head(tensors);
    if map.get(..head.len()) != Some(&*head) {
        return None;
    }
    let bytes: SharedBytes = map.clone();
    let mut start = head.len();
    let mut found = Vec::new();
    for tensor in tensors {
        let shape = (tensor.rows(), tensor.columns());
        let Some(len) = PackedMatrix::bytes_of(tensor.packing(), shape) else {
            found.push(None);
            continue;
        };
        let range = start..start.checked_add(len)?;
        start = range.end;
        found.push(Some(PackedMatrix::from_packed(tensor.packing(), shape, &bytes, range)?));
    }
    (start == map.len()).then_some(found)
}

/// Packs one tensor after the other, so that memory holds one at a time.
fn write(path: &Path, pool: &Pool, tensors: &[&Tensor]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
        remove_abandoned(folder);
    }
    // Processes that load at the same time write files of their own.
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = Partial(PathBuf::from(name));
    let mut file = BufWriter::new(File::create(&partial.0)?);
    file.write_all(&head(tensors))?;
    for tensor in tensors {
        if let Some(packed) = tensor.pack(pool) {
            file.write_all(packed.as_bytes())?;
        }
        tensor.release();
    }
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&partial.0, path)
}

/// Removes what processes that were killed left behind.
fn remove_abandoned(folder: &Path) {
    let is_old = |path: &Path| {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
        modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| ABANDONED < age))
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "partial") && is_old(&path) {
            // Another process may have been faster.
            let _ = fs::remove_file(path);
        }
    }
}

/// A file that is removed unless it was renamed.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // It is gone where all went well.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use plumb_kernels::DType;

    use super::*;

    /// Matrices with blocks, one of them split, and one without, in a GGUF-less map.
    fn tensors(folder: &Path) -> Vec<Tensor> {
        let path = folder.join("weights");
        let bytes: Vec<u8> = (0..20_000_u32).map(|i| (i * 7 % 61) as u8).collect();
        fs::write(&path, bytes).unwrap();
        let map = Arc::new(map(&path).unwrap());
        let tensor = |dtype: DType, rows: usize, columns: usize| {
            let len = rows * dtype.bytes_of(columns).unwrap();
            Tensor::of_map(&map, dtype, (rows, columns), 0..len)
        };
        let searched = tensor(DType::Q8_0, 40, 32).searched();
        let (first, last) = (tensor(DType::Q8_0, 20, 64), tensor(DType::Q4_1, 17, 32));
        vec![first, tensor(DType::F32, 4, 8), last, searched]
    }

    #[test]
    fn what_is_written_is_found_and_what_is_damaged_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let tensors = tensors(folder.path());
        let tensors: Vec<&Tensor> = tensors.iter().collect();
        let (pool, path) = (Pool::new(NonZeroUsize::MIN), folder.path().join("sub/a.pack"));
        let check = || {
            let found = load(&path, &pool, &tensors).unwrap();
            for (tensor, found) in tensors.iter().zip(&found) {
                let want = tensor.pack(&pool);
                assert_eq!(
                    found.as_ref().map(PackedMatrix::as_bytes),
                    want.as_ref().map(PackedMatrix::as_bytes)
                );
            }
        };
        assert!(read(&path, &tensors).is_none());
        check();
        assert!(read(&path, &tensors).is_some());
        let good = fs::read(&path).unwrap();
        let longer = [&*good, &[0; 64]].concat();
        let mut other = good.clone();
        other[8] ^= 1;
        for bad in [&good[..good.len() - 64], &good[..40], &[], &longer, &other] {
            fs::write(&path, bad).unwrap();
            assert!(read(&path, &tensors).is_none());
            check();
        }
        // Another list of matrices.
        assert!(read(&path, &tensors[..2]).is_none());
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let tensors = tensors(folder.path());
        let tensors: Vec<&Tensor> = tensors.iter().collect();
        let path = folder.path().join("weights/is-a-file.pack");
        let result = load(&path, &Pool::new(NonZeroUsize::MIN), &tensors);
        assert!(matches!(result, Err(Error::Io { .. })));
    }
}
