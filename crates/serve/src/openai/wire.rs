//! Wire types of chat completions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::cache::{Beside, Options};
use crate::conversation;

/// What `/v1/chat/completions` takes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct ChatRequest {
    /// An id of `/v1/models`.
    pub(crate) model: String,
    pub(crate) messages: Vec<ChatMessage>,
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    #[serde(default)]
    pub(crate) stream_options: Option<StreamOptions>,
    #[serde(default)]
    pub(crate) max_tokens: Option<usize>,
    #[serde(default)]
    pub(crate) max_completion_tokens: Option<usize>,
    /// Continuations, from 1.
    #[serde(default)]
    pub(crate) n: Option<usize>,
    #[serde(default)]
    pub(crate) logprobs: Option<bool>,
    /// Alternatives for each token, up to 20.
    #[serde(default)]
    pub(crate) top_logprobs: Option<usize>,
    #[serde(default)]
    pub(crate) response_format: Option<ResponseFormat>,
    #[serde(default)]
    pub(crate) tools: Option<Vec<WireTool>>,
    #[serde(default)]
    pub(crate) tool_choice: Option<WireChoice>,
    #[serde(default)]
    pub(crate) parallel_tool_calls: Option<bool>,
    /// What this server knows beside the API.
    #[serde(default)]
    pub(crate) plumb: Option<Options>,
    #[serde(flatten)]
    pub(crate) sampling: SamplingFields,
    /// Everything else: refused, unless it changes nothing.
    #[serde(flatten)]
    #[schema(ignore)]
    pub(crate) extra: BTreeMap<String, Value>,
}

/// How tokens are drawn; what every endpoint that generates takes.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct SamplingFields {
    /// From 0, which always takes the most likely token; 1 if it is missing.
    #[serde(default)]
    pub(crate) temperature: Option<f32>,
    #[serde(default)]
    pub(crate) top_p: Option<f32>,
    #[serde(default)]
    pub(crate) top_k: Option<usize>,
    /// 0.05 if it is missing.
    #[serde(default)]
    pub(crate) min_p: Option<f32>,
    #[serde(default)]
    pub(crate) repetition_penalty: Option<f32>,
    #[serde(default)]
    pub(crate) presence_penalty: Option<f32>,
    #[serde(default)]
    pub(crate) frequency_penalty: Option<f32>,
    /// The same seed gives the same text.
    #[serde(default)]
    pub(crate) seed: Option<i64>,
    /// Token ids to what is added to their logits, from -100 to 100.
    #[serde(default)]
    pub(crate) logit_bias: Option<BTreeMap<String, f32>>,
    /// Texts before which generation ends.
    #[serde(default)]
    pub(crate) stop: Option<Stop>,
}

/// One stop string or several.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Stop {
    One(String),
    Many(Vec<String>),
}

/// What a stream tells beside the text.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamOptions {
    #[serde(default)]
    pub(crate) include_usage: Option<bool>,
}

/// One message of the conversation.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub(crate) role: String,
    #[serde(default)]
    pub(crate) content: Option<Content>,
    /// Tools that the assistant called.
    #[serde(default)]
    pub(crate) tool_calls: Option<Vec<WireCall>>,
    /// The call that a tool answers.
    #[serde(default)]
    pub(crate) tool_call_id: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    pub(crate) extra: BTreeMap<String, Value>,
}

/// A tool that the model may call.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct WireTool {
    /// `function`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) function: WireFunction,
}

/// A function with the schema of its arguments.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct WireFunction {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) parameters: Option<Value>,
}

/// `none`, `auto`, `required`, or one function.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum WireChoice {
    Mode(String),
    Function { function: WireName },
}

/// The name of a function.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct WireName {
    pub(crate) name: String,
}

/// A call of a tool.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct WireCall {
    /// Its place among the calls of a streamed reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<usize>,
    pub(crate) id: String,
    #[serde(rename = "type", default = "function")]
    pub(crate) kind: String,
    pub(crate) function: WireCalled,
}

fn function() -> String {
    "function".to_owned()
}

/// What is called, and with what.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct WireCalled {
    pub(crate) name: String,
    /// A JSON object as text.
    pub(crate) arguments: String,
}

/// A text, or parts of one.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Part {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) text: Option<String>,
}

/// What form the text is to have.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ResponseFormat {
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that a schema describes.
    JsonSchema {
        json_schema: JsonSchema,
    },
}

/// A schema with its name.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct JsonSchema {
    #[serde(default)]
    #[expect(dead_code, reason = "part of the wire; the schema alone decides")]
    pub(crate) name: Option<String>,
    pub(crate) schema: Value,
}

/// Tokens read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: usize,
    pub(crate) completion_tokens: usize,
    pub(crate) total_tokens: usize,
    pub(crate) prompt_tokens_details: PromptDetails,
}

/// Where prompt tokens came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct PromptDetails {
    /// Tokens that an earlier request had read.
    pub(crate) cached_tokens: usize,
}

impl From<conversation::Usage> for Usage {
    fn from(usage: conversation::Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt,
            completion_tokens: usage.completion,
            total_tokens: usage.prompt + usage.completion,
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached },
        }
    }
}

/// What `/v1/chat/completions` gives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatCompletion {
    pub(crate) id: String,
    pub(crate) object: &'static str,
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Usage,
    pub(crate) system_fingerprint: Option<String>,
    /// Of a collection: the whole answer, with claims, quotes and ranges. Of a
    /// model: that the reply was kept, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) plumb: Option<Beside>,
}

/// One continuation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Choice {
    pub(crate) index: usize,
    pub(crate) message: Reply,
    pub(crate) logprobs: Option<Logprobs>,
    pub(crate) finish_reason: &'static str,
}

/// What the model said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reply {
    pub(crate) role: &'static str,
    pub(crate) content: Option<String>,
    pub(crate) refusal: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) annotations: Vec<Annotation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<WireCall>,
}

/// A citation of an answer from documents.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Annotation {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) url_citation: UrlCitation,
}

/// What is cited where.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct UrlCitation {
    /// First character of the claim in the text.
    pub(crate) start_index: usize,
    /// The character after its last.
    pub(crate) end_index: usize,
    pub(crate) url: String,
    pub(crate) title: String,
}

/// Log-probabilities of the tokens of a text.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Logprobs {
    pub(crate) content: Vec<TokenLogprob>,
}

/// How likely the model thought a token.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TokenLogprob {
    pub(crate) token: String,
    pub(crate) logprob: f32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) top_logprobs: Vec<TopLogprob>,
}

/// A token that could have come.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TopLogprob {
    pub(crate) token: String,
    pub(crate) logprob: f32,
    pub(crate) bytes: Vec<u8>,
}

/// One event of a stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Chunk {
    pub(crate) id: String,
    pub(crate) object: &'static str,
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) choices: Vec<ChunkChoice>,
    pub(crate) system_fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
    /// In the last chunk of a reply, as in a whole one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) plumb: Option<Beside>,
}

/// What came of one continuation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ChunkChoice {
    pub(crate) index: usize,
    pub(crate) delta: Delta,
    pub(crate) logprobs: Option<Logprobs>,
    pub(crate) finish_reason: Option<&'static str>,
}

/// More of a message.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) annotations: Vec<Annotation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<WireCall>,
}
