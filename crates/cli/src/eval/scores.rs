//! Scores as JSON and as a table: value, interval, items, unscored.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result};
use plumb_eval::Score;
use plumb_eval::compare::Values;
use plumb_eval::run::{Input, ItemRecord, Manifest, RunWriter};
use plumb_metrics::{Method, Resampling};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::context::Context;

/// How intervals are made.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Intervals")]
pub struct SamplingArgs {
    /// Times to draw as many items from the items
    #[arg(long, value_name = "N", default_value_t = 9_999)]
    resamples: usize,

    /// Start of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Confidence of the intervals, between 0 and 1
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95)]
    confidence: f64,
}

impl SamplingArgs {
    pub(super) fn resampling(&self) -> Resampling {
        Resampling {
            resamples: self.resamples,
            seed: self.seed,
            level: self.confidence,
            method: Method::BiasCorrected,
        }
    }
}

/// A score as an object of the output contract.
pub(super) fn as_json(score: &Score, signature: &str) -> Value {
    json!({
        "value": score.value,
        "interval": score.interval.as_ref().map(|interval| [interval.low, interval.high]),
        "method": score.interval.as_ref().map(|interval| interval.method),
        "n": score.n,
        "unscored": score.unscored,
        "signature": signature,
    })
}

/// Prints a heading and a line for each score.
pub(super) fn print_table<'a>(
    context: &Context,
    scores: impl IntoIterator<Item = (&'a str, &'a Score)>,
) -> Result<()> {
    context.say(format!(
        "{:20} {:>10}  {:^22}  {:>7} {:>8}",
        "measure", "value", "interval", "n", "unscored"
    ))?;
    for (name, score) in scores {
        context.say(line(name, score))?;
    }
    Ok(())
}

fn line(name: &str, score: &Score) -> String {
    let interval = match &score.interval {
        Some(interval) => format!("{:10.4} to {:8.4}", interval.low, interval.high),
        None => "none from one item".to_owned(),
    };
    format!("{name:20} {:10.4}  {interval:22}  {:7} {:8}", score.value, score.n, score.unscored)
}

/// A p-value as it is printed: none is 0.
pub(super) fn p_value(p: f64) -> String {
    if p < 1e-4 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") }
}

/// The bytes of a file, with its name in the error.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// The version that a run names.
pub(super) fn engine() -> String {
    format!("plumb {}", env!("CARGO_PKG_VERSION"))
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the one place of evaluations that asks the clock")]
pub(super) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A file that a run reads, by its bytes.
pub(super) fn input(role: &str, path: &Path, bytes: &[u8]) -> Input {
    let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Input { role: role.to_owned(), name: path.display().to_string(), sha256 }
}

/// How intervals were made, for the settings of a run.
pub(super) fn describe(how: &Resampling) -> Value {
    json!({"resamples": how.resamples, "seed": how.seed, "level": how.level, "method": "bca"})
}

/// Writes a run whose items are all there: values by measure and item, and the
/// results as printed, without items.
pub(super) fn save(
    folder: &Path,
    manifest: &Manifest,
    values: &BTreeMap<String, Values>,
    results: &Map<String, Value>,
) -> Result<()> {
    let mut items: BTreeMap<&String, BTreeMap<String, Option<f64>>> = BTreeMap::new();
    for (measure, values) in values {
        for (item, value) in values {
            items.entry(item).or_default().insert(measure.clone(), *value);
        }
    }
    let (mut writer, before) = RunWriter::open(folder, manifest)?;
    for (id, scores) in items {
        let item = ItemRecord { id: id.clone(), scores, detail: Value::Null };
        if !before.contains(&item) {
            writer.item(&item)?;
        }
    }
    writer.finish(results)?;
    Ok(())
}
