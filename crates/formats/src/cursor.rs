//! Reads little-endian values from a slice and never past its end.
//!
//! Every read names the field it is for; the name goes into the error.

use crate::Error;

/// A position in the bytes of a file.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Invariant: at most `bytes.len()`.
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The position as errors print it.
    pub(crate) fn offset(&self) -> u64 {
        self.position as u64
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: u64, field: &str) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.position..];
        let taken = usize::try_from(len).ok().and_then(|len| rest.get(..len));
        let Some(taken) = taken else {
            return Err(Error::Truncated {
                field: field.to_owned(),
                offset: self.offset(),
                needed: len,
                left: rest.len() as u64,
            });
        };
        self.position += taken.len();
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub(crate) fn array<const N: usize>(&mut self, field: &str) -> Result<[u8; N], Error> {
        let bytes = self.take(N as u64, field)?;
        Ok(bytes.try_into().expect("`take` returns as many bytes as asked for"))
    }

    pub(crate) fn u32(&mut self, field: &str) -> Result<u32, Error> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, field: &str) -> Result<u64, Error> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A count of entries that take at least `min_bytes` each. A count that
    /// the rest of the file cannot hold is an error, so the caller may
    /// allocate for it.
    pub(crate) fn count(&mut self, min_bytes: usize, field: &str) -> Result<usize, Error> {
        let offset = self.offset();
        let count = self.u64(field)?;
        match usize::try_from(count) {
            Ok(count) if count <= self.left() / min_bytes => Ok(count),
            _ => Err(Error::CountTooLarge { field: field.to_owned(), offset, count }),
        }
    }

    /// A string: its length as `u64`, then its UTF-8 bytes.
    pub(crate) fn string(&mut self, field: &str) -> Result<&'a str, Error> {
        let len = self.u64(field)?;
        let offset = self.offset();
        let bytes = self.take(len, field)?;
        std::str::from_utf8(bytes).map_err(|_| Error::NotUtf8 { field: field.to_owned(), offset })
    }
}
