//! Why a file was rejected.

/// Why the bytes of a file were rejected.
///
/// Each message names the field or tensor and, where there is one, the byte
/// offset in the file, so that it is enough to find the fault with a hex dump.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "the file ends inside {field}: {needed} bytes are needed at byte {offset}, {left} are left"
    )]
    Truncated { field: String, offset: u64, needed: u64, left: u64 },

    #[error(
        "{field} at byte {offset} says {count} entries, more than the rest of the file can hold"
    )]
    CountTooLarge { field: String, offset: u64, count: u64 },

    #[error("{field} at byte {offset} is not UTF-8")]
    NotUtf8 { field: String, offset: u64 },

    #[error("not a GGUF file: it starts with {found:02x?}, not `GGUF`")]
    BadMagic { found: Vec<u8> },

    #[error("GGUF version {found} cannot be read; versions 2 and 3 can")]
    UnsupportedVersion { found: u32 },

    #[error("the GGUF file is big-endian; only little-endian files can be read")]
    BigEndian,

    #[error("{field} at byte {offset} has value type {found}, which GGUF does not define there")]
    UnknownValueType { field: String, offset: u64, found: u32 },

    #[error("{field} at byte {offset} is a truth value of {found}; it must be 0 or 1")]
    BadBool { field: String, offset: u64, found: u8 },

    #[error("metadata key `{key}` occurs twice, again at byte {offset}")]
    DuplicateKey { key: String, offset: u64 },

    #[error("metadata key `{key}` is missing")]
    MissingKey { key: String },

    #[error("metadata key `{key}` holds {found}, not {expected}")]
    WrongValueType { key: String, expected: &'static str, found: &'static str },

    #[error("`general.alignment` is {found}; it must be a power of two")]
    BadAlignment { found: u64 },

    #[error("tensor `{name}` has {found} dimensions; 1 to 4 can be read")]
    BadRank { name: String, found: u32 },

    #[error("tensor `{name}` has type {found}, which cannot be read")]
    UnknownType { name: String, found: String },

    #[error("tensor `{name}` has a shape of {shape:?}, whose size overflows")]
    ShapeTooLarge { name: String, shape: Vec<u64> },

    #[error(
        "tensor `{name}` has rows of {row}, which {dtype} cannot store: its blocks hold {block}"
    )]
    RowNotWholeBlocks { name: String, row: u64, dtype: &'static str, block: usize },

    #[error(
        "tensor `{name}` starts at offset {offset} of the data, which is no multiple of {alignment}"
    )]
    Misaligned { name: String, offset: u64, alignment: u64 },

    #[error("tensor `{name}` ends at byte {end}, but the file has {len} bytes")]
    TensorPastEnd { name: String, end: u64, len: u64 },

    #[error("tensor `{name}` has {found} bytes of data, but its type and shape need {expected}")]
    WrongTensorSize { name: String, expected: u64, found: u64 },

    #[error("tensors `{first}` and `{second}` share the bytes at {offset}")]
    TensorsOverlap { first: String, second: String, offset: u64 },

    #[error("bytes {start} to {end} belong to no tensor")]
    UnclaimedBytes { start: u64, end: u64 },

    #[error("two tensors are called `{name}`")]
    DuplicateTensor { name: String },

    #[error("there is no tensor `{name}`")]
    MissingTensor { name: String },

    #[error("the safetensors header of {found} bytes is longer than the {limit} that are allowed")]
    HeaderTooLong { found: u64, limit: u64 },

    #[error("the safetensors header is not valid: {message}")]
    BadHeader { message: String },

    #[error("line {line} of {kind} has {found} fields, but {expected} are needed")]
    TrecFields { line: u64, kind: &'static str, found: usize, expected: usize },

    #[error("line {line}: the {field} is `{value}`, which is not a number")]
    TrecNumber { line: u64, field: &'static str, value: String },

    #[error("query `{query}` has the document `{document}` twice")]
    TrecTwice { query: String, document: String },
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Truncated { .. } | Self::TensorPastEnd { .. } | Self::UnclaimedBytes { .. } => {
                Some("the download was probably cut short; fetch the file again")
            }
            Self::UnknownType { .. } => {
                Some("convert the file to F32, F16, BF16, Q8_0, Q4_K or Q6_K")
            }
            Self::UnsupportedVersion { .. } | Self::BigEndian => {
                Some("convert the model again with a current converter on this kind of machine")
            }
            Self::BadMagic { .. } => Some("give the path of a .gguf or .safetensors file"),
            Self::TrecFields { kind: "a run", .. } => {
                Some("a line of a run is `query Q0 document rank score tag`")
            }
            Self::TrecFields { .. } => Some("a line of judgements is `query 0 document grade`"),
            _ => None,
        }
    }
}
