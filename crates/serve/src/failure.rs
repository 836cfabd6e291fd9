//! Why a request was not served, in the shape that its client expects.
//!
//! A handler fails with a [`Failure`]. It becomes a response that carries the
//! failure, and a layer around the routes of each API writes it in that API's
//! own [`Shape`], so that the checks common to all need not know who asked.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::data;

/// What kind of failure it is; decides the status and the words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// 400: the request can never be served as it is.
    Invalid,
    /// 400: prompt and completion do not fit the model.
    TooLong,
    /// 401: there is no key, or not a valid one.
    Unauthorized,
    /// 403: the key does not allow it.
    Forbidden,
    /// 404.
    NotFound,
    /// 405.
    Method,
    /// 409: what it is about is in another state.
    Conflict,
    /// 413: the body is too large.
    TooLarge,
    /// 415: the body is not of a type that is read.
    MediaType,
    /// 429: too much waits already, or a limit is used up.
    Busy,
    /// 500.
    Internal,
    /// 502: another server on which this depends failed.
    Upstream,
    /// 503: not ready yet, or stopping.
    Unavailable,
    /// 504: the deadline has passed.
    Deadline,
}

impl Kind {
    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Invalid | Self::TooLong => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Upstream => StatusCode::BAD_GATEWAY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Deadline => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The label under which it is counted.
    pub fn label(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::TooLong => "too_long",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Method => "method",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::MediaType => "media_type",
            Self::Busy => "busy",
            Self::Internal => "internal",
            Self::Upstream => "upstream",
            Self::Unavailable => "unavailable",
            Self::Deadline => "deadline",
        }
    }

    fn openai_type(self) -> &'static str {
        match self {
            Self::Unauthorized => "authentication_error",
            Self::Forbidden => "permission_error",
            Self::Busy => "rate_limit_error",
            Self::Internal | Self::Upstream | Self::Unavailable | Self::Deadline => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn openai_code(self) -> Option<&'static str> {
        match self {
            Self::TooLong => Some("context_length_exceeded"),
            Self::Unauthorized => Some("invalid_api_key"),
            Self::NotFound => Some("not_found"),
            Self::Busy => Some("rate_limit_exceeded"),
            Self::Unavailable => Some("unavailable"),
            Self::Deadline => Some("deadline_exceeded"),
            _ => None,
        }
    }

    fn anthropic_type(self) -> &'static str {
        match self {
            Self::Unauthorized => "authentication_error",
            Self::Forbidden => "permission_error",
            Self::NotFound | Self::Method => "not_found_error",
            Self::TooLarge => "request_too_large",
            Self::Busy => "rate_limit_error",
            Self::Unavailable => "overloaded_error",
            Self::Deadline => "timeout_error",
            Self::Internal | Self::Upstream => "api_error",
            _ => "invalid_request_error",
        }
    }
}

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    /// In plain words, with the values that matter. Never holds a secret.
    pub message: String,
    /// The parameter that is at fault.
    pub param: Option<String>,
    /// Seconds after which to try again.
    pub retry_after: Option<u64>,
}

impl Failure {
    /// A failure that names no parameter.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let retry_after = matches!(kind, Kind::Busy | Kind::Unavailable).then_some(1);
        Self { kind, message: message.into(), param: None, retry_after }
    }

    /// A parameter that cannot be served as it is.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self { param: Some(param.to_owned()), ..Self::new(Kind::Invalid, message) }
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// 404: nothing of this kind has the id, of which the beginning is shown.
    pub fn no_such(what: &str, id: &str) -> Self {
        Self::not_found(format!("there is no {what} `{}`", beginning(id)))
    }

    /// 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// What a client of an API is told, as JSON.
    pub fn body(&self, shape: Shape) -> Value {
        let message = &self.message;
        match shape {
            Shape::OpenAi => json!({"error": {
                "message": message,
                "type": self.kind.openai_type(),
                "param": self.param,
                "code": self.kind.openai_code(),
            }}),
            Shape::Anthropic => json!({
                "type": "error",
                "error": {"type": self.kind.anthropic_type(), "message": message},
            }),
            Shape::Cohere => json!({"message": message}),
            Shape::Native => json!({"error": {
                "kind": self.kind.label(),
                "message": message,
                "param": self.param,
            }}),
        }
    }

    /// The response in one API's shape.
    pub fn response(&self, shape: Shape) -> Response {
        let mut response = (self.kind.status(), Json(self.body(shape))).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == Kind::Unauthorized {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// What a database says is for the log.
impl From<data::Error> for Failure {
    fn from(_: data::Error) -> Self {
        Self::unavailable("the database cannot be used now")
    }
}

/// As much of an id that somebody sent as is told back.
pub(crate) fn beginning(id: &str) -> String {
    id.chars().take(64).collect()
}

/// How an API writes its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    OpenAi,
    Anthropic,
    Cohere,
    Native,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.response(Shape::Native);
        response.extensions_mut().insert(self);
        response
    }
}

/// A layer that writes the failures of the routes below in `shape`.
pub async fn shaped(shape: Shape, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Some(failure) = response.extensions_mut().remove::<Failure>() else { return response };
    let mut shaped = failure.response(shape);
    shaped.extensions_mut().insert(failure);
    shaped
}

impl From<plumb_infer::Error> for Failure {
    fn from(error: plumb_infer::Error) -> Self {
        use plumb_infer::Error as Infer;
        let message = error.to_string();
        match error {
            Infer::PromptTooLong { .. } => Self::new(Kind::TooLong, message),
            Infer::EngineBusy { .. } => Self::new(Kind::Busy, message),
            Infer::Cancelled => Self::new(Kind::Deadline, message),
            Infer::EngineClosed => Self::unavailable("the server is stopping"),
            Infer::Setting { field, .. } => Self::invalid(field, message),
            Infer::UnknownBias { .. } => Self::invalid("logit_bias", message),
            Infer::Grammar { .. }
            | Infer::GrammarTooLong { .. }
            | Infer::GrammarTooDeep { .. }
            | Infer::ConstraintFailed { .. }
            | Infer::NothingAllowed { .. } => Self::invalid("response_format", message),
            Infer::EmptyPrompt | Infer::NoChatTemplate { .. } | Infer::Text(_) => {
                Self::new(Kind::Invalid, chain(&error))
            }
            _ => Self::internal(chain(&error)),
        }
    }
}

impl From<plumb_store::Error> for Failure {
    fn from(error: plumb_store::Error) -> Self {
        Self::internal(chain(&error))
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_has_its_own_shape_of_error() {
        let failure = Failure::invalid("n", "`n` is 0");
        assert_eq!(failure.body(Shape::OpenAi)["error"]["param"], "n");
        assert_eq!(failure.body(Shape::OpenAi)["error"]["type"], "invalid_request_error");
        assert_eq!(failure.body(Shape::Anthropic)["type"], "error");
        assert_eq!(failure.body(Shape::Cohere)["message"], "`n` is 0");
        assert_eq!(failure.body(Shape::Native)["error"]["kind"], "invalid");
    }

    #[test]
    fn a_busy_server_says_when_to_come_back() {
        let response = Failure::new(Kind::Busy, "full").response(Shape::OpenAi);
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
