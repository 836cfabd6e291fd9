//! `/v1/embeddings`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use plumb_infer::TextRole;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::parameters;
use crate::allowance::Allowance;
use crate::body::Body;
use crate::encoding;
use crate::failure::Failure;
use crate::state::App;

/// What `/v1/embeddings` takes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct EmbeddingRequest {
    /// An embedder of `/v1/models`.
    model: String,
    input: Input,
    #[serde(default)]
    encoding_format: Option<Encoding>,
    /// Must be the model's own number.
    #[serde(default)]
    dimensions: Option<usize>,
    /// What the texts are, for models that tell queries from documents; they
    /// are taken as they are if it is missing.
    #[serde(default)]
    input_type: Option<InputType>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: BTreeMap<String, Value>,
}

/// One text or several.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    /// Little-endian 32-bit floats in base64.
    Base64,
}

/// What a text is.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum InputType {
    Query,
    Document,
}

/// What `/v1/embeddings` gives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Embeddings {
    object: &'static str,
    data: Vec<Embedding>,
    model: String,
    usage: EmbeddingUsage,
}

/// One vector.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

/// A vector as numbers or as text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Vector {
    Float(Vec<f32>),
    Base64(String),
}

/// Tokens read.
#[derive(Debug, Serialize, ToSchema)]
struct EmbeddingUsage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// Turn texts into vectors
#[utoipa::path(post, path = "/v1/embeddings", tag = "openai",
    request_body = EmbeddingRequest,
    responses(
        (status = 200, body = Embeddings),
        (status = 400, description = "A text is too long, or a parameter cannot be served"),
        (status = 404, description = "There is no such embedder")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    call: Allowance,
    Body(request): Body<EmbeddingRequest>,
) -> Result<Json<Embeddings>, Failure> {
    parameters::check_extra(&request.extra)?;
    let model = app.embedder(&request.model)?;
    let dimension = model.embedder.dimension();
    if let Some(wanted) = request.dimensions.filter(|&wanted| wanted != dimension) {
        let message = format!("`dimensions` is {wanted}; this model gives {dimension} numbers");
        return Err(Failure::invalid("dimensions", message));
    }
    let texts = match request.input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
    };
    let role = match request.input_type {
        None => TextRole::Plain,
        Some(InputType::Query) => TextRole::Query,
        Some(InputType::Document) => TextRole::Document,
    };
    let encoded = encoding::embed((&app, &call), &model, role, texts).await?;
    let format = request.encoding_format.unwrap_or_default();
    let data = encoded.results.into_iter().enumerate().map(|(index, vector)| {
        let embedding = match format {
            Encoding::Float => Vector::Float(vector),
            Encoding::Base64 => Vector::Base64(base64(&vector)),
        };
        Embedding { object: "embedding", index, embedding }
    });
    Ok(Json(Embeddings {
        object: "list",
        data: data.collect(),
        model: request.model,
        usage: EmbeddingUsage { prompt_tokens: encoded.tokens, total_tokens: encoded.tokens },
    }))
}

/// Base64 (RFC 4648) of the little-endian bytes of `vector`.
fn base64(vector: &[f32]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            if digit <= group.len() {
                let value = (bits >> (18 - 6 * digit)) & 63;
                text.push(char::from(DIGITS[value as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        // Of python -c "import base64,struct; print(base64.b64encode(struct.pack('<2f',1,-2)))"
        assert_eq!(base64(&[1.0, -2.0]), "AACAPwAAAMA=");
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[]), "");
    }
}
