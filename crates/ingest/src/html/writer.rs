//! Collects the text of a page into blocks and keeps the map to the source.

use std::ops::Range;

use html5gum::{Token, Tokenizer};

use crate::document::{Block, BlockKind, MapEntry, Outline};

pub(super) struct Writer<'a> {
    pub(super) source: &'a str,
    pub(super) outline: Outline,
    kind: BlockKind,
    text: String,
    map: Vec<MapEntry>,
    /// Where the source of `text` begins and ends.
    range: Range<usize>,
    /// White space, or a mark between cells, that comes before the next word.
    pending: &'static str,
    /// Whether all cells of the row name columns.
    only_names: Option<bool>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self {
            source,
            outline: Outline::default(),
            kind: BlockKind::Paragraph,
            text: String::new(),
            map: Vec::new(),
            range: 0..0,
            pending: "",
            only_names: None,
        }
    }

    /// Ends the block and begins one of `kind`. The first paragraph of a list
    /// item is the item.
    pub(super) fn open(&mut self, kind: BlockKind) {
        let is_fresh = self.text.is_empty() && kind == BlockKind::Paragraph;
        self.flush();
        if !is_fresh {
            self.kind = kind;
        }
    }

    /// Ends the block; what follows is a paragraph.
    pub(super) fn close(&mut self) {
        self.flush();
        self.kind = BlockKind::Paragraph;
    }

    pub(super) fn space(&mut self) {
        if self.pending.is_empty() {
            self.pending = " ";
        }
    }

    pub(super) fn line_break(&mut self) {
        if self.pending != " | " {
            self.pending = "\n";
        }
    }

    /// A cell of a table row begins.
    pub(super) fn cell(&mut self, is_name: bool) {
        self.only_names = Some(self.only_names.unwrap_or(true) && is_name);
        self.pending = " | ";
    }

    pub(super) fn flush(&mut self) {
        self.pending = "";
        let only_names = self.only_names.take();
        let text = std::mem::take(&mut self.text);
        let map = std::mem::take(&mut self.map);
        if text.trim().is_empty() {
            return;
        }
        let mut kind = std::mem::replace(&mut self.kind, BlockKind::Paragraph);
        if let BlockKind::Heading { title, .. } = &mut kind {
            *title = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        if kind == BlockKind::TableRow && only_names == Some(true) {
            kind = BlockKind::TableHeader;
        }
        let range = self.range.clone();
        self.outline.blocks.push(Block { text, map, ..Block::plain(kind, range) });
    }

    /// Adds the text of a range of the source.
    pub(super) fn text(&mut self, range: Range<usize>) {
        for (piece, range) in Pieces::new(self.source, range) {
            match piece {
                Piece::Same if self.kind == BlockKind::Code => {
                    let source = &self.source[range.clone()];
                    // The line break right after `<pre>` is not shown.
                    let skip = if self.text.is_empty() { line_break_len(source) } else { 0 };
                    self.put(&source[skip..], range.start + skip..range.end, true);
                }
                Piece::Same => self.words(range),
                Piece::Decoded(text) if text.trim().is_empty() && self.kind != BlockKind::Code => {
                    self.space();
                }
                Piece::Decoded(text) => self.put(&text, range, false),
            }
        }
    }

    fn words(&mut self, range: Range<usize>) {
        let source = self.source;
        let mut at = range.start;
        for word in source[range].split_inclusive(char::is_whitespace) {
            let bare = word.trim_end();
            if !bare.is_empty() {
                self.put(bare, at..at + bare.len(), true);
            }
            if bare.len() < word.len() {
                self.space();
            }
            at += word.len();
        }
    }

    /// Adds `text`, which stands for `range`; byte for byte if `is_same`.
    fn put(&mut self, text: &str, range: Range<usize>, is_same: bool) {
        if text.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        if self.text.is_empty() {
            self.range.start = range.start;
        } else {
            self.text.push_str(pending);
        }
        self.range.end = range.end;
        let clean_start = self.text.len();
        self.text.push_str(text);
        if !is_same {
            return;
        }
        let length = text.len();
        if let Some(last) = self.map.last_mut()
            && clean_start - last.clean_start == range.start - last.source_start
            && clean_start - last.clean_start - last.length <= 1
        {
            // One byte of white space in both: the run goes on.
            last.length = clean_start - last.clean_start + length;
        } else {
            self.map.push(MapEntry { clean_start, source_start: range.start, length });
        }
    }
}

fn line_break_len(text: &str) -> usize {
    if text.starts_with("\r\n") { 2 } else { usize::from(text.starts_with('\n')) }
}

/// `range` of `source` with character references decoded.
pub(super) fn decoded(source: &str, range: Range<usize>) -> String {
    let mut out = String::new();
    for (piece, range) in Pieces::new(source, range) {
        match piece {
            Piece::Same => out.push_str(&source[range]),
            Piece::Decoded(text) => out.push_str(&text),
        }
    }
    out
}

enum Piece {
    /// As in the source.
    Same,
    /// What a character reference stands for.
    Decoded(String),
}

/// The text of a range of the source, in runs and character references.
struct Pieces<'a> {
    source: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Pieces<'a> {
    fn new(source: &'a str, range: Range<usize>) -> Self {
        let is_inside = source.get(range.clone()).is_some();
        let (at, end) = if is_inside { (range.start, range.end) } else { (0, 0) };
        Self { source, at, end }
    }
}

impl Iterator for Pieces<'_> {
    type Item = (Piece, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        let rest = &self.source[start..self.end];
        if rest.is_empty() {
            return None;
        }
        if let Some((text, length)) = reference(rest) {
            self.at += length;
            return Some((Piece::Decoded(text), start..self.at));
        }
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest[first..].find('&').map_or(rest.len(), |at| at + first);
        self.at += end;
        Some((Piece::Same, start..self.at))
    }
}

/// The character reference that `text` begins with, decoded, and its length.
fn reference(text: &str) -> Option<(String, usize)> {
    let name = text.strip_prefix('&')?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '#';
    let length = name.find(|c| !is_part(c)).unwrap_or(name.len()).min(40);
    let length = length + usize::from(name[length..].starts_with(';'));
    let source = &text[..=length];
    let known = match source {
        "&amp;" => Some("&"),
        "&lt;" => Some("<"),
        "&gt;" => Some(">"),
        "&quot;" => Some("\""),
        "&nbsp;" => Some("\u{a0}"),
        _ => None,
    };
    if let Some(known) = known {
        return Some((known.to_owned(), source.len()));
    }
    let text: String = Tokenizer::new(source)
        .filter_map(|Ok(token)| match token {
            Token::String(string) => Some(String::from_utf8_lossy(&string).into_owned()),
            _ => None,
        })
        .collect();
    (text != source).then_some((text, source.len()))
}
