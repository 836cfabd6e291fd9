//! From retrieved passages to sentences with their places in the documents.

use std::ops::Range;

use plumb_retrieve::Hit;
use plumb_store::{MapEntry, Passage, Snapshot};

use crate::answer::{Citation, Label};
use crate::claims::{Quote, Source, readable, sentence_ranges};
use crate::error::Error;
use crate::select::{is_quotable, is_reference_section};

/// Bytes of a line that may be the label of the sentence after it.
const MAX_LABEL: usize = 120;

/// A passage with its document's facts, and the sentences found in it.
pub(crate) struct SourcePassage {
    pub(crate) source: Source,
    passage: Passage,
    /// Ranges in the passage's clean text.
    pub(crate) sentences: Vec<Range<usize>>,
}

impl SourcePassage {
    /// Reads the passage that `hit` found.
    pub(crate) fn read(snapshot: &Snapshot, hit: &Hit) -> Result<Self, Error> {
        let passage = snapshot.passage(hit.passage)?;
        let document = snapshot
            .document(&passage.document)
            .ok_or(Error::MissingDocument { document: passage.document.to_string() })?;
        let info = document.info()?;
        let source = Source {
            uri: hit.uri.clone(),
            title: info.title.clone(),
            sha256: info.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            in_original: info.is_original,
            text: passage.text.clone(),
            heading_path: passage.heading_path.clone(),
            page: passage.page,
            part: passage.part.clone(),
        };
        let sentences = if is_reference_section(&passage.heading_path) {
            Vec::new()
        } else {
            sentence_ranges(&passage.text, &info.kind)
        };
        Ok(Self { source, passage, sentences })
    }

    /// Sentence number `position` as a reader sees it, if it says something.
    pub(crate) fn sentence(&self, position: usize) -> Option<String> {
        let text = self.source.text.get(self.sentences.get(position)?.clone())?;
        is_quotable(text).then(|| readable(text))
    }

    /// What sentence `position` stands under: title, headings, and its label.
    pub(crate) fn context(&self, position: usize) -> String {
        let context = self.source.context();
        match self.label(position) {
            Some(label) => format!("{context} {}", readable(&self.source.text[label])),
            None => context,
        }
    }

    /// The line before sentence `position` if that is a label, such as the term
    /// of a definition or the signature that a reference describes.
    fn label(&self, position: usize) -> Option<Range<usize>> {
        let before = self.sentences.get(position.checked_sub(1)?)?.clone();
        let text = self.source.text.get(before.clone())?;
        (text.len() <= MAX_LABEL && !is_quotable(text)).then_some(before)
    }

    /// Sentence number `position` with the bytes of the document that it is.
    pub(crate) fn quote(&self, snapshot: &Snapshot, position: usize) -> Result<Quote, Error> {
        let clean = self.sentences[position].clone();
        let document = snapshot
            .document(&self.passage.document)
            .ok_or(Error::MissingDocument { document: self.passage.document.to_string() })?
            .text()?;
        let (byte_range, quote) = self.bytes(&document, clean.clone())?;
        let label = self.label(position).map(|clean| {
            let (byte_range, quote) = self.bytes(&document, clean.clone())?;
            Ok::<_, Error>(Label { text: readable(&self.source.text[clean]), byte_range, quote })
        });
        let shown = &self.source.text[clean];
        let text = readable(shown);
        let citation = Citation {
            number: 0,
            uri: self.source.uri.clone(),
            title: self.source.title.clone(),
            sha256: self.source.sha256.clone(),
            byte_range,
            in_original: self.source.in_original,
            quote_text: (*shown != quote).then(|| text.clone()),
            quote,
            score: 0.0,
            heading_path: self.source.heading_path.clone(),
            page: self.source.page,
            part: self.source.part.clone(),
            label: label.transpose()?,
        };
        Ok(Quote { text, context: self.context(position), citation })
    }

    /// Where the `clean` range lies in the text of the document, and what stands
    /// there.
    fn bytes(&self, document: &str, clean: Range<usize>) -> Result<([u64; 2], String), Error> {
        let range = source_range(&self.passage.map, clean);
        let quote = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(range.end).ok())
            .and_then(|(start, end)| document.get(start..end))
            .ok_or_else(|| Error::BadRange {
                uri: self.source.uri.clone(),
                range: range.clone(),
            })?;
        Ok(([range.start, range.end], quote.to_owned()))
    }
}

/// The bytes of the document that the clean range comes from: from the source
/// of its first byte to the source of its last, so markup between is included
/// and markup around is not.
fn source_range(map: &[MapEntry], clean: Range<usize>) -> Range<u64> {
    let (first, last) = (clean.start as u64, clean.end.saturating_sub(1) as u64);
    locate(map, first)..locate(map, last) + 1
}

/// Source offset of clean byte `at`. A byte that markup stands for (a decoded
/// entity, a space between two blocks) belongs to the end of the entry before.
fn locate(map: &[MapEntry], at: u64) -> u64 {
    let next = map.partition_point(|entry| entry.clean_start <= at);
    match next.checked_sub(1).map(|i| map[i]) {
        Some(entry) => entry.source_start + (at - entry.clean_start).min(entry.length),
        None => map.first().map_or(at, |entry| entry.source_start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_across_markup_covers_the_markup_between() {
        // `Drop <b>units</b> now` with the tags taken out.
        let map = [
            MapEntry { clean_start: 0, source_start: 10, length: 5 },
            MapEntry { clean_start: 5, source_start: 18, length: 5 },
            MapEntry { clean_start: 10, source_start: 27, length: 4 },
        ];
        assert_eq!(source_range(&map, 0..14), 10..31);
        assert_eq!(source_range(&map, 5..10), 18..23);
    }
}
