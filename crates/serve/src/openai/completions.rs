//! `/v1/completions`: prompts continued as they are.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use plumb_infer::{Generation, LanguageModel, Options};
use plumb_text::{Special, Tokenizer};
use serde_json::Value;

use super::completions_wire::{
    Completion, CompletionChoice, CompletionLogprobs, CompletionRequest, Prompt,
};
use super::parameters;
use crate::allowance::Allowance;
use crate::auth::role::Principal;
use crate::body::Body;
use crate::cache::{self, Beside, Policy};
use crate::clock;
use crate::conversation;
use crate::failure::{Failure, Shape};
use crate::generation::{Generating, Job, Piece, finish_reason};
use crate::generator::Generator;
use crate::observe::Labels;
use crate::sse::{self, Gone, Sender};
use crate::state::{App, Served};
use crate::trace;

/// Prompts of one request.
const MAX_PROMPTS: usize = 64;

/// Continue a prompt
#[utoipa::path(post, path = "/v1/completions", tag = "openai",
    request_body = CompletionRequest,
    responses(
        (status = 200, description = "A completion, or a stream of them", body = Completion),
        (status = 400, description = "A parameter cannot be served, or the prompt is too long"),
        (status = 404, description = "There is no such model"),
        (status = 429, description = "Too many requests wait")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Principal,
    policy: Policy,
    call: Allowance,
    Body(request): Body<CompletionRequest>,
) -> Result<Response, Failure> {
    let Served::Generator(generator) = app.served(&who, &request.model)? else {
        let message = "a collection answers at /v1/chat/completions only";
        return Err(Failure::invalid("model", message));
    };
    check(&request, &app)?;
    let labels = Labels { model: Some(request.model.clone()) };
    let is_stream = request.stream.unwrap_or(false);
    let wants_usage = request.stream_options.and_then(|o| o.include_usage).unwrap_or(false);
    let writer = Writer::new(&request, &generator);
    let preparing = generator.clone();
    let whose = (policy, call);
    let jobs = app.preparing.run(move || jobs(&preparing, &request, &whose)).await??;
    let starting = jobs.iter().map(|job| Generating::start(&app, &generator, &who.id, job));
    let running: Vec<Generating> = starting.collect::<Result<_, _>>()?;
    let is_kept = running.iter().all(Generating::is_kept);
    let writer = Writer { is_kept, ..writer };
    let response = if is_stream {
        stream(running, writer, wants_usage)
    } else {
        whole(running, &writer).await?
    };
    let mut response = cache::marked_exact(response, is_kept);
    response.extensions_mut().insert(labels);
    Ok(response)
}

fn check(request: &CompletionRequest, app: &App) -> Result<(), Failure> {
    parameters::check_extra(&request.extra)?;
    if request.echo.unwrap_or(false) {
        return Err(Failure::invalid("echo", "`echo` is not served: the prompt is yours already"));
    }
    let (n, most) = (request.n.unwrap_or(1), app.limits().choices);
    if !(1..=most).contains(&n) {
        return Err(Failure::invalid("n", format!("`n` is {n}; it must be from 1 to {most}")));
    }
    if let Some(count) = request.logprobs.filter(|&count| 20 < count) {
        let message = format!("`logprobs` is {count}; it must be at most 20");
        return Err(Failure::invalid("logprobs", message));
    }
    if request.max_tokens == Some(0) {
        return Err(Failure::invalid("max_tokens", "`max_tokens` is 0; it must be at least 1"));
    }
    Ok(())
}

fn jobs(
    generator: &Generator,
    request: &CompletionRequest,
    (policy, call): &(Policy, Allowance),
) -> Result<Vec<Job>, Failure> {
    let tokenizer = generator.model.tokenizer();
    let encode = |text: &String| tokenizer.encode(text, Special::Add);
    let prompts: Vec<Vec<u32>> = match &request.prompt {
        Prompt::Text(text) => vec![encode(text).map_err(plumb_infer::Error::from)?],
        Prompt::Texts(texts) => {
            texts.iter().map(encode).collect::<Result<_, _>>().map_err(plumb_infer::Error::from)?
        }
        Prompt::Tokens(tokens) => vec![tokens.clone()],
        Prompt::ManyTokens(many) => many.clone(),
    };
    if !(1..=MAX_PROMPTS).contains(&prompts.len()) || prompts.iter().any(Vec::is_empty) {
        let message = format!("`prompt` must be from 1 to {MAX_PROMPTS} prompts, none empty");
        return Err(Failure::invalid("prompt", message));
    }
    let options = Options {
        max_tokens: request.max_tokens.unwrap_or(16),
        sampling: parameters::sampling(&request.sampling)?,
        stop: parameters::stops(request.sampling.stop.as_ref())?,
        logprobs: request.logprobs,
        ..Options::default()
    };
    let n = request.n.unwrap_or(1);
    let is_seeded = request.sampling.seed.is_some();
    let policy = policy.and(request.plumb).if_decided(&options.sampling, is_seeded);
    let job = |prompt: Vec<u32>| Job {
        input: call.scope().has_content().then(|| told(tokenizer, &prompt)),
        prompt,
        options: options.clone(),
        grammar: None,
        schema: None,
        n,
        policy,
        operation: "text_completion",
        call: call.clone(),
    };
    Ok(prompts.into_iter().map(job).collect())
}

/// A prompt as traces hold it.
fn told(tokenizer: &Tokenizer, prompt: &[u32]) -> String {
    let bytes: Vec<u8> = prompt.iter().flat_map(|&token| tokenizer.piece_bytes(token)).collect();
    Value::Array(vec![trace::message("user", &String::from_utf8_lossy(&bytes))]).to_string()
}

/// Writes completions of one request.
struct Writer {
    id: String,
    created: u64,
    name: String,
    model: Arc<LanguageModel>,
    /// Continuations of each prompt.
    n: usize,
    /// Whether all of them were kept.
    is_kept: bool,
}

impl Writer {
    fn new(request: &CompletionRequest, generator: &Generator) -> Self {
        Self {
            id: clock::new_id("cmpl-"),
            created: clock::unix_seconds(),
            name: request.model.clone(),
            model: generator.model.clone(),
            n: request.n.unwrap_or(1),
            is_kept: false,
        }
    }

    fn completion(&self, choices: Vec<CompletionChoice>) -> Completion {
        Completion {
            id: self.id.clone(),
            object: "text_completion",
            created: self.created,
            model: self.name.clone(),
            choices,
            usage: None,
            plumb: self.is_kept.then(Beside::exact),
        }
    }

    /// The end of a continuation, with the text in it or told before.
    fn choice(&self, index: usize, done: &Generation, text: String) -> CompletionChoice {
        CompletionChoice {
            index,
            text,
            logprobs: self.logprobs(done),
            finish_reason: Some(finish_reason(done.finish)),
        }
    }

    fn logprobs(&self, done: &Generation) -> Option<CompletionLogprobs> {
        let spelt = |token: u32| {
            let bytes = self.model.tokenizer().piece_bytes(token);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let mut columns = CompletionLogprobs::default();
        let mut offset = 0;
        for place in done.logprobs.as_ref()? {
            let token = spelt(place.token);
            columns.text_offset.push(offset);
            offset += token.chars().count();
            columns.tokens.push(token);
            columns.token_logprobs.push(place.logprob);
            let top = place.top.iter().map(|&(token, logprob)| (spelt(token), logprob));
            columns.top_logprobs.push(top.collect());
        }
        Some(columns)
    }
}

fn add(usage: &mut conversation::Usage, done: &Generation, is_first: bool) {
    if is_first {
        usage.prompt += done.timings.prompt_tokens;
        usage.cached += done.timings.cached_tokens;
    }
    usage.completion += done.tokens.len();
}

async fn whole(running: Vec<Generating>, writer: &Writer) -> Result<Response, Failure> {
    let mut choices = Vec::new();
    let mut usage = conversation::Usage::default();
    for generating in running {
        for (i, done) in generating.all().await?.into_iter().enumerate() {
            add(&mut usage, &done, i == 0);
            choices.push(writer.choice(choices.len(), &done, done.text.clone()));
        }
    }
    let usage = Some(usage.into());
    Ok(Json(Completion { usage, ..writer.completion(choices) }).into_response())
}

fn stream(running: Vec<Generating>, writer: Writer, wants_usage: bool) -> Response {
    sse::response(async move |sender: Arc<Sender>| {
        let mut usage = conversation::Usage::default();
        // Prompts run at once; their texts are sent one after the other.
        for (i, generating) in running.into_iter().enumerate() {
            if let Err(failure) = one(&sender, generating, (&writer, i), &mut usage).await? {
                return sender.data(&failure.body(Shape::OpenAi)).await;
            }
        }
        if wants_usage {
            let usage = Some(usage.into());
            sender.data(&Completion { usage, ..writer.completion(Vec::new()) }).await?;
        }
        sender.done().await
    })
}

async fn one(
    sender: &Sender,
    mut generating: Generating,
    (writer, prompt): (&Writer, usize),
    usage: &mut conversation::Usage,
) -> Result<Result<(), Failure>, Gone> {
    let mut ended = 0;
    loop {
        let choice = match generating.next().await {
            Ok(Some(Piece::Text(i, text))) => {
                let index = prompt * writer.n + i;
                CompletionChoice { index, text, logprobs: None, finish_reason: None }
            }
            Ok(Some(Piece::Done(i, done))) => {
                add(usage, &done, ended == 0);
                ended += 1;
                writer.choice(prompt * writer.n + i, &done, String::new())
            }
            Ok(None) => return Ok(Ok(())),
            Err(failure) => return Ok(Err(failure)),
        };
        sender.data(&writer.completion(vec![choice])).await?;
    }
}
