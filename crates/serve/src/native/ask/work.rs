//! A question on its way: asked on a worker, watched by a task.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use plumb_answer::{Answer, Claim, Event, StoredAnswer, StoredSettings, Turn};
use plumb_store::Snapshot;
use serde_json::{Value, json};

use super::Run;
use super::wire::{AskRequest, Cited, Delta, Passages, Search, Verified};
use crate::allowance::Allowance;
use crate::auth::role::{Principal, Role};
use crate::cache::Policy;
use crate::clock;
use crate::collection::{Asked, Collection};
use crate::data::{self, Conversation, Database, Message, NewMessage};
use crate::failure::{Failure, chain};
use crate::given;
use crate::native::conversations::{self, title_of};
use crate::native::{check_text, collection, search};
use crate::state::{App, COLLECTION_PREFIX};

/// A question, ready to be asked.
struct Question {
    /// Id of the key that asks.
    owner: String,
    collection: Arc<Collection>,
    text: String,
    history: Vec<Turn>,
    /// What the question and its answer are added to.
    conversation: Option<Conversation>,
    settings: StoredSettings,
    policy: Policy,
    call: Allowance,
}

/// Begins to answer what `who` asks. Fails if it cannot be asked so, or too much
/// waits.
pub(super) async fn start(
    app: &Arc<App>,
    who: &Principal,
    (call, policy): (Allowance, Policy),
    request: AskRequest,
) -> Result<Arc<Run>, Failure> {
    check_text(app, "question", &request.question)?;
    let (conversation, history) = match &request.conversation {
        Some(id) => {
            request.check_conversation()?;
            let (conversation, messages) = conversations::read(app, who, id).await?;
            (Some(conversation), conversations::turns(&messages))
        }
        None => (None, request.turns()?),
    };
    let name = conversation.as_ref().map(|conversation| conversation.collection.as_str());
    let collection = collection(app, who, name.or(request.collection.as_deref()), Role::Read)?;
    let settings = request.settings(&collection.settings())?;
    let policy = policy.if_allowed(request.cache);
    // A filter that cannot be read is found before the stream begins.
    Collection::check_settings(&settings)?;
    let place = app.workers.reserve().await?;
    let run = app.runs.begin(&who.id, request.resumable.unwrap_or(false));
    let (owner, text) = (who.id.clone(), request.question);
    let question = Question {
        owner,
        collection,
        text,
        history,
        conversation,
        settings,
        policy,
        call: call.clone(),
    };
    let (shared, asked) = (app.clone(), run.clone());
    let work = place.run(move || asked.end(answer(&shared, &asked, &question)));
    tokio::spawn(watch(app.clone(), run.clone(), (work, call)));
    Ok(run)
}

/// Ends the question when it takes too long, when the server has to stop, or
/// when the work on it broke down.
async fn watch(
    app: Arc<App>,
    run: Arc<Run>,
    (work, call): (impl Future<Output = Result<(), Failure>> + Send + 'static, Allowance),
) {
    let failure = tokio::select! {
        done = work => match done {
            Ok(()) => return,
            Err(failure) => failure,
        },
        () = tokio::time::sleep_until(call.deadline().into()) => call.late(),
        () = app.drain.over() => Failure::unavailable("the server stopped before the end"),
    };
    run.cancel();
    run.end(Err(failure));
}

/// Asks, tells what happens, and gives the last event and the whole.
fn answer(app: &App, run: &Run, question: &Question) -> Result<(Value, Value), Failure> {
    let collection = &question.collection;
    let snapshot = collection.snapshot()?;
    let teller = Teller { app, run, question, snapshot: &snapshot };
    teller.search(None);
    let asked = Asked {
        snapshot: &snapshot,
        question: &question.text,
        history: &question.history,
        settings: &question.settings,
        sampling: None,
        policy: question.policy,
        call: &question.call,
    };
    let mut claims = 0;
    let mut failed = None;
    let mut on_event = |event: Event<'_>| {
        match event {
            Event::Rewritten(standalone) => teller.search(Some(standalone)),
            Event::Passages(hits) => match search::passages(&snapshot, hits) {
                Ok(passages) => run.tell("passages", &Passages { passages }),
                Err(failure) => failed = Some(failure),
            },
            Event::Claim(claim) => {
                teller.claim(claims, claim);
                claims += 1;
            }
            Event::Dropped(dropped) => run.tell("verified", &Verified::dropped(dropped)),
        }
        let is_over = run.is_cancelled().load(Ordering::Acquire) || failed.is_some();
        if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let answer = collection.ask(app, &asked, run.is_cancelled(), &mut on_event);
    if let Some(failure) = failed {
        return Err(failure);
    }
    let kept = answer?;
    if claims == 0 {
        teller.first();
    }
    ended((app, run), question, &kept)
}

/// Keeps the answer, and gives the event `done` and the reply to one who did not
/// want events.
fn ended(
    (app, run): (&App, &Run),
    question: &Question,
    kept: &StoredAnswer,
) -> Result<(Value, Value), Failure> {
    let answer = &kept.answer;
    let whose = (question.owner.as_str(), question.collection.name.as_str());
    let body = given::keep(app, whose, &question.text, kept)?;
    let whole: Value =
        serde_json::from_str(&body).map_err(|error| Failure::internal(chain(&error)))?;
    let data = app.guard.database();
    let messages = question.conversation.as_ref().map(|to| add(data, question, to, answer));
    let messages = messages.transpose()?;
    let conversation = question.conversation.as_ref().map(|conversation| &conversation.id);
    let event = json!({
        "ask": run.id,
        "status": answer.status,
        "answer_id": answer.answer_id,
        "answer": &whole,
        "conversation": conversation,
        "messages": &messages,
    });
    let reply = json!({
        "ask": run.id,
        "answer": whole,
        "conversation": conversation,
        "messages": messages,
    });
    Ok((event, reply))
}

/// Adds the question and its answer to a conversation, both or none.
fn add(
    data: &Database,
    question: &Question,
    to: &Conversation,
    answer: &Answer,
) -> Result<Vec<Message>, Failure> {
    let message = |role: &str, content: &str, answer: Option<&String>| NewMessage {
        role: role.to_owned(),
        content: content.to_owned(),
        answer: answer.cloned(),
    };
    let both = [
        message("user", &question.text, None),
        message("assistant", &answer.answer, Some(&answer.answer_id)),
    ];
    let added = data.add_messages(&question.owner, &to.id, &both, clock::now());
    let added = added.map_err(|error| match error {
        data::Error::NotFound { .. } => Failure::not_found("the conversation was removed"),
        error => error.into(),
    })?;
    if to.title.is_empty() {
        let title = title_of(&question.text);
        data.rename_conversation(&question.owner, &to.id, &title)?;
    }
    Ok(added)
}

/// Tells of one question.
struct Teller<'a> {
    app: &'a App,
    run: &'a Run,
    question: &'a Question,
    snapshot: &'a Snapshot,
}

impl Teller<'_> {
    fn search(&self, standalone: Option<&str>) {
        let (collection, settings) = (&self.question.collection, &self.question.settings);
        let generator = collection.generator_name(settings);
        let search = Search {
            ask: &self.run.id,
            collection: &collection.name,
            question: &self.question.text,
            standalone_question: standalone,
            snapshot: &self.snapshot.id().to_string(),
            generator: generator.as_deref(),
        };
        self.run.tell("search", &search);
    }

    /// A sentence that passed its check, what it cites, and how it is supported.
    fn claim(&self, number: usize, claim: &Claim) {
        if number == 0 {
            self.first();
        }
        let marks: String = claim.citations.iter().map(|c| format!("[{}]", c.number)).collect();
        let space = if number == 0 { "" } else { " " };
        let text = format!("{space}{} {marks}", claim.text);
        self.run.tell("delta", &Delta { claim: number, text: &text });
        for citation in &claim.citations {
            let binding = self.snapshot.binding(&citation.uri);
            let document = binding.map(|binding| binding.document.to_string());
            self.run.tell("citation", &Cited { claim: number, document, citation });
        }
        self.run.tell("verified", &Verified::supported(number, claim));
    }

    /// Notes how long the first text took.
    fn first(&self) {
        let model = format!("{COLLECTION_PREFIX}{}", self.question.collection.name);
        let seconds = self.question.call.arrived().elapsed().as_secs_f64();
        self.app.metrics.first_token_seconds.observe(&[&model], seconds);
    }
}
