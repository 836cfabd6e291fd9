//! Keys and values of the positions so far.
//!
//! Positions are kept in pages, which caches share until one of them writes:
//! what sequences have in common is held once. A page is as long as a segment,
//! so that what attention reads together lies together; it consists of tiles of
//! sixteen positions, all heads of a tile together. In a tile of a head, keys
//! are turned around, (E, 16), because sixteen positions are scored at once;
//! values are as they came, (16, E), each row filled up with zeros to a
//! multiple of sixteen.
//!
//! Pages of keys and values: Kwon et al. 2023, arXiv:2309.06180.

use std::ops::Range;
use std::sync::Arc;

use super::strips::{LANES, Numbers, SEGMENT, Strips};
use crate::Pool;

/// How the numbers of a cache are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheType {
    /// As they are.
    F32,
    /// As the nearest half float: half the memory to read.
    F16,
    /// A head's numbers of a position as integers from -127 to 127 times a
    /// float of their own: about a quarter of the memory.
    Q8,
}

/// Keys and values of one layer for the positions so far. A clone shares what
/// is there.
#[derive(Clone, Debug)]
pub struct KeyValues {
    heads: usize,
    head_width: usize,
    len: usize,
    stored: CacheType,
    /// Of [`SEGMENT`] positions each.
    pages: Vec<Arc<Page>>,
}

#[derive(Clone, Debug)]
struct Page {
    /// Shape (tiles, K, E, 16).
    keys: Store,
    /// Shape (tiles, K, 16, padded E).
    values: Store,
}

#[derive(Clone, Debug)]
enum Store {
    F32(Vec<f32>),
    F16(Vec<u16>),
    /// `scales` have shape (tiles, K, 16).
    Q8 {
        numbers: Vec<i8>,
        scales: Vec<f32>,
    },
}

/// What the positions of some tiles of a head are to be multiplied by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales<'a> {
    /// Sixteen for each tile, `stride` apart.
    scales: &'a [f32],
    stride: usize,
}

impl Scales<'_> {
    /// Multiplies the numbers of the positions, sixteen for each tile.
    pub(super) fn multiply(&self, numbers: &mut [f32]) {
        let scales = self.scales.chunks(self.stride);
        for (numbers, scales) in numbers.chunks_exact_mut(LANES).zip(scales) {
            numbers.iter_mut().zip(scales).for_each(|(x, scale)| *x *= scale);
        }
    }
}

/// Tiles by which a page grows; a page is a multiple of it.
const GROWTH: usize = 4;

/// Tokens that are added to a page, and where.
struct New<'a> {
    /// Shape (T, K, E).
    numbers: &'a [f32],
    heads: usize,
    width: usize,
    /// Numbers of a head's tile.
    tile: usize,
    /// Position of the first in the page.
    first: usize,
}

impl KeyValues {
    /// Room for no position yet; `heads` is K and `head_width` E.
    pub fn new(heads: usize, head_width: usize, stored: CacheType) -> Self {
        Self { heads, head_width, len: 0, stored, pages: Vec::new() }
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
        self.pages.truncate(self.len.div_ceil(SEGMENT));
    }

    /// Adds the keys and values (T, K, E) of the next positions.
    pub fn push(&mut self, pool: &Pool, keys: &[f32], values: &[f32]) {
        let token_width = self.heads * self.head_width;
        let whole = keys.len() / token_width * token_width;
        assert_eq!((keys.len(), values.len()), (whole, whole), "keys and values");
        let (mut keys, mut values) = (keys, values);
        while !keys.is_empty() {
            let room = (SEGMENT - self.len % SEGMENT) * token_width;
            let (now, later) = keys.split_at(room.min(keys.len()));
            let (values_now, values_later) = values.split_at(now.len());
            self.push_in_page(pool, now, values_now);
            (keys, values) = (later, values_later);
        }
    }

    /// The same for positions that the page at hand has room for.
    fn push_in_page(&mut self, pool: &Pool, keys: &[f32], values: &[f32]) {
        let (heads, width, first) = (self.heads, self.head_width, self.len % SEGMENT);
        if self.len / SEGMENT == self.pages.len() {
            self.pages.push(Arc::new(Page::new(self.stored)));
        }
        let padded = padded(width);
        let new = |numbers, tile| New { numbers, heads, width, tile, first };
        let page = Arc::make_mut(&mut self.pages[self.len / SEGMENT]);
        page.keys.push(pool, &new(keys, width * LANES), (LANES, 1));
        page.values.push(pool, &new(values, padded * LANES), (1, padded));
        self.len += keys.len() / (heads * width);
    }

    /// Bytes of the pages.
    pub fn bytes(&self) -> usize {
        self.pages.iter().map(|page| page.keys.bytes() + page.values.bytes()).sum()
    }

    /// What tells each page from any other that lives, and the positions that it
    /// takes the memory of.
    pub fn pages(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let tile = self.heads * self.head_width * LANES;
        let positions =
            move |page: &Page| (page.keys.len() / tile).next_multiple_of(GROWTH) * LANES;
        self.pages.iter().map(move |page| (Arc::as_ptr(page).addr(), positions(page)))
    }

    /// What scores of keys in `tiles` of a head are to be multiplied by, if
    /// anything.
    pub(super) fn key_scales(&self, head: usize, tiles: &Range<usize>) -> Option<Scales<'_>> {
        let (page, first) = self.page(tiles.start);
        page.keys.scales(self.heads, first * self.heads + head)
    }

    /// What weights of values in `tiles` of a head are to be multiplied by, if
    /// anything.
    pub(super) fn value_scales(&self, head: usize, tiles: &Range<usize>) -> Option<Scales<'_>> {
        let (page, first) = self.page(tiles.start);
        page.values.scales(self.heads, first * self.heads + head)
    }

    /// Copies keys and values (T, K, E) of `positions` as half floats,
    /// little-endian, or `None` if they are not kept as such.
    pub fn halves(&self, positions: Range<usize>) -> Option<[Vec<u8>; 2]> {
        assert!(positions.end <= self.len, "positions that are held");
        if self.stored != CacheType::F16 {
            return None;
        }
        let width = self.head_width;
        let token = 2 * self.heads * width;
        let mut found = [(); 2].map(|()| Vec::with_capacity(positions.len() * token));
        for position in positions {
            let (page, tile) = self.page(position / LANES);
            let lane = position % LANES;
            let (Store::F16(keys), Store::F16(values)) = (&page.keys, &page.values) else {
                return None;
            };
            for head in 0..self.heads {
                let tile = tile * self.heads + head;
                let keys = keys[tile * width * LANES..][lane..].iter().step_by(LANES);
                let values = &values[(tile * LANES + lane) * padded(width)..];
                found[0].extend(keys.take(width).flat_map(|half| half.to_le_bytes()));
                found[1].extend(values[..width].iter().flat_map(|half| half.to_le_bytes()));
            }
        }
        Some(found)
    }

    /// The page of a tile, and which one of its tiles that is.
    fn page(&self, tile: usize) -> (&Page, usize) {
        const TILES: usize = SEGMENT / LANES;
        (&self.pages[tile / TILES], tile % TILES)
    }

    /// Keys of `tiles` of a head, all of one segment: a row for each of the E
    /// numbers, a strip for each tile.
    pub(super) fn keys(&self, head: usize, tiles: Range<usize>) -> Strips<'_> {
        let tile = self.head_width * LANES;
        let (page, first) = self.page(tiles.start);
        Strips {
            numbers: page.keys.from((first * self.heads + head) * tile),
            count: tiles.len(),
            strip_stride: self.heads * tile,
            rows: self.head_width,
            row_stride: LANES,
            rows_per_block: self.head_width,
            block_stride: 0,
        }
    }

    /// Values of `positions` of a head, all of one segment and the first of
    /// which begins a tile: a row for each position.
    pub(super) fn values(&self, head: usize, positions: Range<usize>) -> Strips<'_> {
        let padded = padded(self.head_width);
        let tile = padded * LANES;
        let (page, first) = self.page(positions.start / LANES);
        Strips {
            numbers: page.values.from((first * self.heads + head) * tile),
            count: padded / LANES,
            strip_stride: LANES,
            rows: positions.len(),
            row_stride: padded,
            rows_per_block: LANES,
            block_stride: self.heads * tile,
        }
    }
}

impl Page {
    fn new(stored: CacheType) -> Self {
        let empty = || match stored {
            CacheType::F32 => Store::F32(Vec::new()),
            CacheType::F16 => Store::F16(Vec::new()),
            CacheType::Q8 => Store::Q8 { numbers: Vec::new(), scales: Vec::new() },
        };
        Self { keys: empty(), values: empty() }
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
            Self::Q8 { numbers, .. } => Numbers::I8(&numbers[start..]),
        }
    }

    /// Numbers of keys or values.
    fn len(&self) -> usize {
        match self {
            Self::F32(numbers) => numbers.len(),
            Self::F16(numbers) => numbers.len(),
            Self::Q8 { numbers, .. } => numbers.len(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::F32(numbers) => size_of_val(&**numbers),
            Self::F16(numbers) => size_of_val(&**numbers),
            Self::Q8 { numbers, scales } => size_of_val(&**numbers) + size_of_val(&**scales),
        }
    }

    /// The scales from head's tile `start` on, of one head of `heads`.
    fn scales(&self, heads: usize, start: usize) -> Option<Scales<'_>> {
        match self {
            Self::F32(_) | Self::F16(_) => None,
            Self::Q8 { scales, .. } => {
                Some(Scales { scales: &scales[start * LANES..], stride: heads * LANES })
            }
        }
    }

    /// Adds `new`, number `e` of a position going to `e * strides.0 +
    /// position % 16 * strides.1` of its tile.
    fn push(&mut self, pool: &Pool, new: &New, strides: (usize, usize)) {
        match self {
            Self::F32(kept) => place(pool, kept, new, strides, |_| |x| x),
            Self::F16(kept) => place(pool, kept, new, strides, |_| to_half),
            Self::Q8 { numbers, scales } => {
                let of_heads: Vec<f32> =
                    new.numbers.chunks_exact(new.width).map(|x| scale(x).0).collect();
                let factors = New { numbers: &of_heads, width: 1, tile: LANES, ..*new };
                place(pool, scales, &factors, (1, 1), |_| |x| x);
                place(pool, numbers, new, strides, |x| {
                    let (_, inverse) = scale(x);
                    move |x| round(x * inverse)
                });
            }
        }
    }
}

/// Stores the numbers of a head as the function does that `store` makes for
/// them.
fn place<T: Copy + Default + Send, F: Fn(f32) -> T>(
    pool: &Pool,
    kept: &mut Vec<T>,
    new: &New,
    (by_number, by_position): (usize, usize),
    store: impl Fn(&[f32]) -> F + Sync,
) {
    let token_width = new.heads * new.width;
    let end = new.first + new.numbers.len() / token_width;
    let tiles = end.div_ceil(LANES);
    let len = kept.len().max(tiles * new.heads * new.tile);
    if kept.capacity() < len {
        // Not twice as much, as vectors grow by themselves: a page is no longer than
        // a segment, and there are many.
        let most = tiles.next_multiple_of(GROWTH) * new.heads * new.tile;
        kept.reserve_exact(most - kept.len());
    }
    kept.resize(len, T::default());
    let first_tile = new.first / LANES;
    let tiles = &mut kept[first_tile * new.heads * new.tile..];
    pool.for_parts(tiles, new.heads * new.tile, &|tile, heads| {
        let start = (first_tile + tile) * LANES;
        for position in start.max(new.first)..(start + LANES).min(end) {
            let token = &new.numbers[(position - new.first) * token_width..][..token_width];
            let heads = heads.chunks_exact_mut(new.tile).zip(token.chunks_exact(new.width));
            for (tile, numbers) in heads {
                let store = store(numbers);
                let tile = &mut tile[(position - start) * by_position..];
                for (to, x) in tile.iter_mut().step_by(by_number).zip(numbers) {
                    *to = store(*x);
                }
            }
        }
    });
}

/// What integers are multiplied by that stand for `x`, and what `x` is
/// multiplied by to become such. If a number is not finite, all become NaN.
fn scale(x: &[f32]) -> (f32, f32) {
    // Without its sign a float orders as its bits do, NaN above all.
    let largest = x.iter().fold(0, |max, x| max.max(x.to_bits() & 0x7fff_ffff));
    let largest = f32::from_bits(largest);
    let scale = if largest.is_finite() { largest / 127.0 } else { f32::NAN };
    (scale, if 0.0 < scale { 127.0 / largest } else { 0.0 })
}

/// The integer next to `x`, which is at most 127, ties to even.
fn round(x: f32) -> i8 {
    // Adding it leaves the integer in the low bits.
    const ROUNDER: f32 = 12_582_912.0;
    #[expect(clippy::cast_possible_truncation, reason = "at most 127")]
    let integer = (x + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits()) as i8;
    integer
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

    /// The keys, page by page.
    fn numbers(cache: &KeyValues) -> Vec<Vec<f32>> {
        let copied = |page: &Arc<Page>| match &page.keys {
            Store::F32(numbers) => numbers.clone(),
            Store::F16(_) | Store::Q8 { .. } => unreachable!("the test stores floats"),
        };
        cache.pages.iter().map(copied).collect()
    }

    #[test]
    fn a_page_takes_the_memory_that_it_says() {
        let pool = Pool::new(std::num::NonZeroUsize::MIN);
        for stored in [CacheType::F32, CacheType::F16, CacheType::Q8] {
            let mut cache = KeyValues::new(2, 8, stored);
            for _ in 0..SEGMENT + 70 {
                cache.push(&pool, &[1.0; 16], &[1.0; 16]);
                for (page, (_, positions)) in cache.pages.iter().zip(cache.pages()) {
                    let room = match &page.keys {
                        Store::F32(numbers) => numbers.capacity(),
                        Store::F16(numbers) => numbers.capacity(),
                        Store::Q8 { numbers, .. } => numbers.capacity(),
                    };
                    assert_eq!(room, positions * 16);
                }
            }
            assert_eq!(cache.pages().map(|(_, positions)| positions).sum::<usize>(), SEGMENT + 128);
            let copy = cache.clone();
            assert!(copy.pages().eq(cache.pages()));
        }
    }

    #[test]
    fn a_clone_shares_pages_and_is_not_changed_by_what_follows() {
        let pool = Pool::new(std::num::NonZeroUsize::MIN);
        let mut first = KeyValues::new(1, 2, CacheType::F32);
        let token = |x: f32| vec![x; 2 * (SEGMENT + 3)];
        first.push(&pool, &token(1.0), &token(2.0));
        let mut second = first.clone();
        assert!(Arc::ptr_eq(&first.pages[1], &second.pages[1]));
        let before = numbers(&first);
        second.push(&pool, &[5.0, 6.0], &[7.0, 8.0]);
        assert!(Arc::ptr_eq(&first.pages[0], &second.pages[0]));
        assert!(!Arc::ptr_eq(&first.pages[1], &second.pages[1]));
        assert_eq!(numbers(&first), before);
        assert_ne!(numbers(&second), before);
        second.truncate(SEGMENT);
        assert_eq!((second.pages.len(), second.len()), (1, SEGMENT));
    }

    #[test]
    fn what_is_copied_as_half_floats_is_what_was_pushed() {
        let pool = Pool::new(std::num::NonZeroUsize::MIN);
        let (heads, width, tokens) = (2, 3, SEGMENT + 20);
        let mut cache = KeyValues::new(heads, width, CacheType::F16);
        // Small whole numbers are half floats.
        let numbers = |seed: usize| -> Vec<f32> {
            (0..tokens * heads * width).map(|i| ((i * 7 + seed) % 1000) as f32).collect()
        };
        let (keys, values) = (numbers(1), numbers(2));
        cache.push(&pool, &keys, &values);
        let positions = SEGMENT - 5..SEGMENT + 18;
        let part = positions.start * heads * width..positions.end * heads * width;
        let found = cache.halves(positions).unwrap();
        for (found, want) in found.iter().zip([&keys[part.clone()], &values[part]]) {
            let found: Vec<f32> = found.as_chunks::<2>().0.iter().map(f16).collect();
            assert_eq!(found, want);
        }
        let floats = KeyValues::new(heads, width, CacheType::F32);
        assert!(floats.halves(0..0).is_none());
    }

    #[test]
    fn half_floats_are_the_nearest() {
        // Powers of two as quotients: not every interpreter is exact in `powi`.
        let (tiny, small) = (1.0 / 33_554_432.0, 1.0 / 2_048.0);
        for (x, want) in [
            (0.0, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (0.333_33, 0x3555),
            (1e9, 0x7bff),
            (f32::NEG_INFINITY, 0xfbff),
            (5.96e-8, 0x0001),
            (tiny, 0x0000),
            (3.0 * tiny, 0x0002),
            (1.0 + small, 0x3c00),
            (1.0 + 3.0 * small, 0x3c02),
        ] {
            assert_eq!(to_half(x), want, "{x}");
        }
        assert!(f16(&to_half(f32::NAN).to_le_bytes()).is_nan());
    }

    #[test]
    fn integers_are_the_nearest_and_a_head_with_nan_is_nan() {
        let (factor, inverse) = scale(&[0.5, -2.0, 1.0]);
        assert_eq!(factor.to_bits(), (2.0_f32 / 127.0).to_bits());
        let rounded = [0.5, -2.0, 2.0, 1.0, 0.004].map(|x| round(x * inverse));
        assert_eq!(rounded, [32, -127, 127, 64, 0]);
        assert_eq!(scale(&[0.0, -0.0]), (0.0, 0.0));
        assert!(scale(&[1.0, f32::NAN]).0.is_nan() && scale(&[f32::NEG_INFINITY]).0.is_nan());
    }

    #[test]
    fn a_quarter_of_the_memory_and_a_scale() {
        let pool = Pool::new(std::num::NonZeroUsize::MIN);
        let bytes = |stored| {
            let mut cache = KeyValues::new(2, 64, stored);
            cache.push(&pool, &[1.0; 2 * 64 * 16], &[1.0; 2 * 64 * 16]);
            cache.bytes() / 16
        };
        let [floats, halves, integers] = [CacheType::F32, CacheType::F16, CacheType::Q8].map(bytes);
        assert_eq!((floats, halves, integers), (1024, 512, 256 + 2 * 2 * 4));
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
