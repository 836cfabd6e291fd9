//! Documents to passages.
//!
//! Blocks are packed in order until the budget is full or a section, page or
//! part ends; a block that does not fit is cut first (see [`cut`]). Every
//! piece goes into exactly one passage, so nothing is lost and nothing is
//! there twice.

mod cut;
mod piece;

use std::ops::Range;

use crate::document::{BlockKind, Document, MapEntry};
use piece::{Piece, pieces};

/// How large a passage may be.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    pub max_tokens: usize,
    /// How many tokens a text has. Assumed to be at most its bytes and two.
    pub count: &'a dyn Fn(&str) -> usize,
}

impl Budget<'_> {
    /// The tokens of `text`, or its bytes if those are so few that it does not
    /// matter.
    fn cost(&self, text: &str) -> usize {
        match text.len() {
            0..=8 => text.len(),
            _ => (self.count)(text),
        }
    }

    fn fits(&self, text: &str) -> bool {
        text.len() + 2 <= self.max_tokens || (self.count)(text) <= self.max_tokens
    }
}

/// A piece of a document that is retrieved and cited as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Bytes of [`Document::text`].
    pub range: Range<usize>,
    /// The text without markup.
    pub text: String,
    /// From `text` to [`Document::text`]; empty if `text` is that of `range`.
    pub map: Vec<MapEntry>,
    /// The titles of the sections around it, outermost first; for rows of a
    /// table that began in an earlier passage, the row with the column names
    /// is the last.
    pub heading_path: Vec<String>,
    /// The page of a PDF, from 1.
    pub page: Option<u32>,
    /// The slide, sheet, chapter or mail part.
    pub part: Option<String>,
}

/// Cuts `document` into passages of at most `budget.max_tokens` tokens each.
///
/// Passages are in order, do not overlap, begin and end on character
/// boundaries, and hold all text of the blocks. They do not reach across
/// headings, except that a section that is nearly empty goes with its first
/// sub-section.
pub fn split(document: &Document, budget: &Budget) -> Vec<Passage> {
    let mut packer = Packer { document, budget, passages: Vec::new(), open: Vec::new(), cost: 0 };
    let mut sections = Sections::default();
    let mut header: Option<String> = None;
    for (index, block) in document.blocks.iter().enumerate() {
        let mut kind_level = None;
        if let BlockKind::Heading { level, title } = &block.kind {
            sections.enter(*level, title);
            kind_level = Some(*level);
        }
        let is_row = block.kind == BlockKind::TableRow;
        if !is_row {
            header = None;
        }
        for piece in pieces(document, index, budget) {
            let placed = Placed {
                cost: budget.cost(piece.text(document)),
                piece,
                level: kind_level,
                path: sections.path(),
                header: header.clone(),
            };
            packer.add(placed);
        }
        if block.kind == BlockKind::TableHeader {
            header = Some(one_line(block_text(document, index)));
        }
    }
    packer.close();
    packer.passages
}

fn block_text(document: &Document, index: usize) -> &str {
    let block = &document.blocks[index];
    if block.text.is_empty() { &document.text[block.range.clone()] } else { &block.text }
}

/// The first line that names something, at most 200 bytes of it.
fn one_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
    line[..line.floor_char_boundary(200)].to_owned()
}

/// The headings that are open.
#[derive(Default)]
struct Sections {
    open: Vec<(u8, String)>,
}

impl Sections {
    fn enter(&mut self, level: u8, title: &str) {
        self.open.retain(|open| open.0 < level);
        self.open.push((level, title.to_owned()));
    }

    fn path(&self) -> Vec<String> {
        self.open.iter().map(|open| &open.1).filter(|title| !title.is_empty()).cloned().collect()
    }
}

/// A piece with where it stands.
struct Placed {
    piece: Piece,
    cost: usize,
    /// Of the heading that it is, if it is one.
    level: Option<u8>,
    path: Vec<String>,
    /// The column names of the table that it is a row of.
    header: Option<String>,
}

struct Packer<'a> {
    document: &'a Document,
    budget: &'a Budget<'a>,
    passages: Vec<Passage>,
    open: Vec<Placed>,
    cost: usize,
}

impl Packer<'_> {
    fn add(&mut self, placed: Placed) {
        if self.must_close(&placed) {
            self.close();
        }
        // The line break in between is a token, too.
        self.cost += placed.cost + 1;
        self.open.push(placed);
    }

    fn must_close(&self, next: &Placed) -> bool {
        let (Some(first), Some(last)) = (self.open.first(), self.open.last()) else {
            return false;
        };
        let block = |placed: &Placed| &self.document.blocks[placed.piece.block];
        let (here, there) = (block(last), block(next));
        if here.page != there.page || here.part != there.part {
            return true;
        }
        if let Some(level) = next.level
            && last.piece.block != next.piece.block
        {
            let goes_on = first.level.is_some_and(|open| open < level);
            let only_headings = self.open.iter().all(|placed| placed.level.is_some());
            let is_tiny = only_headings || self.cost * 8 < self.budget.max_tokens;
            if !(goes_on && is_tiny) {
                return true;
            }
        }
        let total = self.cost + next.cost + 1;
        if total > self.budget.max_tokens {
            return true;
        }
        // Near the limit the sum is too rough: count what would come out.
        total * 10 > self.budget.max_tokens * 9 && {
            let mut parts: Vec<&Piece> = self.open.iter().map(|placed| &placed.piece).collect();
            parts.push(&next.piece);
            !self.budget.fits(&piece::join(self.document, &parts).text)
        }
    }

    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.cost = 0;
        let Some(first) = open.first() else { return };
        let parts: Vec<&Piece> = open.iter().map(|placed| &placed.piece).collect();
        let joined = piece::join(self.document, &parts);
        let body = open.iter().find(|placed| placed.level.is_none()).or(open.last());
        let mut heading_path = body.map(|placed| placed.path.clone()).unwrap_or_default();
        heading_path.extend(first.header.clone());
        let block = &self.document.blocks[first.piece.block];
        self.passages.push(Passage {
            range: joined.range,
            text: joined.text,
            map: joined.map,
            heading_path,
            page: block.page,
            part: block.part.clone(),
        });
    }
}

#[cfg(test)]
mod tests;
