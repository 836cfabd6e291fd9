//! PDF: the text of each page.

use pdf_extract::{Dictionary, Document, Object, PlainTextOutput, output_doc_page};

use crate::document::{BlockKind, Draft, lines};
use crate::error::Error;
use crate::guard::guarded;

/// The text of a PDF. Blocks carry their page, from 1.
///
/// Pages are read one by one, so that a page that the reader cannot take costs
/// no other page.
pub(crate) fn parse(bytes: &[u8]) -> Result<Draft, Error> {
    let damaged = Error::Damaged { kind: "pdf" };
    let Ok(mut document) = Document::load_mem(bytes) else { return Err(damaged) };
    // Many are encrypted only against changes: their password is empty.
    if document.is_encrypted() && document.decrypt("").is_err() {
        return Err(Error::Encrypted);
    }
    let mut draft = Draft::default();
    let (mut pages, mut lost) = (0, Vec::new());
    for &number in document.get_pages().keys() {
        pages += 1;
        match page_text(&document, number) {
            Some(text) => add_page(&text, number, &mut draft),
            None => lost.push(number.to_string()),
        }
    }
    match (draft.outline.blocks.is_empty(), lost.is_empty()) {
        (true, false) => return Err(damaged),
        (true, true) => return Err(Error::NoPdfText { pages }),
        (false, false) => {
            let warning = format!("text could not be read on page {}", lost.join(", "));
            draft.outline.warnings.push(warning);
        }
        (false, true) => {}
    }
    information(&document, &mut draft);
    Ok(draft)
}

fn page_text(document: &Document, number: u32) -> Option<String> {
    let read = guarded(|| {
        let mut text = String::new();
        let mut output = PlainTextOutput::new(&mut text);
        output_doc_page(document, &mut output, number).ok().map(|()| text)
    });
    read.flatten()
}

/// Paragraphs between blank lines.
fn add_page(page: &str, number: u32, draft: &mut Draft) {
    let mut paragraph = String::new();
    for (_, line) in lines(page).chain([(0, "")]) {
        if line.trim().is_empty() {
            draft.push(BlockKind::Paragraph, &std::mem::take(&mut paragraph), Some(number), None);
        } else {
            paragraph.push_str(line.trim_end());
            paragraph.push('\n');
        }
    }
}

/// What the document says of itself.
fn information(document: &Document, draft: &mut Draft) {
    let Some(info) = dictionary(document) else { return };
    for (name, key) in [("Title", "title"), ("Author", "author"), ("CreationDate", "date")] {
        if let Ok(Object::String(bytes, _)) = info.get(name.as_bytes()) {
            draft.outline.state(key, &text(bytes));
        }
    }
}

fn dictionary(document: &Document) -> Option<&Dictionary> {
    let info = document.trailer.get(b"Info").ok()?;
    document.dereference(info).ok()?.1.as_dict().ok()
}

/// UTF-16 with a mark, otherwise nearly Latin-1.
fn text(bytes: &[u8]) -> String {
    match bytes {
        [0xfe, 0xff, rest @ ..] => {
            let units: Vec<u16> =
                rest.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
        },
    }
}
