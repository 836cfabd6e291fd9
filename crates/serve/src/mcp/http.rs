//! Many clients over the streamable HTTP transport, at one address.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::auth::role::Principal;
use crate::failure::{Failure, Kind};
use crate::mcp::protocol::{REVISIONS, Server};

/// Checks what a client says of itself before its message is looked at.
pub fn check(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(revision) = text("mcp-protocol-version")
        && !REVISIONS.contains(&revision)
    {
        let known = REVISIONS.join(", ");
        let message = format!("the MCP revision `{revision}` is not spoken; known are {known}");
        return Err(Failure::new(Kind::Invalid, message));
    }
    let kind = text("content-type").unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Failure::new(Kind::MediaType, "send the message as application/json"));
    }
    Ok(())
}

/// Answers one message. Blocks as long as the tool takes.
pub fn answer(server: &Server, who: &Principal, body: &Bytes) -> Response {
    match server.answer(who, body) {
        None => StatusCode::ACCEPTED.into_response(),
        Some(answer) => {
            // What cannot be read is told by its status as well.
            let is_refused = answer["id"] == Value::Null && answer.get("error").is_some();
            let status = if is_refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            let json = HeaderValue::from_static("application/json");
            (status, [(header::CONTENT_TYPE, json)], answer.to_string()).into_response()
        }
    }
}
