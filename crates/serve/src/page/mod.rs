//! The web page: its files lie in the program and are served as they are.
//!
//! [`files`](self) are plain ES modules and style sheets under
//! `crates/serve/page`, without a build step; [`assets`] names each of them.
//! The page needs no key, for a key is what is typed into it: all that it shows
//! comes from the API, with the rights of whoever is logged in.

mod assets;

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::auth::headers::CONTENT_SECURITY_POLICY;
use crate::data::hex;
use crate::failure::Failure;
use assets::{ASSETS, Asset};

/// The file that is served at `/`.
const INDEX: &str = "index.html";

/// What the page may do beyond any response of the service: frame a PDF that it
/// has fetched itself. And less: no text becomes markup or script, whatever a
/// script of the page tries.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let more = "frame-src blob:; require-trusted-types-for 'script'; trusted-types 'none'";
    HeaderValue::from_str(&format!("{CONTENT_SECURITY_POLICY}; {more}"))
        .expect("the policy is of visible ASCII")
});

/// The files by name, each with its entity tag.
static FILES: LazyLock<HashMap<&'static str, (&'static Asset, HeaderValue)>> =
    LazyLock::new(|| ASSETS.iter().map(|asset| (asset.name, (asset, tag(asset)))).collect());

/// The page's routes.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(async |headers: HeaderMap| file(INDEX, &headers))).route(
        "/assets/{name}",
        get(async |Path(name): Path<String>, headers: HeaderMap| file(&name, &headers)),
    )
}

/// The hash of a file in the quotes that an entity tag has.
fn tag(asset: &Asset) -> HeaderValue {
    let hash = Sha256::digest(asset.bytes);
    HeaderValue::from_str(&format!("\"{}\"", hex(&hash[..16])))
        .expect("hexadecimal digits fit a header")
}

/// A file, or that the browser's copy is still good.
fn file(name: &str, asked: &HeaderMap) -> Response {
    let Some((asset, tag)) = FILES.get(name) else {
        return Failure::not_found("there is nothing at this address").into_response();
    };
    // Asked for anew each time, so that page and server are of one version.
    let headers = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    if is_known(asked, tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind()))];
    (headers, kind, asset.bytes).into_response()
}

/// Whether the browser has the file already.
fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = asked.get_all(header::IF_NONE_MATCH).into_iter();
    let mut tags = known.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    tags.any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one).as_bytes() == tag.as_bytes()
    })
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    fn asked(if_none_match: &str) -> HeaderMap {
        let value = HeaderValue::from_str(if_none_match).unwrap();
        [(header::IF_NONE_MATCH, value)].into_iter().collect()
    }

    #[tokio::test]
    async fn a_file_is_served_with_its_type_and_the_headers_that_confine_it() {
        for (name, kind) in [
            (INDEX, "text/html; charset=utf-8"),
            ("main.js", "text/javascript; charset=utf-8"),
            ("base.css", "text/css; charset=utf-8"),
            ("plumb.svg", "image/svg+xml"),
        ] {
            let response = file(name, &HeaderMap::new());
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            let headers = response.headers();
            assert_eq!(headers["content-type"], kind);
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["cache-control"], "no-cache");
            let policy = headers["content-security-policy"].to_str().unwrap();
            for rule in [
                "default-src 'none'",
                "script-src 'self';",
                "style-src 'self';",
                "frame-ancestors 'none'",
                "require-trusted-types-for 'script'",
            ] {
                assert!(policy.contains(rule), "{name}: {rule} is not in {policy}");
            }
            assert!(!policy.contains("unsafe"), "{policy}");
            assert!(!to_bytes(response.into_body(), 1 << 20).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_copy_that_is_still_good_is_not_sent_again() {
        let tag = file("main.js", &HeaderMap::new()).headers()["etag"].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let response = file("main.js", &asked(&known));
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()["etag"], tag.as_str());
            assert!(to_bytes(response.into_body(), 1).await.unwrap().is_empty());
        }
        let other = file("base.css", &asked(&tag));
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn what_is_no_file_of_the_page_is_not_found() {
        for name in ["", "nothing.js", "../src/lib.rs", "assets/main.js"] {
            assert_eq!(file(name, &HeaderMap::new()).status(), StatusCode::NOT_FOUND, "{name}");
        }
    }
}
