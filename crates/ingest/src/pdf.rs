//! PDF: the text of each page.

use pdf_extract::{Dictionary, Document, Object, OutputError};

use crate::document::{BlockKind, Draft, lines};
use crate::error::Error;

/// The text of a PDF. Blocks carry their page, from 1.
pub(crate) fn parse(bytes: &[u8]) -> Result<Draft, Error> {
    let damaged = Error::Damaged { kind: "pdf" };
    let Ok(document) = Document::load_mem(bytes) else { return Err(damaged) };
    if document.is_encrypted() {
        return Err(Error::Encrypted);
    }
    let pages =
        pdf_extract::extract_text_from_mem_by_pages(bytes).map_err(|error| match error {
            OutputError::PdfError(_) | OutputError::FormatError(_) | OutputError::IoError(_) => {
                damaged
            }
        })?;
    let mut draft = Draft::default();
    for (number, page) in (1..).zip(&pages) {
        add_page(page, number, &mut draft);
    }
    if draft.outline.blocks.is_empty() {
        return Err(Error::NoPdfText { pages: pages.len() });
    }
    information(&document, &mut draft);
    Ok(draft)
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
