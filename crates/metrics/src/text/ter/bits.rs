//! Edit distance of a word in a few instructions, 64 columns at a time.
//!
//! Neighbours in the table of edit distances differ by at most 1, so a row is
//! two bits a column: whether the distance rises, and whether it falls. Myers
//! 1999, doi:10.1145/316542.316550, with the carry between blocks of Hyyro 2003.

use super::banded::Edit;

/// Distances up to this cannot differ from those near the diagonal: a path with
/// `d` edits strays `2 d` columns at most, and 24 columns are always filled.
const CERTAIN: usize = 11;
/// Up to this length of the reference all columns are filled.
const NARROW: usize = 24;

/// Whether the distance is sure to be what [`super::banded`] finds.
pub(super) fn is_certain(distance: usize, reference: usize) -> bool {
    distance <= CERTAIN || reference <= NARROW
}

/// One row, by its differences.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    /// Columns whose distance is one more than that of the column before.
    up: u64,
    /// Columns whose distance is one less.
    down: u64,
    /// Columns whose distance is one more than in the row before.
    grew: u64,
    /// Columns whose distance is one less.
    shrank: u64,
}

/// Rows of one text against one reference.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    /// For each word, a bit for each place in the reference: `blocks` of a word.
    places: Vec<u64>,
    blocks: usize,
    columns: usize,
    /// All rows, `blocks` each, from that of no word.
    filled: Vec<Block>,
    /// Distance to the whole reference after each row.
    distances: Vec<usize>,
    /// The row that a candidate works in.
    trial: Vec<Block>,
}

impl Rows {
    /// Takes the reference. `symbols` is above all words of both texts.
    pub(super) fn start(&mut self, reference: &[u32], symbols: usize) {
        self.columns = reference.len();
        self.blocks = reference.len().div_ceil(64).max(1);
        self.places.clear();
        self.places.resize(symbols * self.blocks, 0);
        for (at, word) in reference.iter().enumerate() {
            self.places[*word as usize * self.blocks + at / 64] |= 1 << (at % 64);
        }
    }

    /// Computes and keeps all rows of `text`, and returns the distance.
    pub(super) fn fill(&mut self, text: &[u32]) -> usize {
        self.filled.clear();
        self.filled.resize(self.blocks, Block { up: u64::MAX, ..Block::default() });
        self.distances.clear();
        self.distances.push(self.columns);
        for word in text {
            let before = self.filled.len() - self.blocks;
            self.filled.extend_from_within(before..);
            let own = self.filled.len() - self.blocks;
            let (distance, places) =
                (self.distances[self.distances.len() - 1], self.places_of(*word));
            let next =
                advance(&mut self.filled[own..], &self.places[places], self.columns, distance);
            self.distances.push(next);
        }
        self.distances[text.len()]
    }

    /// Distance of another text that starts with the same `known` words.
    pub(super) fn distance(&mut self, text: impl Iterator<Item = u32>, known: usize) -> usize {
        self.trial.clear();
        self.trial.extend_from_slice(&self.filled[known * self.blocks..(known + 1) * self.blocks]);
        let mut distance = self.distances[known];
        for word in text.skip(known) {
            let places = self.places_of(word);
            distance = advance(&mut self.trial, &self.places[places], self.columns, distance);
        }
        distance
    }

    fn places_of(&self, word: u32) -> std::ops::Range<usize> {
        let start = word as usize * self.blocks;
        start..start + self.blocks
    }

    /// The edits of the text whose rows are kept, from its start.
    pub(super) fn edits(&self, text: &[u32], reference: &[u32]) -> Vec<Edit> {
        let (mut row, mut column) = (text.len(), reference.len());
        let mut edits = Vec::with_capacity(row + column);
        while row > 0 || column > 0 {
            let edit = if column == 0 {
                Edit::Delete
            } else if row == 0 {
                Edit::Insert
            } else {
                let is_same = text[row - 1] == reference[column - 1];
                self.edit(row, column - 1, is_same)
            };
            edits.push(edit);
            row -= usize::from(edit != Edit::Insert);
            column -= usize::from(edit != Edit::Delete);
        }
        edits.reverse();
        edits
    }

    /// The first of the edits that lead to this cell at its distance.
    fn edit(&self, row: usize, bit: usize, is_same: bool) -> Edit {
        let (block, mask) = (bit / 64, 1_u64 << (bit % 64));
        let (above, own) = (
            &self.filled[(row - 1) * self.blocks + block],
            &self.filled[row * self.blocks + block],
        );
        let sign =
            |plus: u64, minus: u64| i32::from(plus & mask != 0) - i32::from(minus & mask != 0);
        let from_above = sign(own.grew, own.shrank);
        // To the cell above, and on to the one left of it.
        let from_diagonal = from_above + sign(above.up, above.down);
        if is_same && from_diagonal == 0 {
            Edit::Keep
        } else if !is_same && from_diagonal == 1 {
            Edit::Substitute
        } else if from_above == 1 {
            Edit::Delete
        } else {
            Edit::Insert
        }
    }
}

/// Turns a row into the next one, for a word at `places` of the reference.
fn advance(row: &mut [Block], places: &[u64], columns: usize, distance: usize) -> usize {
    // The column before the first rises by one with every row.
    let (mut grows, mut shrinks) = (1, 0);
    let last = columns.wrapping_sub(1);
    let mut next = distance;
    for (at, (block, &same)) in row.iter_mut().zip(places).enumerate() {
        let vertical = same | block.down;
        let same = same | shrinks;
        let horizontal = ((same & block.up).wrapping_add(block.up) ^ block.up) | same;
        block.grew = block.down | !(horizontal | block.up);
        block.shrank = block.up & horizontal;
        if at == last / 64 {
            next += (block.grew >> (last % 64) & 1) as usize;
            next -= (block.shrank >> (last % 64) & 1) as usize;
        }
        let (grew, shrank) = (block.grew << 1 | grows, block.shrank << 1 | shrinks);
        (grows, shrinks) = (block.grew >> 63, block.shrank >> 63);
        block.up = shrank | !(vertical | grew);
        block.down = grew & vertical;
    }
    if columns == 0 { distance + 1 } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::ter::banded::Table;
    use proptest::prelude::*;

    fn words(most: usize) -> impl Strategy<Value = Vec<u32>> {
        (2_u32..9).prop_flat_map(move |kinds| prop::collection::vec(1..kinds, 0..most))
    }

    proptest! {
        #[test]
        fn certain_distances_and_edits_are_those_near_the_diagonal(
            (text, reference) in (words(90), words(150)),
            edited: bool,
        ) {
            // Random texts are far apart; those that are near matter as much.
            let text = if edited {
                let mut near = reference.clone();
                near.truncate(reference.len().saturating_sub(3));
                near.extend(text.iter().take(5));
                near
            } else {
                text
            };
            let (mut rows, mut table) = (Rows::default(), Table::default());
            rows.start(&reference, 9);
            let distance = rows.fill(&text);
            let near = table.fill(&text, &reference, 0);
            prop_assert!(distance <= near);
            if is_certain(distance, reference.len()) {
                prop_assert_eq!(distance, near);
                prop_assert_eq!(rows.edits(&text, &reference), table.edits(&text, &reference));
            }
            let known = text.len() / 2;
            prop_assert_eq!(rows.distance(text.iter().copied(), known), distance);
            prop_assert_eq!(table.fill(&text, &reference, known), near);
        }
    }
}
