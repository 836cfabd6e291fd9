//! A run as a page that can be shown: HTML in one file, or Markdown.
//!
//! The HTML needs nothing from outside: style and drawings are in the file. It
//! follows the reader's choice of light or dark and can be printed.

mod html;
mod markdown;
mod plot;

use serde_json::{Map, Value};

use crate::Error;
use crate::compare::{Values, less_is_better};
use crate::results::values_of;
use crate::run::Manifest;

/// Everything that a page shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Heading of the page.
    pub title: String,
    /// What was measured with what: label and text.
    pub facts: Vec<(String, String)>,
    /// The measures, in order of their names.
    pub measures: Vec<Measure>,
    /// Confidence against accuracy, where there is such a table.
    pub reliability: Vec<ReliabilityBin>,
    /// Labels, and counts by true and predicted label.
    pub confusion: Option<(Vec<String>, Vec<Vec<u64>>)>,
    /// Remarks that a reader must know, such as that a run is unfinished.
    pub notes: Vec<String>,
}

/// One measured number.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Its name.
    pub name: String,
    /// The value; `None` if the run did not come to its end.
    pub value: Option<f64>,
    /// Ends of the interval.
    pub interval: Option<(f64, f64)>,
    /// Items behind it.
    pub n: u64,
    /// Items that could not be scored.
    pub unscored: u64,
    /// Everything that decides the value.
    pub signature: String,
    /// The value of each item, if there is one.
    pub items: Values,
}

/// A bar of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReliabilityBin {
    /// Lower edge.
    pub low: f64,
    /// Upper edge.
    pub high: f64,
    /// Items in it.
    pub count: u64,
    /// Mean confidence.
    pub confidence: f64,
    /// Share of right items.
    pub accuracy: Option<f64>,
}

impl Report {
    /// Gathers what `results` (as printed by `plumb eval ... --json`) and the
    /// manifest of a run say.
    pub fn new(
        title: &str,
        results: &Map<String, Value>,
        manifest: Option<&Manifest>,
    ) -> Result<Self, Error> {
        let mut measures = Vec::new();
        for (name, result) in results {
            let is_measure = result.get("value").is_some() || result.get("per_item").is_some();
            if is_measure {
                measures.push(measure(name, result)?);
            }
        }
        if measures.is_empty() {
            return Err(Error::NothingMeasured);
        }
        let bins = results.get("reliability").and_then(Value::as_array);
        let mut notes = Vec::new();
        if measures.iter().any(|measure| measure.value.is_none()) {
            notes.push("The run did not come to its end: only its items are shown.".to_owned());
        }
        for (name, why) in results.get("undefined").and_then(Value::as_object).into_iter().flatten()
        {
            notes.push(format!("{name} is not defined: {}", text(why)));
        }
        Ok(Self {
            title: title.to_owned(),
            facts: facts(results, manifest),
            measures,
            reliability: bins.into_iter().flatten().filter_map(bin).collect(),
            confusion: results.get("confusion").and_then(confusion),
            notes,
        })
    }

    /// The page as one HTML file.
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// The page as Markdown, without drawings.
    pub fn to_markdown(&self) -> String {
        markdown::page(self)
    }
}

impl Measure {
    /// The values of scored items, in rising order.
    fn rising(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.items.values().copied().flatten().collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// Names and values of the items that scored worst, the worst first.
    fn worst(&self, count: usize) -> Vec<(&str, f64)> {
        let scored = self.items.iter().filter_map(|(name, value)| Some((name.as_str(), (*value)?)));
        let mut scored: Vec<(&str, f64)> = scored.collect();
        scored.sort_by(|a, b| a.1.total_cmp(&b.1));
        if less_is_better(&self.name) {
            scored.reverse();
        }
        scored.truncate(count);
        scored
    }
}

fn measure(name: &str, result: &Value) -> Result<Measure, Error> {
    let end = |index: usize| result.get("interval")?.get(index)?.as_f64();
    let count = |field: &str| result.get(field).and_then(Value::as_u64);
    let items = values_of(name, result)?.unwrap_or_default();
    let scored = items.values().flatten().count();
    Ok(Measure {
        name: name.to_owned(),
        value: result.get("value").and_then(Value::as_f64),
        interval: end(0).zip(end(1)),
        n: count("n").unwrap_or(scored as u64),
        unscored: count("unscored").unwrap_or((items.len() - scored) as u64),
        signature: result.get("signature").map(text).unwrap_or_default(),
        items,
    })
}

fn facts(results: &Map<String, Value>, manifest: Option<&Manifest>) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |label: &str, text: String| facts.push((label.to_owned(), text));
    if let Some(manifest) = manifest {
        add("Kind", manifest.kind.clone());
        add("Engine", manifest.engine.clone());
        add("Started", day(manifest.started));
        for input in &manifest.inputs {
            add(&input.role, format!("{} (SHA-256 {})", input.name, input.sha256));
        }
        for (name, value) in manifest.settings.as_object().into_iter().flatten() {
            add(name, text(value));
        }
    }
    for (name, value) in results.get("cache").and_then(Value::as_object).into_iter().flatten() {
        add(&format!("cache: {name}"), text(value));
    }
    facts
}

/// A value as a reader expects it: text without quotes.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `2026-11-24 17:05 UTC`. The civil calendar of Hinnant 2013, "chrono-
/// compatible low-level date algorithms".
fn day(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3_600, rest % 3_600 / 60)
}

fn bin(value: &Value) -> Option<ReliabilityBin> {
    Some(ReliabilityBin {
        low: value.get("low")?.as_f64()?,
        high: value.get("high")?.as_f64()?,
        count: value.get("count")?.as_u64()?,
        confidence: value.get("confidence")?.as_f64()?,
        accuracy: value.get("accuracy")?.as_f64(),
    })
}

fn confusion(value: &Value) -> Option<(Vec<String>, Vec<Vec<u64>>)> {
    let labels = value.get("labels")?.as_array()?.iter().map(text).collect();
    let row = |row: &Value| row.as_array()?.iter().map(Value::as_u64).collect();
    let rows: Option<Vec<Vec<u64>>> = value.get("counts")?.as_array()?.iter().map(row).collect();
    Some((labels, rows?))
}

#[cfg(test)]
mod tests;
