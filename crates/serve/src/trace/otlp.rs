//! Spans as OTLP in JSON: protobuf's JSON form with ids in hexadecimal digits
//! (OpenTelemetry protocol 1.x, `ExportTraceServiceRequest`).

use serde_json::{Value as Json, json};

use super::TraceSettings;
use super::span::{Finished, SpanEvent, Value};

/// The body of one request to a collector.
pub(super) fn body(settings: &TraceSettings, spans: &[Finished]) -> String {
    let resource: Vec<Json> = settings
        .resource
        .iter()
        .map(|(name, value)| json!({"key": name, "value": {"stringValue": value}}))
        .collect();
    let scope = json!({"name": "plumb", "version": env!("CARGO_PKG_VERSION")});
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({
        "resourceSpans": [{
            "resource": {"attributes": resource},
            "scopeSpans": [{"scope": scope, "spans": spans}],
        }],
    })
    .to_string()
}

fn span(span: &Finished) -> Json {
    let mut json = json!({
        "traceId": format!("{:032x}", span.context.trace_id),
        "spanId": format!("{:016x}", span.context.span_id),
        "flags": u32::from(span.context.is_sampled),
        "name": span.name,
        "kind": span.kind as u32,
        "startTimeUnixNano": span.start.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": attributes(&span.attributes),
        "events": span.events.iter().map(event).collect::<Vec<_>>(),
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = format!("{parent:016x}").into();
    }
    if let Some(state) = &span.context.state {
        json["traceState"] = state.clone().into();
    }
    if let Some(fault) = &span.fault {
        json["status"] = json!({"code": 2, "message": fault});
    }
    json
}

fn event(event: &SpanEvent) -> Json {
    json!({
        "timeUnixNano": event.at.to_string(),
        "name": event.name,
        "attributes": attributes(&event.attributes),
    })
}

fn attributes(attributes: &[(&'static str, Value)]) -> Vec<Json> {
    attributes.iter().map(|(name, value)| json!({"key": name, "value": any(value)})).collect()
}

/// A 64-bit integer is a text in this form.
fn any(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Int(number) => json!({"intValue": number.to_string()}),
        Value::Float(number) => json!({"doubleValue": number}),
        Value::Texts(texts) => {
            let values: Vec<Json> = texts.iter().map(|text| json!({"stringValue": text})).collect();
            json!({"arrayValue": {"values": values}})
        }
    }
}
