//! E-mail messages: subject, sender, date and text. Attachments are documents
//! of their own.

use mail_parser::{Address, MessageParser, MimeHeaders, PartType};

use crate::document::{BlockKind, Draft};
use crate::epub::add_page;
use crate::error::Error;
use crate::plain;

/// The text of a message. The part of a block is `body`.
pub(crate) fn parse(bytes: &[u8]) -> Result<Draft, Error> {
    let message = MessageParser::default().parse(bytes).ok_or(Error::Damaged { kind: "mail" })?;
    let mut draft = Draft::default();
    if let Some(subject) = message.subject() {
        draft.outline.state("title", subject);
        let kind = BlockKind::Heading { level: 1, title: subject.trim().to_owned() };
        draft.push(kind, subject, None, Some("subject"));
    }
    for (key, addresses) in [("author", message.from()), ("to", message.to())] {
        draft.outline.state(key, &names(addresses));
    }
    if let Some(date) = message.date() {
        draft.outline.state("date", &date.to_rfc3339());
    }
    for &part in &message.text_body {
        match message.parts.get(part as usize).map(|part| &part.body) {
            Some(PartType::Text(text)) => {
                for block in plain::text(text).blocks {
                    draft.push(block.kind, &text[block.range], None, Some("body"));
                }
            }
            Some(PartType::Html(page)) => add_page(page, "body", &mut draft),
            _ => {}
        }
    }
    Ok(draft)
}

fn names(addresses: Option<&Address<'_>>) -> String {
    let all = addresses.into_iter().flat_map(Address::iter);
    let name = |address: &mail_parser::Addr<'_>| {
        address.name.as_deref().or(address.address.as_deref()).map(str::to_owned)
    };
    all.filter_map(name).collect::<Vec<_>>().join(", ")
}

/// The attachments of a message: their names and bytes.
pub(crate) fn attachments(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Some(message) = MessageParser::default().parse(bytes) else { return Vec::new() };
    let attachments = message.attachments().enumerate();
    attachments
        .map(|(at, part)| {
            let fallback = if part.message().is_some() { "eml" } else { "txt" };
            let name = part.attachment_name().map(str::to_owned);
            let name = name.unwrap_or_else(|| format!("attachment-{}.{fallback}", at + 1));
            (name, part.contents().to_vec())
        })
        .collect()
}
