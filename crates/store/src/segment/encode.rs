//! Writes a segment. The order of everything is fixed, so that the same
//! changes are the same bytes.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use super::{
    ALIGNMENT, HAS_PAGE, HAS_PART, HAS_TEXT, IS_ORIGINAL, MAGIC, PASSAGE_ROW, RESET, SECTIONS,
    Section, TABLE, TABLE_CRC, TERM_ROW,
};
use crate::codec::{put_map, put_str, put_varint, wide};
use crate::error::Error;
use crate::record::{Binding, DocumentRecord, PassageRecord};

/// What is to be written: only what differs from the state before.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    pub(crate) reset: bool,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) dimension: usize,
    pub(crate) documents: Vec<&'a DocumentRecord>,
    pub(crate) unbound: Vec<&'a str>,
    pub(crate) bound: Vec<&'a Binding>,
}

impl Changes<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        !self.reset
            && self.meta.is_empty()
            && self.documents.is_empty()
            && self.unbound.is_empty()
            && self.bound.is_empty()
    }
}

/// For each term, the passages in order, with their counts.
type Index<'a> = HashMap<&'a str, Vec<(u32, u32)>>;

#[derive(Default)]
struct Writer<'a> {
    sections: [Vec<u8>; SECTIONS],
    index: Index<'a>,
    passages: u32,
}

/// The payload of the commit that makes these changes.
pub(crate) fn encode(changes: &Changes<'_>) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::default();
    let mut out = vec![if changes.reset { RESET } else { 0 }];
    put_map(&mut out, &changes.meta);
    put_varint(&mut out, wide(changes.dimension));
    put_varint(&mut out, wide(changes.documents.len()));
    for (number, document) in changes.documents.iter().enumerate() {
        writer.document(&mut out, small("the number of documents", number)?, document)?;
    }
    put_varint(&mut out, wide(changes.unbound.len()));
    changes.unbound.iter().for_each(|uri| put_str(&mut out, uri));
    put_varint(&mut out, wide(changes.bound.len()));
    for binding in &changes.bound {
        put_str(&mut out, &binding.uri);
        out.extend_from_slice(&binding.document.0);
        out.extend_from_slice(&binding.mtime.to_le_bytes());
        out.extend_from_slice(&binding.size.to_le_bytes());
        put_map(&mut out, &binding.metadata);
    }
    writer.sections[Section::Changes as usize] = out;
    writer.index()?;
    Ok(join(&writer.sections))
}

impl<'a> Writer<'a> {
    fn section(&mut self, section: Section) -> &mut Vec<u8> {
        &mut self.sections[section as usize]
    }

    fn document(
        &mut self,
        changes: &mut Vec<u8>,
        number: u32,
        document: &'a DocumentRecord,
    ) -> Result<(), Error> {
        changes.extend_from_slice(&document.id.0);
        let mut record = document.sha256.to_vec();
        record.push(if document.is_original { IS_ORIGINAL } else { 0 });
        put_str(&mut record, &document.kind);
        put_str(&mut record, &document.title);
        put_map(&mut record, &document.metadata);
        put_place(changes, self.section(Section::Documents), &record);
        put_place(changes, self.section(Section::Texts), document.text.as_bytes());
        put_varint(changes, wide(document.passages.len()));
        let counts = document.passages.iter().flat_map(|passage| &passage.terms);
        put_varint(changes, counts.map(|(_, count)| u64::from(*count)).sum());
        for passage in &document.passages {
            self.passage(number, &document.text, passage)?;
        }
        Ok(())
    }

    fn passage(
        &mut self,
        document: u32,
        text: &str,
        passage: &'a PassageRecord,
    ) -> Result<(), Error> {
        let details = details(passage);
        let total: u64 = passage.terms.iter().map(|(_, count)| u64::from(*count)).sum();
        let total = u32::try_from(total).expect("a batch is checked for too many terms");
        let mut row = Vec::with_capacity(PASSAGE_ROW);
        row.extend_from_slice(&document.to_le_bytes());
        row.extend_from_slice(&total.to_le_bytes());
        row.extend_from_slice(&wide(self.section(Section::Details).len()).to_le_bytes());
        row.extend_from_slice(&small("a passage", details.len())?.to_le_bytes());
        row.extend_from_slice(&crc32fast::hash(&details).to_le_bytes());
        row.extend_from_slice(&text_hash(clean_text(text, passage)));
        row.resize(PASSAGE_ROW, 0);
        self.section(Section::Passages).extend_from_slice(&row);
        self.section(Section::Details).extend_from_slice(&details);
        let numbers = passage.vector.iter().flat_map(|value| value.to_le_bytes());
        self.section(Section::Vectors).extend(numbers);

        let ordinal = self.passages;
        for (term, count) in &passage.terms {
            let postings = self.index.entry(term).or_default();
            match postings.last_mut() {
                Some((last, sum)) if *last == ordinal => *sum += count,
                _ => postings.push((ordinal, *count)),
            }
        }
        let next = self.passages.checked_add(1);
        self.passages =
            next.ok_or(Error::TooLarge { what: "the number of passages", size: usize::MAX })?;
        Ok(())
    }

    fn index(&mut self) -> Result<(), Error> {
        let mut index: Vec<_> = std::mem::take(&mut self.index).into_iter().collect();
        index.sort_unstable_by_key(|(term, _)| *term);
        for (term, postings) in index {
            let mut bytes = Vec::with_capacity(2 * postings.len());
            let mut last = 0;
            for (ordinal, count) in &postings {
                put_varint(&mut bytes, u64::from(ordinal - last));
                put_varint(&mut bytes, u64::from(*count));
                last = *ordinal;
            }
            let mut row = Vec::with_capacity(TERM_ROW);
            row.extend_from_slice(&wide(self.section(Section::TermBytes).len()).to_le_bytes());
            row.extend_from_slice(&wide(self.section(Section::Postings).len()).to_le_bytes());
            row.extend_from_slice(&small("a term", term.len())?.to_le_bytes());
            row.extend_from_slice(&small("the passages of a term", postings.len())?.to_le_bytes());
            row.extend_from_slice(&small("the postings of a term", bytes.len())?.to_le_bytes());
            row.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
            self.section(Section::Terms).extend_from_slice(&row);
            self.section(Section::TermBytes).extend_from_slice(term.as_bytes());
            self.section(Section::Postings).extend_from_slice(&bytes);
        }
        Ok(())
    }
}

fn small(what: &'static str, size: usize) -> Result<u32, Error> {
    u32::try_from(size).map_err(|_| Error::TooLarge { what, size })
}

/// Appends `bytes` to a section, and where they are to the changes.
fn put_place(changes: &mut Vec<u8>, section: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(changes, wide(section.len()));
    put_varint(changes, wide(bytes.len()));
    changes.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    section.extend_from_slice(bytes);
}

fn details(passage: &PassageRecord) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, passage.range.start);
    put_varint(&mut out, passage.range.end - passage.range.start);
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.push(
        flag(!passage.text.is_empty(), HAS_TEXT)
            | flag(passage.page.is_some(), HAS_PAGE)
            | flag(passage.part.is_some(), HAS_PART),
    );
    if !passage.text.is_empty() {
        put_str(&mut out, &passage.text);
    }
    if let Some(page) = passage.page {
        put_varint(&mut out, u64::from(page));
    }
    if let Some(part) = &passage.part {
        put_str(&mut out, part);
    }
    put_varint(&mut out, wide(passage.heading_path.len()));
    passage.heading_path.iter().for_each(|heading| put_str(&mut out, heading));
    put_varint(&mut out, wide(passage.map.len()));
    for entry in &passage.map {
        put_varint(&mut out, entry.clean_start);
        put_varint(&mut out, entry.source_start);
        put_varint(&mut out, entry.length);
    }
    out
}

fn clean_text<'a>(text: &'a str, passage: &'a PassageRecord) -> &'a str {
    if passage.text.is_empty() {
        let range =
            usize::try_from(passage.range.start).ok().zip(usize::try_from(passage.range.end).ok());
        range.and_then(|(start, end)| text.get(start..end)).expect("a batch is checked for ranges")
    } else {
        &passage.text
    }
}

/// The same for texts that differ in white space only.
fn text_hash(text: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    for (number, word) in text.split_whitespace().enumerate() {
        if number > 0 {
            hash.update(b" ");
        }
        hash.update(word);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    half
}

fn join(sections: &[Vec<u8>; SECTIONS]) -> Vec<u8> {
    let mut payload = vec![0; TABLE];
    payload[..8].copy_from_slice(&MAGIC);
    for (number, section) in sections.iter().enumerate() {
        payload.resize(payload.len().next_multiple_of(ALIGNMENT), 0);
        let row = 8 + 24 * number;
        let offset = wide(payload.len());
        payload[row..row + 8].copy_from_slice(&offset.to_le_bytes());
        payload[row + 8..row + 16].copy_from_slice(&wide(section.len()).to_le_bytes());
        payload[row + 16..row + 20].copy_from_slice(&crc32fast::hash(section).to_le_bytes());
        payload.extend_from_slice(section);
    }
    let crc = crc32fast::hash(&payload[..TABLE_CRC]);
    payload[TABLE_CRC..TABLE_CRC + 4].copy_from_slice(&crc.to_le_bytes());
    payload
}
