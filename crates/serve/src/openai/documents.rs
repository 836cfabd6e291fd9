//! Chat completions of a collection: cited answers to the last question.
//!
//! Earlier turns are the conversation that the question may refer to. Messages
//! of the system are not followed, and there is nothing to sample: an answer is
//! what the documents support, word for word checked.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Json;
use axum::response::{IntoResponse, Response};
use plumb_answer::{Answer, Event, Status, Turn};
use tokio::sync::mpsc;

use super::annotations::Cited;
use super::chat::Heading;
use super::wire::{
    Annotation, ChatCompletion, ChatRequest, Choice, Chunk, ChunkChoice, Delta, Reply,
    ResponseFormat, Usage,
};
use super::{chat_stream, parameters};
use crate::collection::Collection;
use crate::failure::{Failure, Kind, Shape};
use crate::sse::{self, Gone, Sender};
use crate::state::App;
use crate::workers::Place;

/// A question with the turns before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    text: String,
    history: Vec<Turn>,
}

impl Question {
    /// The last message, which must be the user's, and the pairs of earlier
    /// questions and answers.
    fn of(request: &ChatRequest) -> Result<Self, Failure> {
        let mut history = Vec::new();
        let mut open: Option<String> = None;
        for message in &request.messages {
            let text = parameters::text(message.content.as_ref())?;
            match (&*message.role, open.take()) {
                ("user", _) => open = Some(text),
                ("assistant", Some(question)) => history.push(Turn { question, answer: text }),
                // What the assistant said without a question answers none.
                (_, kept) => open = kept,
            }
        }
        let is_last = request.messages.last().is_some_and(|message| message.role == "user");
        match open.filter(|question| is_last && !question.trim().is_empty()) {
            Some(text) => Ok(Self { text, history }),
            None => {
                Err(Failure::invalid("messages", "the last message must be the user's question"))
            }
        }
    }
}

/// Refuses what a checked answer cannot heed.
fn check(request: &ChatRequest) -> Result<(), Failure> {
    let refused = |param: &str, what: &str| {
        Err(Failure::invalid(param, format!("an answer from documents {what}")))
    };
    if request.choices() != 1 {
        return refused("n", "is one: `n` must be 1");
    }
    if request.logprobs.unwrap_or(false) {
        return refused("logprobs", "has no log-probabilities");
    }
    if !matches!(request.response_format, None | Some(ResponseFormat::Text)) {
        return refused("response_format", "is text; its parts are under `plumb`");
    }
    if request.sampling.stop.is_some() {
        return refused("stop", "is not cut: leave `stop` out");
    }
    Ok(())
}

/// Answers the last message of `request` from `collection`.
pub(super) async fn respond(
    app: &Arc<App>,
    collection: Arc<Collection>,
    request: ChatRequest,
    arrived: Instant,
) -> Result<Response, Failure> {
    check(&request)?;
    let question = Question::of(&request)?;
    let heading = Heading::new(&request.model, collection.embedder_id.sha256.as_ref());
    let place = app.workers.reserve().await?;
    let asking = Asking::start(app, collection, question, place);
    if request.is_stream() {
        let wants_usage = request.wants_usage();
        return Ok(stream(asking, heading, wants_usage, (app.clone(), arrived)));
    }
    let (answer, usage) = asking.all(app, arrived).await?;
    Ok(Json(completion(heading, answer, usage)).into_response())
}

/// A question that is being answered on a worker. Dropping it cancels it.
struct Asking {
    events: mpsc::UnboundedReceiver<Told>,
    is_cancelled: Arc<AtomicBool>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.is_cancelled.store(true, Ordering::Release);
    }
}

/// What a question tells on its way.
enum Told {
    Claim(String, Vec<Annotation>),
    Done(Box<Result<(Answer, Usage), Failure>>),
}

impl Asking {
    fn start(
        app: &Arc<App>,
        collection: Arc<Collection>,
        question: Question,
        place: Place,
    ) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let (app, cancelled) = (app.clone(), is_cancelled.clone());
        let failed = sender.clone();
        let work = place.run(move || {
            let mut cited = Cited::default();
            let mut on_event = |event: Event<'_>| {
                if let Event::Claim(claim) = event {
                    let (text, annotations) = cited.push(claim);
                    // Whether anybody listens is looked up below.
                    let _ = sender.send(Told::Claim(text, annotations));
                }
                if cancelled.load(Ordering::Acquire) {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            };
            let asked = (&*question.text, &*question.history);
            let answer = collection.ask(&app, asked, &cancelled, &mut on_event);
            let answer = answer.map(|answer| {
                let usage = Usage::new(
                    collection.count_tokens(&question.text),
                    0,
                    collection.count_tokens(&answer.answer),
                );
                (answer, usage)
            });
            let _ = sender.send(Told::Done(Box::new(answer)));
        });
        tokio::spawn(async move {
            if let Err(failure) = work.await {
                let _ = failed.send(Told::Done(Box::new(Err(failure))));
            }
        });
        Self { events, is_cancelled }
    }

    /// What is told next. Fails when the deadline has passed or the server has
    /// to stop.
    async fn next(&mut self, app: &App, arrived: Instant) -> Result<Told, Failure> {
        let limit = app.settings.limits.request;
        let told = tokio::select! {
            told = tokio::time::timeout_at((arrived + limit).into(), self.events.recv()) => told,
            () = app.drain.over() => {
                return Err(Failure::unavailable("the server stopped before the end"));
            }
        };
        let seconds = limit.as_secs();
        let passed = |_| Failure::new(Kind::Deadline, format!("it took more than {seconds} s"));
        told.map_err(passed)?.ok_or_else(|| Failure::internal("the work on this question ended"))
    }

    async fn all(mut self, app: &App, arrived: Instant) -> Result<(Answer, Usage), Failure> {
        loop {
            if let Told::Done(done) = self.next(app, arrived).await? {
                return *done;
            }
        }
    }
}

fn completion(heading: Heading, answer: Answer, usage: Usage) -> ChatCompletion {
    let mut cited = Cited::default();
    let annotations = answer.claims.iter().flat_map(|claim| cited.push(claim).1).collect();
    let message = Reply {
        role: "assistant",
        content: Some(answer.answer.clone()),
        refusal: None,
        annotations,
    };
    ChatCompletion {
        id: heading.id,
        object: "chat.completion",
        created: heading.created,
        model: heading.model,
        choices: vec![Choice { index: 0, message, logprobs: None, finish_reason: "stop" }],
        usage,
        system_fingerprint: heading.fingerprint,
        plumb: Some(answer),
    }
}

fn stream(
    asking: Asking,
    heading: Heading,
    wants_usage: bool,
    (app, arrived): (Arc<App>, Instant),
) -> Response {
    sse::response(async move |sender: Arc<Sender>| {
        match write(&sender, asking, &heading, (&app, arrived)).await? {
            Ok(usage) => chat_stream::end(&sender, &heading, wants_usage.then_some(usage)).await,
            Err(failure) => sender.data(&failure.body(Shape::OpenAi)).await,
        }
    })
}

async fn write(
    sender: &Sender,
    mut asking: Asking,
    heading: &Heading,
    (app, arrived): (&App, Instant),
) -> Result<Result<Usage, Failure>, Gone> {
    sender.data(&heading.chunk(vec![ChunkChoice::opening(0)])).await?;
    let mut is_first = true;
    loop {
        let told = match asking.next(app, arrived).await {
            Ok(told) => told,
            Err(failure) => return Ok(Err(failure)),
        };
        match told {
            Told::Claim(text, annotations) => {
                if std::mem::take(&mut is_first) {
                    let waited = arrived.elapsed().as_secs_f64();
                    app.metrics.first_token_seconds.observe(&[&heading.model], waited);
                }
                let delta = Delta { content: Some(text), annotations, ..Delta::default() };
                sender.data(&heading.chunk(vec![ChunkChoice::new(0, delta)])).await?;
            }
            Told::Done(done) => match *done {
                Ok((answer, usage)) => {
                    close(sender, heading, answer).await?;
                    return Ok(Ok(usage));
                }
                Err(failure) => return Ok(Err(failure)),
            },
        }
    }
}

/// The last chunk, with the whole answer. What an abstention says comes only
/// now.
async fn close(sender: &Sender, heading: &Heading, answer: Answer) -> Result<(), Gone> {
    if answer.status == Status::Abstained {
        let delta = Delta { content: Some(answer.answer.clone()), ..Delta::default() };
        sender.data(&heading.chunk(vec![ChunkChoice::new(0, delta)])).await?;
    }
    let chunk = heading.chunk(vec![ChunkChoice::closing(0, "stop")]);
    sender.data(&Chunk { plumb: Some(answer), ..chunk }).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn question(messages: &serde_json::Value) -> Result<Question, Failure> {
        let request = json!({"model": "docs/x", "messages": messages});
        Question::of(&serde_json::from_value(request).unwrap())
    }

    #[test]
    fn earlier_turns_are_the_history_of_the_last_question() {
        let found = question(&json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is A?"},
            {"role": "assistant", "content": "A letter."},
            {"role": "user", "content": "And B?"},
        ]));
        let turn = Turn { question: "What is A?".to_owned(), answer: "A letter.".to_owned() };
        assert_eq!(found.unwrap(), Question { text: "And B?".to_owned(), history: vec![turn] });
    }

    #[test]
    fn a_conversation_that_ends_with_no_question_is_refused() {
        for messages in [
            json!([{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]),
            json!([{"role": "user", "content": " "}]),
            json!([{"role": "system", "content": "x"}]),
        ] {
            assert_eq!(question(&messages).unwrap_err().param.as_deref(), Some("messages"));
        }
    }
}
