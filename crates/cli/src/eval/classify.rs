//! `plumb eval classify`: predicted labels against true ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use plumb_eval::Score;
use plumb_eval::classify::{Evaluated, Item, Settings, evaluate, parse};
use plumb_eval::run::Manifest;
use serde_json::{Map, Value, json};

use super::scores::{self, SamplingArgs};
use crate::context::Context;
use crate::exit::Exit;

/// Compare predicted labels with true ones
///
/// A label is a line. A file may also hold JSON objects, one a line, with `label`
/// and perhaps `id`, `probabilities` (an object of label and probability) or
/// `probability` (of the label): then calibration and areas under curves are
/// measured too. An empty prediction cannot be scored and is counted.
#[derive(clap::Args, Debug)]
pub struct ClassifyArgs {
    /// The true labels
    #[arg(long, value_name = "FILE")]
    gold: PathBuf,

    /// The predicted labels, in the same order
    #[arg(long, value_name = "FILE")]
    pred: PathBuf,

    /// The label that is looked for [default: the last of two in order; of more, each in turn]
    #[arg(long, value_name = "LABEL")]
    positive: Option<String>,

    /// Bins of the reliability table
    #[arg(long, value_name = "N", default_value_t = 10)]
    bins: usize,

    /// Also print whether each item was right
    #[arg(long)]
    per_item: bool,

    /// Write the run, with every item, into this folder
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,

    #[command(flatten)]
    sampling: SamplingArgs,
}

/// Runs the command.
pub(super) fn run(args: &ClassifyArgs, context: &Context) -> Result<Exit> {
    let (gold, predicted) = (items(&args.gold)?, items(&args.pred)?);
    let settings = Settings {
        positive: args.positive.clone(),
        bins: args.bins,
        how: args.sampling.resampling(),
    };
    let found = evaluate(&gold, &predicted, &settings).with_context(|| {
        format!("cannot compare `{}` with `{}`", args.pred.display(), args.gold.display())
    })?;
    if let Some(folder) = &args.save {
        save(folder, args, &found)?;
    }
    if context.json {
        context.print_json(&as_json(&found, args.per_item))?;
    } else {
        print(&found, args.per_item, context)?;
    }
    let unscored = found.correct.iter().filter(|(_, right)| right.is_none()).count();
    if unscored > 0 {
        let right = found.correct.iter().filter(|(_, right)| *right == Some(true)).count();
        let all = found.correct.len() as f64;
        context.note(format!(
            "{unscored} items have no prediction; were all of them wrong or right, the accuracy \
             would be {:.4} or {:.4}",
            right as f64 / all,
            (right + unscored) as f64 / all
        ));
    }
    Ok(Exit::Done)
}

fn items(path: &Path) -> Result<Vec<Item>> {
    let in_file = || format!("in `{}`", path.display());
    let bytes = scores::read(path)?;
    let items = parse(str::from_utf8(&bytes).with_context(in_file)?).with_context(in_file)?;
    if items.is_empty() {
        bail!("`{}` is empty: there is nothing to score", path.display());
    }
    Ok(items)
}

fn save(folder: &Path, args: &ClassifyArgs, found: &Evaluated) -> Result<()> {
    let mut manifest = Manifest::new("classify", &scores::engine(), scores::now());
    for (role, path) in [("gold", &args.gold), ("predictions", &args.pred)] {
        manifest.inputs.push(scores::input(role, path, &scores::read(path)?));
    }
    manifest.settings = json!({
        "positive": args.positive,
        "bins": args.bins,
        "resampling": scores::describe(&args.sampling.resampling()),
    });
    let values = found.correct.iter().map(|(name, right)| (name.clone(), share(*right)));
    let values = BTreeMap::from([("accuracy".to_owned(), values.collect())]);
    scores::save(folder, &manifest, &values, &as_json(found, false))
}

/// 1 for right, 0 for wrong.
fn share(right: Option<bool>) -> Option<f64> {
    right.map(|right| f64::from(u8::from(right)))
}

fn as_json(found: &Evaluated, per_item: bool) -> Map<String, Value> {
    let mut object: Map<String, Value> = found
        .scores
        .iter()
        .map(|(name, score, signature)| (name.clone(), scores::as_json(score, signature)))
        .collect();
    if per_item && let Some(accuracy) = object.get_mut("accuracy") {
        let named = found.correct.iter().map(|(name, right)| (name.clone(), json!(share(*right))));
        accuracy["per_item"] = Value::Object(named.collect());
    }
    let classes = found.classes.iter().enumerate().map(|(class, name)| {
        let scores = found.confusion.class(class);
        let value = json!({
            "precision": scores.precision,
            "recall": scores.recall,
            "f1": scores.f1,
            "support": found.confusion.support(class),
            "predicted": found.confusion.predicted(class),
        });
        (name.clone(), value)
    });
    object.insert("classes".to_owned(), Value::Object(classes.collect()));
    let all = 0..found.classes.len();
    let row =
        |truth| all.clone().map(|said| found.confusion.count(truth, said)).collect::<Vec<_>>();
    let rows: Vec<Vec<u64>> = all.clone().map(row).collect();
    object.insert("confusion".to_owned(), json!({"labels": found.classes, "counts": rows}));
    if let Some(bins) = &found.reliability {
        let bin = |bin: &plumb_metrics::calibration::Bin| {
            json!({
                "low": bin.low,
                "high": bin.high,
                "count": bin.count,
                "confidence": bin.confidence,
                "accuracy": bin.accuracy(),
            })
        };
        object.insert("reliability".to_owned(), bins.iter().map(bin).collect());
    }
    let undefined = found.undefined.iter().map(|(name, why)| (name.clone(), json!(why)));
    object.insert("undefined".to_owned(), Value::Object(undefined.collect()));
    object
}

fn print(found: &Evaluated, per_item: bool, context: &Context) -> Result<()> {
    let named: Vec<(&str, &Score)> =
        found.scores.iter().map(|(name, score, _)| (name.as_str(), score)).collect();
    scores::print_table(context, named)?;
    for (name, why) in &found.undefined {
        context.say(format!("{name:20} not defined: {why}"))?;
    }
    context.say(format!(
        "\n{:20} {:>10} {:>10} {:>10} {:>8} {:>9}",
        "label", "precision", "recall", "f1", "support", "predicted"
    ))?;
    for (class, name) in found.classes.iter().enumerate() {
        let of = found.confusion.class(class);
        context.say(format!(
            "{name:20} {:10.4} {:10.4} {:10.4} {:8} {:9}",
            of.precision,
            of.recall,
            of.f1,
            found.confusion.support(class),
            found.confusion.predicted(class)
        ))?;
    }
    if let Some(bins) = &found.reliability {
        context
            .say(format!("\n{:>14} {:>8} {:>11} {:>9}", "confidence", "items", "mean", "right"))?;
        for bin in bins.iter().filter(|bin| bin.count > 0) {
            let right = bin.accuracy().unwrap_or_default();
            context.say(format!(
                "{:6.3} to {:.3} {:8} {:11.4} {right:9.4}",
                bin.low, bin.high, bin.count, bin.confidence
            ))?;
        }
    }
    if per_item {
        context.say("")?;
        for (name, right) in &found.correct {
            let said = match right {
                Some(true) => "right",
                Some(false) => "wrong",
                None => "no prediction",
            };
            context.say(format!("{name} {said}"))?;
        }
    }
    Ok(())
}
