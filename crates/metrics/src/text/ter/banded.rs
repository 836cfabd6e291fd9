//! Edit distance near the diagonal: the definition that TER uses.
//!
//! Row `i` of the table is for the first `i` words of the text, column `j` for
//! the first `j` of the reference. A row is only filled near the column that is
//! as far through the reference as the row is through the text, which makes the
//! distance too large where words moved far.

/// Columns on either side that are filled.
const BEAM: usize = 25;
const INFINITY: u32 = u32::MAX / 2;

/// How a step of the table changes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    Keep,
    Substitute,
    /// A word of the text goes.
    Delete,
    /// A word of the reference comes.
    Insert,
}

/// The table of one text, kept so that others with the same start go on from it.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    cells: Vec<(u32, Edit)>,
}

impl Table {
    /// Fills the rows after the first `known`, which must be those of a text of
    /// the same length and reference with the same words so far. Returns the distance.
    pub(super) fn fill(&mut self, text: &[u32], reference: &[u32], known: usize) -> usize {
        let width = reference.len() + 1;
        if known == 0 {
            self.cells.clear();
            self.cells.extend((0_u32..).take(width).map(|cost| (cost, Edit::Insert)));
        }
        self.cells.truncate((known + 1) * width);
        self.cells.resize((text.len() + 1) * width, (INFINITY, Edit::Insert));
        let ratio = if text.is_empty() { 1.0 } else { reference.len() as f64 / text.len() as f64 };
        let beam = BEAM as f64;
        // Of a much longer reference, no row may lie apart from the one before.
        let beam = floor(if beam < ratio / 2.0 { (ratio / 2.0 + beam).ceil() } else { beam });
        for row in known + 1..=text.len() {
            let diagonal = floor(row as f64 * ratio);
            let end = if row == text.len() { width } else { width.min(diagonal + beam) };
            let (above, own) = self.cells.split_at_mut(row * width);
            let above = &above[(row - 1) * width..];
            fill_row(own, above, (text[row - 1], reference), diagonal.saturating_sub(beam)..end);
        }
        self.cells.last().map_or(0, |(cost, _)| *cost as usize)
    }

    /// Takes over what another table knows of the first `known` words.
    pub(super) fn start_as(&mut self, other: &Self, reference: &[u32], known: usize) {
        self.cells.clear();
        self.cells.extend_from_slice(&other.cells[..(known + 1) * (reference.len() + 1)]);
    }

    /// The edits of the text that was filled last, from its start.
    pub(super) fn edits(&self, text: &[u32], reference: &[u32]) -> Vec<Edit> {
        let (mut row, mut column) = (text.len(), reference.len());
        let mut edits = Vec::with_capacity(row + column);
        while row > 0 || column > 0 {
            let (_, edit) = self.cells[row * (reference.len() + 1) + column];
            edits.push(edit);
            row -= usize::from(edit != Edit::Insert);
            column -= usize::from(edit != Edit::Delete);
        }
        edits.reverse();
        edits
    }
}

/// Of equally good edits, the first of keep, substitute, delete and insert.
fn fill_row(
    own: &mut [(u32, Edit)],
    above: &[(u32, Edit)],
    (word, reference): (u32, &[u32]),
    columns: std::ops::Range<usize>,
) {
    for column in columns {
        if column == 0 {
            own[0] = (above[0].0 + 1, Edit::Delete);
            continue;
        }
        let mut best = own[column];
        let diagonal = above[column - 1].0;
        let options = if word == reference[column - 1] {
            (diagonal, Edit::Keep)
        } else {
            (diagonal + 1, Edit::Substitute)
        };
        let options =
            [options, (above[column].0 + 1, Edit::Delete), (own[column - 1].0 + 1, Edit::Insert)];
        for option in options {
            if option.0 < best.0 {
                best = option;
            }
        }
        own[column] = best;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a text is neither negative nor beyond it"
)]
fn floor(place: f64) -> usize {
    place.floor() as usize
}
