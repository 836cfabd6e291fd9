//! `plumb eval compare`: is B better than A?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use plumb_eval::compare::{Compared, Values, Verdict, compare_systems};
use plumb_eval::parse_results;
use plumb_eval::run::{parse_run, run_path};
use plumb_metrics::Estimate;
use serde_json::{Map, Value, json};

use super::retrieval::{JudgingArgs, by_query};
use super::scores::{self, SamplingArgs};
use crate::context::Context;
use crate::exit::Exit;

/// Compare two systems on the same items
///
/// A and B are results of `plumb eval ... --json` with values by item (--per-query,
/// --per-item, --per-segment), folders of runs, or with --qrels two runs of
/// retrieval. A is the baseline. Each measure gets a paired test, corrected by
/// Holm's method over all measures, the difference with its interval, and a
/// verdict.
#[derive(clap::Args, Debug)]
pub struct CompareArgs {
    /// The baseline
    a: PathBuf,

    /// The system that may be better
    b: PathBuf,

    /// Judgements: A and B are then runs of retrieval
    #[arg(long, value_name = "FILE")]
    qrels: Option<PathBuf>,

    #[command(flatten)]
    judging: JudgingArgs,

    #[command(flatten)]
    sampling: SamplingArgs,
}

/// Runs the command.
pub(super) fn run(args: &CompareArgs, context: &Context) -> Result<Exit> {
    let read = |path: &Path| match &args.qrels {
        Some(qrels) => Ok(by_query(&args.judging.evaluate(path, qrels)?)),
        None => of_results(path),
    };
    let (left, right) = (read(&args.a)?, read(&args.b)?);
    let found = compare_systems(&left, &right, &args.sampling.resampling())?;
    let (a, b) = (args.a.display().to_string(), args.b.display().to_string());
    if context.json {
        let named = found.iter().map(|one| (one.name.clone(), as_json(one, &a, &b)));
        context.print_json(&Value::Object(named.collect::<Map<_, _>>()))?;
        return Ok(Exit::Done);
    }
    for one in &found {
        context.say(one.sentence(&a, &b))?;
        context.say(format!(
            "    {a} {:.4} [{:.4}, {:.4}], {b} {:.4} [{:.4}, {:.4}], {} items, {} unscored; \
             uncorrected p = {:.4}, bootstrap p = {:.4}{}",
            one.left.mean,
            one.left.low,
            one.left.high,
            one.right.mean,
            one.right.low,
            one.right.high,
            one.difference.count,
            one.unscored,
            one.p,
            one.bootstrap_p,
            one.signed_rank.map(|test| format!(", Wilcoxon p = {:.4}", test.p)).unwrap_or_default(),
        ))?;
    }
    if found.len() > 1 {
        context.say(format!(
            "p-values are corrected by Holm's method over {} measures",
            found.len()
        ))?;
    }
    Ok(Exit::Done)
}

/// The values by item of a folder of a run, or of printed results.
fn of_results(path: &Path) -> Result<BTreeMap<String, Values>> {
    let is_run = path.is_dir();
    let path = if is_run { run_path(path) } else { path.to_path_buf() };
    let in_file = || format!("in `{}`", path.display());
    let bytes = scores::read(&path)?;
    let text = str::from_utf8(&bytes).with_context(in_file)?;
    if is_run {
        return Ok(parse_run(text).with_context(in_file)?.values());
    }
    parse_results(text).with_context(in_file)
}

fn as_json(one: &Compared, a: &str, b: &str) -> Value {
    let estimate = |of: &Estimate| json!({"value": of.mean, "interval": [of.low, of.high]});
    let verdict = match one.verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Undecided => "undecided",
    };
    json!({
        "a": estimate(&one.left),
        "b": estimate(&one.right),
        "difference": estimate(&one.difference),
        "n": one.difference.count,
        "unscored": one.unscored,
        "p": one.p,
        "adjusted_p": one.adjusted_p,
        "correction": "holm",
        "test": one.test,
        "bootstrap_p": one.bootstrap_p,
        "wilcoxon_p": one.signed_rank.map(|test| test.p),
        "detectable": one.detectable,
        "verdict": verdict,
        "sentence": one.sentence(a, b),
    })
}
