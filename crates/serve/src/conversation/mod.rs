//! A conversation to be answered, whichever API it came by: what the APIs have
//! in common, in no API's words.
//!
//! [`start`] hands a [`Conversation`] to an engine, or to a collection's
//! documents, and gives a [`Replying`], from which the APIs write whole replies
//! or streams.

mod asking;
mod job;
mod replying;
mod tools;

use std::sync::Arc;

use plumb_infer::Sampling;
use serde_json::Value;

use crate::allowance::Allowance;
use crate::auth::role::Principal;
use crate::cache::Policy;
use crate::failure::Failure;
use crate::state::{App, Served};

pub use replying::{Choice, Cited, End, Ending, Replying, Said, Usage};
pub use tools::{Call, Tool, ToolChoice};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    System,
    User,
    Assistant,
    /// What a tool gave.
    Tool,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    pub role: Role,
    pub text: String,
    /// Tools that the assistant called.
    pub calls: Vec<Call>,
    /// The call that a tool answers.
    pub call_id: Option<String>,
}

impl Spoken {
    /// A message that is text and no more.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, text: text.into(), calls: Vec::new(), call_id: None }
    }
}

/// What form the text is to have.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Format {
    #[default]
    Text,
    /// JSON that a schema describes.
    Json(Value),
}

/// A conversation, and how it is to be answered.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub model: String,
    pub messages: Vec<Spoken>,
    pub tools: Vec<Tool>,
    pub choice: ToolChoice,
    /// Whether one reply may call several tools.
    pub is_parallel: bool,
    pub format: Format,
    /// Replies, at least 1.
    pub n: usize,
    /// Tokens of a reply; the server's own limit if it is `None`.
    pub max_tokens: Option<usize>,
    /// Alternatives for each token, if log-probabilities are wanted.
    pub logprobs: Option<usize>,
    pub sampling: Sampling,
    /// Whether the request says how tokens are drawn.
    pub is_sampled: bool,
    /// Whether the request names the seed.
    pub is_seeded: bool,
    pub stop: Vec<String>,
    /// Whether it may be answered from what was kept.
    pub policy: Policy,
}

impl Conversation {
    /// What may be kept of replies, and taken: of an engine only those that a
    /// second run would give again.
    fn exact_policy(&self) -> Policy {
        self.policy.if_decided(&self.sampling, self.is_seeded)
    }
}

/// Hands `conversation` over. Fails if it cannot be served, or too much waits.
pub async fn start(
    app: &Arc<App>,
    who: &Principal,
    conversation: Conversation,
    call: &Allowance,
) -> Result<Replying, Failure> {
    check(&conversation, app)?;
    match app.served(who, &conversation.model)? {
        Served::Generator(generator) => {
            job::start(app, (&generator, &who.id), conversation, call).await
        }
        Served::Collection(collection) => {
            let whose = (collection, who.id.clone());
            asking::start(app, whose, &conversation, call).await
        }
    }
}

/// How many tokens the prompt of `conversation` has.
pub async fn count(
    app: &Arc<App>,
    who: &Principal,
    conversation: Conversation,
) -> Result<usize, Failure> {
    match app.served(who, &conversation.model)? {
        Served::Generator(generator) => job::count(app, &generator, conversation).await,
        Served::Collection(collection) => {
            let texts = conversation.messages.iter().map(|message| &*message.text);
            Ok(texts.map(|text| collection.count_tokens(text)).sum())
        }
    }
}

fn check(conversation: &Conversation, app: &App) -> Result<(), Failure> {
    if conversation.messages.is_empty() {
        return Err(Failure::invalid("messages", "there are no messages"));
    }
    let (n, most) = (conversation.n, app.limits().choices);
    if !(1..=most).contains(&n) {
        return Err(Failure::invalid("n", format!("`n` is {n}; it must be from 1 to {most}")));
    }
    if conversation.max_tokens == Some(0) {
        return Err(Failure::invalid("max_tokens", "`max_tokens` is 0; it must be at least 1"));
    }
    conversation.sampling.check()?;
    tools::check(conversation)
}
