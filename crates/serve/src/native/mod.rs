//! Plumb's own API, under `/api/v1`: what the page, and programs that want more
//! than a chat, do with collections.
//!
//! Every handler finds its collection through [`collection`], which asks for the
//! proof that the key may use it; what is not there and what is not for this key
//! are the same 404.

#![expect(unused_qualifications, reason = "the macro for parameters writes whole paths")]

mod answers;
mod ask;
mod collections;
mod conversations;
mod documents;
mod history;
mod jobs;
mod models;
mod search;

use std::fmt::Display;
use std::sync::Arc;

use axum::Router;
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use crate::auth::Denied;
use crate::auth::role::{Principal, Role};
use crate::collection::Collection;
use crate::data::Page;
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
    api.merge(conversations::Api::openapi());
    api.merge(answers::Api::openapi());
    api.merge(models::Api::openapi());
    api.merge(history::Api::openapi());
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
        .merge(conversations::routes())
        .merge(answers::routes())
        .merge(models::routes())
        .merge(history::routes())
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Paging {
    /// Id of the last of the page before
    after: Option<String>,
    /// How many at most, up to 1000
    limit: Option<u32>,
}

impl From<Paging> for Page {
    fn from(paging: Paging) -> Self {
        Self { limit: paging.limit.unwrap_or(50), after: paging.after }
    }
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

/// Refuses a value that is below or above what can be served.
fn within<T: PartialOrd + Display>(
    field: &str,
    value: Option<T>,
    (least, most): (T, T),
) -> Result<Option<T>, Failure> {
    let Some(value) = value else { return Ok(None) };
    if least <= value && value <= most {
        return Ok(Some(value));
    }
    let message = format!("`{field}` is {value}; it must be from {least} to {most}");
    Err(Failure::invalid(field, message))
}

/// Refuses a question that is empty or too long.
fn check_text(app: &App, field: &str, text: &str) -> Result<(), Failure> {
    let most = app.limits().question_bytes;
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
