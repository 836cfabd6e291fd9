//! N-grams that texts share, without storing an n-gram.
//!
//! Every position of every text becomes one integer: its next `N` symbols from
//! the highest bits down, then the number of the text. Sorted, the n-grams of
//! all orders up to `N` lie in stretches, and one pass over neighbours counts
//! them all: where the first `n` symbols of two neighbours differ, an n-gram
//! ends. Symbols are numbers from 1; 0 fills up after the end of a text, so that
//! a stretch with a 0 in its first `n` symbols is no n-gram of order `n`.
//!
//! Of two texts, the matches are counted with a small table of n-grams, an order
//! after another: that is quicker than to sort.
//!
//! Where the symbols do not fit into the integer, n-grams are named order by
//! order instead: an n-gram is the name of its first `n - 1` symbols and the last.

/// Counts matches; keeps its memory from one call to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Matcher {
    keys: Vec<u64>,
    /// Positions seen of each text.
    seen: Vec<u32>,
    /// The same when the open n-gram of each order began.
    began: Vec<u32>,
    /// N-grams of one order with how often the second text has them.
    table: Vec<u64>,
    /// How often the second text has each n-gram that there could be.
    direct: Vec<u16>,
}

/// N-grams of this many bits have a count of their own each.
const DIRECT_BITS: usize = 12;

/// Low bits of a slot of the table, which hold the count; the n-gram is above.
const COUNT_BITS: usize = 16;

impl Matcher {
    /// For each order up to `N`, the n-grams of `texts[0]` that the others have.
    ///
    /// That is the sum over different n-grams of the smaller of two counts: the
    /// one in `texts[0]`, and the largest in one of the others. Symbols are in
    /// `1..=most`.
    pub(super) fn count<const N: usize>(&mut self, texts: &[&[u32]], most: u32) -> [u32; N] {
        let symbol_bits = (u32::BITS - most.leading_zeros()).max(1) as usize;
        let text_bits = (usize::BITS - texts.len().leading_zeros()) as usize;
        if let &[text, other] = texts
            && N * symbol_bits + COUNT_BITS <= 64
            && other.len() < 1 << COUNT_BITS
        {
            return self.of_two::<N>(text, other, symbol_bits);
        }
        if N * symbol_bits + text_bits < 64 {
            self.fill::<N>(texts, symbol_bits, text_bits);
            self.keys.sort_unstable();
            self.scan::<N>(texts.len(), symbol_bits, text_bits)
        } else {
            by_name::<N>(texts)
        }
    }

    /// Counts the n-grams of `other`, and takes away those of `text`.
    fn of_two<const N: usize>(
        &mut self,
        text: &[u32],
        other: &[u32],
        symbol_bits: usize,
    ) -> [u32; N] {
        let mut matches = [0; N];
        for (order, matched) in (1..).zip(&mut matches) {
            if text.len() < order || other.len() < order {
                break;
            }
            *matched = if order * symbol_bits <= DIRECT_BITS {
                self.directly(text, other, (order, symbol_bits))
            } else {
                self.by_table(text, other, (order, symbol_bits))
            };
            // Without a match of this order there is none of a longer one.
            if *matched == 0 {
                break;
            }
        }
        matches
    }

    /// Matches of one order, with a count for every n-gram that there could be.
    #[expect(clippy::cast_possible_truncation, reason = "an n-gram has few bits here")]
    fn directly(&mut self, text: &[u32], other: &[u32], (order, bits): (usize, usize)) -> u32 {
        self.direct.clear();
        self.direct.resize(1 << (order * bits), 0);
        let counts = self.direct.as_mut_slice();
        each_gram(other, order, bits, |gram| counts[gram as usize] += 1);
        let mut matched = 0;
        each_gram(text, order, bits, |gram| {
            let count = &mut counts[gram as usize];
            matched += u32::from(*count > 0);
            *count = count.saturating_sub(1);
        });
        matched
    }

    /// The same, with a count for those that `other` has.
    fn by_table(&mut self, text: &[u32], other: &[u32], (order, bits): (usize, usize)) -> u32 {
        const COUNT: u64 = (1 << COUNT_BITS) - 1;
        let size = (4 * other.len()).next_power_of_two().max(64);
        let shift = 64 - size.trailing_zeros();
        self.table.clear();
        self.table.resize(size, 0);
        let table = self.table.as_mut_slice();
        each_gram(other, order, bits, |gram| {
            let at = slot(table, gram, shift);
            table[at] = (gram << COUNT_BITS | table[at] & COUNT) + 1;
        });
        let mut matched = 0;
        each_gram(text, order, bits, |gram| {
            let at = slot(table, gram, shift);
            let is_left = table[at] & COUNT > 0;
            table[at] -= u64::from(is_left);
            matched += u32::from(is_left);
        });
        matched
    }

    fn fill<const N: usize>(&mut self, texts: &[&[u32]], symbol_bits: usize, text_bits: usize) {
        self.keys.clear();
        let mask = (1_u64 << (N * symbol_bits)) - 1;
        for (number, text) in (0_u64..).zip(texts) {
            let mut gram = 0;
            // The window of a position is full `N - 1` symbols later.
            let ahead = text.iter().map(|symbol| u64::from(*symbol));
            let padded = ahead.chain(std::iter::repeat_n(0, N - 1));
            for (filled, symbol) in padded.enumerate() {
                gram = (gram << symbol_bits | symbol) & mask;
                if N - 1 <= filled {
                    self.keys.push(gram << text_bits | number);
                }
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the number of a text was put there")]
    fn scan<const N: usize>(
        &mut self,
        texts: usize,
        symbol_bits: usize,
        text_bits: usize,
    ) -> [u32; N] {
        let mut matches = [0; N];
        self.seen.clear();
        self.seen.resize(texts, 0);
        self.began.clear();
        self.began.resize(N * texts, 0);
        let (mut before, mut open) = (0_u64, 0);
        for at in 0..self.keys.len() {
            let key = self.keys[at];
            let (gram, text) = (key >> text_bits, key as usize & ((1 << text_bits) - 1));
            let differing = (64 - (gram ^ before).leading_zeros() as usize).div_ceil(symbol_bits);
            let common = N - differing;
            for (order, matched) in matches.iter_mut().enumerate().take(open).skip(common) {
                *matched += self.matched(order, texts);
            }
            for order in common..N {
                self.began[order * texts..(order + 1) * texts].copy_from_slice(&self.seen);
            }
            self.seen[text] += 1;
            before = gram;
            open = N - gram.trailing_zeros() as usize / symbol_bits;
        }
        for (order, matched) in matches.iter_mut().enumerate().take(open) {
            *matched += self.matched(order, texts);
        }
        matches
    }

    /// What the open n-gram of an order adds.
    fn matched(&self, order: usize, texts: usize) -> u32 {
        let began = &self.began[order * texts..(order + 1) * texts];
        let mut counts = self.seen.iter().zip(began).map(|(now, then)| now - then);
        let own = counts.next().unwrap_or(0);
        own.min(counts.max().unwrap_or(0))
    }
}

/// Calls `visit` with each n-gram of `order` symbols as one integer.
fn each_gram(text: &[u32], order: usize, symbol_bits: usize, mut visit: impl FnMut(u64)) {
    let mask = (1_u64 << (order * symbol_bits)) - 1;
    let (first, rest) = text.split_at(order - 1);
    let mut gram =
        first.iter().fold(0, |gram, symbol| (gram << symbol_bits | u64::from(*symbol)) & mask);
    for symbol in rest {
        gram = (gram << symbol_bits | u64::from(*symbol)) & mask;
        visit(gram);
    }
}

/// The slot of `gram`, or the empty one where it belongs. The table is never full, and
/// no n-gram is 0.
#[expect(clippy::cast_possible_truncation, reason = "the highest bits of a product, as an index")]
fn slot(table: &[u64], gram: u64, shift: u32) -> usize {
    let mut at = (gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize;
    while table[at] != 0 && table[at] >> COUNT_BITS != gram {
        at = (at + 1) & (table.len() - 1);
    }
    at
}

/// The same matches by naming n-grams: slower, and for any number of symbols.
fn by_name<const N: usize>(texts: &[&[u32]]) -> [u32; N] {
    let mut matches = [0; N];
    let mut names: Vec<Vec<u32>> = texts.iter().map(|text| vec![0; text.len()]).collect();
    let mut found = Vec::new();
    for (order, matched) in (1..).zip(&mut matches) {
        found.clear();
        for (number, text) in texts.iter().enumerate() {
            for at in 0..(text.len() + 1).saturating_sub(order) {
                found.push(((names[number][at], text[at + order - 1]), number, at));
            }
        }
        found.sort_unstable();
        for (name, same) in (0_u32..).zip(found.chunk_by(|a, b| a.0 == b.0)) {
            let of_one = same.chunk_by(|a, b| a.1 == b.1);
            let own = of_one.clone().find(|run| run[0].1 == 0).map_or(0, <[_]>::len);
            let others = of_one.filter(|run| run[0].1 != 0).map(<[_]>::len).max().unwrap_or(0);
            *matched += u32::try_from(own.min(others)).unwrap_or(u32::MAX);
            for (_, number, at) in same {
                names[*number][*at] = name;
            }
        }
    }
    matches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// The definition, with a map of n-grams.
    fn by_map<const N: usize>(texts: &[&[u32]]) -> [u32; N] {
        let counts = |text: &[u32], order: usize| {
            let mut counts = HashMap::new();
            for gram in text.windows(order) {
                *counts.entry(gram.to_vec()).or_insert(0_u32) += 1;
            }
            counts
        };
        std::array::from_fn(|at| {
            let others: Vec<_> = texts[1..].iter().map(|text| counts(text, at + 1)).collect();
            let of_gram = |(gram, own): (&Vec<u32>, &u32)| {
                let most = others.iter().filter_map(|counts| counts.get(gram)).max();
                *own.min(most.unwrap_or(&0))
            };
            counts(texts[0], at + 1).iter().map(of_gram).sum()
        })
    }

    proptest! {
        #[test]
        fn sorting_and_naming_count_what_a_map_counts(
            texts in prop::collection::vec(prop::collection::vec(1_u32..5, 0..30), 2..5),
        ) {
            let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            let mut matcher = Matcher::default();
            let want: [u32; 6] = by_map(&texts);
            prop_assert_eq!(matcher.count::<6>(&texts, 4), want);
            prop_assert_eq!(by_name::<6>(&texts), want);
            prop_assert_eq!(matcher.count::<2>(&texts, 4), [want[0], want[1]]);
            let two: [u32; 6] = by_map(&texts[..2]);
            prop_assert_eq!(matcher.count::<6>(&texts[..2], 4), two);
            prop_assert_eq!(&matcher.count::<4>(&texts[..2], 4_000)[..], &two[..4]);
            prop_assert_eq!(&matcher.count::<4>(&texts, u32::MAX)[..], &want[..4]);
        }
    }

    #[test]
    fn a_text_without_symbols_has_no_match() {
        let mut matcher = Matcher::default();
        assert_eq!(matcher.count::<4>(&[&[], &[1, 2]], 2), [0; 4]);
        assert_eq!(matcher.count::<4>(&[&[1], &[]], 1), [0; 4]);
        assert_eq!(matcher.count::<2>(&[&[1, 1, 1], &[1, 1], &[1]], 1), [2, 1]);
    }
}
