//! Documents of a task: objects, from JSON lines or one JSON list.

use serde_json::{Map, Value};

use crate::Error;

/// The fields of one document.
pub type Doc = Map<String, Value>;

/// Reads documents. Every document gets every field of any, null where it has
/// none, as in a table.
pub fn parse_docs(text: &str) -> Result<Vec<Doc>, Error> {
    let wrong = |line: usize, message: String| Error::Line { line, message };
    let mut docs: Vec<Doc> = Vec::new();
    if text.trim_start().starts_with('[') {
        docs = serde_json::from_str(text).map_err(|e| wrong(e.line(), e.to_string()))?;
    } else {
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            docs.push(serde_json::from_str(text).map_err(|e| wrong(line, e.to_string()))?);
        }
    }
    let fields: Vec<String> = docs.iter().flat_map(|doc| doc.keys().cloned()).collect();
    let fields: std::collections::BTreeSet<String> = fields.into_iter().collect();
    for doc in &mut docs {
        for field in &fields {
            if !doc.contains_key(field) {
                doc.insert(field.clone(), Value::Null);
            }
        }
    }
    if docs.is_empty() {
        return Err(wrong(1, "there is no document".to_owned()));
    }
    Ok(docs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_and_lists_give_the_same_table() {
        let lines = parse_docs("{\"a\": 1}\n\n{\"b\": \"x\"}\n").unwrap();
        let list = parse_docs(r#"[{"a": 1}, {"b": "x"}]"#).unwrap();
        assert_eq!(lines, list);
        assert_eq!(Value::Object(lines[0].clone()), json!({"a": 1, "b": null}));
        assert!(matches!(parse_docs("{\"a\": 1}\n3\n"), Err(Error::Line { line: 2, .. })));
        assert!(matches!(parse_docs(" "), Err(Error::Line { .. })));
    }
}
