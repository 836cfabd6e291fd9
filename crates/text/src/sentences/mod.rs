//! Where the sentences of a document are.
//!
//! [`blocks`] first cuts the text into paragraphs, headings, list items, table
//! rows and code; [`split`] then cuts paragraphs and list items into
//! sentences. Both work on plain text, Markdown and reStructuredText alike.
//! A single line break inside a paragraph is a wrapped line, not a boundary.

mod abbreviations;
mod blocks;
mod split;

use std::ops::Range;

/// What a [`Unit`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// A sentence of a paragraph.
    Sentence,
    /// A sentence of a list item.
    ListItem,
    Heading,
    TableRow,
    /// A whole code fence, or the metadata block at the top of a file.
    Code,
}

/// The smallest piece of a document that can be quoted on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Bytes of the text, without white space at the ends and without the
    /// markers of headings, list items and quotes.
    pub range: Range<usize>,
    pub kind: UnitKind,
}

/// The units of `text`, in order, without overlaps.
pub fn units(text: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    for block in blocks::blocks(text) {
        match block.kind {
            UnitKind::Sentence | UnitKind::ListItem => {
                let sentences = split::split(&text[block.range.clone()]);
                let start = block.range.start;
                units.extend(sentences.into_iter().map(|range| Unit {
                    range: range.start + start..range.end + start,
                    kind: block.kind,
                }));
            }
            UnitKind::Heading | UnitKind::TableRow | UnitKind::Code => units.push(block),
        }
    }
    units
}

/// The byte ranges of [`units`]: sentences, and whatever else stands alone.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    units(text).into_iter().map(|unit| unit.range).collect()
}

/// `range` of `text` without white space at its ends.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::UnitKind::{Code, Heading, ListItem, Sentence, TableRow};
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[(UnitKind, &str)]) {
        let found: Vec<_> = units(text).into_iter().map(|u| (u.kind, &text[u.range])).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn a_page_of_markdown_becomes_its_units() {
        check(
            "# Title #\n\nOne sentence,\nwrapped. Another one.\n- First item. It goes\n  on.\n\
             - [ ] Second\n1. Numbered\n\n> Quoted. Twice.\n\n| a | b |\n|---|---|\n| 1. X | 2 |\n\
             After\n-----\n```sh\nls. X\n\nls\n```\nEnd",
            &[
                (Heading, "Title"),
                (Sentence, "One sentence,\nwrapped."),
                (Sentence, "Another one."),
                (ListItem, "First item."),
                (ListItem, "It goes\n  on."),
                (ListItem, "Second"),
                (ListItem, "Numbered"),
                (Sentence, "Quoted."),
                (Sentence, "Twice."),
                (TableRow, "| a | b |"),
                (TableRow, "| 1. X | 2 |"),
                (Heading, "After"),
                (Code, "```sh\nls. X\n\nls\n```"),
                (Sentence, "End"),
            ],
        );
    }

    #[test]
    fn restructured_text_headings_are_headings() {
        check(
            "=====\nTitle\n=====\n\nText here.\n\nSection\n~~~~~~~\nMore.\n",
            &[
                (Heading, "Title"),
                (Sentence, "Text here."),
                (Heading, "Section"),
                (Sentence, "More."),
            ],
        );
    }

    #[test]
    fn a_wrapped_line_may_begin_with_a_number_or_hash() {
        check(
            "It was the year\n1984. The clocks struck\n13. See issue\n#12 for more.",
            &[
                (Sentence, "It was the year\n1984."),
                (Sentence, "The clocks struck\n13."),
                (Sentence, "See issue\n#12 for more."),
            ],
        );
    }

    #[test]
    fn metadata_at_the_top_is_one_unit() {
        check(
            "---\ntitle: A. B\n---\nText.",
            &[(Code, "---\ntitle: A. B\n---"), (Sentence, "Text.")],
        );
    }

    #[test]
    fn an_open_fence_goes_to_the_end() {
        check("A.\n\n```\nx. Y\n", &[(Sentence, "A."), (Code, "```\nx. Y")]);
    }

    #[test]
    fn rules_and_empty_text_have_no_units() {
        check("", &[]);
        check(" \n\n***\n\n---\n", &[]);
    }

    #[test]
    fn carriage_returns_do_not_matter() {
        check(
            "# A\r\n\r\nB c.\r\nD e.\r\n",
            &[(Heading, "A"), (Sentence, "B c."), (Sentence, "D e.")],
        );
    }

    proptest! {
        #[test]
        fn units_are_trimmed_ordered_and_lose_no_letter(
            text in "([A-Za-z.!?(){}\"'`#>*|=~ \n\t\r-]|e\\.g\\. |\\. The |\n```\n|\n- |é|。|\u{2026}){0,60}",
        ) {
            let found = units(&text);
            let mut position = 0;
            for unit in &found {
                prop_assert!(position <= unit.range.start && unit.range.start < unit.range.end);
                prop_assert!(text.get(unit.range.clone()).is_some());
                let part = &text[unit.range.clone()];
                prop_assert_eq!(part, part.trim());
                position = unit.range.end;
            }
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
            let kept: usize = found.iter().map(|unit| letters(&text[unit.range.clone()])).sum();
            prop_assert_eq!(kept, letters(&text));
        }
    }
}
