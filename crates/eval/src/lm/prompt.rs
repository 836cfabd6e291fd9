//! Documents to prompts, as `lm-evaluation-harness` 0.4.13 builds them.

use serde_json::Value;

use super::docs::Doc;
use super::python_random::PythonRandom;
use super::task::Task;
use super::template::Templates;
use crate::Error;

/// Prompts of one task, document by document, in order.
#[derive(Debug)]
pub(super) struct Prompts<'a> {
    task: &'a Task,
    templates: Templates,
    random: PythonRandom,
}

/// What a document gives, before a model sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prompt {
    /// The context; one for each choice where choices are put into it.
    pub(super) contexts: Vec<String>,
    pub(super) choices: Vec<String>,
    pub(super) target: Value,
    /// Number of the right context, if choices are put into it.
    pub(super) input: Option<Value>,
}

impl<'a> Prompts<'a> {
    pub(super) fn new(task: &'a Task, seed: u64) -> Self {
        Self { task, templates: Templates::new(), random: PythonRandom::new(seed) }
    }

    /// The prompt of the next document, which must be given in order: examples
    /// are drawn from one stream of random numbers.
    pub(super) fn next(&mut self, doc: &Doc) -> Result<Prompt, Error> {
        let fields = &self.task.fields;
        let description = self.text_of(&fields.description, doc)?;
        let mut head = description;
        for example in self.examples(doc)? {
            head.push_str(&self.example(&example)?);
        }
        let text = self.text(doc)?;
        let choices = self.choices(doc)?;
        let prefix = match &fields.gen_prefix {
            Some(prefix) => self.text_of(prefix, doc)?,
            None => String::new(),
        };
        let input = (!text.is_string() && !choices.is_empty()).then(|| text.clone());
        let contexts = match &text {
            Value::String(text) => vec![head + &question(text, &prefix, &fields.target_delimiter)],
            _ => {
                choices.iter().map(|choice| head.clone() + &question(choice, &prefix, "")).collect()
            }
        };
        Ok(Prompt { contexts, choices, target: self.target(doc)?, input })
    }

    /// The examples before `doc`.
    fn examples(&mut self, doc: &Doc) -> Result<Vec<Doc>, Error> {
        let (shots, pool) = (self.task.shots, &self.task.pool);
        if shots == 0 {
            return Ok(Vec::new());
        }
        let too_few = || Error::Task {
            message: format!("{shots} examples are asked for, but there are {}", pool.len()),
        };
        let own = self.task.pool_holds_docs;
        if self.task.takes_first {
            let others = pool.iter().filter(|other| !own || *other != doc);
            let first: Vec<Doc> = others.take(shots).cloned().collect();
            return if first.len() == shots { Ok(first) } else { Err(too_few()) };
        }
        let wanted = shots + usize::from(own);
        if wanted > pool.len() {
            return Err(too_few());
        }
        let drawn = self.random.sample(pool.len(), wanted);
        let drawn = drawn.into_iter().map(|place| &pool[place]);
        let mut kept: Vec<Doc> =
            drawn.filter(|other| !own || *other != doc).take(shots).cloned().collect();
        if kept.len() < shots {
            // Documents that occur twice took more than one place.
            let others: Vec<&Doc> = pool.iter().filter(|other| *other != doc).collect();
            if others.len() < shots {
                return Err(too_few());
            }
            let drawn = self.random.sample(others.len(), shots);
            kept = drawn.into_iter().map(|place| others[place].clone()).collect();
        }
        Ok(kept)
    }

    /// An example with its answer.
    fn example(&self, doc: &Doc) -> Result<String, Error> {
        let fields = &self.task.fields;
        let (text, target) = (self.text(doc)?, self.target(doc)?);
        let mut choices = self.choices(doc)?;
        let question_text = match &text {
            Value::String(text) => text.clone(),
            place => {
                let chosen = at(&choices, place)?;
                choices.clear();
                chosen
            }
        };
        let answer = match &target {
            Value::Number(_) if !choices.is_empty() => at(&choices, &target)?,
            Value::Array(answers) => plain(answers.first().unwrap_or(&Value::Null))?,
            other => plain(other)?,
        };
        let prefix = match &fields.gen_prefix {
            Some(prefix) => self.text_of(prefix, doc)?,
            None => String::new(),
        };
        if answer.is_empty() {
            return Ok(question(&question_text, &prefix, &fields.target_delimiter));
        }
        let is_apart = !prefix.is_empty() && !needs_space(&question_text, &prefix);
        let delimiter = if is_apart { "" } else { fields.target_delimiter.as_str() };
        let answer = if prefix.is_empty() { answer } else { joined(&prefix, &answer) };
        Ok(format!("{question_text}{delimiter}{answer}{}", fields.fewshot_delimiter))
    }

    /// The question, or the number of the right choice where choices are put
    /// into the context.
    fn text(&self, doc: &Doc) -> Result<Value, Error> {
        let source = &self.task.fields.doc_to_text;
        let Value::String(name) = source else { return Ok(source.clone()) };
        if let Some(value) = doc.get(name) {
            return Ok(value.clone());
        }
        let text = self.templates.render(name, doc)?;
        Ok(self.number(&text).unwrap_or(Value::String(text)))
    }

    /// What is right: a text, the number of a choice, or a list of such.
    fn target(&self, doc: &Doc) -> Result<Value, Error> {
        let source = &self.task.fields.doc_to_target;
        let Value::String(name) = source else { return Ok(source.clone()) };
        if let Some(value) = doc.get(name) {
            return Ok(value.clone());
        }
        let text = self.templates.render(name, doc)?;
        if let Some(number) = self.number(&text) {
            return Ok(number);
        }
        let is_list = text.len() > 1 && text.starts_with('[') && text.ends_with(']');
        let list = if is_list { self.templates.literal(&text) } else { None };
        Ok(list.unwrap_or(Value::String(text)))
    }

    /// The number that a text spells, which counts where there are choices.
    fn number(&self, text: &str) -> Option<Value> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let has_choices = !self.task.fields.doc_to_choice.is_null();
        (is_number && has_choices).then(|| text.parse::<u64>().ok().map(Value::from))?
    }

    fn choices(&self, doc: &Doc) -> Result<Vec<String>, Error> {
        let found = match &self.task.fields.doc_to_choice {
            Value::Null => return Ok(Vec::new()),
            Value::String(name) => match doc.get(name) {
                Some(value) => value.clone(),
                None => self.templates.value(name, doc)?,
            },
            Value::Object(named) => Value::Array(named.values().cloned().collect()),
            other => other.clone(),
        };
        let Value::Array(choices) = &found else {
            return Err(Error::Task {
                message: format!("doc_to_choice gives {found}, not a list"),
            });
        };
        choices.iter().map(plain).collect()
    }

    /// A field of the document, or a rendered template.
    fn text_of(&self, source: &str, doc: &Doc) -> Result<String, Error> {
        match doc.get(source) {
            Some(value) => plain(value),
            None => self.templates.render(source, doc),
        }
    }
}

/// The document to be answered. Without an answer the delimiter belongs to the
/// continuation, unless a prefix of the answer follows.
fn question(text: &str, prefix: &str, delimiter: &str) -> String {
    let delimiter = if !prefix.is_empty() && needs_space(text, prefix) { delimiter } else { "" };
    format!("{text}{delimiter}{prefix}")
}

fn needs_space(before: &str, after: &str) -> bool {
    let ends = before.chars().next_back();
    let starts = after.chars().next();
    ends.is_some_and(|c| !c.is_whitespace()) && starts.is_none_or(|c| !c.is_whitespace())
}

fn joined(before: &str, after: &str) -> String {
    if needs_space(before, after) {
        format!("{before} {after}")
    } else {
        format!("{before}{after}")
    }
}

/// The choice of that number.
fn at(choices: &[String], place: &Value) -> Result<String, Error> {
    let index = place.as_u64().and_then(|place| usize::try_from(place).ok());
    index.and_then(|index| choices.get(index)).cloned().ok_or_else(|| Error::Task {
        message: format!("there is no choice {place} of {}", choices.len()),
    })
}

/// A value as text.
pub(super) fn plain(value: &Value) -> Result<String, Error> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(yes) => Ok(if *yes { "True" } else { "False" }.to_owned()),
        other => Err(Error::Task { message: format!("{other} is not a text") }),
    }
}
