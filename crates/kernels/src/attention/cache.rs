//! Keys and values of the positions so far.
//!
//! Positions are kept in tiles of sixteen, all heads of a tile together, so
//! that a cache grows at its end and a run of tiles can be moved or shared as
//! it is. In a tile of a head, keys are turned around, (E, 16), because sixteen
//! positions are scored at once; values are as they came, (16, E), each row
//! filled up with zeros to a multiple of sixteen.

use std::ops::Range;

use super::strips::{LANES, Numbers, Strips};
use crate::Pool;

/// How the numbers of a cache are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheType {
    /// As they are.
    F32,
    /// As the nearest half float: half the memory to read.
    F16,
}

/// Keys and values of one layer for the positions so far.
#[derive(Clone, Debug)]
pub struct KeyValues {
    heads: usize,
    head_width: usize,
    len: usize,
    /// Shape (tiles, K, E, 16).
    keys: Store,
    /// Shape (tiles, K, 16, padded E).
    values: Store,
}

#[derive(Clone, Debug)]
enum Store {
    F32(Vec<f32>),
    F16(Vec<u16>),
}

/// Tokens that are added to a cache, and where.
struct New<'a> {
    /// Shape (T, K, E).
    numbers: &'a [f32],
    heads: usize,
    width: usize,
    /// Numbers of a head's tile.
    tile: usize,
    /// Position of the first.
    first: usize,
}

impl KeyValues {
    /// Room for no position yet; `heads` is K and `head_width` E.
    pub fn new(heads: usize, head_width: usize, stored: CacheType) -> Self {
        let empty = || match stored {
            CacheType::F32 => Store::F32(Vec::new()),
            CacheType::F16 => Store::F16(Vec::new()),
        };
        Self { heads, head_width, len: 0, keys: empty(), values: empty() }
    }

    /// Positions held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True before the first position was pushed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Key heads, K.
    pub(super) fn heads(&self) -> usize {
        self.heads
    }

    /// Numbers of a head, E.
    pub(super) fn head_width(&self) -> usize {
        self.head_width
    }

    /// Forgets the positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Adds the keys and values (T, K, E) of the next positions.
    pub fn push(&mut self, pool: &Pool, keys: &[f32], values: &[f32]) {
        let (heads, width, first) = (self.heads, self.head_width, self.len);
        let tokens = keys.len() / (heads * width);
        let whole = tokens * heads * width;
        assert_eq!((keys.len(), values.len()), (whole, whole), "keys and values");
        let padded = padded(width);
        let new = |numbers, tile| New { numbers, heads, width, tile, first };
        self.keys.push(pool, &new(keys, width * LANES), (LANES, 1));
        self.values.push(pool, &new(values, padded * LANES), (1, padded));
        self.len += tokens;
    }

    /// Keys of `tiles` of a head: a row for each of the E numbers, a strip for
    /// each tile.
    pub(super) fn keys(&self, head: usize, tiles: Range<usize>) -> Strips<'_> {
        let tile = self.head_width * LANES;
        Strips {
            numbers: self.keys.from((tiles.start * self.heads + head) * tile),
            count: tiles.len(),
            strip_stride: self.heads * tile,
            rows: self.head_width,
            row_stride: LANES,
            rows_per_block: self.head_width,
            block_stride: 0,
        }
    }

    /// Values of `positions` of a head, the first of which begins a tile: a row
    /// for each position.
    pub(super) fn values(&self, head: usize, positions: Range<usize>) -> Strips<'_> {
        let padded = padded(self.head_width);
        let tile = padded * LANES;
        Strips {
            numbers: self.values.from((positions.start / LANES * self.heads + head) * tile),
            count: padded / LANES,
            strip_stride: LANES,
            rows: positions.len(),
            row_stride: padded,
            rows_per_block: LANES,
            block_stride: self.heads * tile,
        }
    }
}

/// Numbers of a value's row in a tile.
pub(super) fn padded(head_width: usize) -> usize {
    head_width.next_multiple_of(LANES)
}

impl Store {
    fn from(&self, start: usize) -> Numbers<'_> {
        match self {
            Self::F32(numbers) => Numbers::F32(&numbers[start..]),
            Self::F16(numbers) => Numbers::F16(&numbers[start..]),
        }
    }

    /// Adds `new`, number `e` of a position going to `e * strides.0 +
    /// position % 16 * strides.1` of its tile.
    fn push(&mut self, pool: &Pool, new: &New, strides: (usize, usize)) {
        match self {
            Self::F32(kept) => place(pool, kept, new, strides, |x| x),
            Self::F16(kept) => place(pool, kept, new, strides, to_half),
        }
    }
}

fn place<T: Copy + Default + Send>(
    pool: &Pool,
    kept: &mut Vec<T>,
    new: &New,
    (by_number, by_position): (usize, usize),
    store: impl Fn(f32) -> T + Sync,
) {
    let token_width = new.heads * new.width;
    let end = new.first + new.numbers.len() / token_width;
    kept.resize(kept.len().max(end.div_ceil(LANES) * new.heads * new.tile), T::default());
    let first_tile = new.first / LANES;
    let tiles = &mut kept[first_tile * new.heads * new.tile..];
    pool.for_parts(tiles, new.heads * new.tile, &|tile, heads| {
        let start = (first_tile + tile) * LANES;
        for position in start.max(new.first)..(start + LANES).min(end) {
            let token = &new.numbers[(position - new.first) * token_width..][..token_width];
            let heads = heads.chunks_exact_mut(new.tile).zip(token.chunks_exact(new.width));
            for (tile, numbers) in heads {
                let tile = &mut tile[(position - start) * by_position..];
                for (to, x) in tile.iter_mut().step_by(by_number).zip(numbers) {
                    *to = store(*x);
                }
            }
        }
    });
}

/// The half float next to `x`, ties to even; the largest if none is larger.
fn to_half(x: f32) -> u16 {
    const SMALLEST_NORMAL: u32 = (127 - 14) << 23;
    const INFINITE: u32 = 255 << 23;
    let bits = x.clamp(-65_504.0, 65_504.0).to_bits();
    let (sign, size) = ((bits >> 16) & 0x8000, bits & 0x7fff_ffff);
    let half = if size < SMALLEST_NORMAL {
        // In [0.5, 1) floats are as far apart as subnormal halves.
        (f32::from_bits(size) + 0.5).to_bits() - 0.5_f32.to_bits()
    } else if size <= INFINITE {
        // Round to ten bits of fraction, and shift the exponent.
        ((size + 0xfff + ((size >> 13) & 1)) >> 13) - ((127 - 15) << 10)
    } else {
        0x7e00
    };
    #[expect(clippy::cast_possible_truncation, reason = "sixteen bits are set at most")]
    let half = (sign | half) as u16;
    half
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dequantize::scalar::f16;

    #[test]
    fn half_floats_are_the_nearest() {
        for (x, want) in [
            (0.0, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (0.333_33, 0x3555),
            (1e9, 0x7bff),
            (f32::NEG_INFINITY, 0xfbff),
            (5.96e-8, 0x0001),
            (2.0_f32.powi(-25), 0x0000),
            (3.0 * 2.0_f32.powi(-25), 0x0002),
            (1.0 + 2.0_f32.powi(-11), 0x3c00),
            (1.0 + 3.0 * 2.0_f32.powi(-11), 0x3c02),
        ] {
            assert_eq!(to_half(x), want, "{x}");
        }
        assert!(f16(&to_half(f32::NAN).to_le_bytes()).is_nan());
    }

    proptest! {
        #[test]
        fn a_half_float_stays_itself(bits in any::<u16>()) {
            let x = f16(&bits.to_le_bytes());
            prop_assume!(x.is_finite());
            prop_assert_eq!(to_half(x), bits);
        }
    }
}
