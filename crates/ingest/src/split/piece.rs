//! Pieces of blocks, and the way from clean text back to the document's text.

use std::ops::Range;

use super::{Budget, block_text, cut};
use crate::document::{Block, Document, MapEntry};

/// A range of the clean text of one block.
pub(super) struct Piece {
    pub(super) block: usize,
    pub(super) range: Range<usize>,
}

impl Piece {
    pub(super) fn text<'a>(&self, document: &'a Document) -> &'a str {
        &block_text(document, self.block)[self.range.clone()]
    }

    /// The range in the document's text.
    fn source(&self, document: &Document) -> Range<usize> {
        let block = &document.blocks[self.block];
        if block.text.is_empty() {
            return block.range.start + self.range.start..block.range.start + self.range.end;
        }
        source_start(document, block, self.range.start)..source_end(document, block, self.range.end)
    }
}

/// Block `index`, whole if it fits the budget, otherwise cut.
pub(super) fn pieces(document: &Document, index: usize, budget: &Budget) -> Vec<Piece> {
    let text = block_text(document, index);
    let kind = &document.blocks[index].kind;
    if budget.fits(text) {
        return vec![Piece { block: index, range: 0..text.len() }];
    }
    let ranges = cut::cut(text, kind, budget).into_iter();
    ranges.map(|range| Piece { block: index, range }).collect()
}

/// Where clean byte `at` comes from.
fn source_start(document: &Document, block: &Block, at: usize) -> usize {
    source(document, block, at, block.map.partition_point(|entry| entry.clean_start <= at))
}

/// Where the clean text before byte `at` ends in the source.
fn source_end(document: &Document, block: &Block, at: usize) -> usize {
    source(document, block, at, block.map.partition_point(|entry| entry.clean_start < at))
}

/// Where clean byte `at` is in the source, if the first `before` entries of the
/// map begin before it.
///
/// Between entries, where the text was decoded, the two sides are taken to run
/// at one pace: what is cut there neither overlaps nor is empty.
fn source(document: &Document, block: &Block, at: usize, before: usize) -> usize {
    let mut start = (0, block.range.start);
    if let Some(entry) = before.checked_sub(1).map(|last| block.map[last]) {
        if at - entry.clean_start <= entry.length {
            return entry.source_start + (at - entry.clean_start);
        }
        start = (entry.clean_start + entry.length, entry.source_start + entry.length);
    }
    let end = block.map.get(before).map(|entry| (entry.clean_start, entry.source_start));
    let end = end.unwrap_or((block.text.len(), block.range.end));
    let passed = (at - start.0) * end.1.saturating_sub(start.1);
    let passed = passed.checked_div(end.0 - start.0).unwrap_or(0);
    document.text.floor_char_boundary(start.1 + passed)
}

/// The text of several pieces with its map.
pub(super) struct Joined {
    pub(super) range: Range<usize>,
    pub(super) text: String,
    /// Empty if `text` is that of `range`.
    pub(super) map: Vec<MapEntry>,
}

/// Joins pieces that follow each other. `parts` is not empty.
pub(super) fn join(document: &Document, parts: &[&Piece]) -> Joined {
    let sources: Vec<Range<usize>> = parts.iter().map(|part| part.source(document)).collect();
    let start = sources.first().map_or(0, |range| range.start);
    let end = sources.last().map_or(start, |range| range.end);
    if parts.iter().all(|part| document.blocks[part.block].text.is_empty()) {
        return Joined {
            range: start..end,
            text: document.text[start..end].to_owned(),
            map: vec![],
        };
    }
    let mut text = String::new();
    let mut map = Vec::new();
    let mut last_block = None;
    for (part, source) in parts.iter().zip(&sources) {
        if last_block.is_some() {
            text.push_str(if last_block == Some(part.block) { " " } else { "\n\n" });
        }
        last_block = Some(part.block);
        let base = text.len();
        text.push_str(part.text(document));
        let block = &document.blocks[part.block];
        if block.text.is_empty() {
            map.push(MapEntry {
                clean_start: base,
                source_start: source.start,
                length: part.range.len(),
            });
        } else {
            map.extend(block.map.iter().filter_map(|entry| shifted(entry, &part.range, base)));
        }
    }
    if document.text.get(start..end) == Some(text.as_str()) {
        // Part of a block that was decoded elsewhere.
        map.clear();
    } else if map.is_empty() {
        // All of it is decoded: an entry without length says that it is not
        // the source itself.
        map.push(MapEntry { clean_start: 0, source_start: start, length: 0 });
    }
    Joined { range: start..end, text, map }
}

/// The part of `entry` that lies in `range`, for a text where `range` begins
/// at `base`.
fn shifted(entry: &MapEntry, range: &Range<usize>, base: usize) -> Option<MapEntry> {
    let start = entry.clean_start.max(range.start);
    let end = (entry.clean_start + entry.length).min(range.end);
    (start < end).then(|| MapEntry {
        clean_start: base + start - range.start,
        source_start: entry.source_start + start - entry.clean_start,
        length: end - start,
    })
}
