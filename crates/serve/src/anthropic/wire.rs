//! Wire types of messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::cache::{Beside, Options};

/// What `/v1/messages` takes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct MessagesRequest {
    pub(crate) max_tokens: usize,
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    #[serde(default)]
    pub(crate) stop_sequences: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) temperature: Option<f32>,
    #[serde(default)]
    pub(crate) top_p: Option<f32>,
    #[serde(default)]
    pub(crate) top_k: Option<usize>,
    #[serde(flatten)]
    pub(crate) fields: Fields,
}

/// What `/v1/messages/count_tokens` takes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct CountRequest {
    #[serde(flatten)]
    pub(crate) fields: Fields,
}

/// The prompt.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Fields {
    /// An id of `/v1/models`.
    pub(crate) model: String,
    #[serde(default)]
    pub(crate) system: Option<Content>,
    pub(crate) messages: Vec<Said>,
    #[serde(default)]
    pub(crate) tools: Option<Vec<WireTool>>,
    #[serde(default)]
    pub(crate) tool_choice: Option<Choice>,
    /// What this server knows beside the API.
    #[serde(default)]
    pub(crate) plumb: Option<Options>,
    #[serde(flatten)]
    #[schema(ignore)]
    pub(crate) extra: BTreeMap<String, Value>,
}

/// One message of the conversation.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Said {
    /// `user` or `assistant`.
    pub(crate) role: String,
    pub(crate) content: Content,
}

/// A text, or blocks of one.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = AnthropicContent)]
pub(crate) enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

/// A part of a message.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Block {
    Text {
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        input: Value,
    },
    #[schema(no_recursion)]
    ToolResult {
        tool_use_id: String,
        #[serde(default)]
        content: Option<Content>,
    },
    #[serde(other)]
    Other,
}

/// A tool that the model may call.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = AnthropicWireTool)]
pub(crate) struct WireTool {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// A JSON schema of the arguments.
    #[schema(value_type = Object)]
    pub(crate) input_schema: Value,
}

/// `auto`, `any`, `tool` with a name, or `none`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = AnthropicChoice)]
pub(crate) struct Choice {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) disable_parallel_tool_use: Option<bool>,
}

/// What `/v1/messages` gives.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AnthropicMessage)]
pub(crate) struct Message {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) role: &'static str,
    pub(crate) model: String,
    pub(crate) content: Vec<Written>,
    pub(crate) stop_reason: Option<&'static str>,
    pub(crate) stop_sequence: Option<String>,
    pub(crate) usage: Usage,
    /// Of a collection: the whole answer, with claims, quotes and ranges. Of a
    /// model: that the reply was kept, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) plumb: Option<Beside>,
}

/// A part of what was written.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Written {
    Text { text: String },
    ToolUse { id: String, name: String, input: Value },
}

/// Tokens read and written.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
#[schema(as = AnthropicUsage)]
pub(crate) struct Usage {
    /// Tokens of the prompt that were read for this request.
    pub(crate) input_tokens: usize,
    /// Tokens of the prompt that an earlier request had read.
    pub(crate) cache_read_input_tokens: usize,
    pub(crate) output_tokens: usize,
}

/// How many tokens a prompt has.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Counted {
    pub(crate) input_tokens: usize,
}
