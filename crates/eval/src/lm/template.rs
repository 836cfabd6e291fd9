//! Templates of tasks: Jinja2 with values written as Python writes them.

use std::fmt::Write as _;

use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value as Json;

use super::docs::Doc;
use crate::Error;

/// Renders templates over the fields of a document.
#[derive(Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_keep_trailing_newline(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(|out, _, value| {
            let mut text = String::new();
            write_value(&mut text, value, false);
            out.write_str(&text).map_err(|_| ErrorKind::WriteFailure.into())
        });
        environment.add_filter("regex_replace", regex_replace);
        Self { environment }
    }

    /// The text of `template` over the fields of `doc`.
    pub(super) fn render(&self, template: &str, doc: &Doc) -> Result<String, Error> {
        self.environment.render_str(template, doc).map_err(|source| failed(template, &source))
    }

    /// The value that the text of `template` spells, such as a list. What is
    /// one expression is not spelt out and read again.
    pub(super) fn value(&self, template: &str, doc: &Doc) -> Result<Json, Error> {
        let whole = template.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let found = match whole {
            Some(expression) if !expression.contains("}}") => self.evaluate(expression, doc),
            _ => self.evaluate(&self.render(template, doc)?, &Doc::default()),
        };
        let value = found.map_err(|source| failed(template, &source))?;
        serde_json::to_value(&value).map_err(|error| Error::Task { message: error.to_string() })
    }

    /// The value of a list that a text spells, if it does.
    pub(super) fn literal(&self, text: &str) -> Option<Json> {
        serde_json::to_value(self.evaluate(text, &Doc::default()).ok()?).ok()
    }

    fn evaluate(&self, expression: &str, doc: &Doc) -> Result<Value, minijinja::Error> {
        self.environment.compile_expression(expression)?.eval(doc)
    }
}

fn failed(template: &str, source: &minijinja::Error) -> Error {
    let mut message = format!("cannot render `{template}`: {source}");
    if let Some(detail) = source.detail() {
        message = format!("cannot render `{template}`: {detail}");
    }
    Error::Task { message }
}

fn regex_replace(text: &str, pattern: &str, by: &str) -> Result<String, minijinja::Error> {
    let failed = |error: fancy_regex::Error| {
        minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string())
    };
    let regex = fancy_regex::Regex::new(pattern).map_err(failed)?;
    Ok(regex.replace_all(text, by).into_owned())
}

/// Writes a value as Python's `str` does, or inside of another as `repr`.
fn write_value(out: &mut String, value: &Value, quoted: bool) {
    match value.kind() {
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::None => out.push_str("None"),
        ValueKind::String if quoted => write_quoted(out, value.as_str().unwrap_or_default()),
        ValueKind::Seq => {
            out.push('[');
            for (index, item) in value.try_iter().into_iter().flatten().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_value(out, &item, true);
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter().into_iter().flatten().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_value(out, &key, true);
                out.push_str(": ");
                write_value(out, &value.get_item(&key).unwrap_or_default(), true);
            }
            out.push('}');
        }
        // Writing to a string cannot fail.
        _ => drop(write!(out, "{value}")),
    }
}

/// Writes a text in single quotes, or in double ones if it holds single ones
/// only.
fn write_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            other if other == quote => {
                out.push('\\');
                out.push(other);
            }
            other => out.push(other),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn doc() -> Doc {
        let fields = json!({
            "q": "Why?", "yes": true, "no": null, "list": ["a", "b's", 1, 2.0], "n": 3,
        });
        fields.as_object().unwrap().clone()
    }

    #[track_caller]
    fn check(template: &str, want: &str) {
        assert_eq!(Templates::new().render(template, &doc()).unwrap(), want);
    }

    #[test]
    fn values_are_written_as_python_writes_them() {
        check("{{q}} {{yes}} {{no}} {{n}}\n", "Why? True None 3\n");
        check("{{list}}", "['a', \"b's\", 1, 2.0]");
        check("{{q.lower()}}{{ list|length }}", "why?4");
        check("{{q|regex_replace('[?]', '!')}}", "Why!");
        check("{% if yes %}{{ list[0] }}{% endif %}", "a");
    }

    #[test]
    fn lists_are_values_however_they_are_spelt() {
        let templates = Templates::new();
        let value = |template| templates.value(template, &doc()).unwrap();
        assert_eq!(value("{{ [q, list[1]] }}"), json!(["Why?", "b's"]));
        assert_eq!(value("['{{q}}', 'no']"), json!(["Why?", "no"]));
        assert_eq!(templates.literal("['a', \"b\"]"), Some(json!(["a", "b"])));
        assert_eq!(templates.literal("[not closed"), None);
    }

    #[test]
    fn a_field_that_is_not_there_is_an_error() {
        let found = Templates::new().render("{{missing}}", &doc());
        assert!(matches!(found, Err(Error::Task { .. })));
    }
}
