//! What a loader hands on: a text, its blocks, and facts about it.

use std::collections::BTreeMap;
use std::ops::Range;

/// The format that a document was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Markdown,
    Text,
    ReStructuredText,
    Html,
    Pdf,
    Docx,
    Pptx,
    /// A workbook: XLSX, XLS, XLSB or ODS.
    Spreadsheet,
    /// Comma-, semicolon- or tab-separated values.
    Csv,
    Json,
    /// One JSON value per line.
    JsonLines,
    Epub,
    /// One e-mail message.
    Mail,
    /// Source code of any language.
    Code,
}

impl Kind {
    /// The name that is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Text => "text",
            Self::ReStructuredText => "rst",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Spreadsheet => "spreadsheet",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Epub => "epub",
            Self::Mail => "mail",
            Self::Code => "code",
        }
    }

    /// The kind that is stored under `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    const ALL: [Self; 14] = [
        Self::Markdown,
        Self::Text,
        Self::ReStructuredText,
        Self::Html,
        Self::Pdf,
        Self::Docx,
        Self::Pptx,
        Self::Spreadsheet,
        Self::Csv,
        Self::Json,
        Self::JsonLines,
        Self::Epub,
        Self::Mail,
        Self::Code,
    ];
}

/// One document, as text.
#[derive(Clone, Debug)]
pub struct Document {
    /// The path of the member inside an archive, otherwise empty.
    pub name: String,
    pub kind: Kind,
    /// Of the original bytes.
    pub sha256: [u8; 32],
    /// What byte ranges count.
    pub text: String,
    /// Whether `text` is byte for byte the file.
    pub is_original: bool,
    /// Stated by the document, otherwise its first heading, otherwise its
    /// file name.
    pub title: String,
    /// In order, without overlaps. Invariant: every range lies in `text`, on
    /// character boundaries.
    pub blocks: Vec<Block>,
    /// What the document says of itself. `date` is ISO 8601, if present.
    pub metadata: BTreeMap<String, String>,
    /// What was lost or guessed while reading, for people.
    pub warnings: Vec<String>,
}

/// A paragraph, heading, list item, piece of code or table row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub kind: BlockKind,
    /// Bytes of [`Document::text`].
    pub range: Range<usize>,
    /// The text without markup; empty if that is the text of `range`.
    pub text: String,
    /// From `text` to [`Document::text`]; empty if `text` is empty.
    pub map: Vec<MapEntry>,
    /// The page of a PDF, from 1.
    pub page: Option<u32>,
    /// The slide, sheet, chapter or mail part.
    pub part: Option<String>,
}

impl Block {
    /// A block whose text is that of `range`.
    pub(crate) fn plain(kind: BlockKind, range: Range<usize>) -> Self {
        Self { kind, range, text: String::new(), map: Vec::new(), page: None, part: None }
    }
}

/// What a block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockKind {
    Heading {
        /// From 1, the highest.
        level: u8,
        /// Without markup.
        title: String,
    },
    Paragraph,
    ListItem,
    Code,
    /// The row that names the columns of the rows that follow.
    TableHeader,
    TableRow,
}

/// `length` bytes at `clean_start` of a clean text stand for as many bytes at
/// `source_start` of the document's text.
///
/// Clean bytes between two entries stand for the source bytes between them: a
/// character reference, or a run of white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapEntry {
    pub clean_start: usize,
    pub source_start: usize,
    pub length: usize,
}

/// What a parser finds in a text.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) blocks: Vec<Block>,
    pub(crate) title: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) warnings: Vec<String>,
}

impl Outline {
    /// Keeps the first statement of a fact, and none that is empty.
    pub(crate) fn state(&mut self, key: &str, value: &str) {
        let value = value.trim();
        if !value.is_empty() && !self.metadata.contains_key(key) {
            self.metadata.insert(key.to_owned(), value.to_owned());
        }
    }
}

/// Text that a parser builds from a file that is not text.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) outline: Outline,
}

impl Draft {
    /// Adds a block at the end; white space alone adds nothing.
    pub(crate) fn push(
        &mut self,
        kind: BlockKind,
        text: &str,
        page: Option<u32>,
        part: Option<&str>,
    ) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            let in_table = matches!(kind, BlockKind::TableRow | BlockKind::ListItem);
            self.text.push_str(if in_table { "\n" } else { "\n\n" });
        }
        let start = self.text.len();
        self.text.push_str(text);
        let mut block = Block::plain(kind, start..self.text.len());
        block.page = page;
        block.part = part.map(str::to_owned);
        self.outline.blocks.push(block);
    }
}

/// Blocks that begin at `cuts` and end where the next one begins, without the
/// white space around them: so nothing after the first cut is lost.
pub(crate) fn blocks_at(text: &str, mut cuts: Vec<(usize, BlockKind)>) -> Vec<Block> {
    cuts.sort_by_key(|cut| cut.0);
    cuts.dedup_by_key(|cut| cut.0);
    let ends: Vec<usize> = cuts.iter().skip(1).map(|cut| cut.0).chain([text.len()]).collect();
    let mut blocks = Vec::with_capacity(cuts.len());
    for ((start, kind), end) in cuts.into_iter().zip(ends) {
        let keep_indent = kind == BlockKind::Code;
        let range = trimmed(text, start..end, keep_indent);
        if !range.is_empty() {
            blocks.push(Block::plain(kind, range));
        }
    }
    blocks
}

/// `range` without white space and byte order marks at its ends. With
/// `keep_indent`, only whole blank lines go at its start.
pub(crate) fn trimmed(text: &str, range: Range<usize>, keep_indent: bool) -> Range<usize> {
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let slice = &text[range.clone()];
    let end = range.start + slice.trim_end_matches(blank).len();
    let mut start = range.end - slice.trim_start_matches(blank).len();
    if start >= end {
        return end..end;
    }
    if keep_indent {
        let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
        // A piece that begins within a line has no indentation of its own.
        start = if line < range.start { start } else { line };
    }
    start..end
}

/// The lines of `text` with where they start; without their line ends.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line.trim_end_matches(['\n', '\r'])))
    })
}
