//! The search for shifts that bring a text nearer to its reference.
//!
//! A stretch of words that the reference has elsewhere is moved there, as long
//! as that saves edits: always the stretch that saves most, of these the
//! longest, then the first, then the one that goes least far. Tercom's limits
//! decide what is tried at all.

use super::banded::{Edit, Table};
use super::bits::{Rows, is_certain};

/// Words of a stretch, at most.
const LONGEST: usize = 10;
/// Words between the places of a stretch in text and reference, at most.
const FARTHEST: usize = 50;
/// Moves that are tried for one text, at most.
const MOST_TRIALS: usize = 1000;

/// Finds edits; keeps its memory from one text to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    rows: Rows,
    table: Table,
    /// Whether `table` is that of the text as it stands.
    is_tabled: bool,
    trial: Table,
    moved: Vec<u32>,
    alignment: Alignment,
}

/// A stretch that moves.
#[derive(Clone, Copy, Debug)]
struct Move {
    start: usize,
    length: usize,
    target: usize,
}

/// Where words of the reference stand in the text, and which are wrong.
#[derive(Clone, Debug, Default)]
struct Alignment {
    /// For each word of the reference, one more than the place of the word of
    /// the text that stands for it, or of the last one before: 0 if none is.
    after: Vec<usize>,
    reference_errs: Vec<bool>,
    text_errs: Vec<bool>,
}

impl Search {
    /// Edits of `text` until it is `reference`, a shift counting as one. Words
    /// are numbers from 1.
    pub(super) fn edits(&mut self, text: &[u32], reference: &[u32]) -> usize {
        if reference.is_empty() {
            return text.len();
        }
        let symbols = text.iter().chain(reference).max().map_or(1, |most| *most as usize + 1);
        self.rows.start(reference, symbols);
        let mut text = text.to_vec();
        let (mut shifts, mut trials) = (0, 0);
        loop {
            let distance = self.align(&text, reference);
            let found = self.best_move(&text, reference, distance, &mut trials);
            match found {
                Some((saved, best)) if saved > 0 && trials < MOST_TRIALS => {
                    text = best.applied(&text).collect();
                    shifts += 1;
                }
                _ => return shifts + distance,
            }
        }
    }

    /// Aligns the texts, and returns their distance without shifts.
    fn align(&mut self, text: &[u32], reference: &[u32]) -> usize {
        let distance = self.rows.fill(text);
        self.is_tabled = !is_certain(distance, reference.len());
        if !self.is_tabled {
            self.alignment.read(&self.rows.edits(text, reference));
            return distance;
        }
        let distance = self.table.fill(text, reference, 0);
        self.alignment.read(&self.table.edits(text, reference));
        distance
    }

    /// The best of the moves that are allowed, and the edits that it saves.
    fn best_move(
        &mut self,
        text: &[u32],
        reference: &[u32],
        distance: usize,
        trials: &mut usize,
    ) -> Option<(isize, Move)> {
        let mut best: Option<(isize, Move)> = None;
        for start in 0..text.len() {
            let low = start.saturating_sub(FARTHEST);
            let high = reference.len().min(start + FARTHEST + 1);
            for place in low..high {
                let same = text[start..].iter().zip(&reference[place..]);
                let longest = same.take(LONGEST).take_while(|(a, b)| a == b).count();
                for length in 1..=longest {
                    if !self.alignment.allows(start, place, length) {
                        continue;
                    }
                    let mut before = None;
                    for target in self.alignment.targets(place, length) {
                        // Neighbours in the reference may have one place in the text.
                        if before.replace(target) == Some(target) {
                            continue;
                        }
                        let tried = Move { start, length, target };
                        let after = self.distance(text, reference, tried);
                        let saved = distance.cast_signed() - after.cast_signed();
                        *trials += 1;
                        if best.is_none_or(|best| tried.rank(saved) > best.1.rank(best.0)) {
                            best = Some((saved, tried));
                        }
                    }
                    if *trials >= MOST_TRIALS {
                        return best;
                    }
                }
            }
        }
        best
    }

    /// Distance after a move.
    fn distance(&mut self, text: &[u32], reference: &[u32], tried: Move) -> usize {
        let known = tried.start.min(tried.target);
        let distance = self.rows.distance(tried.applied(text), known);
        if is_certain(distance, reference.len()) {
            return distance;
        }
        self.moved.clear();
        self.moved.extend(tried.applied(text));
        // Where the text itself is near its reference, no table was filled.
        let known = if self.is_tabled { known } else { 0 };
        if known > 0 {
            self.trial.start_as(&self.table, reference, known);
        }
        self.trial.fill(&self.moved, reference, known)
    }
}

impl Move {
    /// The words of `text` in their new order. A target behind the stretch names
    /// the word that will follow it; one inside moves it on by as many words.
    fn applied(self, text: &[u32]) -> impl Iterator<Item = u32> + '_ {
        let Self { start, length, target } = self;
        let end = start + length;
        let parts = if target < start {
            [0..target, start..end, target..start, end..text.len()]
        } else {
            let to = if target > end { target } else { length + target };
            let to = to.min(text.len());
            [0..start, end..to, start..end, to..text.len()]
        };
        parts.into_iter().flat_map(|part| text[part].iter().copied())
    }

    /// Better moves have a higher rank.
    fn rank(self, saved: isize) -> (isize, usize, std::cmp::Reverse<(usize, usize)>) {
        (saved, self.length, std::cmp::Reverse((self.start, self.target)))
    }
}

impl Alignment {
    fn read(&mut self, edits: &[Edit]) {
        let Self { after, reference_errs, text_errs } = self;
        after.clear();
        reference_errs.clear();
        text_errs.clear();
        for edit in edits {
            if *edit != Edit::Insert {
                text_errs.push(*edit != Edit::Keep);
            }
            if *edit != Edit::Delete {
                after.push(text_errs.len());
                reference_errs.push(*edit != Edit::Keep);
            }
        }
    }

    /// Whether a stretch is worth moving: some of its words are wrong where they
    /// stand, some are missing where they belong, and that is not inside itself.
    fn allows(&self, start: usize, place: usize, length: usize) -> bool {
        let inside = start + 1..start + length + 1;
        self.text_errs[start..start + length].contains(&true)
            && self.reference_errs[place..place + length].contains(&true)
            && !inside.contains(&self.after[place])
    }

    /// Where a stretch may go: before its first word's place, and after those of
    /// its words.
    fn targets(&self, place: usize, length: usize) -> impl Iterator<Item = usize> + use<> {
        let first = place.checked_sub(1).map_or(0, |before| self.after[before]);
        let mut targets = [first; LONGEST + 1];
        targets[1..=length].copy_from_slice(&self.after[place..place + length]);
        targets.into_iter().take(length + 1)
    }
}
