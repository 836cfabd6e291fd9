//! A conversation as work for an engine: its prompt, options and grammar.

use std::sync::Arc;

use plumb_infer::{Grammar, LanguageModel, Options};
use plumb_text::Message;
use serde_json::Value;

use super::replying::Replying;
use super::tools::{self, BEGINNING, Call, Expect, ToolChoice};
use super::{Conversation, Format, Role, Spoken};
use crate::allowance::Allowance;
use crate::failure::Failure;
use crate::generation::{Generating, Job, room};
use crate::generator::Generator;
use crate::state::App;
use crate::trace;

/// Hands `conversation` to the engine of `generator`.
pub(super) async fn start(
    app: &Arc<App>,
    (generator, owner): (&Arc<Generator>, &str),
    conversation: Conversation,
    call: &Allowance,
) -> Result<Replying, Failure> {
    let tools = conversation.tools.clone();
    let is_parallel = conversation.is_parallel;
    let (shared, preparing, call) = (app.clone(), generator.clone(), call.clone());
    let prepared = app.preparing.run(move || job(&shared, &preparing, &conversation, call)).await?;
    let (job, expect) = prepared?;
    let generating = Generating::start(app, generator, owner, &job)?;
    let identity = (generator.model.clone(), generator.id.sha256.clone());
    Ok(Replying::of_engine(generating, (expect, &tools, is_parallel), identity))
}

/// How many tokens the prompt has.
pub(super) async fn count(
    app: &Arc<App>,
    generator: &Arc<Generator>,
    conversation: Conversation,
) -> Result<usize, Failure> {
    let generator = generator.clone();
    let counted = move || Ok(prompt(&generator.model, &conversation, "")?.len());
    app.preparing.run(counted).await?
}

/// Turns messages into tokens and compiles the grammar: takes a moment.
fn job(
    app: &App,
    generator: &Generator,
    conversation: &Conversation,
    call: Allowance,
) -> Result<(Job, Expect), Failure> {
    let model = &generator.model;
    let forced = tools::forced_schema(conversation);
    let expect = match (&forced, &conversation.choice) {
        (Some(_), _) => Expect::Call,
        (None, ToolChoice::Never) => Expect::Text,
        _ if conversation.tools.is_empty() => Expect::Text,
        _ => Expect::Either,
    };
    let schema = match (&forced, &conversation.format) {
        (Some(schema), _) | (None, Format::Json(schema)) => Some(schema.to_string()),
        (None, Format::Text) => None,
    };
    let grammar = schema
        .as_ref()
        .map(|schema| Grammar::json_schema(model.grammar_vocabulary()?, schema))
        .transpose()?;
    let beginning = if expect == Expect::Call { BEGINNING } else { "" };
    let prompt = prompt(model, conversation, beginning)?;
    let left = room(generator, app).saturating_sub(prompt.len()).max(1);
    let default = app.limits().default_tokens.min(left);
    let options = Options {
        max_tokens: conversation.max_tokens.unwrap_or(default),
        sampling: conversation.sampling.clone(),
        stop: conversation.stop.clone(),
        logprobs: conversation.logprobs,
        ..Options::default()
    };
    let (n, operation) = (conversation.n, "chat");
    let policy = conversation.exact_policy();
    let input = call.scope().has_content().then(|| told(&conversation.messages));
    Ok((Job { prompt, options, grammar, schema, n, policy, operation, input, call }, expect))
}

/// Messages as traces hold them.
fn told(messages: &[Spoken]) -> String {
    let told = |said: &Spoken| {
        let role = match said.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        trace::message(role, &said.text)
    };
    Value::Array(messages.iter().map(told).collect()).to_string()
}

/// The tokens of the messages and the tools, with nothing in them that a model
/// reads as the end of a turn.
fn prompt(
    model: &LanguageModel,
    conversation: &Conversation,
    beginning: &str,
) -> Result<Vec<u32>, Failure> {
    let tokenizer = model.tokenizer();
    let with_template = model.takes_tools();
    let mut messages: Vec<Message> =
        conversation.messages.iter().map(|said| message(said, with_template)).collect();
    let has_tools = !conversation.tools.is_empty() && conversation.choice != ToolChoice::Never;
    let mut tools: Vec<Value> = Vec::new();
    if has_tools && with_template {
        tools.extend(
            conversation.tools.iter().map(|t| tools::defused(&t.template_form(), tokenizer)),
        );
    } else if has_tools {
        instruct(&mut messages, &tools::instructions(&conversation.tools));
    }
    for message in &mut messages {
        message.content = tokenizer.defuse(&message.content);
        for call in &mut message.tool_calls {
            *call = tools::defused(call, tokenizer);
        }
    }
    Ok(model.chat_prompt_with_tools(&messages, &tools, beginning)?)
}

/// A message as templates know it; `with_tools` if they know calls of tools.
fn message(said: &Spoken, with_tools: bool) -> Message {
    let role = match said.role {
        Role::System => "system",
        Role::Assistant => "assistant",
        Role::Tool if with_tools => "tool",
        Role::User | Role::Tool => "user",
    };
    let mut message = Message::new(role, &said.text);
    if with_tools {
        message.tool_calls = said.calls.iter().map(Call::template_form).collect();
        message.tool_call_id.clone_from(&said.call_id);
    } else if said.role == Role::Tool {
        message.content = format!("<tool_response>\n{}\n</tool_response>", said.text);
    } else if !said.calls.is_empty() {
        let calls: Vec<String> = said.calls.iter().map(Call::written_form).collect();
        let written = format!("{}\n{}", said.text, calls.join("\n"));
        written.trim().clone_into(&mut message.content);
    }
    message
}

/// Adds to what the system says, or lets it say that.
fn instruct(messages: &mut Vec<Message>, text: &str) {
    match messages.first_mut().filter(|first| first.role == "system") {
        Some(system) => system.content = format!("{}\n\n{text}", system.content),
        None => messages.insert(0, Message::new("system", text)),
    }
}
