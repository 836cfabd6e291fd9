//! `/api/v1/search`: passages, with every score that ranked them side by side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use plumb_index::address::short_name;
use plumb_retrieve::{Bm25, Filter, Hit, Mode, Query};
use plumb_store::Snapshot;
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::{check_text, collection, within};
use crate::allowance::Allowance;
use crate::auth::role::{Principal, Role};
use crate::body::Body;
use crate::collection::{Collection, bad_filter};
use crate::encoding::{self, TooLong};
use crate::failure::{Failure, chain};
use crate::state::App;

/// Passages at most.
const MOST: usize = 100;

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(search))]
pub(super) struct Api;

/// Its routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/v1/search", post(search))
}

/// What is searched for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchRequest {
    /// May be left out where there is one.
    collection: Option<String>,
    query: String,
    /// Passages wanted, from 1 to 100; 10 without it.
    top_k: Option<usize>,
    /// Only documents that fit, such as `path ~ "guide/" and date >= 2024-01-01`.
    r#where: Option<String>,
    /// Weight of the vectors in the fused score, from 0 to 1.
    dense_weight: Option<f32>,
    /// Whether passages are reranked where a reranker is served; yes without it.
    rerank: Option<bool>,
    /// As it was then: the beginning of a snapshot's id.
    snapshot: Option<String>,
}

/// A score, and the place that it gives.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct Placed {
    score: f32,
    /// From 1.
    rank: usize,
}

/// A passage that was found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Found {
    /// By the last step: fusion, or the reranker. From 1.
    rank: usize,
    fused: Placed,
    /// Dot product of vectors, and the place among all passages.
    dense: Option<Placed>,
    /// BM25, and the place among the passages with a word of the query.
    lexical: Option<Placed>,
    /// The reranker's score, and the place among the passages found.
    #[serde(skip_serializing_if = "Reranked::is_out")]
    #[schema(value_type = Option<Placed>)]
    reranked: Reranked,
    /// Id of the document.
    document: String,
    uri: String,
    name: String,
    title: String,
    /// Half-open, in the document's text.
    byte_range: [u64; 2],
    heading_path: Vec<String>,
    page: Option<u32>,
    part: Option<String>,
    text: String,
    /// Other addresses with the same text.
    also_in: Vec<String>,
}

/// Whether passages are reranked here at all, and what came of it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
enum Reranked {
    Out,
    At(Option<Placed>),
}

impl Reranked {
    fn is_out(&self) -> bool {
        matches!(self, Self::Out)
    }
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "as the list is called on the wire")]
pub(super) struct Hits {
    collection: String,
    snapshot: String,
    query: String,
    /// What reranked the passages, if anything did.
    reranker: Option<String>,
    /// `embed`, `search` and `rerank`.
    timings_ms: BTreeMap<&'static str, f64>,
    hits: Vec<Found>,
}

/// Find passages
///
/// By vectors and by words, fused, and reranked where a reranker is served; each
/// passage has all scores.
#[utoipa::path(post, path = "/api/v1/search", tag = "search", request_body = SearchRequest,
    responses((status = 200, body = Hits), (status = 400, description = "A parameter cannot be served"),
        (status = 404, description = "There is no such collection or snapshot")))]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    who: Principal,
    call: Allowance,
    Body(request): Body<SearchRequest>,
) -> Result<Json<Hits>, Failure> {
    let collection = collection(&app, &who, request.collection.as_deref(), Role::Read)?;
    check_text(&app, "query", &request.query)?;
    let (query, wants) = (request.query.clone(), request.rerank.unwrap_or(true));
    let searching = call.clone();
    let mut hits = app.workers.run(move || found(&collection, &request, &searching)).await??;
    let loaded = app.ready()?;
    let Some(reranker) = loaded.rerankers.first().filter(|_| wants && !hits.hits.is_empty()) else {
        return Ok(Json(hits));
    };
    let started = Instant::now();
    let texts = hits.hits.iter().map(|hit| hit.text.clone()).collect();
    let scores =
        encoding::rerank((&app, &call), reranker, (query, texts), TooLong::Cut).await?.results;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    for (rank, &place) in (1..).zip(&order) {
        let hit = &mut hits.hits[place];
        hit.rank = rank;
        hit.reranked = Reranked::At(Some(Placed { score: scores[place], rank }));
    }
    hits.hits.sort_by_key(|hit| hit.rank);
    hits.timings_ms.insert("rerank", milliseconds(started));
    hits.reranker = Some(reranker.id.name.clone());
    Ok(Json(hits))
}

fn found(
    collection: &Collection,
    request: &SearchRequest,
    call: &Allowance,
) -> Result<Hits, Failure> {
    let top_k = within("top_k", request.top_k, (1, MOST))?.unwrap_or(10);
    let mode = match within("dense_weight", request.dense_weight, (0.0, 1.0))? {
        Some(weight) => Mode::Fused(collection.mode().fusion().with_weight(weight)),
        None => collection.mode(),
    };
    let filter = request.r#where.as_deref().map(Filter::parse).transpose();
    let filter = filter.map_err(|error| bad_filter(&error))?;
    let snapshot = collection.snapshot_named(request.snapshot.as_deref())?;
    let mut span = call.scope().retrieval(&collection.name, &request.query);
    call.read(collection.embedder.count_tokens(&request.query).unwrap_or_default());
    let started = Instant::now();
    let embedded = collection.embedder.embed_query(&request.query);
    let vector = embedded.map_err(|error| Failure::internal(chain(&error)))?;
    let mut timings_ms = BTreeMap::from([("embed", milliseconds(started))]);
    let started = Instant::now();
    let query = Query {
        terms: &collection.analyzer.terms(&request.query),
        vector: Some(&vector),
        top_k,
        mode,
        bm25: Bm25::default(),
        filter: filter.as_ref(),
    };
    let hits = plumb_retrieve::search(&snapshot, &query);
    let hits = hits.map_err(|error| Failure::internal(chain(&error)))?;
    span.found(hits.iter().map(|hit| (hit.document.to_string(), hit.score)));
    drop(span);
    timings_ms.insert("search", milliseconds(started));
    let hits = hits.iter().map(|hit| described(&snapshot, hit, Reranked::At(None)));
    Ok(Hits {
        collection: collection.name.clone(),
        snapshot: snapshot.id().to_string(),
        query: request.query.clone(),
        reranker: None,
        timings_ms,
        hits: hits.collect::<Result<_, _>>()?,
    })
}

/// The passages that a question is answered from.
pub(super) fn passages(snapshot: &Snapshot, hits: &[Hit]) -> Result<Vec<Found>, Failure> {
    hits.iter().map(|hit| described(snapshot, hit, Reranked::Out)).collect()
}

fn described(snapshot: &Snapshot, hit: &Hit, reranked: Reranked) -> Result<Found, Failure> {
    let passage = snapshot.passage(hit.passage)?;
    let document = snapshot.document(&hit.document);
    let title = match document {
        Some(document) => document.info()?.title.clone(),
        None => String::new(),
    };
    let placed =
        |score: Option<f32>, rank: Option<usize>| Some(Placed { score: score?, rank: rank? });
    Ok(Found {
        rank: hit.rank,
        fused: Placed { score: hit.score, rank: hit.rank },
        dense: placed(hit.dense, hit.dense_rank),
        lexical: placed(hit.lexical, hit.lexical_rank),
        reranked,
        document: hit.document.to_string(),
        uri: hit.uri.clone(),
        name: short_name(&hit.uri),
        title,
        byte_range: [passage.range.start, passage.range.end],
        heading_path: passage.heading_path,
        page: passage.page,
        part: passage.part,
        text: passage.text,
        also_in: hit.also_in.iter().map(|other| other.uri.clone()).collect(),
    })
}

fn milliseconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
