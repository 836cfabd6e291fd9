//! `plumb eval passk`: how often one of `k` attempts succeeds.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plumb_eval::Score;
use plumb_metrics::pass_at_k;
use serde_json::{Map, Value, json};

use super::scores::{self, SamplingArgs};
use super::table::Table;
use crate::context::Context;
use crate::exit::Exit;

/// Estimate how often one of K attempts succeeds
///
/// The file has the columns `samples` and `correct`, a task a line, and perhaps
/// `id`. The estimate is unbiased (Chen et al. 2021, arXiv:2107.03374); its mean
/// over tasks has a bootstrap interval. A task with fewer samples than K says
/// nothing of K and is counted as unscored.
#[derive(clap::Args, Debug)]
pub struct PassArgs {
    /// The tasks, with commas or tabs between
    file: PathBuf,

    /// Attempts, with commas between
    #[arg(long, value_delimiter = ',', value_name = "K", default_value = "1")]
    k: Vec<u64>,

    /// Also print the estimate of each task
    #[arg(long)]
    per_item: bool,

    #[command(flatten)]
    sampling: SamplingArgs,
}

/// Runs the command.
pub(super) fn run(args: &PassArgs, context: &Context) -> Result<Exit> {
    let table = Table::read(&args.file)?;
    let count = |name| table.parsed::<u64>(table.column(name)?, "a whole number");
    let (samples, correct) = (count("samples")?, count("correct")?);
    let names: Vec<String> = match table.column("id") {
        Ok(column) => table.cells(column).map(str::to_owned).collect(),
        Err(_) => (1..=table.len()).map(|task| task.to_string()).collect(),
    };
    let how = args.sampling.resampling();
    let mut found = Vec::new();
    for k in &args.k {
        if *k == 0 {
            bail!("--k is 0: one attempt is the least");
        }
        let mut values = Vec::new();
        for (row, (samples, correct)) in samples.iter().zip(&correct).enumerate() {
            let value = (k <= samples).then(|| pass_at_k(*samples, *correct, *k)).transpose();
            values.push(value.with_context(|| table.at(row, "no such task"))?);
        }
        let scored: Vec<f64> = values.iter().flatten().copied().collect();
        if scored.is_empty() {
            bail!("no task of `{}` has {k} samples", args.file.display());
        }
        let score = Score::of_mean(&scored, values.len() - scored.len(), &how)?;
        found.push((format!("pass@{k}"), score, values));
    }
    if context.json {
        let each = found.iter().map(|(name, score, values)| {
            let mut value = scores::as_json(score, &format!("{name}|unbiased|agg:mean"));
            if args.per_item {
                let named = names.iter().cloned().zip(values.iter().map(|value| json!(value)));
                value["per_item"] = Value::Object(named.collect());
            }
            (name.clone(), value)
        });
        context.print_json(&Value::Object(each.collect::<Map<_, _>>()))?;
        return Ok(Exit::Done);
    }
    scores::print_table(context, found.iter().map(|(name, score, _)| (name.as_str(), score)))?;
    if args.per_item {
        for (task, name) in names.iter().enumerate() {
            let cells = found.iter().map(|(_, _, values)| match values[task] {
                Some(value) => format!("{value:10.4}"),
                None => format!("{:>10}", "-"),
            });
            context.say(format!("{name:20} {}", cells.collect::<Vec<_>>().join(" ")))?;
        }
    }
    Ok(Exit::Done)
}
