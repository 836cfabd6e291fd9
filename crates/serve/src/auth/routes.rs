//! The API for keys, sessions and the audit log.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{OpenApi, ToSchema};

use crate::auth::key::{self, KeyInfo, NewKey};
use crate::auth::origin::check_csrf;
use crate::auth::role::{KeyLimits, Principal, Role, Scope};
use crate::auth::session;
use crate::body::Body;
use crate::data;
use crate::failure::{Failure, Kind};
use crate::state::App;

/// The API's part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(paths(log_in, log_out, who, list, create, revoke, audit))]
pub(crate) struct Api;

/// The API's routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/session", post(log_in).delete(log_out))
        .route("/api/v1/me", get(who))
        .route("/api/v1/keys", get(list).post(create))
        .route("/api/v1/keys/{id}", delete(revoke))
        .route("/api/v1/audit", get(audit))
}

/// A key to log in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogIn {
    key: String,
}

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    /// Who or what it is for.
    name: String,
    /// `read`, `write` or `admin`.
    role: String,
    /// The collections that it may see; none is every one.
    #[serde(default)]
    collections: Vec<String>,
    /// Days until it ends.
    expires_in_days: Option<u32>,
    #[serde(default)]
    #[schema(value_type = Object)]
    limits: KeyLimits,
}

/// A key that was made. The secret is not shown again.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    info: KeyInfo,
    secret: String,
}

/// Where a list of the audit log begins.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Before {
    before: Option<i64>,
    limit: Option<u32>,
}

const MAX_NAME: usize = 200;

/// Exchange a key for a session cookie
#[utoipa::path(post, path = "/api/v1/session", tag = "keys", request_body = LogIn,
    responses((status = 204, description = "The cookie is set"), (status = 401, description = "The key is not good")))]
pub(crate) async fn log_in(
    State(app): State<Arc<App>>,
    Body(body): Body<LogIn>,
) -> Result<Response, Failure> {
    let guard = Arc::clone(&app.guard);
    let work = move || {
        let now = (guard.gate.clock)();
        session::log_in(guard.database(), &body.key, guard.transport(), now)
    };
    let (_, cookie) = blocking(work).await??;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// End the session
#[utoipa::path(delete, path = "/api/v1/session", tag = "keys",
    responses((status = 204, description = "The cookie is cleared"), (status = 403, description = "Not sent by the page itself")))]
pub(crate) async fn log_out(
    State(app): State<Arc<App>>,
    request: axum::extract::Request,
) -> Result<Response, Failure> {
    let headers: HeaderMap = request.headers().clone();
    let origin = app.guard.gate.origins.get().check(request.uri(), &headers)?;
    check_csrf(request.method(), &origin, &headers)?;
    let guard = Arc::clone(&app.guard);
    let work = move || session::log_out(guard.database(), &headers, guard.transport());
    let cookie = blocking(work).await??;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Say who asks
#[utoipa::path(get, path = "/api/v1/me", tag = "keys",
    responses((status = 200, description = "Id, name and role of the key")))]
pub(crate) async fn who(
    State(app): State<Arc<App>>,
    who: Principal,
) -> Result<Json<Value>, Failure> {
    let keys = app.guard.database().call(data::Database::has_keys).await?;
    Ok(Json(json!({
        "id": who.id,
        "name": who.name,
        "role": who.role(),
        "keys_in_use": keys,
    })))
}

/// List the keys
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys",
    responses((status = 200, description = "Every key, without secrets"), (status = 403, description = "Needs the role `admin`")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
) -> Result<Json<Vec<KeyInfo>>, Failure> {
    who.require(Role::Admin)?;
    app.guard.database().call(key::list).await.map(Json).map_err(Failure::from)
}

/// Make a key
///
/// The secret is in the response and is not shown again.
#[utoipa::path(post, path = "/api/v1/keys", tag = "keys", request_body = Create,
    responses((status = 201, description = "The key with its secret"), (status = 400, description = "Cannot be made so"),
        (status = 403, description = "Needs the role `admin`")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Principal,
    Body(body): Body<Create>,
) -> Result<Response, Failure> {
    who.require(Role::Admin)?;
    let role = Role::parse(&body.role).ok_or_else(|| {
        Failure::invalid("role", format!("`{}` is no role: read, write or admin", body.role))
    })?;
    if body.name.trim().is_empty() || body.name.len() > MAX_NAME {
        return Err(Failure::invalid("name", format!("a name has 1 to {MAX_NAME} bytes")));
    }
    if let Some(name) = body.limits.first_zero() {
        return Err(Failure::invalid("limits", format!("`{name}` is 0; it must be at least 1")));
    }
    let now = (app.guard.gate.clock)();
    let new = NewKey {
        name: body.name,
        role,
        scope: Scope::of(&body.collections),
        limits: body.limits,
        expires_at: body.expires_in_days.map(|days| now + i64::from(days) * 86_400_000),
    };
    // Somebody who sees some collections only must not make a key for others.
    if !who.may_grant(&new.scope) {
        return Err(Failure::new(Kind::Forbidden, "a key cannot give what it does not have"));
    }
    let made = app.guard.database().call(move |d| key::create(d, &new, &who.id, now)).await;
    let (info, secret) = made?;
    let created = Created { info, secret: secret.reveal().to_owned() };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// Revoke a key
#[utoipa::path(delete, path = "/api/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "The public part of the key")),
    responses((status = 204, description = "It lets nobody in any more"), (status = 403, description = "Needs the role `admin`"),
        (status = 404, description = "There is none that could be revoked")))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    who.require(Role::Admin)?;
    let (now, named) = ((app.guard.gate.clock)(), id.clone());
    let work = move |d: &data::Database| key::revoke(d, &named, &who.id, now);
    if app.guard.database().call(work).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Failure::not_found(format!("there is no key `{id}` that could be revoked")))
}

/// Read the audit log, newest first
#[utoipa::path(get, path = "/api/v1/audit", tag = "keys",
    params(("before" = Option<i64>, Query, description = "Only entries before this position"),
        ("limit" = Option<u32>, Query, description = "Entries at most")),
    responses((status = 200, description = "Entries, and whether the chain holds"), (status = 403, description = "Needs the role `admin`")))]
pub(crate) async fn audit(
    State(app): State<Arc<App>>,
    who: Principal,
    Query(page): Query<Before>,
) -> Result<Json<Value>, Failure> {
    who.require(Role::Admin)?;
    let work = move |d: &data::Database| {
        Ok((d.audit(page.before, page.limit.unwrap_or(100))?, d.check_audit()?))
    };
    let (entries, chain) = app.guard.database().call(work).await?;
    let fault = chain.as_ref().err().map(ToString::to_string);
    let head = chain.ok().map(|(length, hash)| json!({"length": length, "hash": hash}));
    Ok(Json(json!({"entries": entries, "chain": head, "fault": fault})))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Failure::internal("the work on this request failed"))
}
