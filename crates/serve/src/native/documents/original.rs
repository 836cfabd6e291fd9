//! The file that a document was read from, as it was indexed.
//!
//! Only bytes whose hash the index has are given: whatever lies at the address by
//! now, nothing leaves that was not indexed.

use std::fs;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use plumb_index::address::{file_facts, path_of_url, short_name};
use sha2::{Digest, Sha256};

use super::{Found, Of, with_document};
use crate::auth::role::Principal;
use crate::failure::{Failure, Kind};
use crate::query::{Named, Parameters};
use crate::state::App;

/// Fetch the file of a document
#[utoipa::path(get, path = "/api/v1/documents/{id}/original", tag = "documents",
    params(("id" = String, Path, description = "Its id, of 64 digits"),
        ("collection" = Option<String>, Query, description = "May be left out where there is one"),
        ("snapshot" = Option<String>, Query, description = "As it was then: the beginning of a snapshot's id")),
    responses((status = 200, description = "The bytes of the file"),
        (status = 404, description = "There is no such document, or no file"),
        (status = 409, description = "The file is another since it was indexed")))]
pub(super) async fn original(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
    Parameters(of): Parameters<Of>,
) -> Result<Response, Failure> {
    let (name, kind, bytes) = with_document(&app, &who, (of, &id), file_of).await?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(&name, &kind)));
    if let Ok(value) = HeaderValue::from_str(&disposition(&name)) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// Name, kind and bytes of the first file that is as it was indexed.
fn file_of(found: &Found<'_>) -> Result<(String, String, Vec<u8>), Failure> {
    let info = found.document.info()?;
    let most = plumb_ingest::Limits::default().file_bytes;
    let mut was_there = false;
    for binding in found.bindings.iter().filter(|binding| !binding.uri.contains('#')) {
        let Some(path) = path_of_url(&binding.uri) else { continue };
        if !file_facts(&path).is_ok_and(|(_, size)| size <= most) {
            continue;
        }
        let Ok(bytes) = fs::read(&path) else { continue };
        was_there = true;
        if Sha256::digest(&bytes).as_slice() == info.sha256 {
            return Ok((short_name(&binding.uri), info.kind.clone(), bytes));
        }
    }
    Err(if was_there {
        Failure::new(Kind::Conflict, "the file is another since it was indexed")
    } else {
        Failure::not_found("there is no file of this document on this machine")
    })
}

/// What a browser is told of the bytes. Nothing that it would run: markup is
/// text.
fn content_type(name: &str, kind: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match (kind, &*extension.to_ascii_lowercase()) {
        ("pdf", _) => "application/pdf",
        (_, "png") => "image/png",
        (_, "jpg" | "jpeg") => "image/jpeg",
        (_, "gif") => "image/gif",
        (_, "webp") => "image/webp",
        (_, "docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        (_, "pptx") => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        (_, "xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        (_, "epub") => "application/epub+zip",
        ("docx" | "pptx" | "spreadsheet" | "epub", _) => "application/octet-stream",
        _ => "text/plain; charset=utf-8",
    }
}

/// A download under the file's own name, whatever characters that has.
fn disposition(name: &str) -> String {
    let encoded: String = name
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    format!("attachment; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_the_header() {
        let header = disposition("a\"; filename=x\r\nset-cookie: b\u{e9}.pdf");
        assert!(HeaderValue::from_str(&header).is_ok());
        assert!(!header.contains('"') && !header.contains(' ') || header.matches(' ').count() == 1);
        assert!(header.ends_with("b%C3%A9.pdf"), "{header}");
    }

    #[test]
    fn markup_is_told_to_be_text() {
        for name in ["a.html", "a.svg", "a.xhtml", "a.js", "a"] {
            assert_eq!(content_type(name, "html"), "text/plain; charset=utf-8", "{name}");
        }
        assert_eq!(content_type("report", "pdf"), "application/pdf");
    }
}
