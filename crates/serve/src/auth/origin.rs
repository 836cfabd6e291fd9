//! What a browser may be talked into by a page of another site.
//!
//! Two attacks reach a service on loopback through the browser of its user. A
//! foreign page can send requests to it, which carry the page's `Origin`; such
//! requests are refused unless the origin was allowed. And a foreign name can be
//! made to point at loopback, after which the browser takes the service for that
//! site (DNS rebinding); then `Host` is that name, and only names that the
//! service answers for are taken.

use axum::http::{HeaderMap, HeaderName, Method, Uri, header};

use crate::auth::Denied;

/// Names that mean this machine, as they stand in `Host`.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Who may reach the service through a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Names in `Host`, without a port. Empty answers for any name: right
    /// behind a proxy and where keys are asked for.
    pub hosts: Vec<String>,
    /// Origins of other pages, such as `https://chat.example`.
    pub cors: Vec<String>,
}

impl Origins {
    /// For a service that listens on loopback, with names that were added.
    pub fn loopback(more: &[String], cors: Vec<String>) -> Self {
        let hosts = LOOPBACK.iter().map(|&name| name.to_owned()).chain(more.iter().cloned());
        Self { hosts: hosts.collect(), cors }
    }

    /// Checks a request's `Host` and `Origin`.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Origin, Denied> {
        let host = host(uri, headers);
        if !self.hosts.is_empty() {
            let name = name_of(host.as_deref().unwrap_or(""));
            if !self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) {
                return Err(Denied::Host { host: name.to_owned() });
            }
        }
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(Origin::None) };
        let origin = origin.to_str().unwrap_or("?");
        if self.cors.iter().any(|allowed| allowed == origin) {
            return Ok(Origin::Allowed(origin.to_owned()));
        }
        // `null` is what sandboxed and local pages send: nobody in particular.
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if authority.is_some_and(|own| host.is_some_and(|host| host.eq_ignore_ascii_case(own))) {
            return Ok(Origin::Same);
        }
        Err(Denied::Origin { origin: origin.chars().take(100).collect() })
    }
}

/// Where a request's page came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// No page: a program, or an address that somebody opened.
    None,
    /// The service's own page.
    Same,
    /// A page that was allowed.
    Allowed(String),
}

/// The host with its port, from the address of the request or its header.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let header = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
    uri.authority().map(axum::http::uri::Authority::as_str).or_else(header).map(str::to_owned)
}

/// The name in `name:port`.
fn name_of(host: &str) -> &str {
    let after_address = host.rfind(']').map_or(0, |end| end + 1);
    host[after_address..].find(':').map_or(host, |colon| &host[..after_address + colon])
}

/// What the service's page sends with every change. A foreign page cannot add a
/// header without asking first, and asking is refused.
pub const CSRF_HEADER: &str = "x-plumb-request";

/// Whether a request that is let in by a cookie was sent by the service's own
/// page.
pub fn check_csrf(method: &Method, origin: &Origin, headers: &HeaderMap) -> Result<(), Denied> {
    if method.is_safe() {
        return Ok(());
    }
    let is_marked = headers.contains_key(HeaderName::from_static(CSRF_HEADER));
    let is_foreign = matches!(origin, Origin::Allowed(_));
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    let is_same_site = site.is_none_or(|site| site == "same-origin");
    if is_marked && !is_foreign && is_same_site {
        return Ok(());
    }
    Err(Denied::NoCsrfHeader { header: CSRF_HEADER })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    #[track_caller]
    fn check(host: &str, origin: Option<&str>, want: &Result<Origin, ()>) {
        let origins = Origins::loopback(&["box.lan".into()], vec!["https://chat.example".into()]);
        let mut sent = headers(&[("host", host)]);
        if let Some(origin) = origin {
            sent.insert("origin", origin.parse().unwrap());
        }
        let found = origins.check(&Uri::from_static("/x"), &sent).map_err(|_| ());
        assert_eq!(&found, want, "{host} {origin:?}");
    }

    #[test]
    fn a_rebound_name_is_refused() {
        check("127.0.0.1:8080", None, &Ok(Origin::None));
        check("localhost", None, &Ok(Origin::None));
        check("LOCALHOST:1", None, &Ok(Origin::None));
        check("[::1]:8080", None, &Ok(Origin::None));
        check("box.lan:8080", None, &Ok(Origin::None));
        check("evil.example:8080", Some("http://evil.example:8080"), &Err(()));
        check("127.0.0.1.evil.example", None, &Err(()));
        check("localhost.evil.example:80", None, &Err(()));
        check("", None, &Err(()));
    }

    #[test]
    fn a_foreign_page_is_refused_unless_it_was_allowed() {
        check("localhost:8080", Some("http://localhost:8080"), &Ok(Origin::Same));
        check("localhost:8080", Some("http://localhost:9090"), &Err(()));
        check("localhost:8080", Some("http://evil.example"), &Err(()));
        check("localhost:8080", Some("null"), &Err(()));
        let allowed = "https://chat.example";
        check("localhost:8080", Some(allowed), &Ok(Origin::Allowed(allowed.into())));
        check("localhost:8080", Some("https://chat.example.evil"), &Err(()));
    }

    #[test]
    fn a_change_with_a_cookie_needs_the_mark_of_the_own_page() {
        let marked = headers(&[(CSRF_HEADER, "1")]);
        let bare = headers(&[]);
        let cross = headers(&[(CSRF_HEADER, "1"), ("sec-fetch-site", "cross-site")]);
        let foreign = Origin::Allowed("https://chat.example".into());
        assert!(check_csrf(&Method::GET, &Origin::None, &bare).is_ok());
        assert!(check_csrf(&Method::POST, &Origin::Same, &marked).is_ok());
        assert!(check_csrf(&Method::POST, &Origin::Same, &bare).is_err());
        assert!(check_csrf(&Method::DELETE, &Origin::None, &bare).is_err());
        assert!(check_csrf(&Method::POST, &foreign, &marked).is_err());
        assert!(check_csrf(&Method::POST, &Origin::Same, &cross).is_err());
    }
}
