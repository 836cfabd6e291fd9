//! Headers that go with every response.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// Nothing is loaded but what the service itself serves; nothing inline runs;
/// no other page may frame it.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
    worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

const ALWAYS: [(&str, &str); 7] = [
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    // What was answered is for who asked. A page's own files may say otherwise.
    ("cache-control", "no-store"),
];

/// Whether the service speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Unencrypted.
    Plain,
    /// TLS.
    Tls,
}

/// The layer that adds the headers which a response does not have yet.
pub async fn layer(State(transport): State<Transport>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    add(response.headers_mut(), transport);
    response
}

fn add(headers: &mut HeaderMap, transport: Transport) {
    for (name, value) in ALWAYS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    // A page of an origin that was allowed must be able to read the response.
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers
            .entry("cross-origin-resource-policy")
            .or_insert(HeaderValue::from_static("same-origin"));
    }
    if transport == Transport::Tls {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(year);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_keeps_its_own_headers_and_gets_the_others() {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static("max-age=60"));
        add(&mut headers, Transport::Plain);
        assert_eq!(headers["cache-control"], "max-age=60");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(!headers.contains_key("strict-transport-security"));
        add(&mut headers, Transport::Tls);
        assert!(headers.contains_key("strict-transport-security"));
    }

    #[test]
    fn nothing_inline_and_nothing_foreign_is_allowed() {
        for word in ["unsafe-inline", "unsafe-eval", "*", "http:", "https:"] {
            assert!(!CONTENT_SECURITY_POLICY.contains(word), "{word}");
        }
    }
}
