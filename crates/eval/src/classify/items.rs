//! Files of labels: one a line, or JSON lines with probabilities.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::Error;

/// What is said of one item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// Name of the item, if the file gives one.
    pub id: Option<String>,
    /// The label; `None` where there is no prediction.
    pub label: Option<String>,
    /// Probability of each label.
    pub probabilities: Option<BTreeMap<String, f64>>,
    /// Probability of the label alone.
    pub probability: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: Option<Value>,
    label: Value,
    #[serde(default)]
    probabilities: Option<BTreeMap<String, f64>>,
    #[serde(default, alias = "confidence")]
    probability: Option<f64>,
}

/// Reads a file of labels. If its first character is `{`, each line is an
/// object with `label` and perhaps `id`, `probabilities` (an object) or
/// `probability` (of the label); otherwise each line is a label. An empty line
/// or a label of null stands for no prediction.
pub fn parse(text: &str) -> Result<Vec<Item>, Error> {
    if text.trim_start().starts_with('{') {
        return (1..).zip(text.lines()).map(|(line, text)| json_line(line, text)).collect();
    }
    let item = |line: &str| {
        let label = Some(line.trim()).filter(|label| !label.is_empty()).map(str::to_owned);
        Item { label, ..Item::default() }
    };
    Ok(text.lines().map(item).collect())
}

fn json_line(line: usize, text: &str) -> Result<Item, Error> {
    let wrong = |message: String| Error::Line { line, message };
    if text.trim().is_empty() {
        return Ok(Item::default());
    }
    let found: Line = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let shown = |value: Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    let named = found.probabilities.iter().flatten().map(|(_, p)| *p);
    for p in named.chain(found.probability) {
        if !(0.0..=1.0).contains(&p) {
            return Err(wrong(format!("{p} is not a probability")));
        }
    }
    if let Some(probabilities) = &found.probabilities {
        let sum: f64 = probabilities.values().sum();
        if (sum - 1.0).abs() > 1e-3 {
            return Err(wrong(format!("the probabilities add up to {sum}, not to 1")));
        }
    }
    Ok(Item {
        id: found.id.and_then(shown),
        label: shown(found.label),
        probabilities: found.probabilities,
        probability: found.probability,
    })
}
