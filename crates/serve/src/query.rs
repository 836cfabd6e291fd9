//! What stands in the address of a request, with failures in this server's
//! shape.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, Kind};

/// The parameters after the question mark.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let parsed = Query::<T>::try_from_uri(&parts.uri);
        parsed.map(|Query(parameters)| Self(parameters)).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_else(|| error.to_string());
            Failure::new(Kind::Invalid, format!("the parameters of the address: {cause}"))
        })
    }
}

/// The one part of the path that is no constant.
#[derive(Debug)]
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(name)| Self(name)).map_err(|error: PathRejection| {
            Failure::new(Kind::Invalid, format!("the address: {}", error.body_text()))
        })
    }
}
