//! Plain text, source code and reStructuredText: formats of lines.

use crate::document::{BlockKind, Outline, blocks_at, lines};
use crate::kind::extension_of;

/// Paragraphs between blank lines.
pub(crate) fn text(text: &str) -> Outline {
    Outline {
        blocks: blocks_at(text, after_blank_lines(text, &BlockKind::Paragraph)),
        ..Outline::default()
    }
}

/// Pieces of code: each begins after a blank line, at a line that is not
/// indented, so that a function stays whole.
pub(crate) fn code(name: &str, text: &str) -> Outline {
    let mut cuts = Vec::new();
    let mut after_blank = true;
    for (start, line) in lines(text) {
        let is_indented = line.starts_with([' ', '\t', '}', ')', ']']);
        if after_blank && !line.trim().is_empty() && (!is_indented || cuts.is_empty()) {
            cuts.push((start, BlockKind::Code));
        }
        after_blank = line.trim().is_empty();
    }
    let mut outline = Outline { blocks: blocks_at(text, cuts), ..Outline::default() };
    outline.state("language", &extension_of(name));
    outline
}

fn after_blank_lines(text: &str, kind: &BlockKind) -> Vec<(usize, BlockKind)> {
    let mut cuts = Vec::new();
    let mut after_blank = true;
    for (start, line) in lines(text) {
        let is_blank = line.trim().is_empty();
        if after_blank && !is_blank {
            cuts.push((start, kind.clone()));
        }
        after_blank = is_blank;
    }
    cuts
}

/// reStructuredText: underlined headings, literal blocks, lists, and the
/// field list at the top.
pub(crate) fn rst(text: &str) -> Outline {
    let all: Vec<(usize, &str)> = lines(text).collect();
    let mut outline = Outline::default();
    let mut cuts: Vec<(usize, BlockKind)> = Vec::new();
    let mut styles: Vec<(char, bool)> = Vec::new();
    let mut literal_next = false;
    let mut after_blank = true;
    let mut at = 0;
    while let Some(&(start, line)) = all.get(at) {
        if let Some((title, style, used)) = rst_heading(&all[at..]) {
            let level = styles.iter().position(|&known| known == style).unwrap_or_else(|| {
                styles.push(style);
                styles.len() - 1
            });
            let level = u8::try_from(level + 1).unwrap_or(u8::MAX);
            cuts.push((start, BlockKind::Heading { level, title: title.to_owned() }));
            at += used;
            // What follows is its own block even without a blank line.
            after_blank = true;
            literal_next = false;
            continue;
        }
        if after_blank && !line.trim().is_empty() {
            cuts.push((start, rst_kind(line, literal_next)));
        }
        if cuts.len() < 8
            && let Some((key, value)) =
                line.strip_prefix(':').and_then(|rest| rest.split_once(": "))
        {
            outline.state(&key.to_lowercase(), value);
        }
        let is_blank = line.trim().is_empty();
        if !is_blank {
            literal_next = line.trim_end().ends_with("::");
        }
        after_blank = is_blank;
        at += 1;
    }
    outline.blocks = blocks_at(text, cuts);
    outline
}

fn rst_kind(line: &str, literal: bool) -> BlockKind {
    let is_indented = line.starts_with([' ', '\t']);
    let bare = line.trim_start();
    if literal && is_indented {
        BlockKind::Code
    } else if ["- ", "* ", "+ ", "#. "].iter().any(|marker| bare.starts_with(marker)) {
        BlockKind::ListItem
    } else {
        BlockKind::Paragraph
    }
}

/// The title, its style (character, whether there is a line above it too), and
/// how many lines it takes.
fn rst_heading<'a>(rest: &[(usize, &'a str)]) -> Option<(&'a str, (char, bool), usize)> {
    let line = |at: usize| rest.get(at).map_or("", |&(_, line)| line);
    if let Some(c) = adornment(line(0))
        && adornment(line(2)) == Some(c)
        && is_title(line(1), line(2))
    {
        return Some((line(1).trim(), (c, true), 3));
    }
    let c = adornment(line(1))?;
    let is_flush = !line(0).starts_with([' ', '\t']);
    let fits = is_flush && adornment(line(0)).is_none() && is_title(line(0), line(1));
    fits.then(|| (line(0).trim(), (c, false), 2))
}

fn is_title(line: &str, under: &str) -> bool {
    let title = line.trim();
    !title.is_empty() && title.chars().count() <= under.trim_end().len() + 1
}

/// The character of a line that holds one punctuation character many times.
fn adornment(line: &str) -> Option<char> {
    let line = line.trim_end();
    let first = line.chars().next().filter(char::is_ascii_punctuation)?;
    (line.len() >= 3 && line.chars().all(|c| c == first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(text: &'a str, outline: &Outline) -> Vec<&'a str> {
        outline.blocks.iter().map(|block| &text[block.range.clone()]).collect()
    }

    #[test]
    fn blank_lines_part_paragraphs_and_a_mark_is_no_text() {
        let source = "\u{feff}One\ntwo.\r\n\r\n\n  Three.\n";
        assert_eq!(texts(source, &text(source)), ["One\ntwo.", "Three."]);
    }

    #[test]
    fn a_function_stays_whole() {
        let source = "use a;\n\nfn f() {\n    x();\n\n    y();\n}\n\nfn g() {}\n";
        let outline = code("a.rs", source);
        assert_eq!(texts(source, &outline).len(), 3);
        assert_eq!(outline.metadata["language"], "rs");
    }

    #[test]
    fn rst_headings_have_levels_by_order_of_style() {
        let source =
            "=====\nTitle\n=====\n\n:Author: Ann\n\nIntro::\n\n    code\n\nPart\n----\nText.\n";
        let outline = rst(source);
        let headings: Vec<(u8, &str)> = outline
            .blocks
            .iter()
            .filter_map(|block| match &block.kind {
                BlockKind::Heading { level, title } => Some((*level, title.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(headings, [(1, "Title"), (2, "Part")]);
        assert_eq!(outline.metadata["author"], "Ann");
        assert!(outline.blocks.iter().any(|block| block.kind == BlockKind::Code));
    }
}
