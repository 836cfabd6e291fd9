//! The tools: their names, their schemas, and what they call.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::auth::role::{Granted, Principal, Role};
use crate::mcp::library::{Library, Slice};

/// Passages at most.
const MAX_PASSAGES: usize = 50;
/// Documents at most in a list.
const MAX_DOCUMENTS: usize = 500;
/// Bytes of a document at once.
const MAX_TEXT: usize = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: String,
    collection: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Get {
    uri: String,
    collection: Option<String>,
    start: Option<usize>,
    length: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    collection: Option<String>,
    containing: Option<String>,
    offset: Option<usize>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    question: String,
    collection: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    answer: Value,
    collection: Option<String>,
}

/// One property of an input.
fn property(kind: &str, description: &str) -> Value {
    json!({"type": kind, "description": description})
}

/// A tool as `tools/list` shows it.
fn tool(
    (name, title, description): (&str, &str, &str),
    required: &[&str],
    properties: &[(&str, Value)],
) -> Value {
    let mut all: Map<String, Value> =
        properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let collection = "Name of a collection; may be left out where there is one";
    all.insert("collection".to_owned(), property("string", collection));
    json!({
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": all,
            "required": required,
            "additionalProperties": false,
        },
        "annotations": {
            "readOnlyHint": true,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": false,
        },
    })
}

/// Every tool.
pub fn list() -> Vec<Value> {
    let number = |description: &str, most: usize| json!({"type": "integer", "minimum": 0, "maximum": most, "description": description});
    vec![
        tool(
            (
                "search_documents",
                "Search documents",
                "Find passages by meaning and by words, best first, each with its document, byte range and scores",
            ),
            &["query"],
            &[
                ("query", property("string", "What to look for")),
                ("limit", number("Passages at most (default: 8)", MAX_PASSAGES)),
            ],
        ),
        tool(
            (
                "get_document",
                "Read a document",
                "The text of a document, or a stretch of it, that byte ranges of passages and citations count in",
            ),
            &["uri"],
            &[
                (
                    "uri",
                    property(
                        "string",
                        "Address of the document, as search_documents and list_documents give it",
                    ),
                ),
                (
                    "start",
                    json!({"type": "integer", "minimum": 0, "description": "First byte (default: 0)"}),
                ),
                ("length", number("Bytes at most (default: 20000)", MAX_TEXT)),
            ],
        ),
        tool(
            ("list_documents", "List documents", "The documents of a collection by address"),
            &[],
            &[
                ("containing", property("string", "Only addresses that contain this")),
                (
                    "offset",
                    json!({"type": "integer", "minimum": 0, "description": "Documents to leave out at the beginning"}),
                ),
                ("limit", number("Documents at most (default: 100)", MAX_DOCUMENTS)),
            ],
        ),
        tool(
            (
                "ask_question",
                "Ask a question",
                "Answer from the documents alone: every sentence is checked against the quote that it cites, and the answer says so where the documents do not support one",
            ),
            &["question"],
            &[("question", property("string", "A question that stands alone"))],
        ),
        tool(
            (
                "verify_answer",
                "Check an answer",
                "Check an answer of ask_question again: that each quote is in the documents where it says, and that each claim is supported by its quotes",
            ),
            &["answer"],
            &[("answer", property("object", "The answer, as ask_question gave it"))],
        ),
    ]
}

/// Calls a tool; `None` if there is none of that name.
pub fn call(
    library: &dyn Library,
    who: &Principal,
    name: &str,
    arguments: &Value,
) -> Option<Result<Value, String>> {
    Some(match name {
        "search_documents" => with(arguments, |a: Search| {
            let granted = collection(library, who, a.collection.as_deref())?;
            library.search(&granted, &a.query, a.limit.unwrap_or(8).min(MAX_PASSAGES))
        }),
        "get_document" => with(arguments, |a: Get| {
            let granted = collection(library, who, a.collection.as_deref())?;
            let length = a.length.unwrap_or(20_000).min(MAX_TEXT);
            library.document(&granted, &a.uri, Slice { start: a.start.unwrap_or(0), length })
        }),
        "list_documents" => with(arguments, |a: List| {
            let granted = collection(library, who, a.collection.as_deref())?;
            let limit = a.limit.unwrap_or(100).min(MAX_DOCUMENTS);
            let slice = Slice { start: a.offset.unwrap_or(0), length: limit };
            library.documents(&granted, a.containing.as_deref().unwrap_or(""), slice)
        }),
        "ask_question" => with(arguments, |a: Ask| {
            let granted = collection(library, who, a.collection.as_deref())?;
            library.ask(&granted, &a.question)
        }),
        "verify_answer" => with(arguments, |a: Verify| {
            let granted = collection(library, who, a.collection.as_deref())?;
            library.verify(&granted, &a.answer)
        }),
        _ => return None,
    })
}

fn with<T: serde::de::DeserializeOwned>(
    arguments: &Value,
    work: impl FnOnce(T) -> Result<Value, String>,
) -> Result<Value, String> {
    let read = serde_json::from_value(arguments.clone());
    work(read.map_err(|error| format!("the arguments: {error}"))?)
}

/// The collection that is meant, if `who` may read it.
fn collection(
    library: &dyn Library,
    who: &Principal,
    name: Option<&str>,
) -> Result<Granted, String> {
    let all = library.collections();
    let seen: Vec<&String> = all.iter().filter(|name| who.sees(name)).collect();
    let name = match (name, seen.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only.as_str(),
        (None, []) => return Err("there is no collection".to_owned()),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            return Err(format!("say which `collection`: {}", names.join(", ")));
        }
    };
    let granted = who.collection(name, Role::Read).map_err(|denied| denied.to_string())?;
    if !all.iter().any(|known| known == name) {
        return Err(format!("there is no collection `{name}`"));
    }
    Ok(granted)
}
