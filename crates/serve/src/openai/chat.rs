//! `/v1/chat/completions`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::wire::{ChatCompletion, ChatMessage, ChatRequest};
use super::{parameters, render};
use crate::allowance::Allowance;
use crate::auth::role::Principal;
use crate::body::Body;
use crate::cache::Policy;
use crate::conversation::{self, Call, Conversation, Role, Spoken};
use crate::failure::Failure;
use crate::observe::Labels;
use crate::state::App;

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
    who: Principal,
    policy: Policy,
    call: Allowance,
    Body(request): Body<ChatRequest>,
) -> Result<Response, Failure> {
    let labels = Labels { model: Some(request.model.clone()) };
    let is_stream = request.stream.unwrap_or(false);
    let wants_usage = request.stream_options.and_then(|options| options.include_usage);
    let conversation = request.conversation(policy)?;
    let model = conversation.model.clone();
    let replying = conversation::start(&app, &who, conversation, &call).await?;
    let mut response = if is_stream {
        render::stream(replying, model, wants_usage.unwrap_or(false))
    } else {
        render::whole(replying, model).await?
    };
    response.extensions_mut().insert(labels);
    Ok(response)
}

impl ChatRequest {
    /// The same in no API's words. Fails for what is not known.
    fn conversation(self, policy: Policy) -> Result<Conversation, Failure> {
        parameters::check_extra(&self.extra)?;
        let logprobs = self.logprobs()?;
        let tools = self.tools.iter().flatten();
        Ok(Conversation {
            messages: self.messages.iter().map(ChatMessage::spoken).collect::<Result<_, _>>()?,
            tools: tools
                .map(|t| parameters::tool(&t.kind, &t.function))
                .collect::<Result<_, _>>()?,
            choice: parameters::tool_choice(self.tool_choice.as_ref())?,
            is_parallel: self.parallel_tool_calls.unwrap_or(true),
            format: parameters::format(self.response_format.as_ref()),
            n: self.n.unwrap_or(1),
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            logprobs,
            is_sampled: parameters::is_sampled(&self.sampling),
            is_seeded: self.sampling.seed.is_some(),
            policy: policy.and(self.plumb),
            sampling: parameters::sampling(&self.sampling)?,
            stop: parameters::stops(self.sampling.stop.as_ref())?,
            model: self.model,
        })
    }

    fn logprobs(&self) -> Result<Option<usize>, Failure> {
        let is_wanted = self.logprobs.unwrap_or(false);
        match self.top_logprobs {
            Some(top) if 20 < top || (!is_wanted && top != 0) => {
                let message = "`top_logprobs` is at most 20 and needs `logprobs` to be true";
                Err(Failure::invalid("top_logprobs", message))
            }
            top => Ok(is_wanted.then(|| top.unwrap_or(0))),
        }
    }
}

impl ChatMessage {
    fn spoken(&self) -> Result<Spoken, Failure> {
        // Templates have no place for who speaks.
        let known = |name: &str| {
            matches!(name, "name" | "refusal" | "annotations" | "audio" | "function_call")
        };
        let unknown = self.extra.iter().find(|(name, value)| !value.is_null() && !known(name));
        if let Some((name, _)) = unknown {
            let message = format!("a message has `{name}`, which this server does not know");
            return Err(Failure::invalid("messages", message));
        }
        let role = match &*self.role {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            other => {
                let message = format!("a message has the role `{other}`");
                return Err(Failure::invalid("messages", message));
            }
        };
        let calls = self.tool_calls.iter().flatten().map(|call| Call {
            id: call.id.clone(),
            name: call.function.name.clone(),
            arguments: call.function.arguments.clone(),
        });
        Ok(Spoken {
            role,
            text: parameters::text(self.content.as_ref())?,
            calls: calls.collect(),
            call_id: self.tool_call_id.clone(),
        })
    }
}
