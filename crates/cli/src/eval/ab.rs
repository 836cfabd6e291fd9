//! `plumb eval ab`: two arms of an experiment, looked at while it runs.

use std::path::PathBuf;

use anyhow::{Result, bail};
use plumb_metrics::sequential::{AlwaysValid, Sequence, always_valid, fixed_p};
use serde_json::{Value, json};

use super::scores;
use super::table::Table;
use crate::context::Context;
use crate::exit::Exit;

/// Items that an arm needs before its interval can be trusted.
const LEAST: u64 = 50;
/// Below this, the arms did not get the traffic that they should have.
const MISMATCH: f64 = 0.001;

/// Compare two arms of an experiment while it runs
///
/// The file has the columns `arm` and `value`, a line an observation, in the order
/// in which they came. The interval of the difference holds at every moment at
/// once, so that one may look daily and stop when it excludes 0. The share of
/// traffic of both arms is checked too.
#[derive(clap::Args, Debug)]
pub struct AbArgs {
    /// The observations, with commas or tabs between
    file: PathBuf,

    /// The arm that is compared with [default: that of the first observation]
    #[arg(long, value_name = "ARM")]
    baseline: Option<String>,

    /// Observations of both arms at which the interval should be narrowest; to be
    /// chosen before the data are seen
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    tuned_for: u64,

    /// Share of the traffic that the baseline should get
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    traffic: f64,

    /// Confidence of the interval, between 0 and 1
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95)]
    confidence: f64,

    /// Also show the interval after every N observations
    #[arg(long, value_name = "N")]
    every: Option<usize>,
}

/// Sums of one arm.
#[derive(Clone, Copy, Debug, Default)]
struct Arm {
    count: u64,
    mean: f64,
    /// Sum of squared distances from the mean (Welford 1962).
    squares: f64,
}

impl Arm {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let apart = value - self.mean;
        self.mean += apart / self.count as f64;
        self.squares += apart * (value - self.mean);
    }

    /// Of the mean.
    fn variance(self) -> f64 {
        self.squares / (self.count as f64 - 1.0) / self.count as f64
    }
}

/// What the data say at one moment.
struct Look {
    after: u64,
    arms: [Arm; 2],
    found: AlwaysValid,
    fixed_p: f64,
}

/// Runs the command.
pub(super) fn run(args: &AbArgs, context: &Context) -> Result<Exit> {
    let table = Table::read(&args.file)?;
    let (arm, value) = (table.column("arm")?, table.column("value")?);
    let values: Vec<f64> = table.parsed(value, "a number")?;
    let names = names(args, table.cells(arm))?;
    let mut arms = [Arm::default(); 2];
    let mut looks = Vec::new();
    for (row, (name, value)) in table.cells(arm).zip(values).enumerate() {
        let Some(place) = names.iter().position(|known| known == name) else {
            bail!(
                table.at(row, &format!("`{name}` is a third arm beside {}", names.join(" and ")))
            );
        };
        if !value.is_finite() {
            bail!(table.at(row, "the value is no finite number"));
        }
        arms[place].add(value);
        let is_moment = args.every.is_some_and(|every| (row + 1).is_multiple_of(every.max(1)));
        if is_moment && row + 1 < table.len() {
            looks.extend(look(args, arms)?);
        }
    }
    let Some(last) = look(args, arms)? else {
        let [a, b] = arms.map(|arm| arm.count);
        bail!("the arms have {a} and {b} observations: {LEAST} of each are needed, and two values");
    };
    let mismatch = mismatch(args, arms)?;
    if context.json {
        let mut object = last.as_json(&names);
        object["tuned_for"] = json!(args.tuned_for);
        object["confidence"] = json!(args.confidence);
        object["traffic"] = json!({
            "expected": args.traffic, "p": mismatch, "mismatch": mismatch < MISMATCH,
        });
        object["sentence"] = json!(last.sentence(&names));
        if args.every.is_some() {
            object["looks"] = looks.iter().map(|look| look.as_json(&names)).collect();
        }
        context.print_json(&object)?;
        return Ok(Exit::Done);
    }
    for look in looks.iter().chain([&last]) {
        context.say(look.line())?;
    }
    context.say(last.sentence(&names))?;
    for (name, arm) in names.iter().zip(arms) {
        context.say(format!("    {name}: mean {:.4} of {}", arm.mean, arm.count))?;
    }
    context.say(format!(
        "    always-valid {:.0} % interval, narrowest at {} observations; a test at this one \
         moment would say {}",
        100.0 * args.confidence,
        args.tuned_for,
        scores::p_value(last.fixed_p)
    ))?;
    if mismatch < MISMATCH {
        context.note(format!(
            "the traffic is not split {} to {} (p = {mismatch:.2e}): find out why before you \
             believe the difference",
            args.traffic,
            1.0 - args.traffic
        ));
    }
    Ok(Exit::Done)
}

/// The baseline and the other arm.
fn names<'a>(args: &AbArgs, cells: impl Iterator<Item = &'a str>) -> Result<[String; 2]> {
    let mut distinct: Vec<&str> = Vec::new();
    for cell in cells {
        if !distinct.contains(&cell) {
            distinct.push(cell);
        }
        if distinct.len() > 2 {
            bail!("there are more than two arms: {}", distinct.join(", "));
        }
    }
    let [first, second] = distinct[..] else {
        bail!("there is one arm only, `{}`", distinct.join(""));
    };
    match args.baseline.as_deref() {
        None => Ok([first.to_owned(), second.to_owned()]),
        Some(name) if name == first => Ok([first.to_owned(), second.to_owned()]),
        Some(name) if name == second => Ok([second.to_owned(), first.to_owned()]),
        Some(name) => bail!("there is no arm `{name}`; the arms are {first} and {second}"),
    }
}

/// The difference so far; `None` while there is too little to tell.
fn look(args: &AbArgs, arms: [Arm; 2]) -> Result<Option<Look>> {
    let [left, right] = arms;
    if left.count < LEAST || right.count < LEAST {
        return Ok(None);
    }
    let (value, variance) = (right.mean - left.mean, left.variance() + right.variance());
    if variance <= 0.0 {
        return Ok(None);
    }
    let how = Sequence { level: args.confidence, tuned_for: args.tuned_for };
    let after = left.count + right.count;
    let found = always_valid(value, variance, after, &how)?;
    Ok(Some(Look { after, arms, found, fixed_p: fixed_p(value, variance)? }))
}

/// The p-value of the counts of both arms, were the traffic split as planned.
fn mismatch(args: &AbArgs, arms: [Arm; 2]) -> Result<f64> {
    if !(args.traffic > 0.0 && args.traffic < 1.0) {
        bail!("--traffic is {}, but a share lies between 0 and 1", args.traffic);
    }
    let [left, right] = arms.map(|arm| arm.count as f64);
    let all = left + right;
    Ok(fixed_p(left - all * args.traffic, all * args.traffic * (1.0 - args.traffic))?)
}

impl Look {
    fn line(&self) -> String {
        let AlwaysValid { value, low, high, p } = self.found;
        let p = scores::p_value(p);
        format!("{:8} observations  {value:+.4} [{low:+.4}, {high:+.4}]  {p}", self.after)
    }

    fn verdict(&self) -> &'static str {
        match self.found {
            AlwaysValid { low, .. } if low > 0.0 => "higher",
            AlwaysValid { high, .. } if high < 0.0 => "lower",
            _ => "undecided",
        }
    }

    fn sentence(&self, [a, b]: &[String; 2]) -> String {
        match self.verdict() {
            "undecided" => {
                format!("undecided: {b} and {a} may be equal; go on, looking costs nothing")
            }
            verdict => format!("{b} is {verdict} than {a}: the experiment may be stopped"),
        }
    }

    fn as_json(&self, names: &[String; 2]) -> Value {
        let AlwaysValid { value, low, high, p } = self.found;
        let arm = |place: usize| json!({"name": names[place], "mean": self.arms[place].mean, "n": self.arms[place].count});
        json!({
            "difference": {"value": value, "interval": [low, high]},
            "p": p,
            "fixed_p": self.fixed_p,
            "n": self.after,
            "unscored": 0,
            "a": arm(0),
            "b": arm(1),
            "method": "asymptotic confidence sequence",
            "verdict": self.verdict(),
        })
    }
}
