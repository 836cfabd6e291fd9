//! `/api/v1/snapshots` and `/api/v1/evals`: the states that an index has been in,
//! and what was measured of its answers.

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use plumb_store::Journal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::collection;
use crate::auth::role::{Principal, Role};
use crate::failure::Failure;
use crate::query::{Named, Parameters};
use crate::state::App;

/// Runs of `plumb eval rag`.
const RUNS: &str = "eval-runs.log";
/// What `plumb calibrate` found.
const CALIBRATIONS: &str = "calibrations.log";

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(snapshots, evals, eval))]
pub(super) struct Api;

/// Its routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/snapshots", get(snapshots))
        .route("/api/v1/evals", get(evals))
        .route("/api/v1/evals/{id}", get(eval))
}

/// Which collection.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// May be left out where there is one
    collection: Option<String>,
}

/// A commit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SnapshotEntry {
    id: String,
    /// How many commits it took, from 1.
    sequence: u64,
    documents: u64,
    passages: u64,
    /// Of the index up to and with it.
    bytes: u64,
}

/// Commits, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Snapshots {
    collection: String,
    snapshots: Vec<SnapshotEntry>,
}

/// What was measured, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Evals {
    collection: String,
    /// Runs of `plumb eval rag`, without the single questions.
    #[schema(value_type = Vec<Object>)]
    runs: Vec<Value>,
    /// What `plumb calibrate` found.
    #[schema(value_type = Vec<Object>)]
    calibrations: Vec<Value>,
}

/// List the states that an index has been in
#[utoipa::path(get, path = "/api/v1/snapshots", tag = "collections", params(Of),
    responses((status = 200, body = Snapshots), (status = 404, description = "There is no such collection")))]
pub(super) async fn snapshots(
    State(app): State<Arc<App>>,
    who: Principal,
    Parameters(of): Parameters<Of>,
) -> Result<Json<Snapshots>, Failure> {
    let collection = collection(&app, &who, of.collection.as_deref(), Role::Read)?;
    let list = move || {
        let snapshots = collection.history()?.into_iter().map(|info| SnapshotEntry {
            id: info.id.to_string(),
            sequence: info.sequence,
            documents: info.documents,
            passages: info.passages,
            bytes: info.bytes,
        });
        Ok(Snapshots { collection: collection.name.clone(), snapshots: snapshots.collect() })
    };
    app.workers.run(list).await?.map(Json)
}

/// List what was measured of the answers
#[utoipa::path(get, path = "/api/v1/evals", tag = "collections", params(Of),
    responses((status = 200, body = Evals), (status = 404, description = "There is no such collection")))]
pub(super) async fn evals(
    State(app): State<Arc<App>>,
    who: Principal,
    Parameters(of): Parameters<Of>,
) -> Result<Json<Evals>, Failure> {
    let collection = collection(&app, &who, of.collection.as_deref(), Role::Read)?;
    let read = move || {
        let mut runs = entries(&collection.folder.join(RUNS))?;
        for run in &mut runs {
            shorten(run);
        }
        let calibrations = entries(&collection.folder.join(CALIBRATIONS))?;
        Ok(Evals { collection: collection.name.clone(), runs, calibrations })
    };
    app.workers.run(read).await?.map(Json)
}

/// Read a run or a calibration as it was stored
#[utoipa::path(get, path = "/api/v1/evals/{id}", tag = "collections",
    params(("id" = String, Path, description = "Its id"), Of),
    responses((status = 200, description = "All that is known of it"), (status = 404, description = "There is none")))]
pub(super) async fn eval(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
    Parameters(of): Parameters<Of>,
) -> Result<Json<Value>, Failure> {
    let collection = collection(&app, &who, of.collection.as_deref(), Role::Read)?;
    let read = move || {
        for file in [RUNS, CALIBRATIONS] {
            let all = entries(&collection.folder.join(file))?;
            if let Some(found) = all.into_iter().find(|entry| entry["id"] == id.as_str()) {
                return Ok(Json(found));
            }
        }
        Err(Failure::no_such("run or calibration", &id))
    };
    app.workers.run(read).await?
}

/// The entries of a journal, each with its key as `id`.
fn entries(path: &Path) -> Result<Vec<Value>, Failure> {
    let journal = Journal::open(path)?;
    let mut all = Vec::new();
    for (key, bytes) in journal.iter() {
        // What another version wrote may be of another form.
        let Ok(Value::Object(mut entry)) = serde_json::from_slice(&bytes?) else { continue };
        entry.insert("id".to_owned(), json!(key));
        all.push(Value::Object(entry));
    }
    Ok(all)
}

/// The number of questions in place of what became of each.
fn shorten(run: &mut Value) {
    let Some(fields) = run.as_object_mut() else { return };
    if let Some(Value::Array(each)) = fields.remove("right") {
        let right = each.iter().filter(|right| **right == Value::Bool(true)).count();
        fields.insert("questions".to_owned(), json!(each.len()));
        fields.insert("right".to_owned(), json!(right));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_listed_with_the_number_of_its_questions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RUNS);
        assert!(entries(&path).unwrap().is_empty());
        let mut journal = Journal::open(&path).unwrap();
        journal
            .append("run_1", br#"{"right": [true, false, true], "measures": {"x": 1}}"#)
            .unwrap();
        journal.append("run_2", b"no JSON").unwrap();
        let mut found = entries(&path).unwrap();
        assert_eq!((found.len(), &found[0]["id"]), (1, &json!("run_1")));
        shorten(&mut found[0]);
        assert_eq!((&found[0]["questions"], &found[0]["right"]), (&json!(3), &json!(2)));
        assert_eq!(found[0]["measures"]["x"], 1);
    }
}
