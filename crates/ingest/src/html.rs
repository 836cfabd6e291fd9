//! HTML to blocks of clean text, each mapped to the bytes of the page.
//!
//! A tokenizer, not a tree: pages of any size and any disorder are read in one
//! pass. Scripts, styles, hidden elements and navigation are left out.

mod tags;
mod writer;

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{StartTag, Token, Tokenizer};

use crate::document::{BlockKind, Outline};
use tags::{Role, has_optional_end, is_hidden, role};
use writer::Writer;

/// The outline of a page.
pub(crate) fn parse(text: &str) -> Outline {
    let (outline, is_whole) = read(text, Skip::All);
    if is_whole {
        return outline;
    }
    // A hidden element that is never closed must not hide the rest.
    let (mut outline, _) = read(text, Skip::Programs);
    outline.warnings.push("an element that hides its content is never closed".to_owned());
    outline
}

/// Which elements are left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Skip {
    /// Scripts, styles, hidden elements and navigation.
    All,
    /// Scripts and styles.
    Programs,
}

/// Also says whether every element that was left out was closed.
fn read(text: &str, skip: Skip) -> (Outline, bool) {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let mut page = Page { writer: Writer::new(text), skip, skipping: None, title: None, rows: 0 };
    for token in Tokenizer::new_with_emitter(text, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => page.start(&tag),
            Token::EndTag(tag) => page.end(&String::from_utf8_lossy(&tag.name)),
            Token::String(string) => page.text(string.span.start..string.span.end),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    page.writer.flush();
    let is_whole = page.skipping.is_none_or(|(name, _)| matches!(&*name, "script" | "style"));
    (page.writer.outline, is_whole)
}

struct Page<'a> {
    writer: Writer<'a>,
    skip: Skip,
    /// The element that is being left out, and how many of its name are open.
    skipping: Option<(String, usize)>,
    /// The text of `<title>` while it is open.
    title: Option<String>,
    /// Table rows that are open.
    rows: usize,
}

impl Page<'_> {
    fn start(&mut self, tag: &StartTag<usize>) {
        let name = String::from_utf8_lossy(&tag.name).into_owned();
        if let Some((skipped, open)) = &mut self.skipping {
            *open += usize::from(*skipped == name);
            return;
        }
        let role = role(&name);
        let is_program = matches!(&*name, "script" | "style");
        let is_left_out = role == Role::LeftOut || (is_hidden(tag) && !has_optional_end(&name));
        let has_content = role != Role::Void && !tag.self_closing;
        if has_content && (is_program || (self.skip == Skip::All && is_left_out)) {
            self.skipping = Some((name, 1));
            return;
        }
        match role {
            Role::Title => self.title = Some(String::new()),
            Role::Heading(level) => {
                self.rows = 0;
                self.writer.open(BlockKind::Heading { level, title: String::new() });
            }
            Role::Pre => self.writer.open(BlockKind::Code),
            Role::Item => self.block(BlockKind::ListItem),
            Role::Row => {
                self.rows = 1;
                self.writer.open(BlockKind::TableRow);
            }
            Role::Cell => self.writer.cell(name == "th"),
            Role::Block => self.block(BlockKind::Paragraph),
            Role::Void if name == "br" => self.writer.line_break(),
            Role::Void if name == "hr" => self.block(BlockKind::Paragraph),
            Role::Void if name == "meta" => self.meta(tag),
            Role::Void | Role::Inline | Role::LeftOut => {}
        }
    }

    fn end(&mut self, name: &str) {
        if let Some((skipped, open)) = &mut self.skipping {
            *open -= usize::from(skipped == name);
            if *open == 0 {
                self.skipping = None;
            }
            return;
        }
        match role(name) {
            Role::Title => {
                if let Some(title) = self.title.take()
                    && self.writer.outline.title.is_none()
                {
                    self.writer.outline.title =
                        Some(title).filter(|title| !title.trim().is_empty());
                }
            }
            Role::Row => {
                self.rows = 0;
                self.writer.close();
            }
            Role::Heading(_) | Role::Pre | Role::Item => self.writer.close(),
            Role::Block => {
                if name == "table" {
                    self.rows = 0;
                    self.writer.close();
                } else {
                    self.block(BlockKind::Paragraph);
                }
            }
            Role::Cell | Role::Inline | Role::Void | Role::LeftOut => {}
        }
    }

    /// A block begins; inside a table row, that is no more than a space.
    fn block(&mut self, kind: BlockKind) {
        if self.rows > 0 {
            self.writer.space();
        } else {
            self.writer.open(kind);
        }
    }

    fn text(&mut self, range: std::ops::Range<usize>) {
        if self.skipping.is_some() {
            return;
        }
        match &mut self.title {
            Some(title) => title.push_str(&writer::decoded(self.writer.source, range)),
            None => self.writer.text(range),
        }
    }

    fn meta(&mut self, tag: &StartTag<usize>) {
        let attribute = |name: &str| {
            let value = tag.attributes.get(name.as_bytes())?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let key = attribute("name").or_else(|| attribute("property")).unwrap_or_default();
        let Some(content) = attribute("content") else { return };
        let key = match &*key.to_ascii_lowercase() {
            "author" | "dc.creator" | "dcterms.creator" | "article:author" => "author",
            "date" | "dc.date" | "dcterms.date" | "dcterms.modified" | "article:published_time" => {
                "date"
            }
            "description" => "description",
            "keywords" => "keywords",
            _ => return,
        };
        self.writer.outline.state(key, &content);
    }
}

#[cfg(test)]
mod tests;
