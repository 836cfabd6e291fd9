//! GGUF, versions 2 and 3, little-endian.
//!
//! A file is a header, metadata (typed values under dotted keys), a table of
//! tensors, and the tensors' data. [`parse`] checks all of it; the typed
//! getters of [`Gguf`] then say which key is missing or of the wrong type.
//! Specification: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod parse;
mod strings;
#[cfg(test)]
mod tests;
mod types;
mod value;

use std::collections::BTreeMap;

use crate::{Error, TensorInfo};

pub use parse::parse;
pub use strings::Strings;
pub use value::{Array, Value};

/// A parsed GGUF file: everything but the weights themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Gguf {
    pub version: u32,
    pub metadata: BTreeMap<String, Value>,
    /// In the order of the file's table.
    pub tensors: Vec<TensorInfo>,
}

impl Gguf {
    /// The tensor called `name`.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo, Error> {
        self.tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .ok_or_else(|| Error::MissingTensor { name: name.to_owned() })
    }

    /// The string under `key`.
    pub fn string(&self, key: &str) -> Result<&str, Error> {
        self.typed(key, "a string", Value::as_str)
    }

    /// The integer under `key`, of any width, if it is not negative.
    pub fn u64(&self, key: &str) -> Result<u64, Error> {
        self.typed(key, "a whole number from 0", Value::as_u64)
    }

    /// The float under `key`; an `F64` is rounded.
    pub fn f32(&self, key: &str) -> Result<f32, Error> {
        self.typed(key, "a float", Value::as_f32)
    }

    /// The truth value under `key`.
    pub fn bool(&self, key: &str) -> Result<bool, Error> {
        self.typed(key, "a truth value", Value::as_bool)
    }

    /// The array of strings under `key`.
    pub fn strings(&self, key: &str) -> Result<&Strings, Error> {
        self.typed(key, "an array of strings", |value| match value {
            Value::Array(Array::String(items)) => Some(items),
            _ => None,
        })
    }

    /// The array of 32-bit floats under `key`.
    pub fn f32s(&self, key: &str) -> Result<&[f32], Error> {
        self.typed(key, "an array of 32-bit floats", |value| match value {
            Value::Array(Array::F32(items)) => Some(items.as_slice()),
            _ => None,
        })
    }

    /// The array of integers under `key`, of any width that fits in `i64`.
    pub fn integers(&self, key: &str) -> Result<Vec<i64>, Error> {
        self.typed(key, "an array of integers", |value| match value {
            Value::Array(array) => array.to_integers(),
            _ => None,
        })
    }

    /// The array of truth values under `key`.
    pub fn bools(&self, key: &str) -> Result<&[bool], Error> {
        self.typed(key, "an array of truth values", |value| match value {
            Value::Array(Array::Bool(items)) => Some(items.as_slice()),
            _ => None,
        })
    }

    /// What `getter` returns for `key`, or `None` if the key is not there. A
    /// key of the wrong type stays an error.
    ///
    /// `gguf.optional("llama.rope.scale", Gguf::f32)?`
    pub fn optional<'a, T>(
        &'a self,
        key: &str,
        getter: impl Fn(&'a Self, &str) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.metadata.contains_key(key).then(|| getter(self, key)).transpose()
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T, Error> {
        let value =
            self.metadata.get(key).ok_or_else(|| Error::MissingKey { key: key.to_owned() })?;
        read(value).ok_or_else(|| Error::WrongValueType {
            key: key.to_owned(),
            expected,
            found: value.kind(),
        })
    }
}
