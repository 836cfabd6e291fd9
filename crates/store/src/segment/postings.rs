//! The passages in which a term occurs.

use crate::codec::Cursor;

/// Pairs of passage ordinal and count, by ordinal.
#[derive(Clone, Debug)]
pub struct Postings<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Pairs still to come.
    left: u32,
    last: u32,
    /// Ordinals are below this.
    limit: u32,
}

impl<'a> Postings<'a> {
    pub(crate) fn empty() -> Self {
        Self::new(&[], 0, 0)
    }

    /// The bytes have passed their checksum, so they are as they were written.
    pub(crate) fn new(bytes: &'a [u8], passages: u32, limit: u32) -> Self {
        Self { bytes, at: 0, left: passages, last: 0, limit }
    }
}

impl Iterator for Postings<'_> {
    type Item = (u32, u32);

    /// Ends early at bytes that no store has written.
    fn next(&mut self) -> Option<(u32, u32)> {
        self.left = self.left.checked_sub(1)?;
        let mut cursor = Cursor::new(&self.bytes[self.at..]);
        let step = cursor.varint_u32().ok()?;
        let count = cursor.varint_u32().ok()?;
        self.at += cursor.at();
        self.last = self.last.checked_add(step).filter(|&ordinal| ordinal < self.limit)?;
        Some((self.last, count))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left as usize))
    }
}
