//! Parameters of a request to what an engine takes.
//!
//! A parameter that is not known is refused: a client that sets it expects it
//! to matter. Those that change nothing of a result are let through.

use std::collections::BTreeMap;

use plumb_infer::Sampling;
use serde_json::{Value, json};

use super::wire::{Content, ResponseFormat, SamplingFields, Stop, WireChoice, WireFunction};
use crate::clock;
use crate::conversation::{Format, Tool, ToolChoice};
use crate::failure::{Failure, Kind};

/// Parameters that say something of a request and nothing of its result.
const HARMLESS: &[&str] = &[
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
];

/// Stop strings of one request.
const MAX_STOPS: usize = 16;

/// Fails if there is a parameter that would be ignored though it matters.
/// `null` says the same as leaving it out.
pub(super) fn check_extra(extra: &BTreeMap<String, Value>) -> Result<(), Failure> {
    let unknown =
        extra.iter().find(|(name, value)| !value.is_null() && !HARMLESS.contains(&name.as_str()));
    match unknown {
        Some((name, _)) => Err(Failure::invalid(
            name,
            format!("`{name}` is not a parameter that this server knows"),
        )),
        None => Ok(()),
    }
}

/// The sampling that a request asks for.
pub(super) fn sampling(fields: &SamplingFields) -> Result<Sampling, Failure> {
    let bias = fields.logit_bias.iter().flatten();
    let sampling = Sampling {
        temperature: fields.temperature.unwrap_or(1.0),
        top_k: fields.top_k.unwrap_or(0),
        top_p: fields.top_p.unwrap_or(1.0),
        min_p: fields.min_p.unwrap_or(0.05),
        repetition_penalty: fields.repetition_penalty.unwrap_or(1.0),
        presence_penalty: fields.presence_penalty.unwrap_or(0.0),
        frequency_penalty: fields.frequency_penalty.unwrap_or(0.0),
        logit_bias: bias.map(bias_of).collect::<Result<_, _>>()?,
        seed: fields.seed.map_or_else(fresh_seed, i64::cast_unsigned),
        ..Sampling::GREEDY
    };
    sampling.check()?;
    Ok(sampling)
}

/// Whether a request says how tokens are drawn.
pub(super) fn is_sampled(fields: &SamplingFields) -> bool {
    fields.temperature.is_some()
        || fields.top_p.is_some()
        || fields.top_k.is_some()
        || fields.min_p.is_some()
}

/// The sampling of a request that names nothing.
pub(crate) fn fresh_sampling() -> Sampling {
    Sampling { temperature: 1.0, min_p: 0.05, seed: fresh_seed(), ..Sampling::GREEDY }
}

fn bias_of((token, &bias): (&String, &f32)) -> Result<(u32, f32), Failure> {
    let wrong = |_| Failure::invalid("logit_bias", format!("`logit_bias`: `{token}` is no token"));
    token.parse().map(|token| (token, bias)).map_err(wrong)
}

/// A seed for a request that names none: no two requests get the same.
fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(clock::new_id(""))
}

/// The stop strings that a request asks for.
pub(super) fn stops(stop: Option<&Stop>) -> Result<Vec<String>, Failure> {
    let all = match stop {
        None => Vec::new(),
        Some(Stop::One(one)) => vec![one.clone()],
        Some(Stop::Many(many)) => many.clone(),
    };
    if MAX_STOPS < all.len() {
        let message = format!("`stop` has {} texts; at most {MAX_STOPS} are taken", all.len());
        return Err(Failure::invalid("stop", message));
    }
    if all.iter().any(String::is_empty) {
        return Err(Failure::invalid("stop", "`stop` has an empty text"));
    }
    Ok(all)
}

/// The form that a request asks for.
pub(super) fn format(format: Option<&ResponseFormat>) -> Format {
    match format {
        None | Some(ResponseFormat::Text) => Format::Text,
        Some(ResponseFormat::JsonObject) => Format::Json(json!({"type": "object"})),
        Some(ResponseFormat::JsonSchema { json_schema }) => {
            Format::Json(json_schema.schema.clone())
        }
    }
}

/// A tool, which must be a function; one without parameters takes none.
pub(super) fn tool(kind: &str, function: &WireFunction) -> Result<Tool, Failure> {
    if kind != "function" {
        let message = format!("a tool is of type `{kind}`; this server knows functions only");
        return Err(Failure::invalid("tools", message));
    }
    let none = || json!({"type": "object", "properties": {}, "additionalProperties": false});
    Ok(Tool {
        name: function.name.clone(),
        description: function.description.clone(),
        parameters: function.parameters.clone().unwrap_or_else(none),
    })
}

/// What is wanted of the tools.
pub(super) fn tool_choice(choice: Option<&WireChoice>) -> Result<ToolChoice, Failure> {
    match choice {
        None => Ok(ToolChoice::Auto),
        Some(WireChoice::Function { function }) => Ok(ToolChoice::Named(function.name.clone())),
        Some(WireChoice::Mode(mode)) => tool_mode(mode),
    }
}

/// What is wanted of the tools, in a word.
pub(super) fn tool_mode(mode: &str) -> Result<ToolChoice, Failure> {
    match mode {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::Never),
        "required" => Ok(ToolChoice::Required),
        other => Err(Failure::invalid("tool_choice", format!("`{other}` is no choice of tools"))),
    }
}

/// The text of a message. Fails for parts that are no text.
pub(super) fn text(content: Option<&Content>) -> Result<String, Failure> {
    match content {
        None => Ok(String::new()),
        Some(Content::Text(text)) => Ok(text.clone()),
        Some(Content::Parts(parts)) => {
            let mut all = Vec::new();
            for part in parts {
                match (&*part.kind, &part.text) {
                    ("text" | "input_text" | "output_text", Some(text)) => all.push(&**text),
                    (kind, _) => {
                        let message = format!(
                            "a message has a part of type `{kind}`; this model reads text only"
                        );
                        return Err(Failure {
                            param: Some("messages".to_owned()),
                            ..Failure::new(Kind::Invalid, message)
                        });
                    }
                }
            }
            Ok(all.concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_matters_and_is_not_known_is_refused() {
        let extra = BTreeMap::from([
            ("user".to_owned(), json!("u")),
            ("audio".to_owned(), Value::Null),
            ("reasoning_effort".to_owned(), json!("high")),
        ]);
        let failure = check_extra(&extra).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some("reasoning_effort"));
    }

    #[test]
    fn a_picture_is_refused_and_texts_are_joined() {
        let content = |json: Value| serde_json::from_value::<Content>(json).unwrap();
        let two = content(json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]));
        assert_eq!(text(Some(&two)).unwrap(), "ab");
        let picture = content(json!([{"type": "image_url", "image_url": {"url": "x"}}]));
        assert!(text(Some(&picture)).unwrap_err().message.contains("image_url"));
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let fields = SamplingFields { top_p: Some(2.0), ..SamplingFields::default() };
        assert_eq!(sampling(&fields).unwrap_err().param.as_deref(), Some("top_p"));
    }
}
