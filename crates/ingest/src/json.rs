//! JSON and JSON Lines: values as ranges of the file.
//!
//! A scanner of commas and depths, not a parser: it needs no stack, takes
//! values of any depth and files that are broken, and loses nothing.

use crate::document::{BlockKind, Outline, blocks_at, lines};

/// Values above this size are cut between their members.
const LARGE: usize = 1200;

/// The outline of one JSON text.
pub(crate) fn parse(text: &str) -> Outline {
    let mut cuts = vec![0];
    cut(text, 0, &mut cuts);
    outline(text, cuts)
}

/// The outline of JSON Lines; every line is at least one block.
pub(crate) fn parse_lines(text: &str) -> Outline {
    let mut cuts = Vec::new();
    for (start, line) in lines(text) {
        cuts.push(start);
        cut(line, start, &mut cuts);
    }
    outline(text, cuts)
}

fn outline(text: &str, cuts: Vec<usize>) -> Outline {
    let cuts = cuts.into_iter().map(|at| (at, BlockKind::Code)).collect();
    Outline { blocks: blocks_at(text, cuts), ..Outline::default() }
}

/// Adds the places after commas, outermost first, where a value that begins at
/// `base` is to be cut so that its parts are not large.
fn cut(text: &str, base: usize, cuts: &mut Vec<usize>) {
    if text.len() <= LARGE {
        return;
    }
    let commas = commas(text);
    // Ranges still too large, with the depth whose commas are tried next.
    let mut open = vec![(0, text.len(), 1_usize)];
    while let Some((start, end, depth)) = open.pop() {
        let first = commas.partition_point(|comma| comma.0 <= start);
        let last = commas.partition_point(|comma| comma.0 < end);
        let inside = &commas[first.min(last)..last];
        let Some(depth) = inside.iter().map(|comma| comma.1).filter(|&d| d >= depth).min() else {
            continue;
        };
        let mut from = start;
        let places = inside.iter().filter(|comma| comma.1 == depth).map(|comma| comma.0);
        for place in places.chain([end]) {
            if place < end {
                cuts.push(base + place);
            }
            if place - from > LARGE && depth < MOST_DEPTHS {
                open.push((from, place, depth + 1));
            }
            from = place;
        }
    }
}

/// Deeper commas are not cut at: `split` cuts such values at lines and words.
const MOST_DEPTHS: usize = 32;

/// The places after the commas outside strings, with how deep they are.
fn commas(text: &str) -> Vec<(usize, usize)> {
    let mut commas = Vec::new();
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth <= MOST_DEPTHS => commas.push((at + 1, depth)),
            _ => {}
        }
    }
    commas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_value_is_one_block() {
        assert_eq!(parse("{\"a\": [1, 2]}").blocks.len(), 1);
        assert_eq!(parse_lines("{\"a\": 1}\n\n{\"a\": 2}\n").blocks.len(), 2);
    }

    #[test]
    fn a_large_value_is_cut_between_members() {
        let item = format!("{{\"text\": \"{}, \\\" {{\"}}", "word ".repeat(100));
        let text = format!("[{}]", [&*item; 5].join(","));
        let outline = parse(&text);
        assert_eq!(outline.blocks.len(), 5);
        let joined: String = outline.blocks.iter().map(|b| &text[b.range.clone()]).collect();
        assert_eq!(joined, text);
    }

    #[test]
    fn depth_needs_no_stack() {
        let text = "[1,".repeat(300_000);
        assert!(!parse(&text).blocks.is_empty());
    }
}
