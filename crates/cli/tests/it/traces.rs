//! Traces, as a collector gets them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::fake::Fake;
use crate::operating::{place, settings};
use crate::run::Place;
use crate::server::Server;

/// `ExportTraceServiceRequest` of OTLP in JSON: nothing more, nothing of another
/// type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Export {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ResourceSpans {
    resource: Resource,
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    attributes: Vec<KeyValue>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeSpans {
    scope: BTreeMap<String, String>,
    spans: Vec<Span>,
}

#[expect(clippy::struct_field_names, reason = "the names of the format")]
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Span {
    trace_id: String,
    span_id: String,
    #[serde(default)]
    parent_span_id: String,
    #[serde(default)]
    trace_state: String,
    flags: u32,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue>,
    events: Vec<SpanEvent>,
    status: Option<Status>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SpanEvent {
    time_unix_nano: String,
    name: String,
    attributes: Vec<KeyValue>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "their types are checked")]
struct Status {
    code: u8,
    message: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyValue {
    key: String,
    value: AnyValue,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(clippy::enum_variant_names, reason = "the names of the format")]
enum AnyValue {
    StringValue(String),
    IntValue(String),
    DoubleValue(f64),
    ArrayValue(ArrayValue),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArrayValue {
    values: Vec<AnyValue>,
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const SECRET: &str = "Where is the secret wine";

impl Server {
    fn ask_traced(&self) {
        let body = json!({"question": SECRET, "stream": false});
        let request = self.agent.post(format!("{}/api/v1/ask", self.url));
        let request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
        assert_eq!(request.header("tracestate", "v=1").send_json(body).unwrap().status(), 200);
    }
}

/// Asks a question under settings, and gives the spans and all that was sent.
fn traced(more: &str) -> (Vec<Span>, String) {
    let collector = Fake::start("{}", Duration::ZERO);
    let place: Place = place();
    let serve = format!("traces.endpoint = \"{}\"\n{more}", collector.url);
    settings(&place, "threshold = 0.0", &serve);
    let server = Server::start(&place, &[]);
    server.ask_traced();
    // What has not been sent is sent at the end.
    server.stop();
    let sent = collector.sent();
    assert!(sent.iter().all(|sent| sent.path == "/v1/traces"), "{sent:?}");
    let mut spans = Vec::new();
    for export in &sent {
        assert_eq!(export.headers["content-type"], "application/json");
        let export: Export = serde_json::from_str(&export.body).unwrap();
        for resource in export.resource_spans {
            let name = resource.resource.attributes.iter().find(|a| a.key == "service.name");
            assert_eq!(name.unwrap().value, AnyValue::StringValue("plumb".to_owned()));
            for scope in resource.scope_spans {
                assert_eq!(scope.scope["name"], "plumb");
                spans.extend(scope.spans);
            }
        }
    }
    (spans, sent.into_iter().map(|sent| sent.body).collect())
}

fn text(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match &found.value {
        AnyValue::StringValue(text) | AnyValue::IntValue(text) => Some(text.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_question_is_told_as_spans_below_those_of_its_caller_and_without_its_words() {
    let (spans, all) = traced("");
    let named = |name: &str| {
        let found = spans.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
    };
    let below = |name: &str, parent: &str| {
        assert_eq!(named(name).parent_span_id, named(parent).span_id, "{name}");
    };
    let request = named("POST /api/v1/ask");
    assert_eq!((request.parent_span_id.as_str(), request.kind), (CALLER, 2));
    assert_eq!(text(request, "http.response.status_code").as_deref(), Some("200"));
    let workflow = spans.iter().find(|span| span.name.starts_with("invoke_workflow")).unwrap();
    assert_eq!(workflow.parent_span_id, request.span_id);
    let data = workflow.name.strip_prefix("invoke_workflow docs/").unwrap();
    below(&format!("retrieval {data}"), &workflow.name);
    let embedding = spans.iter().find(|span| span.name.starts_with("embeddings ")).unwrap();
    assert!(embedding.name.ends_with("/one"), "{}", embedding.name);
    below(&embedding.name, &format!("retrieval {data}"));
    below("verification", &workflow.name);
    let evaluation = &named("verification").events[0];
    assert_eq!(evaluation.name, "gen_ai.evaluation.result");
    for span in &spans {
        assert_eq!((span.trace_id.as_str(), span.flags), (TRACE, 1), "{span:?}");
        assert_eq!(span.trace_state, "v=1");
        let nanos = |text: &str| text.parse::<u64>().unwrap();
        let (start, end) = (&span.start_time_unix_nano, &span.end_time_unix_nano);
        assert!(nanos(start) <= nanos(end), "{span:?}");
        assert!(span.events.iter().all(|event| nanos(&event.time_unix_nano) > 0));
        assert!(span.status.is_none(), "{span:?}");
        assert!(evaluation.attributes.len() == 3);
    }
    assert!(!all.contains("secret") && !all.contains("cellar"), "{all}");
}

#[test]
fn words_are_told_where_the_settings_allow_it() {
    let (spans, all) = traced("traces.content = true");
    assert!(all.contains(SECRET) && all.contains("The wine is in the cellar"), "{all}");
    let workflow = spans.iter().find(|span| span.name.starts_with("invoke_workflow")).unwrap();
    let input: Value =
        serde_json::from_str(&text(workflow, "gen_ai.input.messages").unwrap()).unwrap();
    assert_eq!(input[0]["parts"][0]["content"], SECRET);
}

#[test]
fn nobody_waits_for_a_collector_that_does_not_answer() {
    let collector = Fake::start("{}", Duration::from_hours(1));
    let place = place();
    let serve = format!("traces.endpoint = \"{}\"", collector.url);
    settings(&place, "threshold = 0.0", &serve);
    let server = Server::start(&place, &[]);
    let started = std::time::Instant::now();
    server.ask_traced();
    server.stop();
    assert!(started.elapsed() < Duration::from_mins(1), "it waited");
}

const REPLY: &str = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Yes."},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}"#;

#[test]
fn a_model_elsewhere_is_told_the_trace_also_where_none_is_recorded() {
    for has_collector in [false, true] {
        let (collector, upstream) =
            (Fake::start("{}", Duration::ZERO), Fake::start(REPLY, Duration::ZERO));
        let place = place();
        let traces = format!("traces.endpoint = \"{}\"\n", collector.url);
        let traces = if has_collector { &*traces } else { "" };
        let pool = format!("{traces}[[serve.pools.far.endpoints]]\nurl = \"{}/v1\"", upstream.url);
        settings(&place, "threshold = 0.0", &pool);
        let server = Server::start(&place, &[]);
        let body = json!({"model": "far", "messages": [{"role": "user", "content": "Well?"}]});
        let request = server.agent.post(format!("{}/v1/chat/completions", server.url));
        let request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
        assert_eq!(request.send_json(&body).unwrap().status(), 200);
        server.stop();
        let asked = upstream.sent().into_iter().find(|sent| sent.path == "/v1/chat/completions");
        let told = asked.unwrap().headers["traceparent"].clone();
        assert!(told.starts_with(&format!("00-{TRACE}-")), "{told}");
        let parent = told.split('-').nth(2).unwrap();
        if !has_collector {
            assert_eq!(parent, CALLER);
            assert!(collector.sent().is_empty());
            continue;
        }
        let all: Vec<Span> = collector
            .sent()
            .iter()
            .map(|sent| serde_json::from_str::<Export>(&sent.body).unwrap())
            .flat_map(|export| export.resource_spans)
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect();
        let chat = all.iter().find(|span| span.name == "chat far").unwrap();
        assert_eq!((chat.span_id.as_str(), chat.kind), (parent, 3));
        assert_eq!(text(chat, "gen_ai.usage.output_tokens").as_deref(), Some("7"));
        assert_eq!(text(chat, "gen_ai.operation.name").as_deref(), Some("chat"));
    }
}
