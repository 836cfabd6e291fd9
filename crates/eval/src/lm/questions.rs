//! What a document makes a model be asked.

use serde_json::Value;

use super::model::Question;
use super::prompt::{Prompt, plain};
use super::task::{Output, Task};
use crate::Error;

/// All that is asked for one document, in the order in which its scores need it.
pub(super) fn questions(task: &Task, prompt: &Prompt) -> Result<Vec<Question>, Error> {
    match task.output {
        Output::MultipleChoice => {
            let pairs = pairs(task, prompt)?.into_iter();
            let ask = |(context, continuation)| Question::LogLikelihood { context, continuation };
            Ok(pairs.map(ask).collect())
        }
        Output::LogLikelihood => {
            let context = first_context(prompt);
            Ok(vec![Question::LogLikelihood { context, continuation: plain(&prompt.target)? }])
        }
        Output::Rolling => Ok(vec![Question::Rolling { text: plain(&prompt.target)? }]),
        Output::Generate => {
            let context = first_context(prompt);
            let repeats = 0..task.repeats as u64;
            repeats.map(|repeat| generation(&task.generation, &context, repeat)).collect()
        }
    }
}

/// The context that all choices share, or the only one.
pub(super) fn first_context(prompt: &Prompt) -> String {
    prompt.contexts.first().cloned().unwrap_or_default()
}

/// Context and continuation of each choice, and after them, for mutual information,
/// each choice without a context.
pub(super) fn pairs(task: &Task, prompt: &Prompt) -> Result<Vec<(String, String)>, Error> {
    let delimiter = &task.fields.target_delimiter;
    let mut pairs: Vec<(String, String)> = Vec::new();
    if prompt.input.is_some() {
        let after = format!("{delimiter}{}", plain(&prompt.target)?);
        pairs.extend(prompt.contexts.iter().map(|context| (context.clone(), after.clone())));
    } else {
        let context = first_context(prompt);
        let after = |choice: &String| format!("{delimiter}{choice}");
        pairs.extend(prompt.choices.iter().map(|choice| (context.clone(), after(choice))));
    }
    if task.metrics.iter().any(|(name, _)| name == "acc_mutual_info") {
        let alone = prompt.choices.iter().map(|choice| format!("{delimiter}{choice}"));
        pairs.extend(alone.map(|choice| (String::new(), choice)));
    }
    if prompt.choices.is_empty() {
        return Err(Error::Task { message: "there are no choices".to_owned() });
    }
    Ok(pairs)
}

/// What `generation_kwargs` ask for.
pub(super) fn generation(
    options: &serde_json::Map<String, Value>,
    context: &str,
    repeat: u64,
) -> Result<Question, Error> {
    const KNOWN: [&str; 5] =
        ["until", "max_gen_toks", "max_new_tokens", "temperature", "do_sample"];
    let usual = |value: &Value| value.is_null() || value.as_f64() == Some(1.0);
    for (name, value) in options {
        let changes_nothing = matches!(name.as_str(), "top_p" | "num_beams") && usual(value);
        if !KNOWN.contains(&name.as_str()) && !changes_nothing {
            let message = format!("generation_kwargs: `{name}` is not known");
            return Err(Error::Task { message });
        }
    }
    let until = match options.get("until") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => several.iter().map(plain).collect::<Result<_, _>>()?,
        _ => Vec::new(),
    };
    let number = |name: &str| options.get(name).and_then(Value::as_u64);
    let max_tokens = number("max_gen_toks").or(number("max_new_tokens")).unwrap_or(256);
    let stated = options.get("temperature").and_then(Value::as_f64);
    let samples = options.get("do_sample").and_then(Value::as_bool);
    let samples = samples.unwrap_or(stated.is_some_and(|temperature| temperature > 0.0));
    let temperature = stated.unwrap_or(1.0);
    Ok(Question::Generate {
        context: context.to_owned(),
        until,
        max_tokens: usize::try_from(max_tokens).unwrap_or(usize::MAX),
        temperature: if samples { temperature } else { 0.0 },
        seed: repeat,
    })
}
