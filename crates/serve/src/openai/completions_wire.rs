//! Wire types of plain completions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::cache::{Beside, Options};

use super::wire::{SamplingFields, StreamOptions, Usage};

/// What `/v1/completions` takes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct CompletionRequest {
    /// A generator of `/v1/models`.
    pub(crate) model: String,
    pub(crate) prompt: Prompt,
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    #[serde(default)]
    pub(crate) stream_options: Option<StreamOptions>,
    /// 16 if it is missing, as in OpenAI's API.
    #[serde(default)]
    pub(crate) max_tokens: Option<usize>,
    /// Continuations of each prompt.
    #[serde(default)]
    pub(crate) n: Option<usize>,
    /// Alternatives for each token, up to 20.
    #[serde(default)]
    pub(crate) logprobs: Option<usize>,
    /// Whether the prompt comes before each text.
    #[serde(default)]
    pub(crate) echo: Option<bool>,
    /// What this server knows beside the API.
    #[serde(default)]
    pub(crate) plumb: Option<Options>,
    #[serde(flatten)]
    pub(crate) sampling: SamplingFields,
    #[serde(flatten)]
    #[schema(ignore)]
    pub(crate) extra: BTreeMap<String, Value>,
}

/// One prompt or several, as texts or as tokens.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Prompt {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
}

/// What `/v1/completions` gives, whole or as one event of a stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Completion {
    pub(crate) id: String,
    pub(crate) object: &'static str,
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) choices: Vec<CompletionChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
    /// That the reply was kept, if all of it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) plumb: Option<Beside>,
}

/// One continuation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CompletionChoice {
    pub(crate) index: usize,
    pub(crate) text: String,
    pub(crate) logprobs: Option<CompletionLogprobs>,
    pub(crate) finish_reason: Option<&'static str>,
}

/// Log-probabilities in columns, one entry a token.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct CompletionLogprobs {
    pub(crate) tokens: Vec<String>,
    pub(crate) token_logprobs: Vec<f32>,
    pub(crate) top_logprobs: Vec<BTreeMap<String, f32>>,
    /// Where each token begins in the text, in characters.
    pub(crate) text_offset: Vec<usize>,
}
