//! `/v1/rerank`, in the shape that Cohere and Jina have in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use plumb_infer::TextRole;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

use crate::allowance::Allowance;
use crate::body::Body;
use crate::clock;
use crate::encoding::{self, TooLong};
use crate::failure::{Failure, Shape};
use crate::router::in_shape;
use crate::state::App;
use crate::vectors::cosine;

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(create))]
pub(crate) struct Api;

/// Its routes; the second is where Cohere's clients look.
pub(crate) fn routes() -> Router<Arc<App>> {
    let routes = Router::new().route("/v1/rerank", post(create)).route("/v2/rerank", post(create));
    in_shape(Shape::Cohere, routes)
}

/// What `/v1/rerank` takes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct RerankRequest {
    /// A reranker of `/v1/models`, or an embedder, whose score is the cosine.
    model: String,
    query: String,
    documents: Vec<Document>,
    /// Only so many results.
    #[serde(default)]
    top_n: Option<usize>,
    /// Whether results have the documents in them.
    #[serde(default)]
    return_documents: Option<bool>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: BTreeMap<String, Value>,
}

/// A passage to be scored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Document {
    Text(String),
    Object { text: String },
}

/// What `/v1/rerank` gives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reranked {
    id: String,
    model: String,
    /// The best first; equal ones in their order.
    results: Vec<Ranked>,
    usage: RerankUsage,
}

/// One scored document.
#[derive(Debug, Serialize, ToSchema)]
struct Ranked {
    /// Its place among the documents of the request, from 0.
    index: usize,
    /// Higher is better; of a reranker its logit, of an embedder the cosine.
    relevance_score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<RankedText>,
}

/// The document itself.
#[derive(Debug, Serialize, ToSchema)]
struct RankedText {
    text: String,
}

/// Tokens read.
#[derive(Debug, Serialize, ToSchema)]
struct RerankUsage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// Sort documents by how well they answer a query
#[utoipa::path(post, path = "/v1/rerank", tag = "rerank",
    request_body = RerankRequest,
    responses(
        (status = 200, body = Reranked),
        (status = 400, description = "A document is too long, or a parameter cannot be served"),
        (status = 404, description = "There is no such model")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    call: Allowance,
    Body(request): Body<RerankRequest>,
) -> Result<Json<Reranked>, Failure> {
    if let Some((name, _)) = request.extra.iter().find(|(_, value)| !value.is_null()) {
        let message = format!("`{name}` is not a parameter that this server knows");
        return Err(Failure::invalid(name, message));
    }
    let texts: Vec<String> = request
        .documents
        .into_iter()
        .map(|document| match document {
            Document::Text(text) | Document::Object { text } => text,
        })
        .collect();
    let (scores, tokens) =
        scores((&app, &call), &request.model, request.query, texts.clone()).await?;
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order.truncate(request.top_n.unwrap_or(usize::MAX));
    let wants_text = request.return_documents.unwrap_or(false);
    let ranked = |index: usize| Ranked {
        index,
        relevance_score: scores[index],
        document: wants_text.then(|| RankedText { text: texts[index].clone() }),
    };
    Ok(Json(Reranked {
        id: clock::new_id("rerank-"),
        model: request.model,
        results: order.into_iter().map(ranked).collect(),
        usage: RerankUsage { prompt_tokens: tokens, total_tokens: tokens },
    }))
}

async fn scores(
    (app, call): (&Arc<App>, &Allowance),
    model: &str,
    query: String,
    texts: Vec<String>,
) -> Result<(Vec<f32>, usize), Failure> {
    if let Some(reranker) = app.ready()?.rerankers.iter().find(|known| known.id.name == model) {
        let encoded =
            encoding::rerank((app, call), reranker, (query, texts), TooLong::Refuse).await?;
        return Ok((encoded.results, encoded.tokens));
    }
    let embedder = app.embedder(model)?;
    let asked = encoding::embed((app, call), &embedder, TextRole::Query, vec![query]).await?;
    let found = encoding::embed((app, call), &embedder, TextRole::Document, texts).await?;
    // A vector of length 0 is near nothing.
    let near = |vector: &Vec<f32>| match cosine(&asked.results[0], vector) {
        cosine if cosine.is_nan() => 0.0,
        cosine => cosine,
    };
    Ok((found.results.iter().map(near).collect(), asked.tokens + found.tokens))
}
