//! What `/v1/responses` takes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::parameters;
use super::super::wire::{SamplingFields, WireFunction};
use super::input;
use crate::cache::{Options, Policy};
use crate::conversation::{Conversation, Format, Role, Spoken, Tool, ToolChoice};
use crate::failure::Failure;

/// A conversation, and how it is to be answered.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct ResponsesRequest {
    /// An id of `/v1/models`.
    pub(super) model: String,
    input: ResponsesInput,
    /// What the system says; not what it said before an earlier response.
    #[serde(default)]
    pub(super) instructions: Option<String>,
    #[serde(default)]
    pub(super) stream: Option<bool>,
    /// Accepted, and without effect: events are not padded.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "part of the wire")]
    stream_options: Option<Value>,
    #[serde(default)]
    pub(super) max_output_tokens: Option<usize>,
    #[serde(default)]
    pub(super) tools: Option<Vec<FunctionTool>>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(super) tool_choice: Option<Value>,
    #[serde(default)]
    pub(super) parallel_tool_calls: Option<bool>,
    #[serde(default)]
    pub(super) text: Option<TextField>,
    /// The response that this one follows.
    #[serde(default)]
    pub(super) previous_response_id: Option<String>,
    /// Whether the response is kept; yes without it.
    #[serde(default)]
    pub(super) store: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(super) metadata: Option<Value>,
    /// `disabled`: nothing is cut off.
    #[serde(default)]
    truncation: Option<String>,
    /// What this server knows beside the API.
    #[serde(default)]
    pub(super) plumb: Option<Options>,
    #[serde(flatten)]
    pub(super) sampling: SamplingFields,
    /// Everything else: refused, unless it changes nothing.
    #[serde(flatten)]
    #[schema(ignore)]
    extra: BTreeMap<String, Value>,
}

/// A question, or items of a conversation.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum ResponsesInput {
    Text(String),
    Items(Vec<Value>),
}

/// A function that the model may call.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(super) struct FunctionTool {
    /// `function`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    /// A JSON schema.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(super) parameters: Option<Value>,
    #[serde(default)]
    pub(super) strict: Option<bool>,
}

/// What form the text is to have.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TextField {
    #[serde(default)]
    pub(super) format: Option<TextFormat>,
}

/// `text`, `json_object`, or `json_schema` with a schema.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum TextFormat {
    Text,
    JsonObject,
    JsonSchema {
        #[serde(default)]
        name: Option<String>,
        schema: Value,
        #[serde(default)]
        strict: Option<bool>,
    },
}

impl ResponsesRequest {
    /// The items of the request itself.
    pub(super) fn items(&self) -> Result<Vec<Value>, Failure> {
        let items = match &self.input {
            ResponsesInput::Text(text) => {
                vec![json!({"type": "message", "role": "user", "content": text})]
            }
            ResponsesInput::Items(items) => items.clone(),
        };
        if items.is_empty() {
            return Err(Failure::invalid("input", "`input` is empty"));
        }
        Ok(items)
    }

    /// The same in no API's words, after the items of the responses before. Fails
    /// for what is not known.
    pub(super) fn conversation(
        &self,
        before: &[Value],
        items: &[Value],
    ) -> Result<Conversation, Failure> {
        self.check()?;
        let system = self.instructions.iter().map(|text| Spoken::new(Role::System, text));
        let said = input::spoken(before.iter().chain(items))?;
        let tools = self.tools.iter().flatten();
        Ok(Conversation {
            messages: system.chain(said).collect(),
            tools: tools.map(FunctionTool::tool).collect::<Result<_, _>>()?,
            choice: choice(self.tool_choice.as_ref())?,
            is_parallel: self.parallel_tool_calls.unwrap_or(true),
            format: self.format(),
            n: 1,
            max_tokens: self.max_output_tokens,
            logprobs: None,
            is_sampled: parameters::is_sampled(&self.sampling),
            is_seeded: self.sampling.seed.is_some(),
            policy: Policy::NEVER,
            sampling: parameters::sampling(&self.sampling)?,
            stop: parameters::stops(self.sampling.stop.as_ref())?,
            model: self.model.clone(),
        })
    }

    fn check(&self) -> Result<(), Failure> {
        if let Some(other) = self.truncation.as_deref().filter(|wanted| *wanted != "disabled") {
            let message = format!("`truncation` is `{other}`: this server cuts nothing off");
            return Err(Failure::invalid("truncation", message));
        }
        let changes = |name: &str, value: &Value| match name {
            // What clients send by default, and what asks for nothing.
            "background" => *value != Value::Bool(false),
            "include" => value.as_array().is_none_or(|wanted| !wanted.is_empty()),
            "top_logprobs" => *value != json!(0),
            _ => true,
        };
        let extra = self.extra.iter().filter(|(name, value)| changes(name, value));
        parameters::check_extra(&extra.map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    fn format(&self) -> Format {
        match self.text.as_ref().and_then(|text| text.format.as_ref()) {
            None | Some(TextFormat::Text) => Format::Text,
            Some(TextFormat::JsonObject) => Format::Json(json!({"type": "object"})),
            Some(TextFormat::JsonSchema { schema, .. }) => Format::Json(schema.clone()),
        }
    }

    /// The form of the text, as the response repeats it.
    pub(super) fn format_again(&self) -> Value {
        match self.text.as_ref().and_then(|text| text.format.as_ref()) {
            None | Some(TextFormat::Text) => json!({"type": "text"}),
            Some(TextFormat::JsonObject) => json!({"type": "json_object"}),
            Some(TextFormat::JsonSchema { name, schema, strict }) => json!({
                "type": "json_schema",
                "name": name.as_deref().unwrap_or("response"),
                "schema": schema,
                "strict": strict,
            }),
        }
    }
}

impl FunctionTool {
    fn tool(&self) -> Result<Tool, Failure> {
        let function = WireFunction {
            name: self.name.clone(),
            description: self.description.clone(),
            parameters: self.parameters.clone(),
        };
        parameters::tool(&self.kind, &function)
    }

    /// As the response repeats it.
    pub(super) fn again(&self) -> Value {
        json!({
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
            "strict": self.strict.unwrap_or(false),
        })
    }
}

/// What is wanted of the tools: a word, or a function by its name.
fn choice(choice: Option<&Value>) -> Result<ToolChoice, Failure> {
    let unknown = || Failure::invalid("tool_choice", "`tool_choice` is a word or a function");
    match choice {
        None | Some(Value::Null) => Ok(ToolChoice::Auto),
        Some(Value::String(mode)) => parameters::tool_mode(mode),
        Some(Value::Object(function)) if function.get("type") == Some(&json!("function")) => {
            let name = function.get("name").and_then(Value::as_str).ok_or_else(unknown)?;
            Ok(ToolChoice::Named(name.to_owned()))
        }
        Some(_) => Err(unknown()),
    }
}
