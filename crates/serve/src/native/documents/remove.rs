//! Documents are forgotten, and files that could not be read are set aside.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use plumb_index::address::source_address;
use plumb_store::{Batch, DocId, Store};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::none;
use super::wire::uploaded_file;
use crate::auth::gate as audit;
use crate::auth::role::{Principal, Role};
use crate::collection::Collection;
use crate::failure::{Failure, Kind};
use crate::query::{Named, Parameters};
use crate::state::App;

/// What is to go.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Gone {
    /// May be left out where there is one
    collection: Option<String>,
    /// Only at this address
    uri: Option<String>,
}

/// What is to be set aside.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Dismissed {
    /// May be left out where there is one
    collection: Option<String>,
    /// Its address in the list of what could not be read
    uri: String,
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Removed {
    /// The addresses.
    removed: Vec<String>,
    /// Hex id of the commit that did it.
    snapshot: String,
}

/// Remove a document
///
/// From the index: earlier snapshots keep it. Of the files only those go that
/// were uploaded.
#[utoipa::path(delete, path = "/api/v1/documents/{id}", tag = "documents",
    params(("id" = String, Path, description = "Its id, of 64 digits"), Gone),
    responses((status = 200, body = Removed), (status = 403, description = "Needs the role `write`"),
        (status = 404, description = "There is none"), (status = 409, description = "The index is being written to")))]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
    Parameters(gone): Parameters<Gone>,
) -> Result<(Extension<audit::Target>, Json<Removed>), Failure> {
    let collection =
        crate::native::collection(&app, &who, gone.collection.as_deref(), Role::Write)?;
    let wanted = DocId::parse(&id).ok_or_else(|| none(&id))?;
    let work = move || {
        let store = open(&collection)?;
        let snapshot = store.snapshot();
        let bindings = snapshot.bindings().filter(|binding| binding.document == wanted);
        let uris: Vec<String> = bindings
            .filter(|binding| gone.uri.as_ref().is_none_or(|uri| *uri == binding.uri))
            .map(|binding| binding.uri.clone())
            .collect();
        if uris.is_empty() {
            return Err(none(&id));
        }
        let mut batch = Batch::new();
        for uri in &uris {
            batch.unbind(uri);
        }
        let snapshot = store.commit(&batch)?.to_string();
        remove_files(&collection, &store, &uris);
        collection.with_unread(|unread| unread.forget(&uris))?;
        let target = Extension(audit::Target(collection.name.clone()));
        Ok((target, Json(Removed { removed: uris, snapshot })))
    };
    app.workers.run(work).await?
}

/// Set aside a file that could not be read
#[utoipa::path(delete, path = "/api/v1/unread", tag = "documents", params(Dismissed),
    responses((status = 204, description = "It is not named any more"), (status = 403, description = "Needs the role `write`"),
        (status = 404, description = "There is none")))]
pub(super) async fn dismiss(
    State(app): State<Arc<App>>,
    who: Principal,
    Parameters(Dismissed { collection, uri }): Parameters<Dismissed>,
) -> Result<StatusCode, Failure> {
    let collection = crate::native::collection(&app, &who, collection.as_deref(), Role::Write)?;
    let work = move || {
        if !collection.unread()?.iter().any(|file| file.uri == uri) {
            return Err(Failure::not_found(format!("no file `{uri}` was left unread")));
        }
        collection.with_unread(|unread| unread.forget(&[uri]))?;
        Ok(StatusCode::NO_CONTENT)
    };
    app.workers.run(work).await?
}

fn open(collection: &Collection) -> Result<Store, Failure> {
    collection.store().map_err(|error| match error {
        plumb_store::Error::Locked { .. } => {
            Failure::new(Kind::Conflict, "documents are being indexed: try again after that")
        }
        error => error.into(),
    })
}

/// Removes the uploaded files of which no document is left.
fn remove_files(collection: &Collection, store: &Store, uris: &[String]) {
    let snapshot = store.snapshot();
    for uri in uris {
        let source = source_address(uri);
        let is_used = snapshot.bindings().any(|left| source_address(&left.uri) == source);
        if let Some(path) = uploaded_file(collection, source).filter(|_| !is_used) {
            // A file that stays is indexed no more all the same.
            let _ = std::fs::remove_file(path);
        }
    }
}
