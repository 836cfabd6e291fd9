//! The body of a request as a wire type, with errors that name the field.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, rejection::BytesRejection};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::failure::{Failure, Kind};

/// A JSON body. What cannot be read is a [`Failure`] that says where.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        check_type(request.headers())?;
        let bytes = Bytes::from_request(request, state).await.map_err(|e| unread(&e))?;
        parse(&bytes).map(Self)
    }
}

/// Anything but JSON is refused; no type at all is taken for JSON.
fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or("?");
    let essence = kind.split(';').next().unwrap_or(kind).trim();
    if essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json") {
        return Ok(());
    }
    Err(Failure::new(Kind::MediaType, format!("the body is `{kind}`; send application/json")))
}

fn unread(rejection: &BytesRejection) -> Failure {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Failure::new(Kind::TooLarge, "the body is larger than this server reads");
    }
    Failure::new(Kind::Invalid, "the body broke off")
}

/// Reads JSON; an error names the path of the field.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        match path.as_str() {
            "." | "?" => match culprit::<T>(bytes, &cause.to_string()) {
                Some(field) => Failure::invalid(&field, format!("`{field}`: {cause}")),
                None => Failure::new(Kind::Invalid, format!("the body: {cause}")),
            },
            _ => Failure::invalid(&path, format!("`{path}`: {cause}")),
        }
    })?;
    json.end().map_err(|cause| Failure::new(Kind::Invalid, format!("the body: {cause}")))?;
    Ok(parsed)
}

/// The field without which the body fails differently or not at all: fields of
/// a flattened struct are read without a path.
fn culprit<T: DeserializeOwned>(bytes: &[u8], message: &str) -> Option<String> {
    let body: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).ok()?;
    let message = message.split(" at line").next()?;
    body.keys()
        .find(|key| {
            let mut rest = body.clone();
            rest.remove(*key);
            match serde_json::from_value::<T>(rest.into()) {
                Ok(_) => true,
                Err(error) => {
                    let now = error.to_string();
                    !now.starts_with(message) && !now.starts_with("missing field")
                }
            }
        })
        .cloned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read by the parser")]
    struct Outer {
        name: String,
        #[serde(flatten)]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read by the parser")]
    struct Inner {
        #[serde(default)]
        heat: Option<f32>,
    }

    #[test]
    fn an_error_names_the_field_also_of_a_flattened_struct() {
        let param = |body: &str| parse::<Outer>(body.as_bytes()).unwrap_err().param;
        assert_eq!(param(r#"{"name": 1}"#).as_deref(), Some("name"));
        assert_eq!(param(r#"{"name": "x", "heat": "hot"}"#).as_deref(), Some("heat"));
        assert_eq!(param("{}"), None);
        assert!(parse::<Outer>(b"{} x").is_err() && parse::<Outer>(b"\xff").is_err());
    }
}
