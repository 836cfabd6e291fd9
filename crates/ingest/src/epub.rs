//! EPUB: the chapters of a book, in reading order.

use std::collections::BTreeMap;

use crate::archive::Zip;
use crate::document::Draft;
use crate::error::Error;
use crate::xml::{self, Item};
use crate::{Limits, encoding, html};

/// The text of an EPUB. The part of a block is the path of its chapter.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Draft, Error> {
    let mut zip = Zip::open(bytes)?;
    let mut package = None;
    let container = zip.member("META-INF/container.xml", limits)?;
    xml::read(&container, |item| {
        if let Item::Start("rootfile", attributes) = item
            && package.is_none()
        {
            package = attributes.get("full-path");
        }
    })?;
    let package = package.ok_or(Error::NoMember)?;
    let opf = zip.member(&package, limits)?;
    let mut draft = Draft::default();
    xml::dublin_core(&opf, &mut |key, value| draft.outline.state(key, value))?;
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut unpacked = 0;
    for chapter in chapters(&opf, folder)? {
        let Ok(page) = zip.member(&chapter, limits) else {
            draft.outline.warnings.push(format!("chapter `{chapter}` cannot be read"));
            continue;
        };
        unpacked += page.len() as u64;
        if unpacked > limits.archive_bytes {
            return Err(Error::ArchiveTooLarge { limit: limits.archive_bytes });
        }
        let Some(page) = encoding::decode(&page) else { continue };
        add_page(&without_empty_tags(&page.text), &chapter, &mut draft);
    }
    Ok(draft)
}

/// Adds the clean text of an HTML page.
pub(crate) fn add_page(page: &str, part: &str, draft: &mut Draft) {
    for block in html::parse(page).blocks {
        draft.push(block.kind, &block.text, None, Some(part));
    }
}

/// Closes elements that XML lets be empty, and that HTML reads to their end
/// tag: `<title/>` would swallow the chapter.
fn without_empty_tags(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    for piece in page.split_inclusive('>') {
        out.push_str(piece);
        let Some(tag) = piece.strip_suffix("/>").and_then(|tag| tag.rsplit('<').next()) else {
            continue;
        };
        let name = tag.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
        if ["title", "script", "style", "textarea", "iframe", "noscript"].contains(&&*name) {
            out.truncate(out.len() - 2);
            out.push_str("></");
            out.push_str(&name);
            out.push('>');
        }
    }
    out
}

/// The paths of the chapters, in the order of the spine.
fn chapters(opf: &[u8], folder: &str) -> Result<Vec<String>, Error> {
    let mut pages = BTreeMap::new();
    let mut spine = Vec::new();
    xml::read(opf, |item| match item {
        Item::Start("item", attributes) => {
            if let (Some(id), Some(path)) = (attributes.get("id"), attributes.get("href")) {
                pages.insert(id, path);
            }
        }
        Item::Start("itemref", attributes) => spine.extend(attributes.get("idref")),
        _ => {}
    })?;
    let place = |path: String| {
        let path = path.replace("%20", " ");
        if folder.is_empty() { path } else { format!("{folder}/{path}") }
    };
    Ok(spine.iter().filter_map(|id| pages.remove(id)).map(place).collect())
}
