//! Metadata values.

use super::Strings;

/// A metadata value with the type the file gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// A metadata array; GGUF arrays hold one type and do not nest.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    String(Strings),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

impl Value {
    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if this is one and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(n) => Some(n.into()),
            Self::U16(n) => Some(n.into()),
            Self::U32(n) => Some(n.into()),
            Self::U64(n) => Some(n),
            Self::I8(n) => n.try_into().ok(),
            Self::I16(n) => n.try_into().ok(),
            Self::I32(n) => n.try_into().ok(),
            Self::I64(n) => n.try_into().ok(),
            _ => None,
        }
    }

    /// The float, if this is one; an `F64` is rounded.
    pub fn as_f32(&self) -> Option<f32> {
        match *self {
            Self::F32(x) => Some(x),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "rounding is the documented meaning"
            )]
            Self::F64(x) => Some(x as f32),
            _ => None,
        }
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// The name of the type, with its article, as errors print it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) => "a u8",
            Self::I8(_) => "an i8",
            Self::U16(_) => "a u16",
            Self::I16(_) => "an i16",
            Self::U32(_) => "a u32",
            Self::I32(_) => "an i32",
            Self::F32(_) => "an f32",
            Self::Bool(_) => "a truth value",
            Self::String(_) => "a string",
            Self::U64(_) => "a u64",
            Self::I64(_) => "an i64",
            Self::F64(_) => "an f64",
            Self::Array(array) => array.kind(),
        }
    }
}

impl Array {
    /// The integers, if the array holds integers that fit in `i64`.
    pub fn to_integers(&self) -> Option<Vec<i64>> {
        Some(match self {
            Self::U8(items) => items.iter().map(|&n| n.into()).collect(),
            Self::I8(items) => items.iter().map(|&n| n.into()).collect(),
            Self::U16(items) => items.iter().map(|&n| n.into()).collect(),
            Self::I16(items) => items.iter().map(|&n| n.into()).collect(),
            Self::U32(items) => items.iter().map(|&n| n.into()).collect(),
            Self::I32(items) => items.iter().map(|&n| n.into()).collect(),
            Self::I64(items) => items.clone(),
            Self::U64(items) => {
                return items.iter().map(|&n| i64::try_from(n).ok()).collect();
            }
            Self::F32(_) | Self::F64(_) | Self::Bool(_) | Self::String(_) => return None,
        })
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) => "an array of u8",
            Self::I8(_) => "an array of i8",
            Self::U16(_) => "an array of u16",
            Self::I16(_) => "an array of i16",
            Self::U32(_) => "an array of u32",
            Self::I32(_) => "an array of i32",
            Self::F32(_) => "an array of f32",
            Self::Bool(_) => "an array of truth values",
            Self::String(_) => "an array of strings",
            Self::U64(_) => "an array of u64",
            Self::I64(_) => "an array of i64",
            Self::F64(_) => "an array of f64",
        }
    }
}
