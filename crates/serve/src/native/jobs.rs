//! `/api/v1/jobs`: how far the work in the background is.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

use super::Paging;
use crate::auth::role::{Principal, Role};
use crate::clock;
use crate::data::{Job, JobState, Page};
use crate::failure::{Failure, Kind};
use crate::jobs::{IndexInput, JobInput};
use crate::query::{Named, Parameters};
use crate::sse;
use crate::state::App;

/// A listener looks so often at a job that nobody says anything of: another
/// server may do it.
const LOOK: Duration = Duration::from_secs(2);

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(list, one, cancel, events))]
pub(super) struct Api;

/// Its routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/jobs", get(list))
        .route("/api/v1/jobs/{id}", get(one).delete(cancel))
        .route("/api/v1/jobs/{id}/events", get(events))
}

/// Some work, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct JobInfo {
    id: String,
    /// `index` or `pull`.
    kind: String,
    collection: Option<String>,
    /// What it is about, for people.
    subject: String,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    state: &'static str,
    /// Bytes that are done.
    done: i64,
    /// Bytes in all, once that is known.
    total: Option<i64>,
    /// Why it failed.
    error: Option<String>,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    /// Id of the key that asked for it.
    owner: String,
    attempts: i64,
    /// Milliseconds since 1970.
    created_at: i64,
    /// Milliseconds since 1970.
    updated_at: i64,
}

/// Jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobList {
    jobs: Vec<JobInfo>,
}

impl From<Job> for JobInfo {
    fn from(job: Job) -> Self {
        let (collection, subject) = match serde_json::from_str(&job.input) {
            Ok(JobInput::Index(input)) => (Some(input.collection.clone()), subject(&input)),
            Ok(JobInput::Pull { model }) => (None, model),
            Err(_) => (None, String::new()),
        };
        let kind = job.kind.split('@').next().unwrap_or_default().to_owned();
        Self {
            id: job.id,
            kind,
            collection,
            subject,
            state: job.state.name(),
            done: job.done,
            total: job.total,
            error: job.error,
            result: job.result.and_then(|json| serde_json::from_str(&json).ok()),
            owner: job.owner,
            attempts: job.attempts,
            created_at: job.created_at,
            updated_at: job.updated_at,
        }
    }
}

/// The names of a few files, and how many there are.
fn subject(input: &IndexInput) -> String {
    let few: Vec<&str> = input.files.iter().take(3).map(|file| file.name.as_str()).collect();
    match input.files.len() {
        0..=3 => few.join(", "),
        all => format!("{} and {} more", few.join(", "), all - few.len()),
    }
}

/// List jobs: those of the key, or everybody's for an admin
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(Paging),
    responses((status = 200, body = JobList)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
    Parameters(paging): Parameters<Paging>,
) -> Result<Json<JobList>, Failure> {
    let page = Page::from(paging);
    let owner = (who.role() < Role::Admin).then(|| who.id.clone());
    let read = app.guard.database().call(move |data| data.jobs(owner.as_deref(), &page)).await;
    let jobs = read?.into_iter().map(JobInfo::from);
    Ok(Json(JobList { jobs: jobs.filter(|job| is_for(&who, job)).collect() }))
}

/// Say how far a job is
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = JobInfo), (status = 404, description = "There is none")))]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
) -> Result<Json<JobInfo>, Failure> {
    find(&app, &who, &id).await.map(Json)
}

/// Call a job off
///
/// What was committed by then stays.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = JobInfo), (status = 404, description = "There is none"),
        (status = 409, description = "It has ended")))]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
) -> Result<Json<JobInfo>, Failure> {
    find(&app, &who, &id).await?;
    let called_off = id.clone();
    let cancel = app.guard.database().call(move |data| data.cancel_job(&called_off, clock::now()));
    let was_open = cancel.await?;
    app.jobs.changed();
    if !was_open {
        return Err(Failure::new(Kind::Conflict, format!("the job `{id}` has ended")));
    }
    find(&app, &who, &id).await.map(Json)
}

/// Follow a job
///
/// Server-sent events: `progress` whenever it changed, and `done` at its end,
/// each with the job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/events", tag = "jobs",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "A stream of events", content_type = "text/event-stream"),
        (status = 404, description = "There is none")))]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
) -> Result<Response, Failure> {
    let mut changes = app.jobs.listen();
    let mut job = find(&app, &who, &id).await?;
    Ok(sse::response(move |sender| async move {
        loop {
            if job.has_ended() {
                return sender.named("done", &job).await;
            }
            sender.named("progress", &job).await?;
            let mut now = job.clone();
            while now == job {
                tokio::select! {
                    _ = tokio::time::timeout(LOOK, changes.changed()) => {}
                    () = app.drain.over() => return Ok(()),
                }
                // A database that cannot be read now may be readable soon.
                if let Ok(found) = find(&app, &who, &id).await {
                    now = found;
                }
            }
            job = now;
        }
    }))
}

impl JobInfo {
    fn has_ended(&self) -> bool {
        let open = [JobState::Queued, JobState::Running];
        !open.iter().any(|state| state.name() == self.state)
    }
}

/// A job that `who` may know of: an own one, or any for an admin, in a
/// collection that the key sees.
async fn find(app: &App, who: &Principal, id: &str) -> Result<JobInfo, Failure> {
    let none = || Failure::not_found(format!("there is no job `{id}`"));
    let wanted = id.to_owned();
    let read = app.guard.database().call(move |data| data.job(&wanted)).await;
    let job = read?.map(JobInfo::from).ok_or_else(none)?;
    if is_for(who, &job) { Ok(job) } else { Err(none()) }
}

fn is_for(who: &Principal, job: &JobInfo) -> bool {
    let is_seen = job.collection.as_ref().is_none_or(|name| who.sees(name));
    is_seen && (job.owner == who.id || Role::Admin <= who.role())
}
