//! Replies in the words of chat completions, whole and as chunks.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use plumb_infer::{LanguageModel, TokenLogprob as Measured};

use super::wire::{
    Annotation, ChatCompletion, Choice, Chunk, ChunkChoice, Delta, Logprobs, Reply, TokenLogprob,
    TopLogprob, UrlCitation, Usage, WireCall, WireCalled,
};
use crate::cache::{self, Beside};
use crate::clock;
use crate::conversation::{self, Call, Cited, End, Ending, Replying, Said};
use crate::failure::{Failure, Shape};
use crate::sse::{self, Gone, Sender};

/// Everything about a completion but what it says.
#[derive(Clone, Debug)]
struct Heading {
    id: String,
    created: u64,
    model: String,
    fingerprint: Option<String>,
}

impl Heading {
    fn new(model: String, replying: &Replying) -> Self {
        let short = |sha256: &String| format!("fp_{}", &sha256[..sha256.len().min(12)]);
        Self {
            id: clock::new_id("chatcmpl-"),
            created: clock::unix_seconds(),
            model,
            fingerprint: replying.sha256.as_ref().map(short),
        }
    }

    fn chunk(&self, choices: Vec<ChunkChoice>) -> Chunk {
        Chunk {
            id: self.id.clone(),
            object: "chat.completion.chunk",
            created: self.created,
            model: self.model.clone(),
            choices,
            system_fingerprint: self.fingerprint.clone(),
            usage: None,
            plumb: None,
        }
    }
}

/// The whole completion, when it is done.
pub(super) async fn whole(replying: Replying, model: String) -> Result<Response, Failure> {
    let heading = Heading::new(model, &replying);
    let spelling = replying.model.clone();
    let whole = replying.whole().await?;
    let layer = whole.layer();
    let choices = whole.choices.into_iter().enumerate();
    let choices = choices.map(|(index, said)| choice(index, said, spelling.as_deref()));
    let completion = Json(ChatCompletion {
        id: heading.id,
        object: "chat.completion",
        created: heading.created,
        model: heading.model,
        choices: choices.collect(),
        usage: whole.usage.into(),
        system_fingerprint: heading.fingerprint,
        plumb: whole.beside,
    });
    Ok(cache::marked(completion.into_response(), layer.as_deref()))
}

fn choice(index: usize, said: conversation::Choice, model: Option<&LanguageModel>) -> Choice {
    let calls: Vec<WireCall> = said.calls.into_iter().map(|call| wire_call(call, None)).collect();
    let has_content = calls.is_empty() || !said.text.is_empty();
    Choice {
        index,
        logprobs: logprobs(&said.end, model),
        finish_reason: finish_reason(said.end.ending),
        message: Reply {
            role: "assistant",
            content: has_content.then_some(said.text),
            refusal: None,
            annotations: said.cited.into_iter().map(annotation).collect(),
            tool_calls: calls,
        },
    }
}

/// The completion as it comes.
pub(super) fn stream(replying: Replying, model: String, wants_usage: bool) -> Response {
    let heading = Heading::new(model, &replying);
    let is_kept = replying.is_kept();
    let response = sse::response(async move |sender: Arc<Sender>| {
        match write(&sender, replying, &heading).await? {
            Ok(usage) => {
                if wants_usage {
                    let usage = Some(Usage::from(usage));
                    sender.data(&Chunk { usage, ..heading.chunk(Vec::new()) }).await?;
                }
                sender.done().await
            }
            Err(failure) => sender.data(&failure.body(Shape::OpenAi)).await,
        }
    });
    cache::marked_exact(response, is_kept)
}

async fn write(
    sender: &Sender,
    mut replying: Replying,
    heading: &Heading,
) -> Result<Result<conversation::Usage, Failure>, Gone> {
    let model = replying.model.clone();
    let mut calls = vec![0; replying.choices()];
    for index in 0..replying.choices() {
        let (role, content) = (Some("assistant"), Some(String::new()));
        let delta = Delta { role, content, ..Delta::default() };
        sender.data(&heading.chunk(vec![part(index, delta)])).await?;
    }
    // The end of an answer from documents waits for the answer itself.
    let mut last: Option<Chunk> = None;
    loop {
        let said = match replying.next().await {
            Ok(Some(said)) => said,
            Ok(None) => break,
            Err(failure) => return Ok(Err(failure)),
        };
        if let Some(mut chunk) = last.take() {
            if let Said::Answer(answer) = said {
                chunk.plumb = Some(Beside::Answer(answer));
                sender.data(&chunk).await?;
                continue;
            }
            sender.data(&chunk).await?;
        }
        let chunk = match said {
            Said::Text { choice, text, cited } => {
                let annotations = cited.into_iter().map(annotation).collect();
                let delta = Delta { content: Some(text), annotations, ..Delta::default() };
                heading.chunk(vec![part(choice, delta)])
            }
            Said::Call { choice, call } => {
                let tool_calls = vec![wire_call(call, Some(calls[choice]))];
                calls[choice] += 1;
                heading.chunk(vec![part(choice, Delta { tool_calls, ..Delta::default() })])
            }
            Said::End { choice, end } => {
                let chunk = heading.chunk(vec![ChunkChoice {
                    logprobs: logprobs(&end, model.as_deref()),
                    finish_reason: Some(finish_reason(end.ending)),
                    ..part(choice, Delta::default())
                }]);
                last = Some(Chunk { plumb: replying.is_kept().then(Beside::exact), ..chunk });
                continue;
            }
            Said::Answer(_) => continue,
        };
        sender.data(&chunk).await?;
    }
    if let Some(chunk) = last {
        sender.data(&chunk).await?;
    }
    Ok(Ok(replying.usage()))
}

fn part(index: usize, delta: Delta) -> ChunkChoice {
    ChunkChoice { index, delta, logprobs: None, finish_reason: None }
}

fn wire_call(call: Call, index: Option<usize>) -> WireCall {
    let function = WireCalled { name: call.name, arguments: call.arguments };
    WireCall { index, id: call.id, kind: "function".to_owned(), function }
}

fn annotation(cited: Cited) -> Annotation {
    Annotation {
        kind: "url_citation",
        url_citation: UrlCitation {
            start_index: cited.start,
            end_index: cited.end,
            url: cited.uri,
            title: cited.title,
        },
    }
}

fn finish_reason(ending: Ending) -> &'static str {
    match ending {
        Ending::Turn | Ending::Stop => "stop",
        Ending::Length => "length",
        Ending::Calls => "tool_calls",
    }
}

/// Log-probabilities in the words of the API.
fn logprobs(end: &End, model: Option<&LanguageModel>) -> Option<Logprobs> {
    let (all, model) = (end.logprobs.as_ref()?, model?);
    let spelt = |token: u32| {
        let bytes = model.tokenizer().piece_bytes(token);
        (String::from_utf8_lossy(&bytes).into_owned(), bytes)
    };
    let measured = |place: &Measured| {
        let (token, bytes) = spelt(place.token);
        let top = place.top.iter().map(|&(token, logprob)| {
            let (token, bytes) = spelt(token);
            TopLogprob { token, logprob, bytes }
        });
        let top_logprobs = top.collect();
        TokenLogprob { token, logprob: place.logprob, bytes, top_logprobs }
    };
    Some(Logprobs { content: all.iter().map(measured).collect() })
}
