//! Reads and checks a GGUF file.

use std::collections::BTreeMap;

use plumb_kernels::DType;

use super::{Array, Gguf, Strings, Value, types};
use crate::cursor::Cursor;
use crate::tensor::{self, Extent};
use crate::{Error, TensorInfo};

const MAGIC: &[u8; 4] = b"GGUF";
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_DIMENSIONS: u32 = 4;

/// Least bytes of a metadata entry: length of the key, type, a one-byte value.
const MIN_ENTRY_BYTES: usize = 8 + 4 + 1;
/// Least bytes of a tensor's row in the table: length of the name, number of
/// dimensions, one dimension, type, offset.
const MIN_TENSOR_BYTES: usize = 8 + 4 + 8 + 4 + 8;

/// A row of the tensor table, before the start of the data is known.
struct Row {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    bytes: u64,
    /// From the start of the data section.
    offset: u64,
}

/// Reads a GGUF file of version 2 or 3 and checks that every tensor lies
/// inside `bytes`.
pub fn parse(bytes: &[u8]) -> Result<Gguf, Error> {
    let mut cursor = Cursor::new(bytes);
    let version = header(&mut cursor)?;
    // The tensor count comes before the metadata, the tensors after it.
    let tensor_count = cursor.count(MIN_TENSOR_BYTES, "the tensor count")?;
    let entry_count = cursor.count(MIN_ENTRY_BYTES, "the metadata count")?;

    let mut metadata = BTreeMap::new();
    for index in 0..entry_count {
        let offset = cursor.offset();
        let key = cursor.string(&format!("the key of metadata entry {index}"))?.to_owned();
        let value = value(&mut cursor, &format!("metadata key `{key}`"))?;
        if metadata.contains_key(&key) {
            return Err(Error::DuplicateKey { key, offset });
        }
        metadata.insert(key, value);
    }

    let mut gguf = Gguf { version, metadata, tensors: Vec::new() };
    let alignment = alignment(&gguf)?;
    let rows: Vec<Row> = (0..tensor_count)
        .map(|index| row(&mut cursor, index, alignment))
        .collect::<Result<_, _>>()?;
    gguf.tensors = place(rows, cursor.offset(), alignment, bytes.len() as u64)?;
    Ok(gguf)
}

fn header(cursor: &mut Cursor<'_>) -> Result<u32, Error> {
    let start = cursor.take(cursor.left().min(MAGIC.len()) as u64, "the magic number")?;
    if start != MAGIC {
        return Err(Error::BadMagic { found: start.to_vec() });
    }
    match cursor.u32("the version")? {
        version @ (2 | 3) => Ok(version),
        version if version != 0 && version.trailing_zeros() >= 16 => Err(Error::BigEndian),
        found => Err(Error::UnsupportedVersion { found }),
    }
}

fn alignment(gguf: &Gguf) -> Result<u64, Error> {
    let found = gguf.optional("general.alignment", Gguf::u64)?.unwrap_or(DEFAULT_ALIGNMENT);
    if found.is_power_of_two() { Ok(found) } else { Err(Error::BadAlignment { found }) }
}

fn value(cursor: &mut Cursor<'_>, field: &str) -> Result<Value, Error> {
    let offset = cursor.offset();
    Ok(match cursor.u32(field)? {
        0 => Value::U8(u8::from_le_bytes(cursor.array(field)?)),
        1 => Value::I8(i8::from_le_bytes(cursor.array(field)?)),
        2 => Value::U16(u16::from_le_bytes(cursor.array(field)?)),
        3 => Value::I16(i16::from_le_bytes(cursor.array(field)?)),
        4 => Value::U32(cursor.u32(field)?),
        5 => Value::I32(i32::from_le_bytes(cursor.array(field)?)),
        6 => Value::F32(f32::from_le_bytes(cursor.array(field)?)),
        7 => Value::Bool(truth(cursor, field)?),
        8 => Value::String(cursor.string(field)?.to_owned()),
        9 => Value::Array(array(cursor, field)?),
        10 => Value::U64(cursor.u64(field)?),
        11 => Value::I64(i64::from_le_bytes(cursor.array(field)?)),
        12 => Value::F64(f64::from_le_bytes(cursor.array(field)?)),
        found => return Err(Error::UnknownValueType { field: field.to_owned(), offset, found }),
    })
}

fn array(cursor: &mut Cursor<'_>, field: &str) -> Result<Array, Error> {
    let offset = cursor.offset();
    Ok(match cursor.u32(field)? {
        0 => Array::U8(numbers(cursor, field, u8::from_le_bytes)?),
        1 => Array::I8(numbers(cursor, field, i8::from_le_bytes)?),
        2 => Array::U16(numbers(cursor, field, u16::from_le_bytes)?),
        3 => Array::I16(numbers(cursor, field, i16::from_le_bytes)?),
        4 => Array::U32(numbers(cursor, field, u32::from_le_bytes)?),
        5 => Array::I32(numbers(cursor, field, i32::from_le_bytes)?),
        6 => Array::F32(numbers(cursor, field, f32::from_le_bytes)?),
        7 => {
            let count = cursor.count(1, field)?;
            Array::Bool((0..count).map(|_| truth(cursor, field)).collect::<Result<_, _>>()?)
        }
        8 => {
            let count = cursor.count(8, field)?;
            let mut strings = Strings::with_capacity(count);
            for _ in 0..count {
                strings.push(cursor.string(field)?);
            }
            Array::String(strings)
        }
        10 => Array::U64(numbers(cursor, field, u64::from_le_bytes)?),
        11 => Array::I64(numbers(cursor, field, i64::from_le_bytes)?),
        12 => Array::F64(numbers(cursor, field, f64::from_le_bytes)?),
        found => return Err(Error::UnknownValueType { field: field.to_owned(), offset, found }),
    })
}

fn numbers<T, const N: usize>(
    cursor: &mut Cursor<'_>,
    field: &str,
    decode: fn([u8; N]) -> T,
) -> Result<Vec<T>, Error> {
    let count = cursor.count(N, field)?;
    (0..count).map(|_| cursor.array(field).map(decode)).collect()
}

fn truth(cursor: &mut Cursor<'_>, field: &str) -> Result<bool, Error> {
    let offset = cursor.offset();
    match cursor.array::<1>(field)? {
        [0] => Ok(false),
        [1] => Ok(true),
        [found] => Err(Error::BadBool { field: field.to_owned(), offset, found }),
    }
}

fn row(cursor: &mut Cursor<'_>, index: usize, alignment: u64) -> Result<Row, Error> {
    let name = cursor.string(&format!("the name of tensor {index}"))?.to_owned();
    let rank = cursor.u32(&format!("the number of dimensions of tensor `{name}`"))?;
    if rank == 0 || rank > MAX_DIMENSIONS {
        return Err(Error::BadRank { name, found: rank });
    }
    let field = format!("the shape of tensor `{name}`");
    let dims: Vec<u64> = (0..rank).map(|_| cursor.u64(&field)).collect::<Result<_, _>>()?;
    let number = cursor.u32(&format!("the type of tensor `{name}`"))?;
    let offset = cursor.u64(&format!("the offset of tensor `{name}`"))?;

    let dtype = match types::dtype(number) {
        Ok(dtype) => dtype,
        Err(found) => return Err(Error::UnknownType { name, found }),
    };
    let block = dtype.block_len();
    if !dims[0].is_multiple_of(block as u64) {
        return Err(Error::RowNotWholeBlocks { name, row: dims[0], dtype: dtype.name(), block });
    }
    if !offset.is_multiple_of(alignment) {
        return Err(Error::Misaligned { name, offset, alignment });
    }
    let elements = tensor::elements(&name, &dims)?;
    let bytes = usize::try_from(elements).ok().and_then(|len| dtype.bytes_of(len));
    let shape = dims.iter().rev().map(|&dim| usize::try_from(dim).ok()).collect();
    match (bytes, shape) {
        (Some(bytes), Some(shape)) => Ok(Row { name, dtype, shape, bytes: bytes as u64, offset }),
        _ => Err(Error::ShapeTooLarge { name, shape: dims }),
    }
}

/// Turns offsets from the start of the data, which begins at the first
/// multiple of `alignment` from `table_end`, into ranges of the file.
fn place(
    rows: Vec<Row>,
    table_end: u64,
    alignment: u64,
    file_len: u64,
) -> Result<Vec<TensorInfo>, Error> {
    let data_start = table_end.checked_next_multiple_of(alignment);
    let mut tensors = Vec::with_capacity(rows.len());
    for Row { name, dtype, shape, bytes, offset } in rows {
        let start = data_start.and_then(|start| start.checked_add(offset));
        let end = start.and_then(|start| start.checked_add(bytes));
        let range = match (start, end) {
            (Some(start), Some(end)) if end <= file_len => {
                let inside = "a place inside a slice fits in usize";
                usize::try_from(start).expect(inside)..usize::try_from(end).expect(inside)
            }
            _ => {
                let end = end.unwrap_or(u64::MAX);
                return Err(Error::TensorPastEnd { name, end, len: file_len });
            }
        };
        tensors.push(TensorInfo { name, dtype, shape, range });
    }
    let mut extents: Vec<Extent<'_>> =
        tensors.iter().map(|t| Extent { name: &t.name, range: &t.range }).collect();
    tensor::check_disjoint(&mut extents)?;
    Ok(tensors)
}
