//! Plumb's own API, under `/api/v1`: what the page, and programs that want more
//! than a chat, do with collections.
//!
//! Every handler finds its collection through [`collection`], which asks for the
//! proof that the key may use it; what is not there and what is not for this key
//! are the same 404.

#![expect(unused_qualifications, reason = "the macro for parameters writes whole paths")]

mod ask;
mod collections;
mod documents;
mod jobs;
mod search;

use std::sync::Arc;

use axum::Router;
use utoipa::OpenApi;

use crate::auth::Denied;
use crate::auth::role::{Principal, Role};
use crate::collection::Collection;
use crate::failure::{Failure, Kind};
use crate::state::App;

pub(crate) use ask::Runs;

/// The documented part of this module.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    let mut api = collections::Api::openapi();
    api.merge(documents::Api::openapi());
    api.merge(jobs::Api::openapi());
    api.merge(search::Api::openapi());
    api.merge(ask::Api::openapi());
    api
}

/// Its routes.
pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .merge(collections::routes())
        .merge(documents::routes(app))
        .merge(jobs::routes())
        .merge(search::routes())
        .merge(ask::routes())
}

/// The collection that is meant, if `who` may do `need` in it. A name may be
/// left out where there is one alone.
fn collection(
    app: &App,
    who: &Principal,
    name: Option<&str>,
    need: Role,
) -> Result<Arc<Collection>, Failure> {
    let loaded = app.ready()?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => only(&loaded.collection_names(), who)?,
    };
    let granted = who.collection(&name, need)?;
    loaded.collection(&granted).ok_or_else(|| Denied::NoCollection { name }.into())
}

fn only(names: &[String], who: &Principal) -> Result<String, Failure> {
    let seen: Vec<&str> = names.iter().filter(|name| who.sees(name)).map(String::as_str).collect();
    match seen.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Failure::not_found("there is no collection")),
        several => {
            let message = format!("say which `collection`: {}", several.join(", "));
            Err(Failure::invalid("collection", message))
        }
    }
}

/// Refuses a question that is empty or too long.
fn check_text(app: &App, field: &str, text: &str) -> Result<(), Failure> {
    let most = app.settings.limits.question_bytes;
    if text.trim().is_empty() {
        return Err(Failure::invalid(field, format!("`{field}` is empty")));
    }
    if text.len() > most {
        let message = format!("`{field}` has {} bytes; at most {most} are read", text.len());
        return Err(Failure {
            param: Some(field.to_owned()),
            ..Failure::new(Kind::TooLong, message)
        });
    }
    Ok(())
}

/// Fails where the database cannot be used; what it says is for the log.
fn no_data(_: crate::data::Error) -> Failure {
    Failure::unavailable("the database cannot be used now")
}
