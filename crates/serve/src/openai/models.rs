//! `/v1/models`: generators, and collections as models that answer from
//! documents.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use plumb_answer::ModelId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::role::Principal;
use crate::failure::Failure;
use crate::state::{App, COLLECTION_PREFIX, Loaded};

/// A model, or a collection as one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Model {
    id: String,
    object: &'static str,
    /// Seconds since 1970.
    created: u64,
    owned_by: &'static str,
    /// `generator`, `embedder`, `reranker`, `collection`, or `pool` for a generator on other
    /// machines.
    kind: &'static str,
    /// Tokens of prompt and completion together, or of a text to encode.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<usize>,
    /// Hex SHA-256 of the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List {
    object: &'static str,
    data: Vec<Model>,
}

/// List the models
#[utoipa::path(get, path = "/v1/models", tag = "openai",
    responses((status = 200, body = List), (status = 503, description = "Still loading")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
) -> Result<Json<List>, Failure> {
    let data = all(&app, &*app.ready()?, &who);
    Ok(Json(List { object: "list", data }))
}

/// Describe one model
#[utoipa::path(get, path = "/v1/models/{model}", tag = "openai",
    params(("model" = String, Path, description = "Its id")),
    responses((status = 200, body = Model), (status = 404, description = "There is none")))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(model): Path<String>,
) -> Result<Json<Model>, Failure> {
    let found = all(&app, &*app.ready()?, &who).into_iter().find(|known| known.id == model);
    let unknown = || Failure::not_found(format!("there is no model `{model}`"));
    found.map(Json).ok_or_else(unknown)
}

fn all(app: &App, loaded: &Loaded, who: &Principal) -> Vec<Model> {
    let visible = loaded.collections.iter().filter(|collection| who.sees(&collection.name));
    // A pool may stand in for an embedder of this machine, which is listed already.
    let is_own = |name: &str| loaded.embedders.iter().any(|model| model.id.name == name);
    let pools = app.pools();
    let pools = pools.iter().filter(|pool| !is_own(pool.name()));
    let pools = pools.map(|pool| Model {
        id: pool.name().to_owned(),
        object: "model",
        created: 0,
        owned_by: "plumb",
        kind: "pool",
        context_length: None,
        sha256: None,
    });
    let collections = visible.map(|collection| Model {
        id: format!("{COLLECTION_PREFIX}{}", collection.name),
        object: "model",
        created: collection.opened,
        owned_by: "plumb",
        kind: "collection",
        context_length: None,
        sha256: None,
    });
    let generators = loaded.generators.iter().map(|generator| Model {
        id: generator.id.name.clone(),
        object: "model",
        created: generator.created,
        owned_by: "plumb",
        kind: "generator",
        context_length: Some(generator.model.context()),
        sha256: generator.id.sha256.clone(),
    });
    let encoder = |id: &ModelId, created, kind, tokens| Model {
        id: id.name.clone(),
        object: "model",
        created,
        owned_by: "plumb",
        kind,
        context_length: Some(tokens),
        sha256: id.sha256.clone(),
    };
    let embedders = loaded
        .embedders
        .iter()
        .map(|model| encoder(&model.id, model.created, "embedder", model.embedder.max_tokens()));
    let rerankers = loaded
        .rerankers
        .iter()
        .map(|model| encoder(&model.id, model.created, "reranker", model.reranker.max_tokens()));
    collections.chain(generators).chain(embedders).chain(rerankers).chain(pools).collect()
}
