//! safetensors.
//!
//! A file is the length of its header as `u64`, the header as JSON, and the
//! tensors' data without gaps. Format: <https://github.com/huggingface/safetensors>.
//! Types that no model computes with here (integers, 64-bit floats, 8-bit
//! floats) are checked and listed apart, since checkpoints carry them as
//! buffers beside their weights.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use plumb_kernels::DType;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::cursor::Cursor;
use crate::tensor::{self, Extent};
use crate::{Error, TensorInfo};

/// The limit that the reference implementation sets, too.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// A parsed safetensors file: everything but the weights themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeTensors {
    /// In the order of the header.
    pub tensors: Vec<TensorInfo>,
    /// Tensors whose type cannot be computed with, in the order of the header.
    pub others: Vec<OtherTensor>,
    pub metadata: BTreeMap<String, String>,
}

/// A tensor whose type cannot be computed with, such as `I64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherTensor {
    pub name: String,
    /// As the file calls it.
    pub dtype: String,
    pub shape: Vec<usize>,
    pub range: Range<usize>,
}

impl SafeTensors {
    /// The tensor called `name`. One of a type that cannot be computed with
    /// is an error that names the type.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo, Error> {
        let found = self.tensors.iter().find(|tensor| tensor.name == name);
        found.ok_or_else(|| match self.others.iter().find(|other| other.name == name) {
            Some(other) => Error::UnknownType { name: name.to_owned(), found: other.dtype.clone() },
            None => Error::MissingTensor { name: name.to_owned() },
        })
    }
}

/// Reads a safetensors file and checks that its tensors fill the data exactly.
pub fn parse(bytes: &[u8]) -> Result<SafeTensors, Error> {
    let mut cursor = Cursor::new(bytes);
    let header_len = cursor.u64("the header length")?;
    if header_len > MAX_HEADER_BYTES {
        return Err(Error::HeaderTooLong { found: header_len, limit: MAX_HEADER_BYTES });
    }
    let header = cursor.take(header_len, "the header")?;
    let header: Header = serde_json::from_slice(header)
        .map_err(|error| Error::BadHeader { message: error.to_string() })?;

    let data = cursor.position()..bytes.len();
    let mut tensors = Vec::new();
    let mut others = Vec::new();
    for (name, entry) in header.entries {
        let (shape, range) = place(&name, &entry, &data)?;
        match readable(&entry.dtype) {
            Some(dtype) => tensors.push(TensorInfo { name, dtype, shape, range }),
            None => others.push(OtherTensor { name, dtype: entry.dtype, shape, range }),
        }
    }
    let file = SafeTensors { tensors, others, metadata: header.metadata };
    check_filled(&file, &data)?;
    Ok(file)
}

/// The shape and the place in the file of a tensor.
fn place(
    name: &str,
    entry: &Entry,
    data: &Range<usize>,
) -> Result<(Vec<usize>, Range<usize>), Error> {
    let Some(width) = number_bytes(&entry.dtype) else {
        return Err(Error::UnknownType { name: name.to_owned(), found: entry.dtype.clone() });
    };
    let too_large = || Error::ShapeTooLarge { name: name.to_owned(), shape: entry.shape.clone() };
    let elements = tensor::elements(name, &entry.shape)?;
    let expected = elements.checked_mul(width).ok_or_else(too_large)?;
    let shape = entry.shape.iter().map(|&dim| usize::try_from(dim).ok());
    let shape = shape.collect::<Option<Vec<_>>>().ok_or_else(too_large)?;

    let [start, end] = entry.data_offsets;
    let found = end.saturating_sub(start);
    if end < start || found != expected {
        return Err(Error::WrongTensorSize { name: name.to_owned(), expected, found });
    }
    let len = data.end as u64;
    let absolute = |offset: u64| offset.checked_add(data.start as u64);
    match (absolute(start), absolute(end)) {
        (Some(start), Some(end)) if end <= len => {
            let inside = "a place inside a slice fits in usize";
            let start = usize::try_from(start).expect(inside);
            Ok((shape, start..usize::try_from(end).expect(inside)))
        }
        (_, end) => {
            let end = end.unwrap_or(u64::MAX);
            Err(Error::TensorPastEnd { name: name.to_owned(), end, len })
        }
    }
}

fn check_filled(file: &SafeTensors, data: &Range<usize>) -> Result<(), Error> {
    let tensors = file.tensors.iter().map(|t| Extent { name: &t.name, range: &t.range });
    let others = file.others.iter().map(|t| Extent { name: &t.name, range: &t.range });
    let mut extents: Vec<Extent<'_>> = tensors.chain(others).collect();
    tensor::check_disjoint(&mut extents)?;

    let starts = extents.iter().map(|extent| extent.range.start).chain([data.end]);
    let ends = [data.start].into_iter().chain(extents.iter().map(|extent| extent.range.end));
    match ends.zip(starts).find(|(end, start)| end != start) {
        Some((start, end)) => Err(Error::UnclaimedBytes { start: start as u64, end: end as u64 }),
        None => Ok(()),
    }
}

fn readable(dtype: &str) -> Option<DType> {
    match dtype {
        "F32" => Some(DType::F32),
        "F16" => Some(DType::F16),
        "BF16" => Some(DType::BF16),
        _ => None,
    }
}

fn number_bytes(dtype: &str) -> Option<u64> {
    match dtype {
        "F64" | "I64" | "U64" => Some(8),
        "F32" | "I32" | "U32" => Some(4),
        "F16" | "BF16" | "I16" | "U16" => Some(2),
        "I8" | "U8" | "BOOL" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" => Some(1),
        _ => None,
    }
}

/// The header as written, with repeated names kept so that they are noticed.
struct Header {
    metadata: BTreeMap<String, String>,
    entries: Vec<(String, Entry)>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header { metadata: BTreeMap::new(), entries: Vec::new() };
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                header.metadata = map.next_value()?;
            } else {
                header.entries.push((name, map.next_value()?));
            }
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(header: &str, data_len: usize) -> Vec<u8> {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.resize(file.len() + data_len, 1);
        file
    }

    const HEADER: &str = r#"{"__metadata__":{"format":"pt"},
        "a":{"dtype":"F32","shape":[2,3],"data_offsets":[4,28]},
        "ids":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}"#;

    #[track_caller]
    fn check_error(header: &str, data_len: usize, want: &str) {
        assert_eq!(parse(&write(header, data_len)).unwrap_err().to_string(), want);
    }

    #[test]
    fn weights_buffers_and_metadata_are_found() {
        let file = parse(&write(HEADER, 28)).unwrap();
        let start = 8 + HEADER.len();
        let weights = file.tensor("a").unwrap();
        assert_eq!((weights.dtype, &weights.shape[..]), (DType::F32, &[2, 3][..]));
        assert_eq!(weights.range, start + 4..start + 28);
        assert_eq!(file.others[0].range, start..start + 4);
        assert_eq!(file.metadata["format"], "pt");
    }

    #[test]
    fn asking_for_a_tensor_of_whole_numbers_or_none_at_all_is_an_error() {
        let file = parse(&write(HEADER, 28)).unwrap();
        let ids = file.tensor("ids").unwrap_err().to_string();
        assert_eq!(ids, "tensor `ids` has type I32, which cannot be read");
        assert_eq!(file.tensor("b").unwrap_err().to_string(), "there is no tensor `b`");
    }

    #[test]
    fn a_cut_file_names_the_tensor() {
        let len = 8 + HEADER.len() + 27;
        let want = format!("tensor `a` ends at byte {}, but the file has {len} bytes", len + 1);
        check_error(HEADER, 27, &want);
    }

    #[test]
    fn gaps_overlaps_and_repeated_names_are_refused() {
        let end = 8 + HEADER.len() + 28;
        check_error(HEADER, 30, &format!("bytes {end} to {} belong to no tensor", end + 2));
        check_error(
            r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
                "b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
            3,
            "tensors `a` and `b` share the bytes at 131",
        );
        check_error(
            r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                "a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
            2,
            "two tensors are called `a`",
        );
    }

    #[test]
    fn sizes_and_types_are_checked() {
        check_error(
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
            4,
            "tensor `a` has 4 bytes of data, but its type and shape need 8",
        );
        check_error(
            r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#,
            4,
            "tensor `a` has a shape of [4294967296, 4294967296], whose size overflows",
        );
        check_error(
            r#"{"a":{"dtype":"Q9","shape":[2],"data_offsets":[0,4]}}"#,
            4,
            "tensor `a` has type Q9, which cannot be read",
        );
        check_error(
            r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[9,4]}}"#,
            4,
            "tensor `a` has 0 bytes of data, but its type and shape need 0",
        );
    }

    #[test]
    fn a_hostile_header_length_is_refused() {
        let huge = u64::MAX.to_le_bytes();
        let error = parse(&huge).unwrap_err().to_string();
        let want = "the safetensors header of 18446744073709551615 bytes \
                    is longer than the 100000000 that are allowed";
        assert_eq!(error, want);
        let error = parse(&[200, 0, 0, 0, 0, 0, 0, 0, b'{']).unwrap_err().to_string();
        let want = "the file ends inside the header: 200 bytes are needed at byte 8, 1 are left";
        assert_eq!(error, want);
    }

    proptest! {
        #[test]
        fn changed_bytes_never_panic_and_ranges_stay_inside(
            changes in prop::collection::vec((0..HEADER.len() + 36, any::<u8>()), 1..9),
            cut in 0..HEADER.len() + 37,
        ) {
            let mut file = write(HEADER, 28);
            for (place, byte) in changes {
                file[place] = byte;
            }
            file.truncate(cut.max(1));
            if let Ok(parsed) = parse(&file) {
                for tensor in parsed.tensors {
                    prop_assert!(tensor.range.end <= file.len());
                    prop_assert_eq!(
                        tensor.dtype.bytes_of(tensor.elements()),
                        Some(tensor.range.len())
                    );
                }
            }
        }

        #[test]
        fn offsets_of_any_size_never_panic(start: u64, end: u64, dim: u64, data in 0_usize..40) {
            let header = format!(
                r#"{{"a":{{"dtype":"F16","shape":[{dim}],"data_offsets":[{start},{end}]}}}}"#
            );
            let _ = parse(&write(&header, data));
        }
    }
}
