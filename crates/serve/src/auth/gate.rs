//! The layer that every request goes through before anything else: it checks
//! the host and the origin, finds out who asks, and hands the [`Principal`] on.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::auth::guard::Guard;
use crate::auth::origin::{Origin, Origins, check_csrf};
use crate::auth::role::Principal;
use crate::auth::{Denied, Failed, key, session};
use crate::data::{self, Audit, Database, UnixMillis};
use crate::failure::{Failure, Kind, Shape};
use crate::live::Live;

/// The paths at and below which a key is asked for. The others say nothing
/// about documents: whether the service is up, what its API is, and the page's
/// own files, for the page is what a key is typed into.
const PRIVATE: [&str; 5] = ["/v1", "/v2", "/api", "/mcp", "/metrics"];

/// Where the page logs in, with a key in the body.
const SESSION: &str = "/api/v1/session";

/// What decides who is let in.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Where the keys are.
    pub database: Database,
    /// Which hosts and pages are answered.
    pub origins: Arc<Live<Origins>>,
    /// Let everyone in, as `local`, who sends no key.
    pub allow_open: bool,
    /// The time.
    pub clock: fn() -> UnixMillis,
}

impl Gate {
    /// Who asks. Blocks for a look into the database.
    pub fn principal(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(Principal, Origin), Failed> {
        let origin = self.origins.get().check(uri, headers)?;
        match self.known(method, headers, &origin) {
            // Clients that cannot do without a key send any, and a cookie may be
            // left over from earlier: where no key is asked for, neither is worse
            // than none.
            Err(Failed::Denied(denied)) if denied.is_about_the_key() => {
                if self.allow_open || !self.database.has_keys()? {
                    return Ok((Principal::local(), origin));
                }
                Err(denied.into())
            }
            known => known.map(|principal| (principal, origin)),
        }
    }

    /// Who sends a good key, or the cookie of a session.
    fn known(
        &self,
        method: &Method,
        headers: &HeaderMap,
        origin: &Origin,
    ) -> Result<Principal, Failed> {
        let now = (self.clock)();
        if let Some(key) = sent_key(headers)? {
            return key::verify(&self.database, key, now);
        }
        let principal = session::principal(&self.database, headers, now)?.ok_or(Denied::NoKey)?;
        check_csrf(method, origin, headers)?;
        Ok(principal)
    }
}

/// The key in `Authorization: Bearer KEY` or `x-api-key: KEY`.
fn sent_key(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text = value.to_str().map_err(|_| Denied::BadKey)?;
        let (scheme, key) = text.split_once(' ').ok_or(Denied::BadKey)?;
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        return if is_bearer { Ok(Some(key.trim())) } else { Err(Denied::BadKey) };
    }
    let key = headers.get("x-api-key").map(|value| value.to_str().map_err(|_| Denied::BadKey));
    key.transpose()
}

/// What a change was made to, for the audit log, where the address does not say
/// it: an extension of the response.
#[derive(Clone, Debug, Default)]
pub struct Target(pub String);

/// The layer.
pub async fn layer(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    if request.method() == Method::OPTIONS {
        return preflight(&guard.gate, &request);
    }
    let asked = (request.method().clone(), request.uri().clone(), request.headers().clone());
    let (who, origin) = match check(&guard, asked).await {
        Ok(checked) => checked,
        Err(failed) => return in_shape_of(&path, failed.into()),
    };
    let actor = who.as_ref().map(|who| who.id.clone());
    if let Some(who) = who {
        request.extensions_mut().insert(who);
    }
    // Nothing below has a reason to see a secret, and so none is logged.
    request.headers_mut().remove(header::AUTHORIZATION);
    request.headers_mut().remove("x-api-key");
    let method = request.method().clone();
    let mut response = next.run(request).await;
    allow(response.headers_mut(), &origin);
    if let Some(actor) = actor.filter(|_| is_audited(&method, &path, response.status())) {
        let target = response.extensions().get::<Target>().cloned().unwrap_or_default().0;
        let action = format!("{method} {path}");
        let outcome = response.status().as_u16().to_string();
        if let Err(failure) = note(&guard, (actor, action, target, outcome)).await {
            return in_shape_of(&path, failure);
        }
    }
    response
}

/// Who asks, where a key is asked for, and from which page.
async fn check(
    guard: &Arc<Guard>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Result<(Option<Principal>, Origin), Failed> {
    let path = uri.path();
    let below = |root: &str| {
        path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // A session is what one gets a key's rights by.
    let is_private = PRIVATE.iter().any(|root| below(root)) && path != SESSION;
    if !is_private {
        return Ok((None, guard.gate.origins.get().check(&uri, &headers)?));
    }
    let guard = Arc::clone(guard);
    let asked = tokio::task::spawn_blocking(move || guard.gate.principal(&method, &uri, &headers));
    let joined = asked.await.unwrap_or(Err(Failed::Data(data::Error::Interrupted)));
    joined.map(|(who, origin)| (Some(who), origin))
}

/// Changes are noted, and what was forbidden. Questions are not: they change
/// nothing, and how often one asks is counted elsewhere.
fn is_audited(method: &Method, path: &str, status: StatusCode) -> bool {
    let asks = [
        "/api/v1/ask",
        "/api/v1/search",
        "/api/v1/answers",
        "/api/v1/conversations",
        "/api/v1/feedback",
    ];
    let is_change = !method.is_safe()
        && path.starts_with("/api/")
        && !asks.iter().any(|root| path.starts_with(root));
    is_change || status == StatusCode::FORBIDDEN
}

/// Appends to the audit log, or fails the request: what cannot be noted is not
/// said to be done.
async fn note(
    guard: &Arc<Guard>,
    (actor, action, target, outcome): (String, String, String, String),
) -> Result<(), Failure> {
    let now = (guard.gate.clock)();
    let appended = guard.database().call(move |database| {
        let audit = Audit { actor: &actor, action: &action, target: &target, outcome: &outcome };
        database.append_audit(&audit, now)
    });
    appended.await.map_err(|_| Failure::unavailable("the audit log cannot be written"))
}

/// A failure in the shape that clients of the address expect.
pub(crate) fn in_shape_of(path: &str, failure: Failure) -> Response {
    let shape = match path {
        "/v1/messages" => Shape::Anthropic,
        "/v1/rerank" | "/v2/rerank" => Shape::Cohere,
        _ if path.starts_with("/v1/") => Shape::OpenAi,
        _ => Shape::Native,
    };
    let mut response = failure.response(shape);
    response.extensions_mut().insert(failure);
    response
}

/// The answer to a browser that asks whether a page may send a request.
fn preflight(gate: &Gate, request: &Request) -> Response {
    match gate.origins.get().check(request.uri(), request.headers()) {
        Ok(origin) => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            allow(response.headers_mut(), &origin);
            if matches!(origin, Origin::Allowed(_)) {
                let pairs = [
                    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
                    (
                        header::ACCESS_CONTROL_ALLOW_HEADERS,
                        "authorization, content-type, x-api-key, last-event-id, anthropic-version",
                    ),
                    (header::ACCESS_CONTROL_MAX_AGE, "600"),
                ];
                for (name, value) in pairs {
                    response.headers_mut().insert(name, HeaderValue::from_static(value));
                }
            }
            response
        }
        Err(denied) => in_shape_of(request.uri().path(), denied.into()),
    }
}

/// Lets an allowed page read the response. Cookies are never allowed along.
fn allow(headers: &mut HeaderMap, origin: &Origin) {
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let Origin::Allowed(origin) = origin else { return };
    if let Ok(value) = HeaderValue::from_str(origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
    }
}

/// A handler that takes a [`Principal`] cannot run without one.
impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Failure::from(Denied::NoKey))
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        let kind = match denied {
            _ if denied.is_about_the_key() => Kind::Unauthorized,
            Denied::NoCollection { .. } => Kind::NotFound,
            _ => Kind::Forbidden,
        };
        Self::new(kind, denied.to_string())
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Denied(denied) => denied.into(),
            // What the database says is for the log of the service.
            Failed::Data(_) => Self::new(Kind::Unavailable, "keys cannot be checked now"),
        }
    }
}
