//! `/api/v1/collections`: what there is to search and ask.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use plumb_store::Snapshot;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::auth::role::{Principal, Role};
use crate::collection::Collection;
use crate::failure::Failure;
use crate::state::{App, COLLECTION_PREFIX};

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(list, limits))]
pub(super) struct Api;

/// Its routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/v1/collections", get(list)).route("/api/v1/limits", get(limits))
}

/// The documents of a project.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CollectionInfo {
    name: String,
    /// As clients of OpenAI's API ask for it.
    model: String,
    documents: u64,
    passages: u64,
    /// Of the index, earlier snapshots included.
    bytes: u64,
    /// Hex id of the last commit; all zeros before the first.
    snapshot: String,
    commits: u64,
    embedder: String,
    /// What words answers; none where they are quotes.
    generator: Option<String>,
    /// What searches are reranked with.
    reranker: Option<String>,
    /// Documents of each kind.
    kinds: BTreeMap<String, usize>,
    /// Files that could not be read, or only in part.
    unread: usize,
    /// Whether this key may add and remove documents.
    can_write: bool,
}

/// All that the key may see.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Collections {
    collections: Vec<CollectionInfo>,
}

/// What a request may hold at most.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LimitsInfo {
    /// Of one file.
    file_bytes: u64,
    /// Of all files of an upload together.
    upload_bytes: usize,
    /// Of an upload.
    files: usize,
    /// Of a question, or of what is searched for.
    question_bytes: usize,
}

/// List the collections
#[utoipa::path(get, path = "/api/v1/collections", tag = "collections",
    responses((status = 200, body = Collections), (status = 503, description = "Still loading")))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
) -> Result<Json<Collections>, Failure> {
    let loaded = app.ready()?;
    let reranker = loaded.rerankers.first().map(|reranker| reranker.id.name.clone());
    let can_write = Role::Write <= who.role();
    let seen: Vec<Arc<Collection>> =
        loaded.collections.iter().filter(|known| who.sees(&known.name)).cloned().collect();
    let describe = move || {
        let described = seen.iter().map(|collection| {
            Ok(CollectionInfo { reranker: reranker.clone(), can_write, ..described(collection)? })
        });
        described.collect::<Result<Vec<_>, Failure>>()
    };
    let collections = app.workers.run(describe).await??;
    Ok(Json(Collections { collections }))
}

/// What an upload and a question may hold
#[utoipa::path(get, path = "/api/v1/limits", tag = "collections",
    responses((status = 200, body = LimitsInfo)))]
pub(super) async fn limits(State(app): State<Arc<App>>, _: Principal) -> Json<LimitsInfo> {
    let limits = app.limits();
    Json(LimitsInfo {
        file_bytes: plumb_ingest::Limits::default().file_bytes,
        upload_bytes: limits.upload_bytes,
        files: limits.upload_files,
        question_bytes: limits.question_bytes,
    })
}

fn described(collection: &Collection) -> Result<CollectionInfo, Failure> {
    let snapshot = collection.snapshot()?;
    let info = snapshot.info();
    Ok(CollectionInfo {
        name: collection.name.clone(),
        model: format!("{COLLECTION_PREFIX}{}", collection.name),
        documents: info.documents,
        passages: info.passages,
        bytes: info.bytes,
        snapshot: info.id.to_string(),
        commits: info.sequence,
        embedder: collection.embedder_id.name.clone(),
        generator: collection.generator_name(&collection.settings()),
        reranker: None,
        kinds: kinds(&snapshot)?,
        unread: collection.unread()?.len(),
        can_write: false,
    })
}

fn kinds(snapshot: &Snapshot) -> Result<BTreeMap<String, usize>, Failure> {
    let mut kinds = BTreeMap::new();
    let ids: HashSet<_> = snapshot.bindings().map(|binding| binding.document).collect();
    for document in ids.iter().filter_map(|id| snapshot.document(id)) {
        *kinds.entry(document.info()?.kind.clone()).or_default() += 1;
    }
    Ok(kinds)
}
