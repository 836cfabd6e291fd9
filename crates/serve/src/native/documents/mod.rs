//! `/api/v1/documents`: what a collection holds, and what could not be read.
//!
//! - `list` names documents, `one` reads one: its facts, text and passages;
//! - `original` gives the bytes of the file that was indexed;
//! - `upload` takes new files, which a job indexes; `remove` forgets documents.

mod list;
mod one;
mod original;
mod remove;
mod upload;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post};
use plumb_store::{Binding, DocId, Document, Snapshot};
use serde::Deserialize;
use utoipa::OpenApi;

use crate::auth::role::{Principal, Role};
use crate::collection::Collection;
use crate::failure::Failure;
use crate::state::App;

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(
    list::list,
    upload::upload,
    one::get,
    one::text,
    one::passages,
    original::original,
    remove::remove,
    remove::dismiss
))]
pub(in crate::native) struct Api;

/// Its routes.
pub(in crate::native) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let uploads = Router::new()
        .route("/api/v1/documents", post(upload::upload))
        .layer(middleware::from_fn_with_state(app.clone(), limited));
    Router::new()
        .merge(uploads)
        .route("/api/v1/documents", get(list::list))
        .route("/api/v1/documents/{id}", get(one::get).delete(remove::remove))
        .route("/api/v1/documents/{id}/text", get(one::text))
        .route("/api/v1/documents/{id}/passages", get(one::passages))
        .route("/api/v1/documents/{id}/original", get(original::original))
        .route("/api/v1/unread", delete(remove::dismiss))
}

/// Lets an upload have as many bytes as the settings say now.
async fn limited(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    DefaultBodyLimit::max(app.limits().upload_bytes).apply(&mut request);
    next.run(request).await
}

/// Which state of which collection is meant.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::native) struct Of {
    collection: Option<String>,
    snapshot: Option<String>,
}

/// Does `work` on the document `id` of a snapshot, on the worker pool.
async fn with_document<T: Send + 'static>(
    app: &Arc<App>,
    who: &Principal,
    (of, id): (Of, &str),
    work: impl FnOnce(&Found<'_>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let collection = super::collection(app, who, of.collection.as_deref(), Role::Read)?;
    let wanted = DocId::parse(id).ok_or_else(|| none(id))?;
    let id = id.to_owned();
    let find = move || {
        let snapshot = collection.snapshot_named(of.snapshot.as_deref())?;
        let bindings: Vec<&Binding> =
            snapshot.bindings().filter(|binding| binding.document == wanted).collect();
        let document = snapshot.document(&wanted).ok_or_else(|| none(&id))?;
        // What was removed is in the store still, and not to be seen.
        if bindings.is_empty() {
            return Err(none(&id));
        }
        let found =
            Found { collection: &collection, snapshot: &snapshot, document, bindings: &bindings };
        work(&found)
    };
    app.workers.run(find).await?
}

/// A document with the addresses that it is bound to: at least one.
struct Found<'a> {
    collection: &'a Collection,
    snapshot: &'a Snapshot,
    document: Document<'a>,
    bindings: &'a [&'a Binding],
}

fn none(id: &str) -> Failure {
    Failure::no_such("document", id)
}
