//! Items of a conversation as messages.

use serde::Deserialize;
use serde_json::Value;

use super::super::parameters;
use super::super::wire::Content;
use crate::conversation::{Call, Role, Spoken};
use crate::failure::Failure;

/// A message. Its type may be left out.
#[derive(Deserialize)]
struct Message {
    role: String,
    content: Content,
}

/// A tool that the model called.
#[derive(Deserialize)]
struct Called {
    call_id: String,
    name: String,
    arguments: String,
}

/// What the tool gave.
#[derive(Deserialize)]
struct Output {
    call_id: String,
    output: Content,
}

/// The messages that `items` are. Calls become those of the message before.
pub(super) fn spoken<'a>(items: impl Iterator<Item = &'a Value>) -> Result<Vec<Spoken>, Failure> {
    let mut messages: Vec<Spoken> = Vec::new();
    for item in items {
        match item.get("type").and_then(Value::as_str).unwrap_or("message") {
            "message" => {
                let Message { role, content } = read(item)?;
                messages.push(Spoken::new(role_of(&role)?, parameters::text(Some(&content))?));
            }
            "function_call" => {
                let Called { call_id, name, arguments } = read(item)?;
                let call = Call { id: call_id, name, arguments };
                match messages.last_mut() {
                    Some(last) if last.role == Role::Assistant => last.calls.push(call),
                    _ => {
                        let calls = vec![call];
                        messages.push(Spoken { calls, ..Spoken::new(Role::Assistant, "") });
                    }
                }
            }
            "function_call_output" => {
                let Output { call_id, output } = read(item)?;
                let text = parameters::text(Some(&output))?;
                messages.push(Spoken { call_id: Some(call_id), ..Spoken::new(Role::Tool, text) });
            }
            other => {
                let message =
                    format!("an item is of type `{other}`, which this server does not know");
                return Err(Failure::invalid("input", message));
            }
        }
    }
    Ok(messages)
}

fn read<T: serde::de::DeserializeOwned>(item: &Value) -> Result<T, Failure> {
    let read = serde_json::from_value(item.clone());
    read.map_err(|error| Failure::invalid("input", format!("an item of `input`: {error}")))
}

fn role_of(role: &str) -> Result<Role, Failure> {
    match role {
        "system" | "developer" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        other => Err(Failure::invalid("input", format!("a message has the role `{other}`"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_become_messages_and_calls_join_the_message_before() {
        let items = [
            json!({"role": "user", "content": "Hi"}),
            json!({"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
                "content": [{"type": "output_text", "text": "Wait.", "annotations": []}]}),
            json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}),
            json!({"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"}),
            json!({"type": "function_call_output", "call_id": "c1", "output": "1"}),
        ];
        let said = spoken(items.iter()).unwrap();
        let roles: Vec<Role> = said.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool]);
        assert_eq!((said[1].text.as_str(), said[1].calls.len()), ("Wait.", 2));
        assert_eq!(said[2].call_id.as_deref(), Some("c1"));
    }

    #[test]
    fn what_is_no_item_is_refused_by_name() {
        for item in [
            json!({"type": "item_reference", "id": "x"}),
            json!({"role": "narrator", "content": "x"}),
            json!({"role": "user"}),
            json!({"type": "function_call", "name": "f"}),
            json!("text"),
        ] {
            let failure = spoken(std::iter::once(&item)).unwrap_err();
            assert_eq!(failure.param.as_deref(), Some("input"), "{item}");
        }
    }
}
