//! Longest common subsequences, 64 columns at a time.
//!
//! Row `i` of the table of lengths is for the first `i` words of the reference,
//! column `j` for the first `j` of the text. Along a row the length grows by 0
//! or 1, so that a row is one bit a column. Crochemore et al. 2001,
//! doi:10.1016/S0020-0190(01)00182-X. The rows are kept where the subsequence
//! itself is asked for.

use super::words::Text;

/// Finds subsequences; keeps its memory from one pair to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Lcs {
    /// For each word, a bit for each place in the text: `blocks` of a word.
    places: Vec<u64>,
    blocks: usize,
    /// Rows of the table, `blocks` each: a bit is 0 where the length grows.
    rows: Vec<u64>,
}

impl Lcs {
    /// Length of a longest common subsequence. Words are in `1..=most`.
    pub(super) fn length(&mut self, reference: &[u32], text: &[u32], most: u32) -> usize {
        self.start(text, most);
        for word in reference {
            let own = *word as usize * self.blocks;
            advance(&mut self.rows, &self.places[own..own + self.blocks]);
        }
        self.grown(0, text.len())
    }

    /// Words of the reference in the union, over the sentences of the text, of
    /// its longest common subsequences with each; no word counts more often than
    /// either text has it.
    pub(super) fn of_sentences(&mut self, reference: &Text, text: &Text, most: u32) -> usize {
        let mut left = vec![(0_u32, 0_u32); most as usize + 1];
        for word in &reference.words {
            left[*word as usize].0 += 1;
        }
        for word in &text.words {
            left[*word as usize].1 += 1;
        }
        let mut hits = 0;
        let mut union = Vec::new();
        for own in reference.sentences() {
            union.clear();
            union.resize(own.len(), false);
            for other in text.sentences().filter(|other| !other.is_empty()) {
                self.mark(own, other, most, &mut union);
            }
            for (word, _) in own.iter().zip(&union).filter(|(_, is_marked)| **is_marked) {
                let left = &mut left[*word as usize];
                if left.0 > 0 && left.1 > 0 {
                    hits += 1;
                    left.0 -= 1;
                    left.1 -= 1;
                }
            }
        }
        hits
    }

    /// Marks one longest common subsequence: the one that is found from the end
    /// by taking equal words, else going back in the text only if that is longer
    /// than going back in the reference.
    fn mark(&mut self, reference: &[u32], text: &[u32], most: u32, marks: &mut [bool]) {
        self.start(text, most);
        for word in reference {
            let before = self.rows.len() - self.blocks;
            self.rows.extend_from_within(before..);
            let next = self.rows.len() - self.blocks;
            let own = *word as usize * self.blocks;
            advance(&mut self.rows[next..], &self.places[own..own + self.blocks]);
        }
        let (mut row, mut column) = (reference.len(), text.len());
        // Lengths here, and one row up.
        let mut here = self.grown(row, column);
        let mut above = self.grown(row.saturating_sub(1), column);
        while row > 0 && column > 0 {
            if reference[row - 1] == text[column - 1] {
                marks[row - 1] = true;
                here = above - self.grows(row - 1, column);
                (row, column) = (row - 1, column - 1);
                above = self.grown(row.saturating_sub(1), column);
            } else if here - self.grows(row, column) > above {
                here -= self.grows(row, column);
                above -= self.grows(row - 1, column);
                column -= 1;
            } else {
                here = above;
                row -= 1;
                above = self.grown(row.saturating_sub(1), column);
            }
        }
    }

    /// Takes the text, and makes the row of no word.
    fn start(&mut self, text: &[u32], most: u32) {
        self.blocks = text.len().div_ceil(64).max(1);
        self.places.clear();
        self.places.resize((most as usize + 1) * self.blocks, 0);
        for (at, word) in text.iter().enumerate() {
            self.places[*word as usize * self.blocks + at / 64] |= 1 << (at % 64);
        }
        self.rows.clear();
        self.rows.resize(self.blocks, u64::MAX);
    }

    /// Whether the length grows in a column, from 1.
    fn grows(&self, row: usize, column: usize) -> usize {
        let bit = column - 1;
        (!self.rows[row * self.blocks + bit / 64] >> (bit % 64) & 1) as usize
    }

    /// Length in a cell.
    fn grown(&self, row: usize, column: usize) -> usize {
        let row = &self.rows[row * self.blocks..(row + 1) * self.blocks];
        let whole: u32 = row[..column / 64].iter().map(|bits| bits.count_zeros()).sum();
        let rest = column % 64;
        let part = if rest > 0 { (!row[column / 64] & ((1 << rest) - 1)).count_ones() } else { 0 };
        (whole + part) as usize
    }
}

/// Turns a row into the next one, for a word at `places` of the text.
fn advance(row: &mut [u64], places: &[u64]) {
    let mut carry = false;
    for (bits, places) in row.iter_mut().zip(places) {
        let matched = *bits & places;
        let (sum, over) = bits.overflowing_add(matched);
        let (sum, over_again) = sum.overflowing_add(u64::from(carry));
        carry = over || over_again;
        *bits = sum | (*bits & !places);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The table itself, and the walk back through it.
    fn by_table(reference: &[u32], text: &[u32]) -> (usize, Vec<bool>) {
        let mut table = vec![vec![0; text.len() + 1]; reference.len() + 1];
        for row in 1..=reference.len() {
            for column in 1..=text.len() {
                table[row][column] = if reference[row - 1] == text[column - 1] {
                    table[row - 1][column - 1] + 1
                } else {
                    table[row - 1][column].max(table[row][column - 1])
                };
            }
        }
        let mut marks = vec![false; reference.len()];
        let (mut row, mut column) = (reference.len(), text.len());
        while row > 0 && column > 0 {
            if reference[row - 1] == text[column - 1] {
                marks[row - 1] = true;
                (row, column) = (row - 1, column - 1);
            } else if table[row][column - 1] > table[row - 1][column] {
                column -= 1;
            } else {
                row -= 1;
            }
        }
        (table[reference.len()][text.len()], marks)
    }

    proptest! {
        #[test]
        fn bits_find_the_length_and_the_words_that_the_table_finds(
            reference in prop::collection::vec(1_u32..7, 0..150),
            text in prop::collection::vec(1_u32..7, 0..150),
        ) {
            let mut lcs = Lcs::default();
            let (length, marks) = by_table(&reference, &text);
            prop_assert_eq!(lcs.length(&reference, &text, 6), length);
            let mut found = vec![false; reference.len()];
            lcs.mark(&reference, &text, 6, &mut found);
            prop_assert_eq!(found, marks);
        }
    }
}
