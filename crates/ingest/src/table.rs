//! Comma-, semicolon- and tab-separated values: rows as ranges of the file.

use crate::document::{BlockKind, Outline, blocks_at, lines};

/// A quoted field may hold line breaks, but not this many bytes: then the
/// quotation mark is a stray one, and lines are rows.
const LONGEST_ROW: usize = 64 << 10;

/// The outline of a table; its first row names the columns.
pub(crate) fn parse(text: &str) -> Outline {
    let delimiter = delimiter(text);
    let mut cuts = Vec::new();
    let mut end_of_row = 0;
    for (start, line) in lines(text) {
        if start < end_of_row || line.trim().is_empty() {
            continue;
        }
        end_of_row = row_end(text, start, delimiter);
        let kind = if cuts.is_empty() { BlockKind::TableHeader } else { BlockKind::TableRow };
        cuts.push((start, kind));
    }
    Outline { blocks: blocks_at(text, cuts), ..Outline::default() }
}

/// The delimiter that the first line has most of.
fn delimiter(text: &str) -> u8 {
    let line = text.lines().next().unwrap_or("").as_bytes();
    let count =
        |delimiter: u8| line.iter().map(|&byte| usize::from(byte == delimiter)).sum::<usize>();
    let mut best = b',';
    for delimiter in [b'\t', b';', b'|'] {
        if count(delimiter) > count(best) {
            best = delimiter;
        }
    }
    best
}

/// The end of the row that starts at `start`: the first line break that is
/// not in quotation marks.
fn row_end(text: &str, start: usize, delimiter: u8) -> usize {
    let bytes = &text.as_bytes()[start..];
    let first_line = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (mut in_quotes, mut field_starts) = (false, true);
    for (at, &byte) in bytes.iter().enumerate().take(LONGEST_ROW.max(first_line + 1)) {
        match byte {
            b'"' if in_quotes || field_starts => in_quotes = !in_quotes,
            b'\n' if !in_quotes => return start + at,
            _ => {}
        }
        // A doubled quotation mark closes and opens again.
        field_starts = byte == delimiter || byte == b'"';
    }
    start + first_line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        let outline = parse(text);
        let rows: Vec<&str> = outline.blocks.iter().map(|b| &text[b.range.clone()]).collect();
        assert_eq!(rows, want);
    }

    #[test]
    fn quoted_line_breaks_belong_to_the_row() {
        check("a,b\n1,\"x\ny\"\"z\n\"\n2,3\n", &["a,b", "1,\"x\ny\"\"z\n\"", "2,3"]);
        check("a\tb\r\n1\t2\r\n", &["a\tb", "1\t2"]);
    }

    #[test]
    fn a_stray_quotation_mark_swallows_nothing() {
        check("a,b\n5\" disk,x\n\"open,1\n2,3\n", &["a,b", "5\" disk,x", "\"open,1", "2,3"]);
    }
}
