//! What a request says of caches, and how a reply says that it comes from one.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use plumb_answer::{Answer, Cached};
use plumb_infer::Sampling;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The header of a reply that was kept; its value is the layer.
const HEADER: &str = "x-plumb-cache";

/// The layer of replies to exact requests.
const EXACT: &str = "exact";

/// Whether a request takes what is kept, and what it gives may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub takes: bool,
    pub keeps: bool,
}

/// What a request says under `plumb`, the key of this server.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Whether the reply may be one that was kept; yes without it.
    #[serde(default)]
    cache: Option<bool>,
}

impl Policy {
    /// As requests that say nothing.
    pub(crate) const ALLOWED: Self = Self { takes: true, keeps: true };
    /// Nothing is taken, and nothing kept.
    pub(crate) const NEVER: Self = Self { takes: false, keeps: false };

    /// What the body says as well.
    pub(crate) fn and(self, options: Option<Options>) -> Self {
        self.if_allowed(options.and_then(|options| options.cache))
    }

    /// The same, if a second run would give the same: the likeliest tokens are taken,
    /// or those that a seed which the request names draws.
    pub(crate) fn if_decided(self, sampling: &Sampling, is_seeded: bool) -> Self {
        if sampling.temperature == 0.0 || is_seeded { self } else { Self::NEVER }
    }

    /// The same, unless `allowed` is false.
    pub(crate) fn if_allowed(self, allowed: Option<bool>) -> Self {
        if allowed.unwrap_or(true) { self } else { Self::NEVER }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Policy {
    type Rejection = Infallible;

    /// Reads `Cache-Control`: with `no-cache` nothing is taken, with `no-store`
    /// nothing is kept either.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let all = parts.headers.get_all(header::CACHE_CONTROL);
        let said: String = all
            .iter()
            .filter_map(|value| value.to_str().ok())
            .fold(String::new(), |said, value| said + "," + value);
        let has = |wanted: &str| said.split(',').any(|d| d.trim().eq_ignore_ascii_case(wanted));
        let keeps = !has("no-store");
        Ok(Self { takes: keeps && !has("no-cache"), keeps })
    }
}

/// What a reply carries under `plumb`.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Beside {
    /// The whole answer from documents.
    Answer(Box<Answer>),
    /// That the reply was kept.
    Cache { cache: Cached },
}

impl Beside {
    /// That of a reply to an exact request.
    pub(crate) fn exact() -> Self {
        Self::Cache { cache: Cached { layer: EXACT.to_owned(), similarity: 1.0 } }
    }

    /// As JSON. Through its text: as a value a number would get digits that an
    /// answer's digest does not know.
    pub(crate) fn value(&self) -> Value {
        let text = serde_json::to_string(self).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The layer that it comes from, if any.
    pub(crate) fn layer(&self) -> Option<&str> {
        match self {
            Self::Answer(answer) => answer.cache.as_ref().map(|cached| cached.layer.as_str()),
            Self::Cache { cache } => Some(&cache.layer),
        }
    }
}

/// `response` with the header that says which layer it comes from, if any.
pub(crate) fn marked(mut response: Response, layer: Option<&str>) -> Response {
    if let Some(layer) = layer
        && let Ok(value) = HeaderValue::from_str(layer)
    {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// The same for a reply that is known to be kept before it is sent, if it is.
pub(crate) fn marked_exact(response: Response, is_kept: bool) -> Response {
    marked(response, is_kept.then_some(EXACT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(headers: &[&str]) -> Policy {
        let mut request = axum::http::Request::new(());
        for value in headers {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(header::CACHE_CONTROL, value);
        }
        let (mut parts, ()) = request.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let Ok(policy) = runtime.block_on(Policy::from_request_parts(&mut parts, &()));
        policy
    }

    #[test]
    fn a_request_declines_by_its_header_or_its_body() {
        assert_eq!(policy(&[]), Policy::ALLOWED);
        assert_eq!(policy(&["max-age=0, No-Cache"]), Policy { takes: false, keeps: true });
        assert_eq!(policy(&["max-age=0", "no-store"]), Policy::NEVER);
        let options: Options = serde_json::from_str("{\"cache\": false}").unwrap();
        assert_eq!(Policy::ALLOWED.and(Some(options)), Policy::NEVER);
        assert_eq!(Policy::ALLOWED.and(None), Policy::ALLOWED);
        assert!(serde_json::from_str::<Options>("{\"cash\": false}").is_err());
    }
}
