//! Sessions of the web page: a key is exchanged for a cookie that scripts
//! cannot read and other sites cannot send.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::auth::headers::Transport;
use crate::auth::key::{self, sha256};
use crate::auth::role::Principal;
use crate::auth::{Denied, Failed};
use crate::data::{Audit, Database, SessionRow, UnixMillis, random_hex};

/// Name of the cookie.
const COOKIE: &str = "plumb_session";

/// How long a session lasts.
const SECONDS: i64 = 12 * 60 * 60;

/// Exchanges a key for the value of a `Set-Cookie` header.
pub fn log_in(
    database: &Database,
    key: &str,
    transport: Transport,
    now: UnixMillis,
) -> Result<(Principal, HeaderValue), Failed> {
    let principal = key::verify(database, key, now)?;
    let secret = random_hex::<32>()?;
    database.append_audit(
        &Audit { actor: &principal.id, action: "session.begin", target: "", outcome: "ok" },
        now,
    )?;
    database.add_session(&SessionRow {
        secret_sha256: sha256(&secret),
        key: principal.id.clone(),
        created_at: now,
        expires_at: now.saturating_add(SECONDS * 1000),
    })?;
    Ok((principal, cookie(&secret, SECONDS, transport)))
}

/// Ends the session of a request and returns a header that clears its cookie.
pub fn log_out(
    database: &Database,
    headers: &HeaderMap,
    transport: Transport,
) -> Result<HeaderValue, Failed> {
    if let Some(secret) = secret(headers) {
        database.end_session(&sha256(secret))?;
    }
    Ok(cookie("", 0, transport))
}

/// Who the session of a request belongs to; `None` if it sends no cookie.
pub(super) fn principal(
    database: &Database,
    headers: &HeaderMap,
    now: UnixMillis,
) -> Result<Option<Principal>, Failed> {
    let Some(secret) = secret(headers) else { return Ok(None) };
    let session = database.session(&sha256(secret), now)?.ok_or(Denied::NoKey)?;
    let row = database.key(&session.key)?.ok_or(Denied::NoKey)?;
    key::principal(&row, now).map(Some)
}

fn cookie(secret: &str, seconds: i64, transport: Transport) -> HeaderValue {
    let secure = if transport == Transport::Tls { "; Secure" } else { "" };
    let text =
        format!("{COOKIE}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut value = HeaderValue::from_str(&text).expect("hexadecimal digits fit a header");
    value.set_sensitive(true);
    value
}

/// The session's secret among the cookies of a request.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter();
    let pairs = all.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let mut named = pairs.filter_map(|pair| pair.trim().split_once('='));
    named.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}
