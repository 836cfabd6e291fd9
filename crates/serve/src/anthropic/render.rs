//! Replies as messages, whole and as events.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::input;
use super::wire::{Message, Usage, Written};
use crate::cache::{self, Beside};
use crate::clock;
use crate::conversation::{self, Call, End, Ending, Replying, Said};
use crate::failure::{Failure, Shape};
use crate::sse::{self, Gone, Sender};

/// The whole message, when it is done.
pub(super) async fn whole(replying: Replying, model: String) -> Result<Response, Failure> {
    let whole = replying.whole().await?;
    let mut message = empty(model);
    message.usage = whole.usage.into();
    let layer = whole.layer();
    message.plumb = whole.beside;
    for choice in whole.choices {
        if !choice.text.is_empty() {
            message.content.push(Written::Text { text: choice.text });
        }
        message.content.extend(choice.calls.iter().map(tool_use));
        message.stop_reason = Some(stop_reason(choice.end.ending));
    }
    Ok(cache::marked(Json(message).into_response(), layer.as_deref()))
}

fn empty(model: String) -> Message {
    Message {
        id: clock::new_id("msg_"),
        kind: "message",
        role: "assistant",
        model,
        content: Vec::new(),
        stop_reason: None,
        stop_sequence: None,
        usage: Usage { input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 },
        plumb: None,
    }
}

fn tool_use(call: &Call) -> Written {
    Written::ToolUse { id: call.id.clone(), name: call.name.clone(), input: input(call) }
}

fn stop_reason(ending: Ending) -> &'static str {
    match ending {
        Ending::Turn => "end_turn",
        Ending::Stop => "stop_sequence",
        Ending::Length => "max_tokens",
        Ending::Calls => "tool_use",
    }
}

impl From<conversation::Usage> for Usage {
    fn from(usage: conversation::Usage) -> Self {
        Self {
            input_tokens: usage.prompt.saturating_sub(usage.cached),
            cache_read_input_tokens: usage.cached,
            output_tokens: usage.completion,
        }
    }
}

/// The message as it comes.
pub(super) fn stream(replying: Replying, model: String) -> Response {
    let is_kept = replying.is_kept();
    let response = sse::response(async move |sender: Arc<Sender>| {
        let mut events = Events { sender: &sender, blocks: 0, is_text_open: false };
        let opening = json!({"type": "message_start", "message": empty(model)});
        events.send(&opening).await?;
        if let Err(failure) = events.write(replying).await? {
            return events.send(&failure.body(Shape::Anthropic)).await;
        }
        events.send(&json!({"type": "message_stop"})).await
    });
    cache::marked_exact(response, is_kept)
}

/// Where the events of one message go.
struct Events<'a> {
    sender: &'a Sender,
    /// Blocks that were begun.
    blocks: usize,
    is_text_open: bool,
}

impl Events<'_> {
    /// Sends an event under the name that its `type` is.
    async fn send(&self, event: &Value) -> Result<(), Gone> {
        let name = event["type"].as_str().unwrap_or("error");
        self.sender.named(name, event).await
    }

    async fn write(&mut self, mut replying: Replying) -> Result<Result<(), Failure>, Gone> {
        let mut ended: Option<End> = None;
        let mut beside = replying.is_kept().then(Beside::exact);
        loop {
            match replying.next().await {
                Ok(Some(Said::Text { text, .. })) => self.text(&text).await?,
                Ok(Some(Said::Call { call, .. })) => self.call(&call).await?,
                Ok(Some(Said::End { end, .. })) => ended = Some(end),
                Ok(Some(Said::Answer(answer))) => beside = Some(Beside::Answer(answer)),
                Ok(None) => break,
                Err(failure) => return Ok(Err(failure)),
            }
        }
        self.close_text().await?;
        let usage = Usage::from(replying.usage());
        let reason = ended.map_or("end_turn", |end| stop_reason(end.ending));
        let delta = json!({"stop_reason": reason, "stop_sequence": null});
        let mut event = json!({"type": "message_delta", "delta": delta, "usage": usage});
        if let Some(beside) = beside {
            event["plumb"] = beside.value();
        }
        self.send(&event).await?;
        Ok(Ok(()))
    }

    async fn text(&mut self, text: &str) -> Result<(), Gone> {
        if !self.is_text_open {
            self.open(json!({"type": "text", "text": ""})).await?;
            self.is_text_open = true;
        }
        self.delta(json!({"type": "text_delta", "text": text})).await
    }

    async fn call(&mut self, call: &Call) -> Result<(), Gone> {
        self.close_text().await?;
        let block = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
        self.open(block).await?;
        self.delta(json!({"type": "input_json_delta", "partial_json": call.arguments})).await?;
        self.close().await
    }

    async fn close_text(&mut self) -> Result<(), Gone> {
        if std::mem::take(&mut self.is_text_open) { self.close().await } else { Ok(()) }
    }

    async fn open(&mut self, block: Value) -> Result<(), Gone> {
        let index = self.blocks;
        self.blocks += 1;
        let event = json!({"type": "content_block_start", "index": index, "content_block": block});
        self.send(&event).await
    }

    async fn delta(&self, delta: Value) -> Result<(), Gone> {
        let index = self.blocks - 1;
        self.send(&json!({"type": "content_block_delta", "index": index, "delta": delta})).await
    }

    async fn close(&self) -> Result<(), Gone> {
        self.send(&json!({"type": "content_block_stop", "index": self.blocks - 1})).await
    }
}
