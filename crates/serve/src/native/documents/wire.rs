//! A document as clients see it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use plumb_index::UnreadFile;
use plumb_index::address::{file_facts, path_of_url, short_name};
use plumb_store::{Binding, Document, Passage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::collection::Collection;
use crate::data::hex;
use crate::failure::Failure;
use crate::jobs::UPLOADS;

/// What became of the file that a document was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum FileState {
    /// It is as it was indexed.
    Indexed,
    /// It is another since.
    Changed,
    /// It is gone.
    Missing,
    /// It is no file of this machine.
    Remote,
}

/// A document at one of its addresses.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DocumentInfo {
    /// By content.
    pub(super) id: String,
    pub(super) uri: String,
    /// The last part of the address.
    pub(super) name: String,
    pub(super) title: String,
    pub(super) kind: String,
    /// Of the file.
    pub(super) bytes: u64,
    /// Of the text that byte ranges count in, where one document is asked for.
    pub(super) text_bytes: Option<u64>,
    pub(super) passages: usize,
    /// The last page that a passage is on, where one document is asked for.
    pub(super) pages: Option<u32>,
    /// Milliseconds since 1970.
    pub(super) modified_at: Option<i64>,
    pub(super) state: FileState,
    /// Hex, of the file's bytes.
    pub(super) sha256: String,
    /// Whether byte ranges count bytes of the file, and not of a text made of it.
    pub(super) in_original: bool,
    /// Whether the file can be had.
    pub(super) has_original: bool,
    /// Whether it came by upload.
    pub(super) uploaded: bool,
    pub(super) metadata: BTreeMap<String, String>,
}

/// A file that could not be read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UnreadInfo {
    uri: String,
    name: String,
    reason: String,
    /// Whether some of it was read all the same.
    partial: bool,
    /// When it was tried, in milliseconds since 1970.
    at: i64,
}

/// A stretch of a document that searches find.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PassageInfo {
    /// From 0.
    number: u32,
    /// Half-open.
    byte_range: [u64; 2],
    heading_path: Vec<String>,
    page: Option<u32>,
    part: Option<String>,
    text: String,
}

impl DocumentInfo {
    /// The document behind `binding`.
    pub(super) fn new(
        collection: &Collection,
        binding: &Binding,
        document: &Document<'_>,
    ) -> Result<Self, Failure> {
        let info = document.info()?;
        let state = file_state(binding);
        let is_member = binding.uri.contains('#');
        Ok(Self {
            id: binding.document.to_string(),
            uri: binding.uri.clone(),
            name: short_name(&binding.uri),
            title: info.title.clone(),
            kind: info.kind.clone(),
            bytes: binding.size,
            text_bytes: None,
            passages: document.passages().count(),
            pages: None,
            modified_at: (binding.mtime != 0).then_some(binding.mtime / 1_000_000),
            state,
            sha256: hex(&info.sha256),
            in_original: info.is_original,
            has_original: state == FileState::Indexed && !is_member,
            uploaded: uploaded_file(collection, &binding.uri).is_some(),
            metadata: info.metadata.clone(),
        })
    }
}

impl From<UnreadFile> for UnreadInfo {
    fn from(file: UnreadFile) -> Self {
        let UnreadFile { uri, reason, is_partial, at } = file;
        Self { name: short_name(&uri), uri, reason, partial: is_partial, at }
    }
}

impl From<Passage> for PassageInfo {
    fn from(passage: Passage) -> Self {
        Self {
            number: passage.number,
            byte_range: [passage.range.start, passage.range.end],
            heading_path: passage.heading_path,
            page: passage.page,
            part: passage.part,
            text: passage.text,
        }
    }
}

fn file_state(binding: &Binding) -> FileState {
    let Some(path) = path_of_url(&binding.uri) else { return FileState::Remote };
    match file_facts(&path) {
        Err(_) => FileState::Missing,
        Ok((mtime, size)) if mtime == binding.mtime && size == binding.size => FileState::Indexed,
        Ok(_) => FileState::Changed,
    }
}

/// The file behind an address, if it was sent to this collection.
pub(super) fn uploaded_file(collection: &Collection, uri: &str) -> Option<PathBuf> {
    let path = path_of_url(uri)?;
    (path.parent()? == collection.folder.join(UPLOADS)).then_some(path)
}
