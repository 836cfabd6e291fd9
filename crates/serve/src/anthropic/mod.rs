//! The Messages API of Anthropic.

mod render;
mod wire;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use utoipa::OpenApi;

use crate::allowance::Allowance;
use crate::auth::role::Principal;
use crate::body::Body;
use crate::cache::Policy;
use crate::conversation::{self, Call, Conversation, Format, Role, Spoken, Tool, ToolChoice};
use crate::failure::{Failure, Shape};
use crate::observe::Labels;
use crate::router::in_shape;
use crate::state::App;
use wire::{Block, Choice, Content, CountRequest, Counted, Fields, Message, MessagesRequest, Said};

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(create, count_tokens))]
pub(crate) struct Api;

/// Its routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    let routes = Router::new()
        .route("/v1/messages", post(create))
        .route("/v1/messages/count_tokens", post(count_tokens));
    in_shape(Shape::Anthropic, routes)
}

/// Answer a conversation
#[utoipa::path(post, path = "/v1/messages", tag = "anthropic",
    request_body = MessagesRequest,
    responses(
        (status = 200, description = "A message, or a stream of events", body = Message),
        (status = 400, description = "A parameter cannot be served, or the prompt is too long"),
        (status = 404, description = "There is no such model"),
        (status = 429, description = "Too many requests wait")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Principal,
    policy: Policy,
    call: Allowance,
    Body(request): Body<MessagesRequest>,
) -> Result<Response, Failure> {
    let is_stream = request.stream.unwrap_or(false);
    let model = request.fields.model.clone();
    let mut conversation = request.fields.conversation()?;
    conversation.max_tokens = Some(request.max_tokens);
    conversation.stop = request.stop_sequences.unwrap_or_default();
    conversation.is_sampled =
        request.temperature.is_some() || request.top_p.is_some() || request.top_k.is_some();
    conversation.policy = policy.and(request.fields.plumb);
    conversation.sampling.temperature = request.temperature.unwrap_or(1.0);
    conversation.sampling.top_p = request.top_p.unwrap_or(1.0);
    conversation.sampling.top_k = request.top_k.unwrap_or(0);
    let replying = conversation::start(&app, &who, conversation, &call).await?;
    let mut response = if is_stream {
        render::stream(replying, model.clone())
    } else {
        render::whole(replying, model.clone()).await?
    };
    response.extensions_mut().insert(Labels { model: Some(model) });
    Ok(response)
}

/// Count the tokens of a conversation
#[utoipa::path(post, path = "/v1/messages/count_tokens", tag = "anthropic",
    request_body = CountRequest,
    responses((status = 200, body = Counted)))]
pub(crate) async fn count_tokens(
    State(app): State<Arc<App>>,
    who: Principal,
    Body(request): Body<CountRequest>,
) -> Result<Json<Counted>, Failure> {
    let input_tokens = conversation::count(&app, &who, request.fields.conversation()?).await?;
    Ok(Json(Counted { input_tokens }))
}

impl Fields {
    /// The same in no API's words. Fails for what is not known.
    fn conversation(&self) -> Result<Conversation, Failure> {
        let harmless = |name: &str| matches!(name, "metadata" | "service_tier");
        let unknown = self.extra.iter().find(|(name, value)| !value.is_null() && !harmless(name));
        if let Some((name, _)) = unknown {
            let message = format!("`{name}` is not a parameter that this server knows");
            return Err(Failure::invalid(name, message));
        }
        let mut messages = Vec::new();
        if let Some(system) = &self.system {
            messages.push(Spoken::new(Role::System, system.text()?));
        }
        for said in &self.messages {
            spoken(said, &mut messages)?;
        }
        let (choice, is_parallel) = self.choice()?;
        let tools = self.tools.iter().flatten().map(|tool| Tool {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.input_schema.clone(),
        });
        Ok(Conversation {
            model: self.model.clone(),
            messages,
            tools: tools.collect(),
            choice,
            is_parallel,
            format: Format::Text,
            n: 1,
            max_tokens: None,
            logprobs: None,
            sampling: crate::openai::fresh_sampling(),
            is_sampled: false,
            is_seeded: false,
            policy: Policy::NEVER,
            stop: Vec::new(),
        })
    }

    fn choice(&self) -> Result<(ToolChoice, bool), Failure> {
        let Some(Choice { kind, name, disable_parallel_tool_use }) = &self.tool_choice else {
            return Ok((ToolChoice::Auto, true));
        };
        let choice = match (&**kind, name) {
            ("auto", _) => ToolChoice::Auto,
            ("none", _) => ToolChoice::Never,
            ("any", _) => ToolChoice::Required,
            ("tool", Some(name)) => ToolChoice::Named(name.clone()),
            _ => {
                let message = format!("`{kind}` is no choice of tools");
                return Err(Failure::invalid("tool_choice", message));
            }
        };
        Ok((choice, !disable_parallel_tool_use.unwrap_or(false)))
    }
}

impl Content {
    fn text(&self) -> Result<String, Failure> {
        let blocks = match self {
            Self::Text(text) => return Ok(text.clone()),
            Self::Blocks(blocks) => blocks,
        };
        let text = |block: &Block| match block {
            Block::Text { text } => Ok(text.clone()),
            _ => Err(unreadable()),
        };
        blocks.iter().map(text).collect()
    }
}

fn unreadable() -> Failure {
    Failure::invalid("messages", "a message has a block that is no text; this model reads text")
}

/// Adds what one message says: results of tools are messages of their own.
fn spoken(said: &Said, messages: &mut Vec<Spoken>) -> Result<(), Failure> {
    let role = match &*said.role {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => {
            return Err(Failure::invalid("messages", format!("a message has the role `{other}`")));
        }
    };
    let blocks = match &said.content {
        Content::Text(text) => {
            messages.push(Spoken::new(role, text.clone()));
            return Ok(());
        }
        Content::Blocks(blocks) => blocks,
    };
    let mut message = Spoken::new(role, "");
    for block in blocks {
        match block {
            Block::Text { text } => message.text.push_str(text),
            Block::ToolUse { id, name, input } => message.calls.push(Call {
                id: id.clone(),
                name: name.clone(),
                arguments: input.to_string(),
            }),
            Block::ToolResult { tool_use_id, content } => {
                let text = content.as_ref().map_or(Ok(String::new()), Content::text)?;
                let call_id = Some(tool_use_id.clone());
                messages.push(Spoken { call_id, ..Spoken::new(Role::Tool, text) });
            }
            Block::Other => return Err(unreadable()),
        }
    }
    if !message.text.is_empty() || !message.calls.is_empty() {
        messages.push(message);
    }
    Ok(())
}

/// The arguments of a call as an object.
fn input(call: &Call) -> Value {
    serde_json::from_str(&call.arguments).unwrap_or_else(|_| call.arguments.clone().into())
}
