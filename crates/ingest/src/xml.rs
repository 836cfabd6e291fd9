//! XML of office files and EPUBs, as a stream of tags and text.
//!
//! No entities but the five of XML and character numbers are known, and no
//! document type is read: nothing can expand.

use std::borrow::Cow;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use crate::error::Error;

/// What a stream of XML consists of. Names come without their prefix.
pub(crate) enum Item<'a> {
    Start(&'a str, &'a Attributes<'a>),
    End(&'a str),
    Text(&'a str),
}

/// The attributes of one element.
pub(crate) struct Attributes<'a>(&'a BytesStart<'a>);

impl Attributes<'_> {
    /// The value of the attribute with this name, whatever its prefix.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.find(|key| key.rsplit(':').next() == Some(name))
    }

    /// The value of the attribute with this prefix and name.
    pub(crate) fn get_exact(&self, name: &str) -> Option<String> {
        self.find(|key| key == name)
    }

    fn find(&self, is: impl Fn(&str) -> bool) -> Option<String> {
        let mut all = self.0.attributes();
        let mut valid = all.with_checks(false).filter_map(Result::ok);
        let found = valid.find(|attribute| is(attribute.key.as_ref()))?;
        let unescaped = quick_xml::escape::unescape(&found.value).map(Cow::into_owned);
        Some(unescaped.unwrap_or_else(|_| found.value.into_owned()))
    }
}

/// Reads `bytes` and hands on what is in it, in order.
pub(crate) fn read(bytes: &[u8], mut on: impl FnMut(Item<'_>)) -> Result<(), Error> {
    let decoded = crate::encoding::decode(bytes).ok_or(Error::Damaged { kind: "xml" })?;
    let mut reader = quick_xml::Reader::from_str(decoded.text.trim_start_matches('\u{feff}'));
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    loop {
        match reader.read_event().map_err(|_| Error::Damaged { kind: "xml" })? {
            Event::Start(tag) => {
                on(Item::Start(tag.local_name().as_ref(), &Attributes(&tag)));
            }
            Event::Empty(tag) => {
                on(Item::Start(tag.local_name().as_ref(), &Attributes(&tag)));
                on(Item::End(tag.local_name().as_ref()));
            }
            Event::End(tag) => on(Item::End(tag.local_name().as_ref())),
            Event::Text(text) => on(Item::Text(&text)),
            Event::CData(text) => on(Item::Text(&text)),
            Event::GeneralRef(name) => {
                if let Some(c) = name.resolve_char_ref().ok().flatten() {
                    on(Item::Text(c.encode_utf8(&mut [0; 4])));
                } else if let Some(text) = resolve_predefined_entity(&name) {
                    on(Item::Text(text));
                }
            }
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// The texts of Dublin Core elements: title, creator and date.
pub(crate) fn dublin_core(bytes: &[u8], state: &mut dyn FnMut(&str, &str)) -> Result<(), Error> {
    let mut open: Option<&'static str> = None;
    let mut text = String::new();
    read(bytes, |item| match item {
        Item::Start(name, _) => {
            open = match name {
                "title" => Some("title"),
                "creator" => Some("author"),
                "date" | "modified" => Some("date"),
                "language" => Some("language"),
                _ => None,
            };
            text.clear();
        }
        Item::Text(part) => text.push_str(part),
        Item::End(_) => {
            if let Some(key) = open.take() {
                state(key, &text);
            }
        }
    })
}
