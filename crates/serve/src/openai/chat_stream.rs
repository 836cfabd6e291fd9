//! A chat completion as it is written.

use std::sync::Arc;

use axum::response::Response;
use plumb_infer::{Generation, LanguageModel};

use super::chat::{Heading, logprobs, usage};
use super::wire::{Chunk, ChunkChoice, Delta, Usage};
use crate::failure::{Failure, Shape};
use crate::generation::{Generating, Piece, finish_reason};
use crate::sse::{self, Gone, Sender};

impl Heading {
    /// A chunk with what is new of one continuation.
    pub(super) fn chunk(&self, choices: Vec<ChunkChoice>) -> Chunk {
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

impl ChunkChoice {
    pub(super) fn new(index: usize, delta: Delta) -> Self {
        Self { index, delta, logprobs: None, finish_reason: None }
    }

    /// The first chunk of a continuation says who speaks.
    pub(super) fn opening(index: usize) -> Self {
        let (role, content) = (Some("assistant"), Some(String::new()));
        Self::new(index, Delta { role, content, ..Delta::default() })
    }

    pub(super) fn closing(index: usize, finish_reason: &'static str) -> Self {
        Self { finish_reason: Some(finish_reason), ..Self::new(index, Delta::default()) }
    }
}

/// The stream of `generating`.
pub(super) fn response(
    generating: Generating,
    heading: Heading,
    wants_usage: bool,
    model: Arc<LanguageModel>,
) -> Response {
    sse::response(async move |sender: Arc<Sender>| {
        match write(&sender, generating, &heading, &model).await? {
            Ok(usage) => end(&sender, &heading, wants_usage.then_some(usage)).await,
            Err(failure) => sender.data(&failure.body(Shape::OpenAi)).await,
        }
    })
}

/// The chunk with the usage, if it is wanted, and the end mark.
pub(super) async fn end(
    sender: &Sender,
    heading: &Heading,
    usage: Option<Usage>,
) -> Result<(), Gone> {
    if usage.is_some() {
        sender.data(&Chunk { usage, ..heading.chunk(Vec::new()) }).await?;
    }
    sender.done().await
}

async fn write(
    sender: &Sender,
    mut generating: Generating,
    heading: &Heading,
    model: &LanguageModel,
) -> Result<Result<Usage, Failure>, Gone> {
    let mut done: Vec<Generation> = Vec::new();
    for index in 0..generating.choices() {
        sender.data(&heading.chunk(vec![ChunkChoice::opening(index)])).await?;
    }
    loop {
        match generating.next().await {
            Ok(Some(Piece::Text(index, text))) => {
                let delta = Delta { content: Some(text), ..Delta::default() };
                sender.data(&heading.chunk(vec![ChunkChoice::new(index, delta)])).await?;
            }
            Ok(Some(Piece::Done(index, generation))) => {
                let mut choice = ChunkChoice::closing(index, finish_reason(generation.finish));
                // The engine tells them when a continuation is complete.
                choice.logprobs = generation.logprobs.as_deref().map(|all| logprobs(all, model));
                sender.data(&heading.chunk(vec![choice])).await?;
                done.push(generation);
            }
            Ok(None) => return Ok(Ok(usage(&done))),
            Err(failure) => return Ok(Err(failure)),
        }
    }
}
