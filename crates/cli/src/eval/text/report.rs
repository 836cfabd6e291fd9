//! What was measured, as JSON or as a table.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::measures::Measured;
use super::names::Metric;
use crate::context::Context;

/// Prints all results.
pub(super) fn print(
    context: &Context,
    results: &[(Metric, Measured)],
    with_segments: bool,
) -> Result<()> {
    if context.json {
        let named = results
            .iter()
            .map(|(metric, measured)| (metric.to_string(), as_json(measured, with_segments)));
        return context.print_json(&Value::Object(named.collect::<Map<_, _>>()));
    }
    context.say(format!(
        "{:13} {:>10}  {:^21}  {:>7} {:>8}",
        "measure", "value", "interval", "n", "unscored"
    ))?;
    for (metric, measured) in results {
        let name = metric.to_string();
        let interval = match measured.interval {
            Some((low, high)) => format!("{low:9.4} to {high:9.4}"),
            None => "none from one text".to_owned(),
        };
        context.say(format!(
            "{name:13} {:10.4}  {interval:21}  {:7} {:8}",
            measured.value, measured.count, measured.unscored
        ))?;
    }
    for (metric, measured) in results {
        let name = metric.to_string();
        context.say(format!("{name:13} {}; {}", measured.signature, measured.method))?;
    }
    if with_segments {
        print_segments(context, results)?;
    }
    Ok(())
}

pub(super) fn as_json(measured: &Measured, with_segments: bool) -> Value {
    let mut object = json!({
        "value": measured.value,
        "interval": measured.interval.map(|(low, high)| [low, high]),
        "method": measured.method,
        "n": measured.count,
        "unscored": measured.unscored,
        "signature": measured.signature,
    });
    if !measured.details.is_null() {
        object["details"] = measured.details.clone();
    }
    if with_segments {
        object["segments"] = json!(measured.segments);
    }
    object
}

/// A line a text: its number, then its value by each measure.
fn print_segments(context: &Context, results: &[(Metric, Measured)]) -> Result<()> {
    let names: Vec<String> =
        results.iter().map(|(metric, _)| format!("{:>12}", metric.to_string())).collect();
    context.say(format!("{:>7} {}", "line", names.join(" ")))?;
    let lines = results.iter().map(|(_, measured)| measured.segments.len()).max().unwrap_or(0);
    for line in 0..lines {
        let values: Vec<String> = results
            .iter()
            .map(|(_, measured)| match measured.segments.get(line) {
                Some(Some(value)) => format!("{value:12.4}"),
                _ => format!("{:>12}", "-"),
            })
            .collect();
        context.say(format!("{:7} {}", line + 1, values.join(" ")))?;
    }
    Ok(())
}
