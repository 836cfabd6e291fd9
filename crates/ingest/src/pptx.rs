//! PPTX: the text of slides, in their order.

use std::collections::BTreeMap;

use crate::Limits;
use crate::archive::Zip;
use crate::document::{BlockKind, Draft};
use crate::error::Error;
use crate::xml::{self, Item};

/// The text of a PPTX. The part of a block is `slide N`.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Draft, Error> {
    let mut zip = Zip::open(bytes)?;
    let mut draft = Draft::default();
    for (number, slide) in (1..).zip(slides(&mut zip, limits)?) {
        read_slide(&zip.member(&slide, limits)?, &format!("slide {number}"), &mut draft)?;
    }
    if let Ok(core) = zip.member("docProps/core.xml", limits) {
        xml::dublin_core(&core, &mut |key, value| draft.outline.state(key, value))?;
    }
    Ok(draft)
}

/// The members that hold the slides, as the presentation orders them.
fn slides(zip: &mut Zip<'_>, limits: &Limits) -> Result<Vec<String>, Error> {
    let mut targets = BTreeMap::new();
    let relations = zip.member("ppt/_rels/presentation.xml.rels", limits)?;
    xml::read(&relations, |item| {
        if let Item::Start("Relationship", attributes) = item
            && let (Some(id), Some(target)) = (attributes.get("Id"), attributes.get("Target"))
        {
            let target = match target.strip_prefix('/') {
                Some(absolute) => absolute.to_owned(),
                None => format!("ppt/{target}"),
            };
            targets.insert(id, target);
        }
    })?;
    let mut slides = Vec::new();
    let presentation = zip.member("ppt/presentation.xml", limits)?;
    xml::read(&presentation, |item| {
        if let Item::Start("sldId", attributes) = item
            && let Some(target) = attributes.get_exact("r:id").and_then(|id| targets.remove(&id))
        {
            slides.push(target);
        }
    })?;
    Ok(slides)
}

fn read_slide(bytes: &[u8], part: &str, draft: &mut Draft) -> Result<(), Error> {
    let (mut text, mut in_text, mut is_title, mut in_row) = (String::new(), false, false, false);
    xml::read(bytes, |item| match item {
        Item::Start("sp", _) => is_title = false,
        Item::Start("ph", attributes) => {
            let kind = attributes.get("type").unwrap_or_default();
            is_title = kind == "title" || kind == "ctrTitle";
        }
        Item::Start("t", _) => in_text = true,
        Item::End("t") => in_text = false,
        Item::Start("br", _) => text.push('\n'),
        Item::Start("tr", _) => in_row = true,
        Item::Start("tc", _) if !text.is_empty() => text.push_str(" | "),
        Item::Text(part) if in_text => text.push_str(part),
        Item::End("p") if in_row => text.push(' '),
        Item::End("p") => {
            let kind = if is_title {
                let title = text.split_whitespace().collect::<Vec<_>>().join(" ");
                BlockKind::Heading { level: 1, title }
            } else {
                BlockKind::ListItem
            };
            draft.push(kind, &std::mem::take(&mut text), None, Some(part));
        }
        Item::End("tr") => {
            in_row = false;
            draft.push(BlockKind::TableRow, &std::mem::take(&mut text), None, Some(part));
        }
        _ => {}
    })
}
