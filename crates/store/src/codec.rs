//! Primitive values to bytes and back. Reading never panics: every length is
//! checked against what is left.

use std::collections::BTreeMap;

/// What could not be read, and where in the slice it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

pub(crate) type Read<T> = Result<T, Malformed>;

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

fn low_byte(value: u64) -> u8 {
    (value & 0x7f).to_le_bytes()[0]
}

/// Lengths in memory always fit 64 bits.
pub(crate) fn wide(length: usize) -> u64 {
    length as u64
}

pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    put_varint(out, wide(text.len()));
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn put_map(out: &mut Vec<u8>, map: &BTreeMap<String, String>) {
    put_varint(out, wide(map.len()));
    for (key, value) in map {
        put_str(out, key);
        put_str(out, value);
    }
}

/// Reads values from the front of a slice.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn fail<T>(&self, what: &'static str) -> Read<T> {
        Err(Malformed { at: self.at, what })
    }

    pub(crate) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else { return self.fail("a value ends after its record") };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| Malformed { at, what: "a value is cut short" })
    }

    pub(crate) fn byte(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn varint(&mut self) -> Read<u64> {
        let start = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed { at: start, what: "a number is longer than 64 bits" })
    }

    pub(crate) fn varint_u32(&mut self) -> Read<u32> {
        let at = self.at;
        u32::try_from(self.varint()?).map_err(|_| Malformed { at, what: "a number is too large" })
    }

    pub(crate) fn length(&mut self) -> Read<usize> {
        let at = self.at;
        usize::try_from(self.varint()?).map_err(|_| Malformed { at, what: "a length is too large" })
    }

    /// A count of things that take at least one byte each, so that a hostile
    /// count cannot make the reader reserve more than the file holds.
    pub(crate) fn count(&mut self) -> Read<usize> {
        let count = self.length()?;
        if count > self.left() {
            return self.fail("a count is larger than its record");
        }
        Ok(count)
    }

    pub(crate) fn str(&mut self) -> Read<&'a str> {
        let length = self.length()?;
        let at = self.at;
        std::str::from_utf8(self.take(length)?)
            .map_err(|_| Malformed { at, what: "a text is not UTF-8" })
    }

    pub(crate) fn string(&mut self) -> Read<String> {
        Ok(self.str()?.to_owned())
    }

    pub(crate) fn map(&mut self) -> Read<BTreeMap<String, String>> {
        let count = self.count()?;
        (0..count).map(|_| Ok((self.string()?, self.string()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_comes_back(value in any::<u64>(), shift in 0_u32..64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value >> shift);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.varint(), Ok(value >> shift));
            prop_assert_eq!(cursor.left(), 0);
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Cursor::new(&bytes).map();
            let _ = Cursor::new(&bytes).varint();
            let _ = Cursor::new(&bytes).string();
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        assert!(Cursor::new(&[0xff; 11]).varint().is_err());
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Cursor::new(&most).varint(), Ok(u64::MAX));
    }
}
