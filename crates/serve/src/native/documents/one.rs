//! One document: its facts, its text, its passages.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::wire::{DocumentInfo, PassageInfo};
use super::{Found, Of, with_document};
use crate::auth::role::Principal;
use crate::failure::Failure;
use crate::query::{Named, Parameters};
use crate::state::App;

/// Bytes of text at most.
const MOST_TEXT: usize = 2_000_000;
/// Passages at most.
const MOST_PASSAGES: usize = 1000;

/// A document with all its addresses.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OneDocument {
    #[serde(flatten)]
    info: DocumentInfo,
    uris: Vec<String>,
}

/// Which stretch of the text.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Stretch {
    /// May be left out where there is one
    collection: Option<String>,
    /// As it was then: the beginning of a snapshot's id
    snapshot: Option<String>,
    /// First byte
    start: Option<usize>,
    /// Bytes at most, up to 2,000,000
    length: Option<usize>,
}

/// Which passages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Slice {
    /// May be left out where there is one
    collection: Option<String>,
    /// As it was then: the beginning of a snapshot's id
    snapshot: Option<String>,
    /// Passages to leave out at the beginning
    offset: Option<usize>,
    /// Passages at most, up to 1000
    limit: Option<usize>,
}

/// A stretch of a document's text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TextOf {
    id: String,
    uri: String,
    title: String,
    /// Whether byte ranges count bytes of the file, and not of a text made of it.
    in_original: bool,
    /// Of the whole text.
    bytes: usize,
    /// Half-open: what `text` is of it, in whole characters.
    byte_range: [usize; 2],
    text: String,
}

/// Passages of a document in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Passages {
    total: usize,
    passages: Vec<PassageInfo>,
}

/// Describe a document
#[utoipa::path(get, path = "/api/v1/documents/{id}", tag = "documents",
    params(("id" = String, Path, description = "Its id, of 64 digits"),
        ("collection" = Option<String>, Query, description = "May be left out where there is one"),
        ("snapshot" = Option<String>, Query, description = "As it was then: the beginning of a snapshot's id")),
    responses((status = 200, body = OneDocument), (status = 404, description = "There is none")))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
    Parameters(of): Parameters<Of>,
) -> Result<Json<OneDocument>, Failure> {
    let describe = |found: &Found<'_>| {
        let mut pages = None;
        for at in found.document.passages() {
            pages = pages.max(found.snapshot.passage(at)?.page);
        }
        let text = found.document.text()?;
        let info = DocumentInfo::new(found.collection, found.bindings[0], &found.document)?;
        Ok(OneDocument {
            info: DocumentInfo { text_bytes: Some(text.len() as u64), pages, ..info },
            uris: found.bindings.iter().map(|binding| binding.uri.clone()).collect(),
        })
    };
    with_document(&app, &who, (of, &id), describe).await.map(Json)
}

/// Read a document's text, or a stretch of it
#[utoipa::path(get, path = "/api/v1/documents/{id}/text", tag = "documents",
    params(("id" = String, Path, description = "Its id, of 64 digits"), Stretch),
    responses((status = 200, body = TextOf), (status = 404, description = "There is none")))]
pub(super) async fn text(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
    Parameters(stretch): Parameters<Stretch>,
) -> Result<Json<TextOf>, Failure> {
    let of = Of { collection: stretch.collection, snapshot: stretch.snapshot };
    let start = stretch.start.unwrap_or(0);
    let length = stretch.length.unwrap_or(MOST_TEXT).min(MOST_TEXT);
    let read = move |found: &Found<'_>| {
        let (info, text) = (found.document.info()?, found.document.text()?);
        let start = text.floor_char_boundary(start.min(text.len()));
        let end = text.ceil_char_boundary(start.saturating_add(length).min(text.len()));
        Ok(TextOf {
            id: found.document.id().to_string(),
            uri: found.bindings[0].uri.clone(),
            title: info.title.clone(),
            in_original: info.is_original,
            bytes: text.len(),
            byte_range: [start, end],
            text: text[start..end].to_owned(),
        })
    };
    with_document(&app, &who, (of, &id), read).await.map(Json)
}

/// List the passages of a document
#[utoipa::path(get, path = "/api/v1/documents/{id}/passages", tag = "documents",
    params(("id" = String, Path, description = "Its id, of 64 digits"), Slice),
    responses((status = 200, body = Passages), (status = 404, description = "There is none")))]
pub(super) async fn passages(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
    Parameters(slice): Parameters<Slice>,
) -> Result<Json<Passages>, Failure> {
    let of = Of { collection: slice.collection, snapshot: slice.snapshot };
    let offset = slice.offset.unwrap_or(0);
    let limit = slice.limit.unwrap_or(200).min(MOST_PASSAGES);
    let read = move |found: &Found<'_>| {
        let mut passages = Vec::new();
        for at in found.document.passages().skip(offset).take(limit) {
            passages.push(found.snapshot.passage(at)?.into());
        }
        Ok(Passages { total: found.document.passages().count(), passages })
    };
    with_document(&app, &who, (of, &id), read).await.map(Json)
}
