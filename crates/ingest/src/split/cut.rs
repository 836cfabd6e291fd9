//! Blocks that are larger than a passage: cut at the largest unit that fits.
//!
//! Prose is cut at sentences, code at blank lines, rows and everything else at
//! lines; then at words, and at last between any two characters.

use std::ops::Range;

use super::Budget;
use crate::document::{BlockKind, lines, trimmed};

#[derive(Clone, Copy)]
enum Level {
    Sentences,
    BlankLines,
    Lines,
    Words,
}

/// Ranges of `text` that fit the budget, in order, and that hold all of it but
/// white space.
pub(super) fn cut(text: &str, kind: &BlockKind, budget: &Budget) -> Vec<Range<usize>> {
    let levels: &[Level] = match kind {
        BlockKind::Code => &[Level::BlankLines, Level::Lines, Level::Words],
        BlockKind::TableHeader | BlockKind::TableRow => &[Level::Lines, Level::Words],
        _ => &[Level::Sentences, Level::Lines, Level::Words],
    };
    let mut out = Vec::new();
    cut_at(text, 0..text.len(), levels, budget, &mut out);
    let keep_indent = *kind == BlockKind::Code;
    out.into_iter()
        .map(|range| trimmed(text, range, keep_indent))
        .filter(|range| !range.is_empty())
        .collect()
}

fn cut_at(
    text: &str,
    range: Range<usize>,
    levels: &[Level],
    budget: &Budget,
    out: &mut Vec<Range<usize>>,
) {
    let Some((level, finer)) = levels.split_first() else { return };
    if matches!(level, Level::Words) {
        words(text, range, budget, out);
        return;
    }
    let mut starts = starts(&text[range.clone()], *level);
    for start in &mut starts {
        *start += range.start;
    }
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([range.end]).collect();
    // The run of units that is being filled.
    let mut run = range.start..range.start;
    let mut cost = 0;
    for (start, end) in starts.into_iter().zip(ends) {
        let unit = budget.cost(&text[start..end]);
        if cost + unit > budget.max_tokens && !run.is_empty() {
            out.push(run.clone());
            run = start..start;
            cost = 0;
        }
        if unit > budget.max_tokens {
            cut_at(text, start..end, finer, budget, out);
            run = end..end;
            continue;
        }
        run.end = end;
        cost += unit;
    }
    if !run.is_empty() {
        out.push(run);
    }
}

/// Where the units of `text` begin; the first is 0.
fn starts(text: &str, level: Level) -> Vec<usize> {
    let mut starts: Vec<usize> = match level {
        Level::Sentences => {
            plumb_text::sentences(text).into_iter().map(|unit| unit.start).collect()
        }
        Level::Lines => lines(text).map(|(start, _)| start).collect(),
        Level::BlankLines | Level::Words => {
            let mut after_blank = true;
            let is_start = |(start, line): (usize, &str)| {
                let is_blank = line.trim().is_empty();
                let begins = after_blank && !is_blank;
                after_blank = is_blank;
                begins.then_some(start)
            };
            lines(text).filter_map(is_start).collect()
        }
    };
    match starts.first_mut() {
        Some(first) => *first = 0,
        None => starts.push(0),
    }
    starts
}

/// Cuts at white space if there is some, anywhere if not.
fn words(text: &str, range: Range<usize>, budget: &Budget, out: &mut Vec<Range<usize>>) {
    let mut start = range.start;
    while start < range.end {
        let mut length = budget.max_tokens.max(1).saturating_mul(4);
        let end = loop {
            let end = break_before(text, start, range.end, length);
            if length <= 1 || budget.fits(&text[start..end]) {
                break end;
            }
            length /= 2;
        };
        out.push(start..end);
        start = end;
    }
}

/// The best place to end a piece of at most `length` bytes, or of one
/// character.
fn break_before(text: &str, start: usize, end: usize, length: usize) -> usize {
    if end - start <= length {
        return end;
    }
    let limit = text.floor_char_boundary(start + length);
    if limit <= start {
        return text.ceil_char_boundary(start + 1);
    }
    match text[start..limit].rfind(char::is_whitespace) {
        // A break right at the start would leave next to nothing.
        Some(space) if space * 2 > limit - start => text.ceil_char_boundary(start + space + 1),
        _ => limit,
    }
}
