//! One commit's data: documents, passages, vectors and postings in sections.
//!
//! [`encode`] writes it, this file reads it. Opening decodes the changes and
//! checks the passage table; everything else is decoded and checked the first
//! time it is asked for, so that opening does not grow with the texts.

mod encode;
mod postings;

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::codec::{Cursor, Malformed, Read, wide};
use crate::disk::View;
use crate::error::Error;
use crate::log::Frame;
use crate::record::{Binding, DocId, DocumentInfo, MapEntry, Passage, SnapshotId};

pub(crate) use encode::{Changes, encode};
pub use postings::Postings;

const MAGIC: [u8; 8] = *b"PLUMBSG1";
const SECTIONS: usize = 9;
const TABLE: usize = 256;
/// Where the crc of the section table is.
const TABLE_CRC: usize = 8 + SECTIONS * 24;
const ALIGNMENT: usize = 64;
const PASSAGE_ROW: usize = 48;
const TERM_ROW: usize = 32;
const RESET: u8 = 1;
const IS_ORIGINAL: u8 = 1;
const HAS_TEXT: u8 = 1;
const HAS_PAGE: u8 = 2;
const HAS_PART: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Changes,
    Documents,
    Texts,
    Passages,
    Details,
    Vectors,
    Terms,
    TermBytes,
    Postings,
}

/// A committed segment.
#[derive(Debug)]
pub(crate) struct Segment {
    path: Arc<Path>,
    frame: Frame,
    sections: [Place; SECTIONS],
    pub(crate) changes: Decoded,
    /// Section passages, checked.
    passages: View,
    vectors: OnceLock<Option<Vec<f32>>>,
    terms: OnceLock<()>,
}

/// A section of the payload.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    offset: usize,
    length: usize,
    crc: u32,
}

/// What a segment changes, decoded.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) reset: bool,
    pub(crate) meta: Vec<(String, String)>,
    pub(crate) dimension: usize,
    pub(crate) documents: Vec<Entry>,
    pub(crate) unbound: Vec<String>,
    pub(crate) bound: Vec<Arc<Binding>>,
}

/// A document of a segment.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: DocId,
    record: Place,
    text: Place,
    pub(crate) passages: Range<u32>,
    /// Terms of all its passages, repeats counted.
    pub(crate) terms: u64,
    info: OnceLock<DocumentInfo>,
}

impl Segment {
    pub(crate) fn open(frame: Frame, path: Arc<Path>) -> Result<Self, Error> {
        let sections = match read_table(&frame.payload) {
            Ok(sections) => sections,
            Err(malformed) => return Err(corrupt(&path, &frame, 0, malformed)),
        };
        let mut segment = Self {
            path,
            passages: View::owned(Vec::new()),
            frame,
            sections,
            changes: Decoded::default(),
            vectors: OnceLock::new(),
            terms: OnceLock::new(),
        };
        segment.passages = segment.checked(Section::Passages)?;
        let bytes = segment.checked(Section::Changes)?;
        segment.changes = read_changes(&bytes)
            .map_err(|malformed| segment.corrupt(Section::Changes, malformed))?;
        segment.check_passages()?;
        Ok(segment)
    }

    pub(crate) fn id(&self) -> SnapshotId {
        self.frame.id
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.frame.sequence
    }

    /// Bytes of the log up to the end of this segment's payload.
    pub(crate) fn end(&self) -> u64 {
        self.frame.offset + wide(self.frame.payload.len())
    }

    /// Passages in this segment.
    pub(crate) fn len(&self) -> u32 {
        // A table with more rows than `u32::MAX` was refused when written.
        u32::try_from(self.passages.len() / PASSAGE_ROW).unwrap_or(u32::MAX)
    }

    fn row(&self, ordinal: u32) -> Option<PassageRow> {
        let rows = self.passages.as_chunks::<PASSAGE_ROW>().0;
        rows.get(ordinal as usize).map(PassageRow::decode)
    }

    /// The number of the passage's document in this segment.
    pub(crate) fn document_of(&self, ordinal: u32) -> Option<usize> {
        self.row(ordinal).map(|row| row.document as usize)
    }

    pub(crate) fn terms_of(&self, ordinal: u32) -> Option<u32> {
        self.row(ordinal).map(|row| row.terms)
    }

    pub(crate) fn text_hash(&self, ordinal: u32) -> Option<[u8; 16]> {
        self.row(ordinal).map(|row| row.text_hash)
    }

    pub(crate) fn info<'a>(&'a self, entry: &'a Entry) -> Result<&'a DocumentInfo, Error> {
        if let Some(info) = entry.info.get() {
            return Ok(info);
        }
        let bytes = self.piece(Section::Documents, entry.record)?;
        let info = read_info(&bytes).map_err(|mut malformed| {
            malformed.at += entry.record.offset;
            self.corrupt(Section::Documents, malformed)
        })?;
        Ok(entry.info.get_or_init(|| info))
    }

    /// The document's text, checked.
    pub(crate) fn text(&self, entry: &Entry) -> Result<View, Error> {
        let bytes = self.piece(Section::Texts, entry.text)?;
        if std::str::from_utf8(&bytes).is_err() {
            let malformed = Malformed { at: entry.text.offset, what: "a text is not UTF-8" };
            return Err(self.corrupt(Section::Texts, malformed));
        }
        Ok(bytes)
    }

    /// `None` if there is no such passage.
    pub(crate) fn passage(&self, ordinal: u32) -> Result<Option<Passage>, Error> {
        let Some(row) = self.row(ordinal) else { return Ok(None) };
        let Some(entry) = self.changes.documents.get(row.document as usize) else {
            return Ok(None);
        };
        let bytes = self.piece(Section::Details, row.details)?;
        let fail = |mut malformed: Malformed| {
            malformed.at += row.details.offset;
            self.corrupt(Section::Details, malformed)
        };
        let (mut passage, has_text) = read_details(&bytes).map_err(fail)?;
        passage.document = entry.id;
        passage.number = ordinal - entry.passages.start;
        if !has_text {
            let text = self.text(entry)?;
            let part = slice(&text, &passage.range)
                .ok_or(Malformed { at: 0, what: "a passage lies outside its text" });
            part.map_err(fail)?.clone_into(&mut passage.text);
            let length = passage.range.end - passage.range.start;
            if length > 0 {
                let source_start = passage.range.start;
                passage.map = vec![MapEntry { clean_start: 0, source_start, length }];
            }
        }
        Ok(Some(passage))
    }

    /// Every vector, one after the other.
    pub(crate) fn vectors(&self) -> Result<&[f32], Error> {
        let place = self.sections[Section::Vectors as usize];
        let copied = if let Some(copied) = self.vectors.get() {
            copied
        } else {
            let bytes = self.checked(Section::Vectors)?;
            let in_place = cfg!(target_endian = "little")
                && bytemuck::try_cast_slice::<u8, f32>(&bytes).is_ok();
            let copy = || bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            self.vectors.get_or_init(|| (!in_place).then(copy))
        };
        if let Some(copied) = copied {
            return Ok(copied);
        }
        let bytes = self.frame.payload.get(place.offset..place.offset + place.length);
        let vectors = bytes.and_then(|bytes| bytemuck::try_cast_slice(bytes).ok());
        Ok(vectors.expect("the same bytes were cast before"))
    }

    /// The passages in which `term` occurs, dead ones included.
    pub(crate) fn postings(&self, term: &str) -> Result<Postings<'_>, Error> {
        if self.terms.get().is_none() {
            self.checked(Section::Terms)?;
            self.checked(Section::TermBytes)?;
            self.terms.get_or_init(|| ());
        }
        let rows = self.bytes(Section::Terms);
        let terms = self.bytes(Section::TermBytes);
        let rows = rows.as_chunks::<TERM_ROW>().0;
        let found =
            rows.binary_search_by(|row| TermRow::decode(row).term(terms).cmp(term.as_bytes()));
        let Ok(found) = found else { return Ok(Postings::empty()) };
        let row = TermRow::decode(&rows[found]);
        self.check_piece(Section::Postings, row.postings)?;
        let bytes = &self.bytes(Section::Postings)[row.postings.range()];
        Ok(Postings::new(bytes, row.passages, self.len()))
    }

    /// Reads everything: checksums, the id, and that all of it decodes.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        if !self.frame.is_whole() || !self.frame.is_authentic() {
            let malformed = Malformed { at: 0, what: "a commit is not what its id names" };
            return Err(corrupt(&self.path, &self.frame, 0, malformed));
        }
        self.vectors()?;
        for entry in &self.changes.documents {
            self.info(entry)?;
            self.text(entry)?;
        }
        (0..self.len()).try_for_each(|ordinal| self.passage(ordinal).map(drop))
    }

    fn check_passages(&self) -> Result<(), Error> {
        let fail = |what| Err(self.corrupt(Section::Passages, Malformed { at: 0, what }));
        let promised = self.changes.documents.last().map_or(0, |entry| entry.passages.end);
        let rows = self.passages.as_chunks::<PASSAGE_ROW>();
        if rows.0.len() != promised as usize || !rows.1.is_empty() {
            return fail("the passages are not as many as their documents say");
        }
        let mut documents = self.changes.documents.iter().zip(0_u32..);
        let belongs = documents.all(|(entry, number)| {
            let mut own = entry.passages.clone();
            own.all(|ordinal| self.row(ordinal).is_some_and(|row| row.document == number))
        });
        if !belongs {
            return fail("a passage belongs to another document");
        }
        let numbers = rows.0.len().checked_mul(self.changes.dimension);
        let bytes = numbers.and_then(|numbers| numbers.checked_mul(4));
        if bytes != Some(self.sections[Section::Vectors as usize].length) {
            return fail("there are not as many vectors as passages");
        }
        Ok(())
    }

    fn bytes(&self, section: Section) -> &[u8] {
        &self.frame.payload[self.sections[section as usize].range()]
    }

    fn checked(&self, section: Section) -> Result<View, Error> {
        let place = self.sections[section as usize];
        let view = self.frame.payload.part(place.offset, place.length);
        match view.filter(|view| crc32fast::hash(view) == place.crc) {
            Some(view) => Ok(view),
            None => {
                Err(self
                    .corrupt(section, Malformed { at: 0, what: "a section fails its checksum" }))
            }
        }
    }

    /// A record of a section, with its checksum checked. `place` counts from
    /// the start of the section.
    fn piece(&self, section: Section, place: Place) -> Result<View, Error> {
        self.check_piece(section, place)?;
        let start = self.sections[section as usize].offset + place.offset;
        let view = self.frame.payload.part(start, place.length);
        Ok(view.expect("it was checked to lie within its section"))
    }

    fn check_piece(&self, section: Section, place: Place) -> Result<(), Error> {
        let fail = |what| Err(self.corrupt(section, Malformed { at: place.offset, what }));
        let end = place.offset.checked_add(place.length);
        let Some(bytes) = end.and_then(|end| self.bytes(section).get(place.offset..end)) else {
            return fail("a record lies outside its section");
        };
        if crc32fast::hash(bytes) != place.crc {
            return fail("a record fails its checksum");
        }
        Ok(())
    }

    fn corrupt(&self, section: Section, malformed: Malformed) -> Error {
        corrupt(&self.path, &self.frame, self.sections[section as usize].offset, malformed)
    }
}

fn corrupt(path: &Path, frame: &Frame, section: usize, malformed: Malformed) -> Error {
    let offset = frame.offset + wide(section) + wide(malformed.at);
    Error::Corrupt { path: path.to_owned(), offset, what: malformed.what }
}

fn slice<'a>(text: &'a [u8], range: &Range<u64>) -> Option<&'a str> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    std::str::from_utf8(text.get(start..end)?).ok()
}

impl Place {
    fn range(self) -> Range<usize> {
        self.offset..self.offset + self.length
    }
}

struct PassageRow {
    document: u32,
    terms: u32,
    details: Place,
    text_hash: [u8; 16],
}

impl PassageRow {
    fn decode(row: &[u8; PASSAGE_ROW]) -> Self {
        let words: &[[u8; 4]] = row.as_chunks().0;
        let word = |at: usize| u32::from_le_bytes(words[at]);
        let mut text_hash = [0; 16];
        text_hash.copy_from_slice(&row[24..40]);
        let details =
            Place { offset: join(word(2), word(3)), length: word(4) as usize, crc: word(5) };
        Self { document: word(0), terms: word(1), details, text_hash }
    }
}

/// A 64-bit offset from its halves. One that memory cannot hold becomes one
/// that lies in no section.
fn join(low: u32, high: u32) -> usize {
    usize::try_from(u64::from(high) << 32 | u64::from(low)).unwrap_or(usize::MAX)
}

struct TermRow {
    offset: usize,
    length: usize,
    postings: Place,
    passages: u32,
}

impl TermRow {
    fn decode(row: &[u8; TERM_ROW]) -> Self {
        let words: &[[u8; 4]] = row.as_chunks().0;
        let word = |at: usize| u32::from_le_bytes(words[at]);
        let postings =
            Place { offset: join(word(2), word(3)), length: word(6) as usize, crc: word(7) };
        Self {
            offset: join(word(0), word(1)),
            length: word(4) as usize,
            postings,
            passages: word(5),
        }
    }

    /// Empty if the row lies outside the terms: such a row is never found.
    fn term<'a>(&self, terms: &'a [u8]) -> &'a [u8] {
        let end = self.offset.checked_add(self.length);
        end.and_then(|end| terms.get(self.offset..end)).unwrap_or_default()
    }
}

fn read_table(payload: &[u8]) -> Read<[Place; SECTIONS]> {
    let mut cursor = Cursor::new(payload);
    let table = cursor.take(TABLE)?;
    let mut cursor = Cursor::new(table);
    let magic = cursor.array::<8>()?;
    let crc = Cursor::new(&table[TABLE_CRC..]).u32()?;
    if magic != MAGIC || crc32fast::hash(&table[..TABLE_CRC]) != crc {
        return Err(Malformed { at: 0, what: "the table of sections fails its checksum" });
    }
    let mut places = [Place::default(); SECTIONS];
    for place in &mut places {
        let (offset, length) = (cursor.u64()?, cursor.u64()?);
        let (crc, _) = (cursor.u32()?, cursor.u32()?);
        let inside = offset.checked_add(length).is_some_and(|end| end <= wide(payload.len()));
        let (Ok(offset), Ok(length), true) =
            (usize::try_from(offset), usize::try_from(length), inside)
        else {
            return cursor.fail("a section lies outside its commit");
        };
        *place = Place { offset, length, crc };
    }
    Ok(places)
}

fn read_changes(bytes: &[u8]) -> Read<Decoded> {
    let mut cursor = Cursor::new(bytes);
    let reset = cursor.byte()? & RESET != 0;
    let meta = cursor.map()?.into_iter().collect();
    let dimension = cursor.length()?;
    let mut first = 0_u32;
    let documents = (0..cursor.count()?)
        .map(|_| {
            let entry = read_entry(&mut cursor, first)?;
            first = entry.passages.end;
            Ok(entry)
        })
        .collect::<Read<_>>()?;
    let unbound = (0..cursor.count()?).map(|_| cursor.string()).collect::<Read<_>>()?;
    let bound = (0..cursor.count()?)
        .map(|_| read_binding(&mut cursor).map(Arc::new))
        .collect::<Read<_>>()?;
    Ok(Decoded { reset, meta, dimension, documents, unbound, bound })
}

fn read_entry(cursor: &mut Cursor<'_>, first: u32) -> Read<Entry> {
    let id = DocId(cursor.array()?);
    let record = Place { offset: cursor.length()?, length: cursor.length()?, crc: cursor.u32()? };
    let text = Place { offset: cursor.length()?, length: cursor.length()?, crc: cursor.u32()? };
    let count = cursor.varint_u32()?;
    let terms = cursor.varint()?;
    let Some(end) = first.checked_add(count) else { return cursor.fail("too many passages") };
    Ok(Entry { id, record, text, passages: first..end, terms, info: OnceLock::new() })
}

fn read_binding(cursor: &mut Cursor<'_>) -> Read<Binding> {
    Ok(Binding {
        uri: cursor.string()?,
        document: DocId(cursor.array()?),
        mtime: i64::from_le_bytes(cursor.array()?),
        size: cursor.u64()?,
        metadata: cursor.map()?,
    })
}

fn read_info(bytes: &[u8]) -> Read<DocumentInfo> {
    let mut cursor = Cursor::new(bytes);
    Ok(DocumentInfo {
        sha256: cursor.array()?,
        is_original: cursor.byte()? & IS_ORIGINAL != 0,
        kind: cursor.string()?,
        title: cursor.string()?,
        metadata: cursor.map()?,
    })
}

/// A passage without its document, and whether it has its own clean text.
fn read_details(bytes: &[u8]) -> Read<(Passage, bool)> {
    let mut cursor = Cursor::new(bytes);
    let (start, length) = (cursor.varint()?, cursor.varint()?);
    let Some(end) = start.checked_add(length) else { return cursor.fail("a range overflows") };
    let flags = cursor.byte()?;
    let has_text = flags & HAS_TEXT != 0;
    let text = if has_text { Cow::Borrowed(cursor.str()?) } else { Cow::default() };
    let page = (flags & HAS_PAGE != 0).then(|| cursor.varint_u32()).transpose()?;
    let part = (flags & HAS_PART != 0).then(|| cursor.string()).transpose()?;
    let heading_path = (0..cursor.count()?).map(|_| cursor.string()).collect::<Read<_>>()?;
    let map = (0..cursor.count()?)
        .map(|_| {
            let (clean_start, source_start) = (cursor.varint()?, cursor.varint()?);
            Ok(MapEntry { clean_start, source_start, length: cursor.varint()? })
        })
        .collect::<Read<_>>()?;
    let text = text.into_owned();
    let (document, number) = (DocId([0; 32]), 0);
    let range = start..end;
    let passage = Passage { document, number, range, text, map, heading_path, page, part };
    Ok((passage, has_text))
}
