//! DOCX: the paragraphs, lists and tables of a text document.

use std::collections::BTreeMap;

use crate::Limits;
use crate::archive::Zip;
use crate::document::{BlockKind, Draft};
use crate::error::Error;
use crate::xml::{self, Attributes, Item};

/// The text of a DOCX.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Draft, Error> {
    let mut zip = Zip::open(bytes)?;
    let mut body = Body::default();
    if let Ok(styles) = zip.member("word/styles.xml", limits) {
        body.levels = heading_styles(&styles)?;
    }
    for (member, part) in [
        ("word/document.xml", None),
        ("word/footnotes.xml", Some("footnotes")),
        ("word/endnotes.xml", Some("endnotes")),
    ] {
        let xml = match zip.member(member, limits) {
            Err(Error::NoMember) if part.is_some() => continue,
            other => other?,
        };
        body.part = part;
        xml::read(&xml, |item| body.read(&item))?;
        body.flush(BlockKind::Paragraph);
    }
    let mut draft = body.draft;
    if let Ok(core) = zip.member("docProps/core.xml", limits) {
        xml::dublin_core(&core, &mut |key, value| draft.outline.state(key, value))?;
    }
    Ok(draft)
}

/// The styles that are headings: their ids differ with the language of the
/// program, their names do not.
fn heading_styles(bytes: &[u8]) -> Result<BTreeMap<String, u8>, Error> {
    let mut levels = BTreeMap::new();
    let mut id = None;
    xml::read(bytes, |item| {
        if let Item::Start(name, attributes) = item {
            if name == "style" {
                id = attributes.get("styleId");
            } else if name == "name"
                && let Some(level) = attributes.get("val").and_then(|name| level_of(&name))
                && let Some(id) = id.take()
            {
                levels.insert(id, level);
            }
        }
    })?;
    Ok(levels)
}

fn level_of(style: &str) -> Option<u8> {
    let style = style.to_lowercase();
    if style == "title" {
        return Some(1);
    }
    style.strip_prefix("heading")?.trim().parse().ok().filter(|level| (1..=9).contains(level))
}

#[derive(Default)]
struct Body {
    draft: Draft,
    levels: BTreeMap<String, u8>,
    part: Option<&'static str>,
    text: String,
    in_text: bool,
    level: Option<u8>,
    is_item: bool,
    /// Table rows that are open, and whether one has been seen in the table.
    rows: usize,
    has_header: bool,
    /// Copies of content for older programs that are open.
    fallbacks: usize,
}

impl Body {
    fn read(&mut self, item: &Item<'_>) {
        match item {
            Item::Start("Fallback", _) => self.fallbacks += 1,
            Item::End("Fallback") => self.fallbacks = self.fallbacks.saturating_sub(1),
            _ if self.fallbacks > 0 => {}
            Item::Start(name, attributes) => self.start(name, attributes),
            Item::Text(text) if self.in_text => self.text.push_str(text),
            Item::Text(_) => {}
            Item::End(name) => self.end(name),
        }
    }

    fn start(&mut self, name: &str, attributes: &Attributes<'_>) {
        match name {
            "t" => self.in_text = true,
            "tab" => self.text.push('\t'),
            "br" | "cr" => self.text.push('\n'),
            "noBreakHyphen" => self.text.push('-'),
            "pStyle" => {
                let style = attributes.get("val").unwrap_or_default();
                self.level = self.levels.get(&style).copied().or_else(|| level_of(&style));
            }
            "numPr" => self.is_item = true,
            "tbl" if self.rows == 0 => {
                self.flush(BlockKind::Paragraph);
                self.has_header = false;
            }
            "tr" => {
                if self.rows == 0 {
                    self.flush(BlockKind::Paragraph);
                }
                self.rows += 1;
            }
            "tc" if !self.text.is_empty() => self.text.push_str(" | "),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "p" if self.rows > 0 => self.text.push(' '),
            "p" => {
                let kind = match self.level {
                    Some(level) => {
                        let title = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
                        BlockKind::Heading { level, title }
                    }
                    None if self.is_item => BlockKind::ListItem,
                    None => BlockKind::Paragraph,
                };
                self.flush(kind);
            }
            "tr" => {
                self.rows = self.rows.saturating_sub(1);
                if self.rows == 0 {
                    let kind =
                        if self.has_header { BlockKind::TableRow } else { BlockKind::TableHeader };
                    self.has_header = true;
                    self.flush(kind);
                }
            }
            _ => {}
        }
    }

    fn flush(&mut self, kind: BlockKind) {
        let text = std::mem::take(&mut self.text);
        (self.level, self.is_item) = (None, false);
        self.draft.push(kind, &text, None, self.part);
    }
}
