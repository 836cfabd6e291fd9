//! Markdown: `CommonMark` with tables, footnotes and front matter.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::document::{BlockKind, Outline, blocks_at, lines};
use crate::plain;

/// The outline of a Markdown text. Blocks keep their markup, so that each is
/// a range of the file.
pub(crate) fn parse(text: &str) -> Outline {
    if lines(text).any(|(_, line)| is_too_deep(line)) {
        let mut outline = plain::text(text);
        outline.warnings.push("quotes or lists too deep for Markdown; read as text".to_owned());
        return outline;
    }
    let skip = text.len() - text.trim_start_matches('\u{feff}').len();
    let body = &text[skip..];
    let mut reader = Reader::new(body);
    for (event, range) in Parser::new_ext(body, options()).into_offset_iter() {
        reader.read(&event, range);
    }
    let mut outline = reader.outline;
    let cuts = reader.cuts.into_iter().map(|(at, kind)| (at + skip, kind)).collect();
    outline.blocks = blocks_at(text, cuts);
    outline
}

/// Quotes in quotes cost time by the square of their depth; nobody writes more
/// than a few.
fn is_too_deep(line: &str) -> bool {
    let is_marker = |c: &char| matches!(c, '>' | '-' | '+' | '*' | ' ' | '\t');
    let markers: String = line.chars().take_while(is_marker).collect();
    let is_rule = markers.trim_end().chars().all(|c| c == '-' || c == '*' || c == '+');
    !is_rule && markers.chars().filter(|c| !c.is_whitespace()).count() > 200
}

fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
}

struct Reader<'a> {
    text: &'a str,
    outline: Outline,
    cuts: Vec<(usize, BlockKind)>,
    /// The plain text of the heading that is open.
    heading: Option<String>,
    in_front_matter: bool,
    /// Lists, quotes and footnotes that are open.
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            outline: Outline::default(),
            cuts: Vec::new(),
            heading: None,
            in_front_matter: false,
            depth: 0,
        }
    }

    fn read(&mut self, event: &Event<'_>, range: std::ops::Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range.start),
            Event::End(end) => self.end(*end, range.end),
            Event::Rule => self.cut(range.start, BlockKind::Paragraph),
            Event::Text(text) if self.in_front_matter => front_matter(text, &mut self.outline),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut self.heading {
                    heading.push_str(text);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(heading) = &mut self.heading {
                    heading.push(' ');
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>, at: usize) {
        match tag {
            Tag::Heading { level, .. } if self.depth == 0 => {
                self.heading = Some(String::new());
                let level = *level as u8;
                self.cut(at, BlockKind::Heading { level, title: String::new() });
            }
            Tag::Item => {
                self.depth += 1;
                self.cut(at, BlockKind::ListItem);
            }
            Tag::BlockQuote(_) | Tag::FootnoteDefinition(_) => {
                self.depth += 1;
                self.cut(at, BlockKind::Paragraph);
            }
            Tag::Paragraph | Tag::HtmlBlock | Tag::Heading { .. } => {
                self.cut(at, BlockKind::Paragraph);
            }
            Tag::CodeBlock(_) => self.cut(at, BlockKind::Code),
            Tag::TableHead => self.cut(at, BlockKind::TableHeader),
            Tag::TableRow => self.cut(at, BlockKind::TableRow),
            Tag::MetadataBlock(_) => self.in_front_matter = true,
            _ => {}
        }
    }

    fn end(&mut self, end: TagEnd, at: usize) {
        match end {
            TagEnd::Heading(_) => {
                if let Some(text) = self.heading.take()
                    && let Some((_, BlockKind::Heading { title, .. })) = self.cuts.last_mut()
                {
                    text.trim().clone_into(title);
                }
            }
            TagEnd::Item | TagEnd::BlockQuote(_) | TagEnd::FootnoteDefinition => {
                self.depth = self.depth.saturating_sub(1);
            }
            TagEnd::MetadataBlock(_) => {
                self.in_front_matter = false;
                // Whatever follows without a block of its own is still text.
                let is_line_start = self.text[..at].ends_with('\n');
                let rest = &self.text[at..];
                let next = rest.find('\n').map_or(rest.len(), |end| end + 1);
                self.cut(if is_line_start { at } else { at + next }, BlockKind::Paragraph);
            }
            _ => {}
        }
    }

    /// A block begins on the line of `at`: the marker of a list or quote
    /// belongs to it. The first block of a line wins.
    fn cut(&mut self, at: usize, kind: BlockKind) {
        let line = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        if self.cuts.last().is_none_or(|last| last.0 < line) {
            self.cuts.push((line, kind));
        }
    }
}

/// Takes `key: value` and `key = value` lines; nested values are left out.
fn front_matter(text: &str, outline: &mut Outline) {
    for line in text.lines() {
        if line.starts_with([' ', '\t', '#', '-']) {
            continue;
        }
        if let Some((key, value)) = line.split_once(':').or_else(|| line.split_once('=')) {
            let value = value.trim().trim_matches(['"', '\'']);
            outline.state(&key.trim().to_lowercase(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[(&str, &str)]) {
        let found: Vec<(&str, &str)> = parse(text)
            .blocks
            .iter()
            .map(|block| {
                let kind = match block.kind {
                    BlockKind::Heading { .. } => "heading",
                    BlockKind::Paragraph => "paragraph",
                    BlockKind::ListItem => "item",
                    BlockKind::Code => "code",
                    BlockKind::TableHeader => "header",
                    BlockKind::TableRow => "row",
                };
                (kind, &text[block.range.clone()])
            })
            .collect();
        assert_eq!(found, want);
    }

    #[test]
    fn blocks_are_ranges_of_the_file() {
        check(
            "# A *b*\ntext\n\n- one\n- two\n  - three\n\n> quote\n\n```sh\nls\n```\n",
            &[
                ("heading", "# A *b*"),
                ("paragraph", "text"),
                ("item", "- one"),
                ("item", "- two"),
                ("item", "- three"),
                ("paragraph", "> quote"),
                ("code", "```sh\nls\n```"),
            ],
        );
    }

    #[test]
    fn tables_have_a_header_and_rows() {
        check(
            "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n",
            &[("header", "| a | b |\n|---|---|"), ("row", "| 1 | 2 |"), ("row", "| 3 | 4 |")],
        );
    }

    #[test]
    fn front_matter_is_metadata_and_no_text() {
        let text = "---\ntitle: \"On Fish\"\ndate: 2024-05-01\ntags:\n  - a\n---\nBody.\n";
        check(text, &[("paragraph", "Body.")]);
        let outline = parse(text);
        assert_eq!(outline.metadata["title"], "On Fish");
        assert_eq!(outline.metadata["date"], "2024-05-01");
    }

    #[test]
    fn absurd_depth_is_read_as_text() {
        let text = "> ".repeat(100_000) + "x";
        check(&text, &[("paragraph", &text)]);
        assert_eq!(parse(&text).warnings.len(), 1);
        assert_eq!(parse(&"-".repeat(1000)).warnings.len(), 0);
    }

    #[test]
    fn a_heading_in_a_quote_opens_no_section() {
        check("> # Not a section\n", &[("paragraph", "> # Not a section")]);
    }
}
