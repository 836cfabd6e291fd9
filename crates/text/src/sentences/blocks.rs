//! Cuts a document into paragraphs, headings, list items, table rows and code.
//!
//! Works line by line. A line either stands alone, continues the open
//! paragraph, or closes it.

use std::ops::Range;

use super::{Unit, UnitKind, trimmed};

/// Lines of the text, and the paragraph that is being collected.
struct Blocks<'a> {
    text: &'a str,
    found: Vec<Unit>,
    open: Option<Open>,
}

/// The paragraph or list item that the next line may continue.
struct Open {
    range: Range<usize>,
    kind: UnitKind,
    is_quote: bool,
    lines: usize,
}

/// The blocks of `text`, in order. A [`UnitKind::Sentence`] or
/// [`UnitKind::ListItem`] is a whole paragraph, still to be split.
pub(super) fn blocks(text: &str) -> Vec<Unit> {
    let mut blocks = Blocks { text, found: Vec::new(), open: None };
    let mut lines = lines(text).peekable();
    if let Some(first) = lines.next_if(|line| text[line.clone()].trim_end() == "---") {
        let rest: Vec<_> = lines.clone().collect();
        match rest.iter().position(|line| text[line.clone()].trim_end() == "---") {
            Some(last) => {
                blocks.push(first.start..rest[last].end, UnitKind::Code);
                lines.nth(last);
            }
            None => blocks.line(first),
        }
    }
    while let Some(line) = lines.next() {
        match fence(&text[line.clone()]).filter(|fence| blocks.may_open(fence)) {
            None => blocks.line(line),
            Some(open) => {
                let mut end = line.end;
                for inner in lines.by_ref() {
                    end = inner.end;
                    if closes(&text[inner], open) {
                        break;
                    }
                }
                blocks.close();
                blocks.push(line.start..end, UnitKind::Code);
            }
        }
    }
    blocks.close();
    blocks.found
}

/// The lines, each with its line break.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> + Clone {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end;
        range
    })
}

/// The marker of a code fence that the line opens.
fn fence(line: &str) -> Option<&str> {
    let line = line.trim();
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let len = line.len() - line.trim_start_matches(mark).len();
    // A line with backquotes after the fence is inline code.
    (len >= 3 && !line[len..].contains('`')).then(|| &line[..len])
}

/// Whether the line ends the fence that `open` began.
fn closes(line: &str, open: &str) -> bool {
    let line = line.trim();
    line.len() >= open.len() && line.chars().all(|c| open.starts_with(c))
}

impl Blocks<'_> {
    /// A line of tildes under a line of text is a heading, not a fence.
    fn may_open(&self, fence: &str) -> bool {
        fence.starts_with('`') || self.open.is_none()
    }

    fn push(&mut self, range: Range<usize>, kind: UnitKind) {
        let range = trimmed(self.text, range);
        if !range.is_empty() {
            self.found.push(Unit { range, kind });
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.push(open.range, open.kind);
        }
    }

    /// Starts a paragraph or list item.
    fn start(&mut self, range: Range<usize>, kind: UnitKind, is_quote: bool) {
        self.close();
        self.open = Some(Open { range, kind, is_quote, lines: 1 });
    }

    fn line(&mut self, line: Range<usize>) {
        let quote = quote_marker(&self.text[line.clone()]);
        let body = line.start + quote..line.end;
        let content = self.text[body.clone()].trim();
        if content.is_empty() {
            self.close();
        } else if is_rule(content) {
            self.underline();
        } else if let Some(marker) = heading_marker(content) {
            self.close();
            let range = trimmed(self.text, body);
            let title = content[marker..].trim_end_matches('#');
            let title =
                if title.is_empty() || title.ends_with(' ') { title } else { &content[marker..] };
            let start = range.start + marker;
            self.push(start..start + title.len(), UnitKind::Heading);
        } else if content.starts_with('|') && content.len() > 1 {
            self.close();
            if content.contains(char::is_alphanumeric) {
                self.push(body, UnitKind::TableRow);
            }
        } else if let Some(marker) = self.list_marker(content) {
            let start = trimmed(self.text, body.clone()).start + marker;
            self.start(start..body.end, UnitKind::ListItem, quote > 0);
        } else {
            self.continue_with(body, quote > 0);
        }
    }

    fn continue_with(&mut self, body: Range<usize>, is_quote: bool) {
        match &mut self.open {
            Some(open) if open.is_quote == is_quote => {
                open.range.end = body.end;
                open.lines += 1;
            }
            _ => self.start(body, UnitKind::Sentence, is_quote),
        }
    }

    /// A rule under a single line makes it a heading; elsewhere it only ends
    /// what is above.
    fn underline(&mut self) {
        if let Some(open) = &mut self.open
            && open.lines == 1
            && open.kind == UnitKind::Sentence
        {
            open.kind = UnitKind::Heading;
        }
        self.close();
    }

    /// Length of the marker if `content` begins a list item here.
    fn list_marker(&self, content: &str) -> Option<usize> {
        let (marker, rest) = content.split_once(char::is_whitespace)?;
        let is_bullet = matches!(marker, "-" | "*" | "+" | "\u{2022}" | "\u{2013}" | "\u{25aa}");
        let number = marker.strip_suffix(['.', ')']).map(|n| n.trim_start_matches('('));
        let is_number = number.is_some_and(|n| {
            (1..=3).contains(&n.len()) && n.bytes().all(|byte| byte.is_ascii_digit())
        });
        // A wrapped line may begin with a number that ends a sentence.
        let in_list = |open: &Open| open.kind == UnitKind::ListItem;
        let may_number = self.open.as_ref().is_none_or(in_list) || number == Some("1");
        let is_marker = is_bullet || (is_number && may_number);
        if !is_marker {
            return None;
        }
        let task =
            ["[ ] ", "[x] ", "[X] "].iter().find(|task| rest.trim_start().starts_with(**task));
        let gap = content[marker.len()..].len() - content[marker.len()..].trim_start().len();
        Some(marker.len() + gap + task.map_or(0, |task| task.len()))
    }
}

/// Length of the quote markers at the start of a line.
fn quote_marker(line: &str) -> usize {
    let rest = line.trim_start_matches([' ', '\t']);
    if !rest.starts_with('>') {
        return 0;
    }
    line.len() - rest.trim_start_matches(['>', ' ', '\t']).len()
}

/// Length of `#` marks and the space after them.
fn heading_marker(content: &str) -> Option<usize> {
    let rest = content.trim_start_matches('#');
    let level = content.len() - rest.len();
    let is_heading = (1..=6).contains(&level) && rest.starts_with([' ', '\t']);
    is_heading.then(|| content.len() - rest.trim_start().len())
}

/// Whether a line is nothing but a rule or an underline: three or more of one
/// mark, with or without spaces, or the border of a table.
fn is_rule(content: &str) -> bool {
    let mut marks = content.chars().filter(|c| !c.is_whitespace());
    let Some(first) = marks.next() else { return false };
    let is_border = first == '+' && marks.clone().all(|mark| "+-=".contains(mark));
    let is_run = "-=~*_^\"+#".contains(first) && marks.clone().all(|mark| mark == first);
    marks.count() >= 2 && (is_border || is_run)
}
