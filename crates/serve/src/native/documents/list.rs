//! Documents by address.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use plumb_store::{Binding, Document, Snapshot};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::wire::{DocumentInfo, FileState, UnreadInfo};
use crate::auth::role::{Principal, Role};
use crate::collection::Collection;
use crate::failure::Failure;
use crate::query::Parameters;
use crate::state::App;

/// Documents, or unread files, at most.
const MOST: usize = 500;

/// Which documents, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// May be left out where there is one
    collection: Option<String>,
    /// Part of an address or title
    containing: Option<String>,
    /// A whole address
    uri: Option<String>,
    /// Only documents whose file is in this state
    #[param(value_type = Option<String>)]
    state: Option<FileState>,
    /// Documents to leave out at the beginning
    offset: Option<usize>,
    /// Documents at most, up to 500
    limit: Option<usize>,
    /// As it was then: the beginning of a snapshot's id
    snapshot: Option<String>,
}

/// Documents in the order of their addresses.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "as the list is called on the wire")]
pub(super) struct Documents {
    collection: String,
    snapshot: String,
    /// How many fit what was asked for.
    total: usize,
    offset: usize,
    documents: Vec<DocumentInfo>,
    /// On the first page: what could not be read, and why.
    unread: Vec<UnreadInfo>,
}

/// List documents, and what could not be read
#[utoipa::path(get, path = "/api/v1/documents", tag = "documents", params(Which),
    responses((status = 200, body = Documents), (status = 404, description = "There is no such collection or snapshot")))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Documents>, Failure> {
    let collection =
        crate::native::collection(&app, &who, which.collection.as_deref(), Role::Read)?;
    app.workers.run(move || found(&collection, &which)).await?.map(Json)
}

fn found(collection: &Collection, which: &Which) -> Result<Documents, Failure> {
    let snapshot = collection.snapshot_named(which.snapshot.as_deref())?;
    let offset = which.offset.unwrap_or(0);
    let limit = which.limit.unwrap_or(100).min(MOST);
    let (mut total, mut documents) = (0, Vec::new());
    for (binding, document) in fitting(&snapshot, which)? {
        let is_here = offset <= total && documents.len() < limit;
        // Looking at the file takes longer than the rest.
        if is_here || which.state.is_some() {
            let info = DocumentInfo::new(collection, binding, &document)?;
            if which.state.is_some_and(|state| state != info.state) {
                continue;
            }
            if is_here {
                documents.push(info);
            }
        }
        total += 1;
    }
    let unread = if offset == 0 { collection.unread()? } else { Vec::new() };
    Ok(Documents {
        collection: collection.name.clone(),
        snapshot: snapshot.id().to_string(),
        total,
        offset,
        documents,
        unread: unread.into_iter().take(MOST).map(UnreadInfo::from).collect(),
    })
}

/// The documents whose address and title fit.
fn fitting<'s>(
    snapshot: &'s Snapshot,
    which: &Which,
) -> Result<Vec<(&'s Binding, Document<'s>)>, Failure> {
    let wanted = which.containing.as_deref().map(str::to_lowercase);
    let mut all = Vec::new();
    for binding in snapshot.bindings() {
        if which.uri.as_ref().is_some_and(|uri| *uri != binding.uri) {
            continue;
        }
        let Some(document) = snapshot.document(&binding.document) else { continue };
        if let Some(wanted) = &wanted {
            let title = || document.info().map(|info| info.title.to_lowercase());
            if !binding.uri.to_lowercase().contains(wanted) && !title()?.contains(wanted) {
                continue;
            }
        }
        all.push((binding, document));
    }
    Ok(all)
}
