//! Two systems on the same texts: differences and paired tests.

use std::path::PathBuf;

use anyhow::{Result, bail};
use plumb_metrics::holm;
use plumb_metrics::text::{
    PairedBootstrap, SEED, Statistics, approximate_randomization, paired_bootstrap, ratio,
};
use serde_json::{Map, Value, json};

use super::measures::{Counts, Measured, Measures};
use super::names::Metric;
use super::report;
use crate::context::Context;

/// Below this p-value the systems differ.
const ALPHA: f64 = 0.05;

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Two systems")]
pub(super) struct PairFlags {
    /// The texts of a second system: is it better than the first? Each measure gets
    /// two paired tests, with the numbers of sacrebleu's
    #[arg(long, value_name = "FILE")]
    pub(super) hyp_b: Option<PathBuf>,

    /// Trials of the test by approximate randomization
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    trials: usize,

    /// Start of the random numbers of both tests
    #[arg(long, value_name = "N", default_value_t = SEED)]
    paired_seed: u64,
}

/// Both systems by one measure.
pub(super) struct Paired {
    metric: Metric,
    left: Measured,
    right: Measured,
    /// Texts that one of both has no value for.
    unscored: usize,
    difference: f64,
    bootstrap: PairedBootstrap,
    randomization_p: f64,
}

/// Measures both systems and tests their difference. `resamples` and `level` are
/// those of the intervals.
pub(super) fn pair(
    flags: &PairFlags,
    (left, right): (&Measures<'_>, &Measures<'_>),
    metric: Metric,
    (resamples, level): (usize, f64),
) -> Result<Paired> {
    let (of_left, of_right) = (left.measure(metric)?, right.measure(metric)?);
    let (counts, unscored) = match (left.counts(metric), right.counts(metric)) {
        (Some(left), Some(right)) => ((left, right), 0),
        _ if matches!(metric, Metric::Distinct(_) | Metric::SelfBleu) => {
            bail!("it compares the texts of one system with each other: there are no pairs");
        }
        _ => of_means(&of_left, &of_right),
    };
    let (Counts { table: a, score }, Counts { table: b, .. }) = counts;
    let bootstrap = paired_bootstrap(&a, &b, &*score, (resamples, flags.paired_seed, level))?;
    let randomization_p =
        approximate_randomization(&a, &b, &*score, (flags.trials, flags.paired_seed))?;
    Ok(Paired {
        metric,
        difference: score(&b.sums()) - score(&a.sums()),
        left: of_left,
        right: of_right,
        unscored,
        bootstrap,
        randomization_p,
    })
}

/// The values of the texts that both have one for, and how many have not.
fn of_means<'a>(left: &Measured, right: &Measured) -> ((Counts<'a>, Counts<'a>), usize) {
    let pairs = left.segments.iter().zip(&right.segments);
    let both = pairs.filter_map(|(left, right)| left.zip(*right));
    let (lefts, rights): (Vec<f64>, Vec<f64>) = both.unzip();
    let unscored = left.segments.len() - lefts.len();
    let counts =
        |values: &[f64]| Counts { table: Statistics::of_mean(values), score: Box::new(ratio) };
    ((counts(&lefts), counts(&rights)), unscored)
}

/// Prints all measures. `names` are the files of both systems.
pub(super) fn print(
    context: &Context,
    flags: &PairFlags,
    found: &[Paired],
    names: (&str, &str),
    resamples: usize,
) -> Result<()> {
    let adjusted = holm(&found.iter().map(|one| one.randomization_p).collect::<Vec<f64>>())?;
    if context.json {
        let each = found.iter().zip(&adjusted).map(|(one, adjusted)| {
            let value = one.as_json(*adjusted, flags, names, resamples);
            (one.metric.to_string(), value)
        });
        return context.print_json(&Value::Object(each.collect::<Map<_, _>>()));
    }
    for (one, adjusted) in found.iter().zip(&adjusted) {
        context.say(one.sentence(*adjusted, names))?;
        context.say(format!(
            "    {:.4} and {:.4}, {} texts, {} unscored; p = {:.4} by approximate randomization \
             ({} trials), {:.4} by paired bootstrap ({resamples} resamples), seed {}",
            one.left.value,
            one.right.value,
            one.left.segments.len().max(one.left.count) - one.unscored,
            one.unscored,
            one.randomization_p,
            flags.trials,
            one.bootstrap.p,
            flags.paired_seed,
        ))?;
        context.say(format!("    {}", one.left.signature))?;
    }
    if found.len() > 1 {
        context.say(format!(
            "verdicts are by the first p-value, corrected by Holm's method over {} measures",
            found.len()
        ))?;
    }
    Ok(())
}

impl Paired {
    /// Less is better for the error rate alone.
    fn gain(&self) -> f64 {
        if self.metric == Metric::Ter { -self.difference } else { self.difference }
    }

    fn verdict(&self, adjusted: f64) -> &'static str {
        match self.gain() {
            _ if adjusted >= ALPHA => "undecided",
            gain if gain > 0.0 => "better",
            _ => "worse",
        }
    }

    fn sentence(&self, adjusted: f64, (a, b): (&str, &str)) -> String {
        let (low, high) = self.bootstrap.difference;
        let by = format!("{:+.4} [{low:+.4}, {high:+.4}]", self.difference);
        match self.verdict(adjusted) {
            "undecided" => format!(
                "{}: {b} and {a} may be equally good: {by}, corrected p = {adjusted:.4}",
                self.metric
            ),
            verdict => {
                format!(
                    "{}: {b} is {verdict} than {a}: {by}, corrected p = {adjusted:.4}",
                    self.metric
                )
            }
        }
    }

    fn as_json(
        &self,
        adjusted: f64,
        flags: &PairFlags,
        names: (&str, &str),
        resamples: usize,
    ) -> Value {
        let seed = flags.paired_seed;
        let resampled = |(mean, half): (f64, f64)| json!({"mean": mean, "half_width": half});
        let (low, high) = self.bootstrap.difference;
        json!({
            "a": report::as_json(&self.left, false),
            "b": report::as_json(&self.right, false),
            "difference": {
                "value": self.difference,
                "interval": [low, high],
                "method": format!("percentile of the paired bootstrap, {resamples} resamples, seed {seed}"),
            },
            "unscored": self.unscored,
            "bootstrap": {
                "p": self.bootstrap.p,
                "resamples": resamples,
                "seed": seed,
                "a": resampled(self.bootstrap.left),
                "b": resampled(self.bootstrap.right),
                "as": "sacrebleu 2.6.0 --paired-bs",
            },
            "randomization": {
                "p": self.randomization_p,
                "adjusted_p": adjusted,
                "correction": "holm",
                "trials": flags.trials,
                "seed": seed,
                "as": "sacrebleu 2.6.0 --paired-ar",
            },
            "verdict": self.verdict(adjusted),
            "sentence": self.sentence(adjusted, names),
        })
    }
}
