//! Answers that were given to somebody, written down for them: what feedback is
//! about, and what they can read again.

use plumb_answer::StoredAnswer;
use serde_json::json;

use crate::clock;
use crate::data::NewAnswer;
use crate::failure::{Failure, chain};
use crate::state::App;

/// Writes down what `owner` was answered from `collection`, and gives the answer
/// as JSON.
pub(crate) fn keep(
    app: &App,
    (owner, collection): (&str, &str),
    question: &str,
    given: &StoredAnswer,
) -> Result<String, Failure> {
    let told = |error: serde_json::Error| Failure::internal(chain(&error));
    let answer = &given.answer;
    // Through its text: as a value a number would get digits that the answer's
    // digest does not know.
    let body = serde_json::to_string(answer).map_err(told)?;
    let replay = serde_json::to_string(&json!({
        "settings": given.settings,
        "history": given.history,
        "written": given.written,
        "deterministic": given.deterministic,
    }));
    let new = NewAnswer {
        id: answer.answer_id.clone(),
        owner: owner.to_owned(),
        collection: collection.to_owned(),
        question: question.to_owned(),
        status: answer.status.name().to_owned(),
        snapshot: answer.snapshot.clone(),
        body: body.clone(),
        replay: replay.map_err(told)?,
    };
    app.guard.database().save_answer(&new, clock::now())?;
    Ok(body)
}
