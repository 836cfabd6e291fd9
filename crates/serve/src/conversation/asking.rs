//! A conversation with a collection: a cited answer to the last question.
//!
//! Earlier turns are what the question may refer to. Messages of the system are
//! not followed: an answer is what the documents support, checked word for word.
//! Where a request says how tokens are drawn, the wording is drawn so, from the
//! words that the evidence allows; where it does not, the likeliest is taken. A
//! reply that may have so many tokens ends with the last whole sentence that fits.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plumb_answer::{Answer, Claim, Event, Status, Turn};
use plumb_infer::Sampling;
use tokio::sync::mpsc;

use super::replying::{Cited, Replying, Usage};
use super::{Conversation, Format, Role, Spoken, ToolChoice};
use crate::allowance::Allowance;
use crate::cache::Policy;
use crate::collection::{Asked, Collection};
use crate::failure::Failure;
use crate::given;
use crate::state::App;
use crate::workers::Place;

/// A question with the turns before it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    text: String,
    history: Vec<Turn>,
}

impl Question {
    /// The last message, which must be the user's, and the pairs of earlier
    /// questions and answers.
    fn of(messages: &[Spoken]) -> Result<Self, Failure> {
        let mut history = Vec::new();
        let mut open: Option<String> = None;
        for message in messages {
            let text = message.text.clone();
            match (message.role, open.take()) {
                (Role::User, _) => open = Some(text),
                (Role::Assistant, Some(question)) => history.push(Turn { question, answer: text }),
                // What the assistant said without a question answers none.
                (_, kept) => open = kept,
            }
        }
        let is_last = messages.last().is_some_and(|message| message.role == Role::User);
        match open.filter(|question| is_last && !question.trim().is_empty()) {
            Some(text) => Ok(Self { text, history }),
            None => {
                Err(Failure::invalid("messages", "the last message must be the user's question"))
            }
        }
    }
}

/// How a question is to be answered, and whom.
struct How {
    /// Id of the key that asks.
    owner: String,
    /// As the collection is set without it.
    sampling: Option<Sampling>,
    /// Tokens of the reply.
    max_tokens: Option<usize>,
    policy: Policy,
}

/// Refuses what a checked answer cannot heed.
fn check(conversation: &Conversation) -> Result<(), Failure> {
    let refused = |param: &str, what: &str| {
        Err(Failure::invalid(param, format!("an answer from documents {what}")))
    };
    if conversation.n != 1 {
        return refused("n", "is one: `n` must be 1");
    }
    if conversation.logprobs.is_some() {
        return refused("logprobs", "has no log-probabilities");
    }
    if conversation.format != Format::Text {
        return refused("response_format", "is text; its parts are under `plumb`");
    }
    if !conversation.stop.is_empty() {
        return refused("stop", "is not cut: leave `stop` out");
    }
    if !conversation.tools.is_empty() && conversation.choice != ToolChoice::Never {
        return refused("tools", "calls no tools");
    }
    Ok(())
}

/// Asks `collection` the last message of `conversation`.
pub(super) async fn start(
    app: &Arc<App>,
    (collection, owner): (Arc<Collection>, String),
    conversation: &Conversation,
    call: &Allowance,
) -> Result<Replying, Failure> {
    check(conversation)?;
    let question = Question::of(&conversation.messages)?;
    let place = app.workers.reserve().await?;
    let how = How {
        owner,
        sampling: conversation.is_sampled.then(|| conversation.sampling.clone()),
        max_tokens: conversation.max_tokens,
        policy: conversation.policy,
    };
    let asking = Asking::start((app, call), collection, (question, how), place);
    Ok(Replying::of_documents(asking))
}

/// A question that is being answered on a worker. Dropping it cancels it.
pub(super) struct Asking {
    app: Arc<App>,
    call: Allowance,
    model: String,
    events: mpsc::UnboundedReceiver<Result<Told, Failure>>,
    is_cancelled: Arc<AtomicBool>,
    has_told: bool,
    is_over: bool,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.is_cancelled.store(true, Ordering::Release);
    }
}

/// How much of an answer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    /// What fitted into the tokens that the reply may have.
    Cut,
}

/// What a question tells on its way.
pub(super) enum Told {
    Claim(String, Vec<Cited>),
    Done(Box<Answer>, Usage, Extent),
}

impl Asking {
    fn start(
        (app, call): (&Arc<App>, &Allowance),
        collection: Arc<Collection>,
        (question, how): (Question, How),
        place: Place,
    ) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let asking = Self {
            app: app.clone(),
            call: call.clone(),
            model: format!("{}{}", crate::state::COLLECTION_PREFIX, collection.name),
            events,
            is_cancelled: is_cancelled.clone(),
            has_told: false,
            is_over: false,
        };
        let (app, call, failed) = (app.clone(), call.clone(), sender.clone());
        let work = place.run(move || {
            let asked = (&question, &how);
            let answer = answer((&app, &call), &collection, asked, (&is_cancelled, &sender));
            // Whether anybody listens is no concern of the work.
            let _ = sender.send(answer);
        });
        tokio::spawn(async move {
            if let Err(failure) = work.await {
                let _ = failed.send(Err(failure));
            }
        });
        asking
    }

    /// What is told next; `None` after the answer. Fails when the deadline has
    /// passed or the server has to stop.
    pub(super) async fn next(&mut self) -> Result<Option<Told>, Failure> {
        if self.is_over {
            return Ok(None);
        }
        let told = self.call.wait(&self.app.drain, self.events.recv()).await?;
        let ended = || Failure::internal("the work on this question ended");
        let told = told.ok_or_else(ended)??;
        self.is_over = matches!(told, Told::Done(..));
        if !std::mem::replace(&mut self.has_told, true) {
            let waited = self.call.arrived().elapsed().as_secs_f64();
            self.app.metrics.first_token_seconds.observe(&[&self.model], waited);
        }
        Ok(Some(told))
    }
}

fn answer(
    (app, call): (&App, &Allowance),
    collection: &Collection,
    (question, how): (&Question, &How),
    (is_cancelled, sender): (&Arc<AtomicBool>, &mpsc::UnboundedSender<Result<Told, Failure>>),
) -> Result<Told, Failure> {
    let mut text = Text::default();
    let mut room = Room { left: how.max_tokens, told: 0, extent: Extent::All };
    let mut on_event = |event: Event<'_>| {
        if let Event::Claim(claim) = event {
            let (text, cited) = text.push(claim);
            if room.takes(collection.count_tokens(&text)) {
                let _ = sender.send(Ok(Told::Claim(text, cited)));
            }
        }
        if is_cancelled.load(Ordering::Acquire) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let snapshot = collection.snapshot()?;
    let asked = Asked {
        snapshot: &snapshot,
        question: &question.text,
        history: &question.history,
        settings: &collection.settings(),
        sampling: how.sampling.as_ref(),
        policy: how.policy,
        call,
    };
    let given = collection.ask(app, &asked, is_cancelled, &mut on_event)?;
    given::keep(app, (&how.owner, &collection.name), &question.text, &given)?;
    let answer = given.answer;
    if answer.status == Status::Abstained {
        room.takes(collection.count_tokens(&answer.answer));
    }
    let usage =
        Usage { prompt: collection.count_tokens(&question.text), cached: 0, completion: room.told };
    Ok(Told::Done(Box::new(answer), usage, room.extent))
}

/// The tokens that a reply may still have.
struct Room {
    /// `None` if it may have any number.
    left: Option<usize>,
    told: usize,
    extent: Extent,
}

impl Room {
    /// Whether so many tokens more may be told. After the first that may not,
    /// none may: what is told has no gaps.
    fn takes(&mut self, tokens: usize) -> bool {
        if self.left.is_some_and(|left| left < tokens) {
            self.extent = Extent::Cut;
        }
        if self.extent == Extent::Cut {
            return false;
        }
        self.left = self.left.map(|left| left - tokens);
        self.told += tokens;
        true
    }
}

/// An answer's text as it grows, a claim at a time.
#[derive(Debug, Default)]
struct Text {
    /// Characters so far.
    chars: usize,
}

impl Text {
    /// What `claim` adds: its text with the numbers of its citations, after a
    /// space if it is not the first, and what they cite.
    fn push(&mut self, claim: &Claim) -> (String, Vec<Cited>) {
        let marks: String = claim.citations.iter().map(|c| format!("[{}]", c.number)).collect();
        let space = if self.chars == 0 { "" } else { " " };
        let text = format!("{space}{} {marks}", claim.text);
        let start = self.chars + space.len();
        self.chars += text.chars().count();
        let cited = claim.citations.iter().map(|citation| Cited {
            start,
            end: self.chars,
            uri: citation.uri.clone(),
            title: citation.title.clone(),
        });
        (text, cited.collect())
    }
}

#[cfg(test)]
mod tests {
    use plumb_answer::{Citation, Wording};

    use super::*;

    fn claim(text: &str, number: usize) -> Claim {
        let citation = Citation {
            number,
            uri: format!("file:///{number}.md"),
            title: String::new(),
            sha256: String::new(),
            byte_range: [0, 1],
            in_original: true,
            quote: String::new(),
            quote_text: None,
            score: 1.0,
            heading_path: Vec::new(),
            page: None,
            part: None,
            label: None,
        };
        let (wording, parts) = (Wording::Quoted, Vec::new());
        Claim { text: text.to_owned(), wording, citations: vec![citation], parts }
    }

    #[test]
    fn citations_point_at_characters_not_bytes() {
        let mut text = Text::default();
        let (first, _) = text.push(&claim("D\u{e9}j\u{e0} vu.", 1));
        let (second, cited) = text.push(&claim("Yes.", 2));
        let all: Vec<char> = format!("{first}{second}").chars().collect();
        let place: String = all[cited[0].start..cited[0].end].iter().collect();
        assert_eq!((&*place, &*cited[0].uri), ("Yes. [2]", "file:///2.md"));
    }

    #[test]
    fn a_reply_ends_with_the_last_sentence_that_fits() {
        let mut room = Room { left: Some(10), told: 0, extent: Extent::All };
        let taken: Vec<bool> = [4, 5, 3, 1].map(|tokens| room.takes(tokens)).into();
        assert_eq!(taken, [true, true, false, false]);
        assert_eq!((room.told, room.extent), (9, Extent::Cut));
        let mut room = Room { left: None, told: 0, extent: Extent::All };
        assert!(room.takes(1000) && room.extent == Extent::All);
    }

    #[test]
    fn earlier_turns_are_the_history_of_the_last_question() {
        let found = Question::of(&[
            Spoken::new(Role::System, "Be brief."),
            Spoken::new(Role::User, "What is A?"),
            Spoken::new(Role::Assistant, "A letter."),
            Spoken::new(Role::User, "And B?"),
        ]);
        let turn = Turn { question: "What is A?".to_owned(), answer: "A letter.".to_owned() };
        assert_eq!(found.unwrap(), Question { text: "And B?".to_owned(), history: vec![turn] });
    }

    #[test]
    fn a_conversation_that_ends_with_no_question_is_refused() {
        for messages in [
            vec![Spoken::new(Role::User, "?"), Spoken::new(Role::Assistant, "!")],
            vec![Spoken::new(Role::User, " ")],
            vec![Spoken::new(Role::System, "x")],
        ] {
            assert_eq!(Question::of(&messages).unwrap_err().param.as_deref(), Some("messages"));
        }
    }
}
