//! `/api/v1/answers` and `/api/v1/feedback`: what was answered to whom, and what
//! they thought of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::Paging;
use crate::auth::role::{Principal, Role};
use crate::body::Body;
use crate::clock;
use crate::data::{Database, Feedback, Page};
use crate::failure::{Failure, chain};
use crate::query::{Named, Parameters};
use crate::state::App;

/// Bytes of a comment.
const MAX_COMMENT: usize = 4000;

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(list, one, judge, withdraw, judged))]
pub(super) struct Api;

/// Its routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/answers", get(list))
        .route("/api/v1/answers/{id}", get(one))
        .route("/api/v1/feedback", get(judged).post(judge))
        .route("/api/v1/feedback/{answer}", delete(withdraw))
}

/// Good or bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Rating {
    Up,
    Down,
}

/// What somebody thinks of an answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Judgement {
    /// Id of an answer that was given to this key.
    answer: String,
    rating: Rating,
    #[serde(default)]
    comment: String,
}

/// What somebody thought of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FeedbackInfo {
    answer: String,
    rating: Rating,
    comment: String,
    /// Milliseconds since 1970.
    created_at: i64,
}

/// Feedback, for whoever looks after the service.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Judged {
    #[serde(flatten)]
    feedback: FeedbackInfo,
    /// Id of the key that judged.
    owner: String,
    collection: String,
    question: String,
}

/// All of it, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AllJudged {
    feedback: Vec<Judged>,
}

/// An answer without its text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AnswerInfo {
    id: String,
    collection: String,
    question: String,
    /// `answered` or `abstained`.
    status: String,
    snapshot: String,
    /// Milliseconds since 1970.
    created_at: i64,
}

/// Answers, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Answers {
    answers: Vec<AnswerInfo>,
}

/// An answer as it was given.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OneAnswer {
    id: String,
    collection: String,
    /// Milliseconds since 1970.
    created_at: i64,
    #[schema(value_type = Object)]
    answer: Value,
    feedback: Option<FeedbackInfo>,
}

/// How much feedback.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Newest {
    /// How many at most, up to 1000
    limit: Option<u32>,
}

impl From<Feedback> for FeedbackInfo {
    fn from(feedback: Feedback) -> Self {
        let rating = if feedback.rating < 0 { Rating::Down } else { Rating::Up };
        let Feedback { answer, comment, created_at, .. } = feedback;
        Self { answer, rating, comment, created_at }
    }
}

/// List the answers that were given to this key
#[utoipa::path(get, path = "/api/v1/answers", tag = "answers", params(Paging),
    responses((status = 200, body = Answers)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
    Parameters(paging): Parameters<Paging>,
) -> Result<Json<Answers>, Failure> {
    let page = Page::from(paging);
    let owner = who.id.clone();
    let read = app.guard.database().call(move |data| data.answers(&owner, &page)).await;
    let seen = read?.into_iter().filter(|kept| who.sees(&kept.answer.collection));
    let answers = seen.map(|kept| AnswerInfo {
        id: kept.answer.id,
        collection: kept.answer.collection,
        question: kept.answer.question,
        status: kept.answer.status,
        snapshot: kept.answer.snapshot,
        created_at: kept.created_at,
    });
    Ok(Json(Answers { answers: answers.collect() }))
}

/// Read an answer again, as it was given
#[utoipa::path(get, path = "/api/v1/answers/{id}", tag = "answers",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = OneAnswer), (status = 404, description = "There is none")))]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
) -> Result<Json<OneAnswer>, Failure> {
    let (owner, wanted) = (who.id.clone(), id.clone());
    let read = move |data: &Database| {
        Ok((data.answer(&owner, &wanted)?, data.feedback_on(&owner, &wanted)?))
    };
    let (found, feedback) = app.guard.database().call(read).await?;
    let found = found.filter(|kept| who.sees(&kept.answer.collection)).ok_or_else(|| none(&id))?;
    let answer = serde_json::from_str(&found.answer.body);
    Ok(Json(OneAnswer {
        id: found.answer.id,
        collection: found.answer.collection,
        created_at: found.created_at,
        answer: answer.map_err(|error| Failure::internal(chain(&error)))?,
        feedback: feedback.map(FeedbackInfo::from),
    }))
}

/// Say what one thinks of an answer
///
/// Again: in place of what was said before.
#[utoipa::path(post, path = "/api/v1/feedback", tag = "answers", request_body = Judgement,
    responses((status = 200, body = FeedbackInfo), (status = 404, description = "No such answer was given to this key")))]
pub(super) async fn judge(
    State(app): State<Arc<App>>,
    who: Principal,
    Body(judgement): Body<Judgement>,
) -> Result<Json<FeedbackInfo>, Failure> {
    let Judgement { answer, rating, comment } = judgement;
    if MAX_COMMENT < comment.len() {
        let message = format!("`comment` has {} bytes; it may have {MAX_COMMENT}", comment.len());
        return Err(Failure::invalid("comment", message));
    }
    let feedback = Feedback {
        answer: answer.clone(),
        owner: who.id,
        rating: if rating == Rating::Up { 1 } else { -1 },
        comment,
        created_at: clock::now(),
    };
    let given = feedback.clone();
    let set = app.guard.database().call(move |data| data.set_feedback(&feedback)).await;
    if set? { Ok(Json(given.into())) } else { Err(none(&answer)) }
}

/// Take back what one said of an answer
#[utoipa::path(delete, path = "/api/v1/feedback/{answer}", tag = "answers",
    params(("answer" = String, Path, description = "Id of the answer")),
    responses((status = 204, description = "Nothing is said of it now"), (status = 404, description = "Nothing was")))]
pub(super) async fn withdraw(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(answer): Named,
) -> Result<StatusCode, Failure> {
    let wanted = answer.clone();
    let remove = move |data: &Database| data.remove_feedback(&who.id, &wanted);
    if app.guard.database().call(remove).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Failure::not_found(format!("nothing was said of an answer `{answer}`")))
}

/// Read all feedback, newest first
#[utoipa::path(get, path = "/api/v1/feedback", tag = "answers", params(Newest),
    responses((status = 200, body = AllJudged), (status = 403, description = "Needs the role `admin`")))]
pub(super) async fn judged(
    State(app): State<Arc<App>>,
    who: Principal,
    Parameters(Newest { limit }): Parameters<Newest>,
) -> Result<Json<AllJudged>, Failure> {
    who.require(Role::Admin)?;
    let limit = limit.unwrap_or(100);
    let read = app.guard.database().call(move |data| data.feedback(limit)).await;
    let seen = read?.into_iter().filter(|judged| who.sees(&judged.collection));
    let feedback = seen.map(|judged| Judged {
        owner: judged.feedback.owner.clone(),
        collection: judged.collection,
        question: judged.question,
        feedback: judged.feedback.into(),
    });
    Ok(Json(AllJudged { feedback: feedback.collect() }))
}

fn none(id: &str) -> Failure {
    Failure::no_such("answer", id)
}
