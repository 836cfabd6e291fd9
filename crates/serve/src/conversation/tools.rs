//! Tools that a model may call, and the calls in what it wrote.
//!
//! The form is that of Hermes and Qwen, which their chat templates ask for:
//! `<tool_call>` and `</tool_call>` around a JSON object with `name` and
//! `arguments`. Where a call is required, the beginning is written for the
//! model and the object is decoded under a grammar, so that it is always one.

use plumb_text::Tokenizer;
use serde_json::{Value, json};

use super::Conversation;
use crate::clock;
use crate::failure::Failure;

/// What stands before a call.
const OPEN: &str = "<tool_call>";
/// What stands after it.
const CLOSE: &str = "</tool_call>";
/// What is written for a model that must call.
pub(super) const BEGINNING: &str = "<tool_call>\n";

/// Something that a client can do for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    /// A JSON schema of its arguments, an object.
    pub parameters: Value,
}

/// Whether a tool is to be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    #[default]
    Auto,
    /// None.
    Never,
    /// Some tool.
    Required,
    /// This one.
    Named(String),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub id: String,
    pub name: String,
    /// A JSON object as text.
    pub arguments: String,
}

impl Tool {
    /// As chat templates know it.
    pub(super) fn template_form(&self) -> Value {
        json!({"type": "function", "function": {
            "name": self.name,
            "description": self.description.as_deref().unwrap_or_default(),
            "parameters": self.parameters,
        }})
    }
}

impl Call {
    /// As chat templates know it.
    pub(super) fn template_form(&self) -> Value {
        let text = || Value::from(self.arguments.clone());
        let arguments: Value = serde_json::from_str(&self.arguments).unwrap_or_else(|_| text());
        let function = json!({"name": self.name, "arguments": arguments});
        json!({"id": self.id, "type": "function", "function": function})
    }

    /// As a model writes it.
    pub(super) fn written_form(&self) -> String {
        let function = &self.template_form()["function"];
        format!("{OPEN}\n{function}\n{CLOSE}")
    }
}

/// Fails if the tools, or what is wanted of them, make no sense.
pub(super) fn check(conversation: &Conversation) -> Result<(), Failure> {
    let refused = |param, message| Err(Failure::invalid(param, message));
    for (i, tool) in conversation.tools.iter().enumerate() {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if !(1..=64).contains(&tool.name.len()) || !tool.name.chars().all(is_plain) {
            return refused("tools", format!("`{}` is no name of a tool", tool.name));
        }
        if conversation.tools[..i].iter().any(|other| other.name == tool.name) {
            return refused("tools", format!("two tools are called `{}`", tool.name));
        }
    }
    match &conversation.choice {
        ToolChoice::Auto | ToolChoice::Never => Ok(()),
        ToolChoice::Required if conversation.tools.is_empty() => {
            refused("tool_choice", "a tool is required, and there is none".to_owned())
        }
        ToolChoice::Named(name) if !conversation.tools.iter().any(|tool| tool.name == *name) => {
            refused("tool_choice", format!("`{name}` is not among the tools"))
        }
        ToolChoice::Required | ToolChoice::Named(_) => {
            if conversation.format == super::Format::Text {
                return Ok(());
            }
            refused("response_format", "a required tool call has a form of its own".to_owned())
        }
    }
}

/// The schema of a call, if one is required.
pub(super) fn forced_schema(conversation: &Conversation) -> Option<Value> {
    let is_allowed = |tool: &&Tool| match &conversation.choice {
        ToolChoice::Auto | ToolChoice::Never => false,
        ToolChoice::Required => true,
        ToolChoice::Named(name) => tool.name == *name,
    };
    let mut calls: Vec<Value> =
        conversation.tools.iter().filter(is_allowed).map(call_schema).collect();
    match calls.len() {
        0 => None,
        1 => calls.pop(),
        _ => Some(json!({"anyOf": calls})),
    }
}

fn call_schema(tool: &Tool) -> Value {
    json!({
        "type": "object",
        "properties": {"name": {"const": tool.name}, "arguments": tool.parameters},
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

/// What a model whose template has no place for tools is told of them.
pub(super) fn instructions(tools: &[Tool]) -> String {
    let list: Vec<String> = tools.iter().map(|tool| tool.template_form().to_string()).collect();
    format!(
        "You may call one of these functions:\n{}\n\nTo call one, write\n{OPEN}\n\
         {{\"name\": NAME, \"arguments\": ARGUMENTS}}\n{CLOSE}",
        list.join("\n")
    )
}

/// `value` with nothing in it that a model reads as a control token.
pub(super) fn defused(value: &Value, tokenizer: &Tokenizer) -> Value {
    match value {
        Value::String(text) => tokenizer.defuse(text).into(),
        Value::Array(items) => items.iter().map(|item| defused(item, tokenizer)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, item)| (tokenizer.defuse(key), defused(item, tokenizer)))
            .collect(),
        other => other.clone(),
    }
}

/// How calls are told from text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// There are no tools: all is text.
    Text,
    /// Both may come.
    Either,
    /// All is one call, without its beginning.
    Call,
}

/// The text of one reply as it comes, with calls held back.
#[derive(Debug)]
pub(super) struct Sieve {
    expect: Expect,
    names: Vec<String>,
    text: String,
    /// Bytes of the text that were let through.
    passed: usize,
}

impl Sieve {
    pub(super) fn new(expect: Expect, tools: &[Tool]) -> Self {
        let names = tools.iter().map(|tool| tool.name.clone()).collect();
        Self { expect, names, text: String::new(), passed: 0 }
    }

    /// Takes more text, and gives what is certainly no call.
    pub(super) fn push(&mut self, piece: &str) -> String {
        self.text.push_str(piece);
        let end = match self.expect {
            Expect::Text => self.text.len(),
            Expect::Call => 0,
            Expect::Either => self.certain(),
        };
        let passed = self.text[self.passed..end.max(self.passed)].to_owned();
        self.passed += passed.len();
        passed
    }

    /// Up to where the text can be no call, nor the beginning of one.
    fn certain(&self) -> usize {
        if self.text.trim_start().starts_with('{') {
            return 0;
        }
        if let Some(at) = self.text.find(OPEN) {
            return at;
        }
        let held = (1..OPEN.len()).rev().find(|&n| self.text.ends_with(&OPEN[..n]));
        self.text.len() - held.unwrap_or(0)
    }

    /// The rest of the text, and the calls: the first only unless
    /// `is_parallel`.
    pub(super) fn finish(self, is_parallel: bool) -> (String, Vec<Call>) {
        let mut calls = match self.expect {
            Expect::Text => Vec::new(),
            Expect::Call => self.call(&self.text).into_iter().collect(),
            Expect::Either => self.calls(),
        };
        if calls.is_empty() {
            return (self.text[self.passed..].to_owned(), calls);
        }
        if !is_parallel {
            calls.truncate(1);
        }
        (String::new(), calls)
    }

    fn calls(&self) -> Vec<Call> {
        if self.text.trim_start().starts_with('{') {
            return self.call(&self.text).into_iter().collect();
        }
        let parts = self.text.split(OPEN).skip(1);
        parts.filter_map(|part| self.call(part.split(CLOSE).next().unwrap_or(part))).collect()
    }

    /// The call that `text` is, if it is one of a tool that there is.
    fn call(&self, text: &str) -> Option<Call> {
        let call: Value = serde_json::from_str(text.trim()).ok()?;
        let name = call.get("name")?.as_str()?;
        let arguments = call.get("arguments").or_else(|| call.get("parameters"))?;
        let is_known = arguments.is_object() && self.names.iter().any(|known| known == name);
        is_known.then(|| Call {
            id: clock::new_id("call_"),
            name: name.to_owned(),
            arguments: arguments.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sieved(expect: Expect, text: &str, step: usize) -> (String, Vec<Call>) {
        let tool = Tool { name: "f".to_owned(), description: None, parameters: json!({}) };
        let mut sieve = Sieve::new(expect, &[tool]);
        let chars: Vec<char> = text.chars().collect();
        let mut passed: String =
            chars.chunks(step).map(|part| sieve.push(&part.iter().collect::<String>())).collect();
        let (rest, calls) = sieve.finish(true);
        passed.push_str(&rest);
        (passed, calls)
    }

    #[test]
    fn calls_are_taken_out_of_the_text_however_it_is_cut() {
        let text = "So:\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>\n\
                    <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
        for step in 1..20 {
            let (passed, calls) = sieved(Expect::Either, text, step);
            assert_eq!(passed, "So:\n", "{step}");
            let arguments: Vec<&str> = calls.iter().map(|call| &*call.arguments).collect();
            assert_eq!(arguments, ["{\"x\":1}", "{}"], "{step}");
        }
    }

    #[test]
    fn text_that_is_no_call_stays_text() {
        for text in ["a < b", "<tool_call>{\"name\": \"g\"}", "{\"a\": 1}", "<tool_c"] {
            let (passed, calls) = sieved(Expect::Either, text, 1);
            assert_eq!((&*passed, calls.len()), (text, 0));
        }
    }

    #[test]
    fn a_required_call_needs_no_beginning() {
        let (passed, calls) = sieved(Expect::Call, "{\"name\": \"f\", \"arguments\": {}}", 3);
        assert_eq!((&*passed, calls.len()), ("", 1));
    }
}
