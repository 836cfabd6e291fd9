//! Parameters of a request to what an engine takes.
//!
//! A parameter that is not known is refused: a client that sets it expects it
//! to matter. Those that change nothing of a result are let through.

use std::collections::BTreeMap;

use plumb_infer::{Grammar, LanguageModel, Options, Sampling};
use serde_json::Value;

use super::wire::{Content, ResponseFormat, SamplingFields, Stop};
use crate::clock;
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

/// Any JSON object.
const ANY_OBJECT: &str = r#"{"type": "object"}"#;

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

/// Everything that an engine needs to know but the prompt. `max_tokens` is the
/// number asked for; `None` takes `default`, or what is left of `room`.
pub(super) fn options(
    fields: &SamplingFields,
    max_tokens: Option<usize>,
    logprobs: Option<usize>,
    default: usize,
) -> Result<Options, Failure> {
    if max_tokens == Some(0) {
        return Err(Failure::invalid("max_tokens", "`max_tokens` is 0; it must be at least 1"));
    }
    Ok(Options {
        max_tokens: max_tokens.unwrap_or(default),
        sampling: sampling(fields)?,
        stop: stops(fields.stop.as_ref())?,
        logprobs,
        ..Options::default()
    })
}

/// What `format` allows; `None` for any text. Compiling takes a moment: call it
/// where one may block.
pub(super) fn grammar(
    format: Option<&ResponseFormat>,
    model: &LanguageModel,
) -> Result<Option<Grammar>, Failure> {
    let schema = match format {
        None | Some(ResponseFormat::Text) => return Ok(None),
        Some(ResponseFormat::JsonObject) => ANY_OBJECT.to_owned(),
        Some(ResponseFormat::JsonSchema { json_schema }) => json_schema.schema.to_string(),
    };
    Ok(Some(Grammar::json_schema(model.grammar_vocabulary()?, &schema)?))
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
    use serde_json::json;

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
