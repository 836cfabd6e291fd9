//! One file to documents: finds the format, reads it, and says what was left
//! out.

use sha2::{Digest, Sha256};

use crate::archive::joined;
use crate::document::{BlockKind, Document, Draft, Kind, Outline};
use crate::encoding::{self, Decoded};
use crate::error::Error;
use crate::guard::guarded;
use crate::kind::{Format, file_name, format_of};
use crate::{
    Limits, dates, docx, epub, html, json, mail, markdown, pdf, plain, pptx, sheet, table,
};

/// What [`load`] read and what it left out.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    pub documents: Vec<Document>,
    pub skipped: Vec<Skipped>,
}

/// A file, or a member of an archive, that gave no document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The path inside the archive; empty for the file itself.
    pub name: String,
    /// A fragment of a sentence, for people.
    pub reason: String,
}

/// Reads one file. `name` is its file name, path or URL: it gives the
/// extension, and the title of a document that has none.
///
/// Never fails and never panics: what cannot be read is in
/// [`Loaded::skipped`].
pub fn load(name: &str, bytes: &[u8], limits: &Limits) -> Loaded {
    let mut loader = Loader {
        limits,
        loaded: Loaded::default(),
        bytes_left: limits.archive_bytes,
        // One more, for the member that is named as the first too many.
        members_left: limits.archive_members.saturating_add(1),
        depth: 0,
    };
    loader.file(name, "", bytes);
    loader.loaded
}

/// What has been read of one file so far.
pub(crate) struct Loader<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) loaded: Loaded,
    /// What members of archives may still unpack to.
    pub(crate) bytes_left: u64,
    pub(crate) members_left: usize,
    /// How many archives are open.
    pub(crate) depth: u32,
}

impl Loader<'_> {
    /// Reads one file, or one member of an archive under its path `member`.
    pub(crate) fn file(&mut self, name: &str, member: &str, bytes: &[u8]) {
        let size = bytes.len() as u64;
        if size > self.limits.file_bytes {
            let limit = self.limits.file_bytes;
            self.skip(member, &Error::TooLarge { what: "a file", bytes: size, limit });
            return;
        }
        if bytes.is_empty() {
            self.skip(member, &Error::Empty);
            return;
        }
        match format_of(name, bytes) {
            Format::Document(Kind::Mail) => self.mail(name, member, bytes),
            Format::Document(kind) => self.document(kind, name, member, bytes),
            Format::Zip | Format::Tar | Format::Gzip if self.depth >= self.limits.nesting => {
                self.skip(member, &Error::TooDeep { limit: self.limits.nesting });
            }
            Format::Zip => self.zip(member, bytes),
            Format::Tar => self.tar(member, bytes),
            Format::Gzip => self.gzip(name, member, bytes),
            Format::Skip(reason) => self.skip(member, &Error::Binary(reason)),
        }
    }

    fn document(&mut self, kind: Kind, name: &str, member: &str, bytes: &[u8]) {
        match document(kind, name, bytes, self.limits) {
            Ok(mut document) => {
                member.clone_into(&mut document.name);
                self.loaded.documents.push(document);
            }
            Err(error) => self.skip(member, &error),
        }
    }

    /// Reads a message, and then its attachments like members of an archive.
    fn mail(&mut self, name: &str, member: &str, bytes: &[u8]) {
        self.document(Kind::Mail, name, member, bytes);
        let attachments = guarded(|| mail::attachments(bytes)).unwrap_or_default();
        for (attachment, bytes) in attachments {
            let path = joined(member, &attachment);
            if self.depth >= self.limits.nesting {
                self.skip(&path, &Error::TooDeep { limit: self.limits.nesting });
            } else if self.may_read(&path, "") {
                self.read_member(&path, Ok(bytes));
            } else if self.members_left == 0 {
                return;
            }
        }
    }

    pub(crate) fn skip(&mut self, member: &str, error: &Error) {
        self.loaded.skipped.push(Skipped { name: member.to_owned(), reason: error.to_string() });
    }
}

fn document(kind: Kind, name: &str, bytes: &[u8], limits: &Limits) -> Result<Document, Error> {
    // Readers of other people's formats are other people's code: a panic in
    // one of them must not end the reading of a folder.
    let read = guarded(|| read(kind, name, bytes, limits));
    let (text, outline, is_original) = read.unwrap_or(Err(Error::Damaged { kind: kind.name() }))?;
    let size = text.len() as u64;
    if size > limits.text_bytes {
        return Err(Error::TooLarge { what: "a text", bytes: size, limit: limits.text_bytes });
    }
    if outline.blocks.is_empty() {
        return Err(if text.trim().is_empty() { Error::Empty } else { Error::NoText });
    }
    Ok(finish(kind, name, bytes, (text, outline, is_original)))
}

fn read(
    kind: Kind,
    name: &str,
    bytes: &[u8],
    limits: &Limits,
) -> Result<(String, Outline, bool), Error> {
    if let Some(draft) = extract(kind, bytes, limits) {
        let draft = draft?;
        return Ok((draft.text, draft.outline, false));
    }
    let size = bytes.len() as u64;
    if size > limits.text_bytes {
        return Err(Error::TooLarge { what: "a text", bytes: size, limit: limits.text_bytes });
    }
    let Decoded { text, is_original, warning } =
        encoding::decode(bytes).ok_or(Error::Binary("not text"))?;
    let mut outline = outline(kind, name, &text);
    outline.warnings.extend(warning);
    Ok((text, outline, is_original))
}

/// The outline of a format that is text itself.
fn outline(kind: Kind, name: &str, text: &str) -> Outline {
    match kind {
        Kind::Markdown => markdown::parse(text),
        Kind::ReStructuredText => plain::rst(text),
        Kind::Html => html::parse(text),
        Kind::Csv => table::parse(text),
        Kind::Json => json::parse(text),
        Kind::JsonLines => json::parse_lines(text),
        Kind::Code => plain::code(name, text),
        _ => plain::text(text),
    }
}

/// The text of a format that is not text itself; `None` if it is.
fn extract(kind: Kind, bytes: &[u8], limits: &Limits) -> Option<Result<Draft, Error>> {
    Some(match kind {
        Kind::Pdf => pdf::parse(bytes),
        Kind::Docx => docx::parse(bytes, limits),
        Kind::Pptx => pptx::parse(bytes, limits),
        Kind::Spreadsheet => sheet::parse(bytes, limits),
        Kind::Epub => epub::parse(bytes, limits),
        Kind::Mail => mail::parse(bytes),
        _ => return None,
    })
}

fn finish(kind: Kind, name: &str, bytes: &[u8], read: (String, Outline, bool)) -> Document {
    let (text, mut outline, is_original) = read;
    match outline.metadata.get("date").map(|date| dates::iso(date)) {
        Some(Some(date)) => {
            outline.metadata.insert("date".to_owned(), date);
        }
        Some(None) => {
            outline.metadata.remove("date");
        }
        None => {}
    }
    let title = title(name, &outline);
    Document {
        name: String::new(),
        kind,
        sha256: Sha256::digest(bytes).into(),
        text,
        is_original,
        title,
        blocks: outline.blocks,
        metadata: outline.metadata,
        warnings: outline.warnings,
    }
}

fn title(name: &str, outline: &Outline) -> String {
    let headings = outline.blocks.iter().filter_map(|block| match &block.kind {
        BlockKind::Heading { title, .. } => Some(title.as_str()),
        _ => None,
    });
    let stated = outline.metadata.get("title").map(String::as_str);
    let mut candidates = stated.into_iter().chain(outline.title.as_deref()).chain(headings);
    let found = candidates.find(|title| !title.trim().is_empty());
    let found = found.unwrap_or_else(|| file_stem(name));
    found.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn file_stem(name: &str) -> &str {
    let file = file_name(name);
    match file.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file,
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod archive_tests;

#[cfg(test)]
mod office_tests;
