//! Chat templates: messages to the prompt that a model was trained on.
//!
//! A model file carries its template in Jinja2, with the functions and string
//! methods that Python would offer. What is offered here is what templates
//! use: `raise_exception`, `tojson` as Python writes it, Python's methods of
//! strings and dictionaries, loop controls, and `strftime_now` once the caller
//! has said which day it is.

mod date;

use std::io;

use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, ErrorKind, context};
use serde::Serialize;

use crate::Error;

pub use date::{Date, MONTHS};

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    pub content: String,
    /// Calls of an assistant, as templates know them: objects with a
    /// `function` that has a `name` and, as an object, `arguments`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<serde_json::Value>,
    /// The call that a message of a tool answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message from `role`.
    pub fn new(role: &str, content: &str) -> Self {
        let (role, content) = (role.to_owned(), content.to_owned());
        Self { role, content, tool_calls: Vec::new(), tool_call_id: None }
    }
}

/// A parsed chat template.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    takes_tools: bool,
    bos: String,
    eos: String,
}

/// The template's name in error messages.
const NAME: &str = "chat template";

impl ChatTemplate {
    /// Parses `source`. `bos` and `eos` are the spellings of those tokens, or
    /// empty.
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_filter("tojson", to_json);
        environment
            .add_template_owned(NAME, without_generation_marks(source))
            .map_err(Error::BadTemplate)?;
        let takes_tools = source.contains("tools");
        Ok(Self { environment, takes_tools, bos: bos.to_owned(), eos: eos.to_owned() })
    }

    /// Tells templates that ask which day it is. Without it `strftime_now` is
    /// not defined, which templates test for.
    #[must_use]
    pub fn with_date(mut self, date: Date) -> Self {
        self.environment.add_function("strftime_now", move |format: &str| date.format(format));
        self
    }

    /// Whether the template has a place for tools that a model may call.
    pub fn takes_tools(&self) -> bool {
        self.takes_tools
    }

    /// The prompt for `messages`, ending where the model is to answer if
    /// `add_generation_prompt`.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        self.render_with_tools(messages, &[], add_generation_prompt)
    }

    /// The same with `tools`, objects with a `type` and a `function`.
    pub fn render_with_tools(
        &self,
        messages: &[Message],
        tools: &[serde_json::Value],
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        let template = self.environment.get_template(NAME).map_err(Error::Render)?;
        let tools = (!tools.is_empty()).then_some(tools);
        let context = context! {
            messages,
            tools,
            add_generation_prompt,
            bos_token => self.bos,
            eos_token => self.eos,
        };
        template.render(context).map_err(Error::Render)
    }
}

/// Training frameworks mark the assistant's words with a tag of their own; it
/// prints nothing.
fn without_generation_marks(source: &str) -> String {
    let mut source = source.to_owned();
    for open in ["{%", "{%-"] {
        for close in ["%}", "-%}"] {
            for tag in ["generation", "endgeneration"] {
                source = source.replace(&format!("{open} {tag} {close}"), "");
            }
        }
    }
    source
}

fn raise_exception(message: &str) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message.to_owned()))
}

/// JSON as Python's `json.dumps(value, ensure_ascii=False)` writes it.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
fn to_json(value: Value, options: Kwargs) -> Result<Value, minijinja::Error> {
    let failed = |error: &dyn std::fmt::Display| {
        minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string())
    };
    let indent: Option<usize> = options.get("indent")?;
    let mut out = Vec::new();
    let written = match indent {
        Some(indent) => {
            let indent = vec![b' '; indent.min(16)];
            let format = serde_json::ser::PrettyFormatter::with_indent(&indent);
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, format))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced)),
    };
    written.map_err(|error| failed(&error))?;
    let text = String::from_utf8(out).map_err(|error| failed(&error))?;
    Ok(Value::from_safe_string(text))
}

/// Writes `, ` and `: ` where compact JSON has no space.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' \
        + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    #[track_caller]
    fn check(source: &str, want: &str) {
        let template = ChatTemplate::new(source, "<s>", "</s>").unwrap();
        let messages = [Message::new("user", "Hi "), Message::new("assistant", "Yes")];
        assert_eq!(template.render(&messages, true).unwrap(), want);
    }

    #[test]
    fn chatml_is_rendered() {
        let want = "<|im_start|>user\nHi <|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n\
            <|im_start|>assistant\n";
        check(CHATML, want);
    }

    #[test]
    fn python_methods_loop_controls_and_token_names_work() {
        check(
            "{{ bos_token }}{% for m in messages %}\n\
             {% if m.content.strip().startswith('Yes') %}{% break %}{% endif %}\n\
             {{ m.content.strip() | upper }}{{ m.get('name', '?') }}\n{% endfor %}{{ eos_token }}",
            "<s>HI?\n</s>",
        );
        check("{{ messages[0].items() | list | length }}{{ messages[1:] | length }}", "21");
        check(
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "2",
        );
        check("{% macro f(x) %}[{{ x }}]{% endmacro %}{{ f(messages[0]['role']) }}", "[user]");
    }

    #[test]
    fn fields_that_a_message_lacks_are_false() {
        check("{% if not messages[0].tool_calls and not tools %}ok{% endif %}", "ok");
    }

    #[test]
    fn tools_and_their_calls_are_there_for_a_template_that_asks() {
        let source = "{% for t in tools %}{{ t.function.name }} {% endfor %}\
            {% for m in messages %}{% for c in m.tool_calls %}{{ c.function.arguments | tojson }}\
            {% endfor %}{% endfor %}";
        let template = ChatTemplate::new(source, "", "").unwrap();
        let mut message = Message::new("assistant", "");
        message.tool_calls =
            vec![serde_json::json!({"function": {"name": "f", "arguments": {"x": 1}}})];
        let tools = [serde_json::json!({"type": "function", "function": {"name": "f"}})];
        assert!(template.takes_tools());
        assert_eq!(template.render_with_tools(&[message], &tools, true).unwrap(), "f {\"x\": 1}");
        assert_eq!(template.render(&[], true).unwrap(), "");
    }

    #[test]
    fn json_is_written_as_python_does() {
        check("{{ {'a': [1, 2.5], 'b': '<é>'} | tojson }}", "{\"a\": [1, 2.5], \"b\": \"<é>\"}");
    }

    #[test]
    fn generation_marks_print_nothing() {
        check("{% generation %}a{%- endgeneration -%}b", "ab");
    }

    #[test]
    fn the_date_is_defined_only_when_it_is_given() {
        let source =
            "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}-{% endif %}";
        check(source, "-");
        let date = Date::new(2026, 3, 1).unwrap();
        let template = ChatTemplate::new(source, "", "").unwrap().with_date(date);
        assert_eq!(template.render(&[], false).unwrap(), "01 Mar 2026");
    }

    #[test]
    fn a_template_may_refuse_the_messages() {
        let template =
            ChatTemplate::new("{{ raise_exception('roles must alternate') }}", "", "").unwrap();
        let error = template.render(&[], true).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("roles must alternate"), "{source}");
    }

    #[test]
    fn a_broken_template_is_refused_when_it_is_read() {
        assert!(matches!(ChatTemplate::new("{% if %}", "", ""), Err(Error::BadTemplate(_))));
    }
}
