//! `/api/v1/models`: what is served, what is on this machine, and what can be
//! fetched.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::jobs::JobInfo;
use crate::auth::gate as audit;
use crate::auth::role::{Principal, Role};
use crate::body::Body;
use crate::clock;
use crate::data::{Database, JobState, NewJob, Page};
use crate::failure::{Failure, Kind};
use crate::jobs::{JobInput, PULL};
use crate::observe::resident_bytes;
use crate::shelf::{Shelf, Shelved};
use crate::state::{App, Loaded};

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(list, pull))]
pub(super) struct Api;

/// Its routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/v1/models", get(list)).route("/api/v1/models/pull", post(pull))
}

/// Where a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// It is served.
    Loaded,
    /// Its files are on this machine.
    OnDisk,
    /// It can be fetched.
    Available,
}

/// A model, served or not.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ModelInfo {
    name: String,
    /// `generator`, `embedder` or `reranker`.
    kind: &'static str,
    state: Place,
    loaded: bool,
    /// Whether it is used where nothing else is asked for.
    is_default: bool,
    /// Of its files.
    disk_bytes: Option<u64>,
    /// What loading it added to the memory of the process.
    memory_bytes: Option<u64>,
    /// Hex, of the weights of a served model.
    sha256: Option<String>,
    licence: Option<String>,
    summary: Option<String>,
    can_pull: bool,
}

/// All models.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Models {
    models: Vec<ModelInfo>,
    /// Of the whole process.
    process_memory_bytes: Option<u64>,
}

/// What is to be fetched.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PullRequest {
    /// A name of the list.
    model: String,
}

/// The job that fetches it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pulled {
    job: JobInfo,
}

/// List the models: served, on this machine, and to be had
#[utoipa::path(get, path = "/api/v1/models", tag = "models",
    responses((status = 200, body = Models), (status = 503, description = "Still loading")))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _: Principal,
) -> Result<Json<Models>, Failure> {
    let loaded = app.ready()?;
    let shelf = app.settings.shelf.clone();
    let shelved = app.preparing.run(move || shelved(shelf.as_ref())).await??;
    Ok(Json(Models { models: all(&loaded, shelved), process_memory_bytes: resident_bytes() }))
}

/// Fetch a model
///
/// A job does it. The model is served after a restart with it in the settings.
#[utoipa::path(post, path = "/api/v1/models/pull", tag = "models", request_body = PullRequest,
    responses((status = 202, body = Pulled), (status = 403, description = "Needs the role `admin`"),
        (status = 404, description = "There is no such model"), (status = 409, description = "It is here, or on its way")))]
pub(super) async fn pull(
    State(app): State<Arc<App>>,
    who: Principal,
    Body(PullRequest { model }): Body<PullRequest>,
) -> Result<(StatusCode, Extension<audit::Target>, Json<Pulled>), Failure> {
    who.require(Role::Admin)?;
    let shelf = app.settings.shelf.clone();
    let known = app.preparing.run(move || shelved(shelf.as_ref())).await??;
    let found = known.iter().find(|known| known.name == model && known.can_pull);
    let found =
        found.ok_or_else(|| Failure::not_found(format!("no model `{model}` can be had")))?;
    if found.is_here {
        return Err(Failure::new(Kind::Conflict, format!("`{model}` is on this machine")));
    }
    let input = JobInput::Pull { model: model.clone() };
    let json = serde_json::to_string(&input).map_err(|e| Failure::internal(e.to_string()))?;
    let new = NewJob { owner: who.id, kind: PULL.to_owned(), input: json };
    let queue = move |data: &Database| {
        let open = data.jobs(None, &Page { limit: 1000, after: None })?.into_iter().find(|job| {
            let is_open = matches!(job.state, JobState::Queued | JobState::Running);
            is_open && job.kind == PULL && job.input == new.input
        });
        Ok(match open {
            Some(_) => None,
            None => Some(data.add_job(&new, clock::now())?),
        })
    };
    let job = app.guard.database().call(queue).await?;
    let busy = || Failure::new(Kind::Conflict, format!("`{model}` is on its way"));
    let job = JobInfo::from(job.ok_or_else(busy)?);
    app.jobs.changed();
    Ok((StatusCode::ACCEPTED, Extension(audit::Target(model)), Json(Pulled { job })))
}

fn shelved(shelf: Option<&Shelf>) -> Result<Vec<Shelved>, Failure> {
    let Some(shelf) = shelf else { return Ok(Vec::new()) };
    (shelf.list)().map_err(Failure::internal)
}

/// The served models, and then the others by name.
fn all(loaded: &Loaded, shelved: Vec<Shelved>) -> Vec<ModelInfo> {
    let mut known: BTreeMap<String, Shelved> =
        shelved.into_iter().map(|model| (model.name.clone(), model)).collect();
    let generators = loaded.generators.iter().map(|model| (&model.id, "generator"));
    let embedders = loaded.embedders.iter().map(|model| (&model.id, "embedder"));
    let rerankers = loaded.rerankers.iter().map(|model| (&model.id, "reranker"));
    let mut all: Vec<ModelInfo> = generators
        .chain(embedders)
        .chain(rerankers)
        .map(|(id, kind)| {
            let on_shelf = known.remove(&id.name);
            ModelInfo {
                name: id.name.clone(),
                kind,
                state: Place::Loaded,
                loaded: true,
                memory_bytes: loaded.memory.get(&id.name).copied(),
                sha256: id.sha256.clone(),
                is_default: on_shelf.as_ref().is_some_and(|model| model.is_default),
                disk_bytes: on_shelf.as_ref().map(|model| model.bytes),
                licence: on_shelf.as_ref().and_then(|model| model.licence.clone()),
                summary: on_shelf.and_then(|model| model.summary),
                can_pull: false,
            }
        })
        .collect();
    all.extend(known.into_values().map(|model| ModelInfo {
        name: model.name,
        kind: model.kind,
        state: if model.is_here { Place::OnDisk } else { Place::Available },
        loaded: false,
        is_default: model.is_default,
        disk_bytes: Some(model.bytes),
        memory_bytes: None,
        sha256: None,
        licence: model.licence,
        summary: model.summary,
        can_pull: model.can_pull && !model.is_here,
    }));
    all
}
