//! `/v1/chat/completions`.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use plumb_infer::{Generation, LanguageModel};
use plumb_text::Message;

use super::wire::{
    ChatCompletion, ChatMessage, ChatRequest, Choice, Logprobs, Reply, TokenLogprob, TopLogprob,
    Usage,
};
use super::{chat_stream, documents, parameters};
use crate::body::Body;
use crate::clock;
use crate::failure::Failure;
use crate::generation::{Generating, Job, finish_reason, room};
use crate::generator::Generator;
use crate::observe::Labels;
use crate::state::{App, Served};

/// Answer a conversation
///
/// The model `docs/COLLECTION` answers the last message of the user from the
/// documents, with citations in `annotations` and the whole answer in `plumb`.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai",
    request_body = ChatRequest,
    responses(
        (status = 200, description = "A completion, or a stream of chunks", body = ChatCompletion),
        (status = 400, description = "A parameter cannot be served, or the prompt is too long"),
        (status = 404, description = "There is no such model"),
        (status = 429, description = "Too many requests wait"),
        (status = 503, description = "Still loading, or stopping")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Body(request): Body<ChatRequest>,
) -> Result<Response, Failure> {
    let arrived = Instant::now();
    request.check(&app)?;
    let served = app.served(&request.model)?;
    let labels = Labels { model: Some(request.model.clone()) };
    let mut response = match served {
        Served::Generator(generator) => generated(&app, &generator, request, arrived).await?,
        Served::Collection(collection) => {
            documents::respond(&app, collection, request, arrived).await?
        }
    };
    response.extensions_mut().insert(labels);
    Ok(response)
}

impl ChatRequest {
    /// Continuations that are asked for.
    pub(super) fn choices(&self) -> usize {
        self.n.unwrap_or(1)
    }

    /// Whether the response is to come as it is written.
    pub(super) fn is_stream(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Whether the last event of a stream is to have the usage.
    pub(super) fn wants_usage(&self) -> bool {
        self.stream_options.and_then(|options| options.include_usage).unwrap_or(false)
    }

    /// The tokens that are asked for, under either name.
    pub(super) fn max_tokens(&self) -> Option<usize> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    fn check(&self, app: &App) -> Result<(), Failure> {
        parameters::check_extra(&self.extra)?;
        for message in &self.messages {
            message.check()?;
        }
        if self.messages.is_empty() {
            return Err(Failure::invalid("messages", "`messages` is empty"));
        }
        let (n, most) = (self.choices(), app.settings.limits.choices);
        if !(1..=most).contains(&n) {
            return Err(Failure::invalid("n", format!("`n` is {n}; it must be from 1 to {most}")));
        }
        if let Some(top) = self.top_logprobs
            && (20 < top || !self.logprobs.unwrap_or(false))
        {
            let message = "`top_logprobs` is at most 20 and needs `logprobs` to be true";
            return Err(Failure::invalid("top_logprobs", message));
        }
        Ok(())
    }

    fn logprobs(&self) -> Option<usize> {
        self.logprobs.unwrap_or(false).then(|| self.top_logprobs.unwrap_or(0))
    }
}

impl ChatMessage {
    fn check(&self) -> Result<(), Failure> {
        // Names who speaks; templates of chat models have no place for it.
        let known = |name: &str| matches!(name, "name" | "refusal" | "annotations" | "audio");
        let unknown = self.extra.iter().find(|(name, value)| !value.is_null() && !known(name));
        if let Some((name, _)) = unknown {
            let message = format!("a message has `{name}`, which this server does not know");
            return Err(Failure::invalid("messages", message));
        }
        if !matches!(&*self.role, "system" | "developer" | "user" | "assistant") {
            let message = format!("a message has the role `{}`", self.role);
            return Err(Failure::invalid("messages", message));
        }
        Ok(())
    }

    /// The message as chat templates know it, with nothing in it that a model
    /// reads as the end of a turn.
    fn prompt(&self, model: &LanguageModel) -> Result<Message, Failure> {
        let role = if self.role == "developer" { "system" } else { &*self.role };
        let text = parameters::text(self.content.as_ref())?;
        Ok(Message::new(role, &model.tokenizer().defuse(&text)))
    }
}

/// Everything about a completion but what it says.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) fingerprint: Option<String>,
}

impl Heading {
    pub(super) fn new(model: &str, sha256: Option<&String>) -> Self {
        Self {
            id: clock::new_id("chatcmpl-"),
            created: clock::unix_seconds(),
            model: model.to_owned(),
            fingerprint: sha256.map(|sha256| format!("fp_{}", &sha256[..sha256.len().min(12)])),
        }
    }
}

async fn generated(
    app: &Arc<App>,
    generator: &Arc<Generator>,
    request: ChatRequest,
    arrived: Instant,
) -> Result<Response, Failure> {
    let (is_stream, wants_usage) = (request.is_stream(), request.wants_usage());
    let heading = Heading::new(&request.model, generator.id.sha256.as_ref());
    let (shared, preparing) = (app.clone(), generator.clone());
    let job = app.preparing.run(move || job(&shared, &preparing, &request, arrived)).await??;
    let generating = Generating::start(app, generator, &job)?;
    if is_stream {
        let tokens = generator.model.clone();
        return Ok(chat_stream::response(generating, heading, wants_usage, tokens));
    }
    let all = generating.all().await?;
    let usage = usage(&all);
    let choices = all.into_iter().enumerate().map(|(i, done)| choice(i, done, &generator.model));
    Ok(Json(ChatCompletion {
        id: heading.id,
        object: "chat.completion",
        created: heading.created,
        model: heading.model,
        choices: choices.collect(),
        usage,
        system_fingerprint: heading.fingerprint,
        plumb: None,
    })
    .into_response())
}

/// Turns messages into tokens and compiles the grammar: takes a moment.
fn job(
    app: &App,
    generator: &Generator,
    request: &ChatRequest,
    arrived: Instant,
) -> Result<Job, Failure> {
    let model = &generator.model;
    let messages: Vec<Message> =
        request.messages.iter().map(|m| m.prompt(model)).collect::<Result<_, _>>()?;
    let prompt = model.chat_prompt(&messages)?;
    let left = room(generator, app).saturating_sub(prompt.len()).max(1);
    let default = app.settings.limits.default_tokens.min(left);
    let options =
        parameters::options(&request.sampling, request.max_tokens(), request.logprobs(), default)?;
    let grammar = parameters::grammar(request.response_format.as_ref(), model)?;
    Ok(Job { prompt, options, grammar, n: request.choices(), arrived })
}

/// The tokens of a request: its prompt once, and all continuations.
pub(super) fn usage(all: &[Generation]) -> Usage {
    let prompt = all.first().map_or(0, |done| done.timings.prompt_tokens);
    let cached = all.first().map_or(0, |done| done.timings.cached_tokens);
    Usage::new(prompt, cached, all.iter().map(|done| done.tokens.len()).sum())
}

fn choice(index: usize, done: Generation, model: &LanguageModel) -> Choice {
    Choice {
        index,
        logprobs: done.logprobs.as_deref().map(|all| logprobs(all, model)),
        finish_reason: finish_reason(done.finish),
        message: Reply {
            role: "assistant",
            content: Some(done.text),
            refusal: None,
            annotations: Vec::new(),
        },
    }
}

/// Log-probabilities in the words of the API.
pub(super) fn logprobs(all: &[plumb_infer::TokenLogprob], model: &LanguageModel) -> Logprobs {
    let spelt = |token: u32| {
        let bytes = model.tokenizer().piece_bytes(token);
        (String::from_utf8_lossy(&bytes).into_owned(), bytes)
    };
    let content = all.iter().map(|place| {
        let (token, bytes) = spelt(place.token);
        let top = place.top.iter().map(|&(token, logprob)| {
            let (token, bytes) = spelt(token);
            TopLogprob { token, logprob, bytes }
        });
        let top_logprobs = top.collect();
        TokenLogprob { token, logprob: place.logprob, bytes, top_logprobs }
    });
    Logprobs { content: content.collect() }
}
