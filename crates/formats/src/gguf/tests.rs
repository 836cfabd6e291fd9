//! A small writer, and what the parser makes of whole, broken and random files.

use plumb_kernels::DType;
use proptest::prelude::*;

use super::{Array, Gguf, Value, parse, types};
use crate::Error;

/// A tensor to write: its offset in the data is chosen by [`write`].
#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    dtype: DType,
    dims: Vec<u64>,
}

impl Tensor {
    fn new(name: &str, dtype: DType, dims: &[u64]) -> Self {
        Self { name: name.to_owned(), dtype, dims: dims.to_vec() }
    }

    fn bytes(&self) -> usize {
        let elements: u64 = self.dims.iter().product();
        self.dtype.bytes_of(usize::try_from(elements).unwrap()).unwrap()
    }
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

macro_rules! put_array {
    ($out:expr, $number:literal, $items:expr) => {{
        $out.extend(u32::to_le_bytes($number));
        $out.extend(($items.len() as u64).to_le_bytes());
        $out.extend($items.iter().flat_map(|item| item.to_le_bytes()));
    }};
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    let mut put = |number: u32, bytes: &[u8]| {
        out.extend(number.to_le_bytes());
        out.extend(bytes);
    };
    match value {
        Value::U8(n) => put(0, &n.to_le_bytes()),
        Value::I8(n) => put(1, &n.to_le_bytes()),
        Value::U16(n) => put(2, &n.to_le_bytes()),
        Value::I16(n) => put(3, &n.to_le_bytes()),
        Value::U32(n) => put(4, &n.to_le_bytes()),
        Value::I32(n) => put(5, &n.to_le_bytes()),
        Value::F32(n) => put(6, &n.to_le_bytes()),
        Value::Bool(b) => put(7, &[u8::from(*b)]),
        Value::String(text) => {
            put(8, &[]);
            put_string(out, text);
        }
        Value::Array(array) => {
            put(9, &[]);
            put_items(out, array);
        }
        Value::U64(n) => put(10, &n.to_le_bytes()),
        Value::I64(n) => put(11, &n.to_le_bytes()),
        Value::F64(n) => put(12, &n.to_le_bytes()),
    }
}

fn put_items(out: &mut Vec<u8>, array: &Array) {
    match array {
        Array::U8(items) => put_array!(out, 0, items),
        Array::I8(items) => put_array!(out, 1, items),
        Array::U16(items) => put_array!(out, 2, items),
        Array::I16(items) => put_array!(out, 3, items),
        Array::U32(items) => put_array!(out, 4, items),
        Array::I32(items) => put_array!(out, 5, items),
        Array::F32(items) => put_array!(out, 6, items),
        Array::Bool(items) => {
            let bytes: Vec<u8> = items.iter().map(|&b| u8::from(b)).collect();
            put_array!(out, 7, bytes);
        }
        Array::String(items) => {
            out.extend(8_u32.to_le_bytes());
            out.extend((items.len() as u64).to_le_bytes());
            for text in items.iter() {
                put_string(out, text);
            }
        }
        Array::U64(items) => put_array!(out, 10, items),
        Array::I64(items) => put_array!(out, 11, items),
        Array::F64(items) => put_array!(out, 12, items),
    }
}

fn write(metadata: &[(String, Value)], tensors: &[Tensor]) -> Vec<u8> {
    let alignment = metadata.iter().find(|(key, _)| key == "general.alignment");
    let alignment = alignment.map_or(32, |(_, value)| value.as_u64().unwrap());
    let alignment = usize::try_from(alignment).unwrap();

    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        put_string(&mut out, key);
        put_value(&mut out, value);
    }
    let mut offset = 0_usize;
    for tensor in tensors {
        put_string(&mut out, &tensor.name);
        out.extend(u32::try_from(tensor.dims.len()).unwrap().to_le_bytes());
        out.extend(tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()));
        out.extend(types::number(tensor.dtype).to_le_bytes());
        out.extend((offset as u64).to_le_bytes());
        offset = (offset + tensor.bytes()).next_multiple_of(alignment);
    }
    out.resize(out.len().next_multiple_of(alignment) + offset, 7);
    out
}

/// A small file with one of everything.
fn sample() -> Vec<u8> {
    write(
        &[
            ("general.architecture".to_owned(), Value::String("llama".to_owned())),
            ("llama.block_count".to_owned(), Value::U32(30)),
            ("llama.scale".to_owned(), Value::F32(0.5)),
            ("tokens".to_owned(), Value::Array(Array::String(["a", "b"].into_iter().collect()))),
            ("flags".to_owned(), Value::Array(Array::Bool(vec![true, false]))),
        ],
        &[
            Tensor::new("token_embd.weight", DType::Q8_0, &[64, 5]),
            Tensor::new("output_norm.weight", DType::F32, &[64]),
        ],
    )
}

/// Where `needle` begins in the sample file.
fn place(file: &[u8], needle: &[u8]) -> usize {
    file.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[track_caller]
fn check_error(file: &[u8], want: &str) {
    assert_eq!(parse(file).unwrap_err().to_string(), want);
}

#[test]
fn dims_are_reversed_and_ranges_are_absolute() {
    let file = sample();
    let gguf = parse(&file).unwrap();
    let embedding = gguf.tensor("token_embd.weight").unwrap();
    assert_eq!(embedding.shape, [5, 64]);
    assert_eq!(embedding.range.len(), 10 * 34);
    assert!(embedding.range.start.is_multiple_of(32));
    let norm = gguf.tensor("output_norm.weight").unwrap();
    assert_eq!(norm.range.start, embedding.range.start + 352);
    assert_eq!(norm.range.end, file.len());
}

#[test]
fn getters_name_the_key_that_is_missing_or_mistyped() {
    let gguf = parse(&sample()).unwrap();
    assert_eq!(gguf.u64("llama.block_count"), Ok(30));
    assert_eq!(gguf.bools("flags"), Ok(&[true, false][..]));
    assert_eq!(gguf.optional("llama.rope", Gguf::f32), Ok(None));
    let missing = gguf.u64("llama.head_count").unwrap_err();
    assert_eq!(missing.to_string(), "metadata key `llama.head_count` is missing");
    let mistyped = gguf.string("llama.block_count").unwrap_err();
    assert_eq!(mistyped.to_string(), "metadata key `llama.block_count` holds a u32, not a string");
}

#[test]
fn a_file_of_another_kind_is_refused() {
    check_error(b"", "not a GGUF file: it starts with [], not `GGUF`");
    check_error(b"PK\x03\x04..", "not a GGUF file: it starts with [50, 4b, 03, 04], not `GGUF`");
}

#[test]
fn old_future_and_big_endian_versions_are_refused() {
    let mut file = sample();
    file[4] = 1;
    check_error(&file, "GGUF version 1 cannot be read; versions 2 and 3 can");
    file[4] = 4;
    check_error(&file, "GGUF version 4 cannot be read; versions 2 and 3 can");
    file[4..8].copy_from_slice(&3_u32.to_be_bytes());
    check_error(&file, "the GGUF file is big-endian; only little-endian files can be read");
}

#[test]
fn version_2_is_read() {
    let mut file = sample();
    file[4] = 2;
    assert_eq!(parse(&file).unwrap().version, 2);
}

#[test]
fn a_hostile_count_is_refused_before_anything_is_allocated() {
    let mut file = sample();
    file[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    check_error(
        &file,
        "the tensor count at byte 8 says 18446744073709551615 entries, \
         more than the rest of the file can hold",
    );
}

#[test]
fn an_unreadable_tensor_type_is_named_with_its_tensor() {
    let mut file = sample();
    let kind = place(&file, b"output_norm.weight") + 18 + 4 + 8;
    file[kind] = 10;
    check_error(&file, "tensor `output_norm.weight` has type 10 (Q2_K), which cannot be read");
    file[kind] = 200;
    check_error(&file, "tensor `output_norm.weight` has type 200, which cannot be read");
}

#[test]
fn a_truncated_file_names_the_tensor_that_is_cut() {
    let file = sample();
    let end = file.len();
    check_error(
        &file[..end - 1],
        &format!(
            "tensor `output_norm.weight` ends at byte {end}, but the file has {} bytes",
            end - 1
        ),
    );
}

#[test]
fn shapes_are_checked() {
    let file = sample();
    let dims = place(&file, b"token_embd.weight") + 17 + 4;
    let with = |at: usize, value: u64| {
        let mut file = file.clone();
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
        file
    };
    check_error(
        &with(dims, 65),
        "tensor `token_embd.weight` has rows of 65, which Q8_0 cannot store: its blocks hold 32",
    );
    check_error(
        &with(dims + 8, 1 << 60),
        "tensor `token_embd.weight` has a shape of [64, 1152921504606846976], whose size overflows",
    );
    check_error(
        &with(dims + 20, 8),
        "tensor `token_embd.weight` starts at offset 8 of the data, which is no multiple of 32",
    );
    let huge = parse(&with(dims + 20, u64::MAX - 31)).unwrap_err();
    assert!(matches!(huge, Error::TensorPastEnd { .. }));
    let rank = parse(&with(dims - 4, 5)).unwrap_err();
    assert!(matches!(rank, Error::BadRank { .. }));
}

#[test]
fn tensors_that_share_bytes_are_refused() {
    let mut file = sample();
    let offset = place(&file, b"output_norm.weight") + 18 + 4 + 8 + 4;
    file[offset..offset + 8].copy_from_slice(&32_u64.to_le_bytes());
    let error = parse(&file).unwrap_err();
    assert!(matches!(error, Error::TensorsOverlap { .. }), "{error}");
}

#[test]
fn repeated_keys_and_tensors_are_refused() {
    let entry = ("k".to_owned(), Value::Bool(true));
    check_error(
        &write(&[entry.clone(), entry], &[]),
        "metadata key `k` occurs twice, again at byte 38",
    );
    let tensor = Tensor::new("t", DType::F32, &[1]);
    check_error(&write(&[], &[tensor.clone(), tensor]), "two tensors are called `t`");
}

#[test]
fn a_bad_alignment_and_a_bad_truth_value_are_refused() {
    let entry = ("general.alignment".to_owned(), Value::U32(48));
    let tensors = [Tensor::new("t", DType::F32, &[1])];
    check_error(&write(&[entry], &tensors), "`general.alignment` is 48; it must be a power of two");
    let mut file = write(&[("yes".to_owned(), Value::Bool(true))], &[]);
    let truth = place(&file, b"yes") + 3 + 4;
    file[truth] = 7;
    check_error(&file, "metadata key `yes` at byte 39 is a truth value of 7; it must be 0 or 1");
}

fn any_value() -> impl Strategy<Value = Value> {
    let array = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Array::U8),
        prop::collection::vec(any::<i8>(), 0..9).prop_map(Array::I8),
        prop::collection::vec(any::<u16>(), 0..9).prop_map(Array::U16),
        prop::collection::vec(any::<i16>(), 0..9).prop_map(Array::I16),
        prop::collection::vec(any::<u32>(), 0..9).prop_map(Array::U32),
        prop::collection::vec(any::<i32>(), 0..9).prop_map(Array::I32),
        prop::collection::vec(-1e9_f32..1e9, 0..9).prop_map(Array::F32),
        prop::collection::vec(any::<bool>(), 0..9).prop_map(Array::Bool),
        prop::collection::vec(".{0,6}", 0..9).prop_map(|all| Array::String(all.iter().collect())),
        prop::collection::vec(any::<u64>(), 0..9).prop_map(Array::U64),
        prop::collection::vec(any::<i64>(), 0..9).prop_map(Array::I64),
        prop::collection::vec(-1e9_f64..1e9, 0..9).prop_map(Array::F64),
    ];
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        (-1e9_f32..1e9).prop_map(Value::F32),
        any::<bool>().prop_map(Value::Bool),
        ".{0,6}".prop_map(Value::String),
        array.prop_map(Value::Array),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        (-1e9_f64..1e9).prop_map(Value::F64),
    ]
}

fn any_tensor() -> impl Strategy<Value = (DType, Vec<u64>)> {
    let dtypes = vec![DType::F32, DType::F16, DType::Q4_1, DType::Q8_0, DType::Q6K];
    (prop::sample::select(dtypes), 0_u64..3, prop::collection::vec(0_u64..4, 0..4)).prop_map(
        |(dtype, blocks, outer)| {
            let row = blocks * dtype.block_len() as u64;
            (dtype, [row].into_iter().chain(outer).collect())
        },
    )
}

fn any_file() -> impl Strategy<Value = (Vec<(String, Value)>, Vec<Tensor>)> {
    let metadata = prop::collection::btree_map("[a-z.]{1,8}", any_value(), 0..6);
    let tensors = prop::collection::btree_map("[a-z.]{1,8}", any_tensor(), 0..6);
    (metadata, tensors, 0_u32..8).prop_map(|(metadata, tensors, shift)| {
        let alignment = ("general.alignment".to_owned(), Value::U32(1 << shift));
        let tensors = tensors.into_iter().map(|(name, (dtype, dims))| Tensor { name, dtype, dims });
        (metadata.into_iter().chain([alignment]).collect(), tensors.collect())
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read_back((metadata, tensors) in any_file()) {
        let file = write(&metadata, &tensors);
        let gguf = parse(&file).unwrap();
        prop_assert_eq!(gguf.metadata, metadata.into_iter().collect());
        prop_assert_eq!(gguf.tensors.len(), tensors.len());
        for (found, want) in gguf.tensors.iter().zip(&tensors) {
            let shape: Vec<u64> = found.shape.iter().rev().map(|&dim| dim as u64).collect();
            prop_assert_eq!(&shape, &want.dims);
            prop_assert_eq!(found.range.len(), want.bytes());
            prop_assert_eq!((&found.name, found.dtype), (&want.name, want.dtype));
        }
    }

    #[test]
    fn every_prefix_of_a_file_with_tensors_is_an_error((metadata, tensors) in any_file(), cut in 0.0..1.0) {
        let file = write(&metadata, &tensors);
        let data: usize = tensors.iter().map(Tensor::bytes).sum();
        prop_assume!(data > 0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= cut < 1")]
        let cut = (file.len() as f64 * cut) as usize;
        // Padding after the last tensor may go.
        let end = parse(&file).unwrap().tensors.iter().map(|t| t.range.end).max().unwrap();
        prop_assert_eq!(parse(&file[..cut]).is_err(), cut < end);
    }

    #[test]
    fn changed_bytes_never_panic_and_ranges_stay_inside(
        (metadata, tensors) in any_file(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
    ) {
        let mut file = write(&metadata, &tensors);
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        if let Ok(gguf) = parse(&file) {
            for tensor in gguf.tensors {
                prop_assert!(tensor.range.end <= file.len());
                prop_assert_eq!(tensor.dtype.bytes_of(tensor.elements()), Some(tensor.range.len()));
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut file = b"GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
        file.extend(&bytes);
        let _ = parse(&file);
        let _ = parse(&bytes);
    }
}
