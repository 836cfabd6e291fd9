//! `plumb eval plan`: how many items a comparison needs before it is worth running.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plumb_metrics::planning::{Plan, paired_means, smallest_paired_difference, two_proportions};
use serde_json::{Value, json};

use super::scores;
use crate::context::Context;
use crate::exit::Exit;

/// Say how many items a comparison needs
///
/// Three questions: two groups with the shares --share and --than; two systems on
/// the same items whose mean difference is --difference and scatters by --spread;
/// or, for --differences of a run that is there, the smallest difference that so
/// many items show.
#[derive(clap::Args, Debug)]
pub struct PlanArgs {
    /// Share of successes of the one group, between 0 and 1
    #[arg(long, value_name = "SHARE", requires = "than")]
    share: Option<f64>,

    /// Share of successes of the other group
    #[arg(long, value_name = "SHARE", requires = "share")]
    than: Option<f64>,

    /// Mean difference of two systems on the same items
    #[arg(long, value_name = "D", requires = "spread", conflicts_with = "share")]
    difference: Option<f64>,

    /// Standard deviation of the differences of items
    #[arg(long, value_name = "SD", requires = "difference")]
    spread: Option<f64>,

    /// File with the difference of two systems on each item, a number a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["share", "difference"])]
    differences: Option<PathBuf>,

    /// Chance of an alarm where there is no difference
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,

    /// Chance of an alarm where the difference is as large as said
    #[arg(long, default_value_t = 0.8)]
    power: f64,
}

/// Runs the command.
pub(super) fn run(args: &PlanArgs, context: &Context) -> Result<Exit> {
    let plan = Plan { alpha: args.alpha, power: args.power };
    let (mut object, sentence) = answer(args, plan)?;
    object["alpha"] = json!(args.alpha);
    object["power"] = json!(args.power);
    if context.json {
        context.print_json(&object)?;
    } else {
        context.say(sentence)?;
    }
    Ok(Exit::Done)
}

/// What was asked, as an object and as a sentence.
fn answer(args: &PlanArgs, plan: Plan) -> Result<(Value, String)> {
    let chances = format!(
        "a two-sided test at {} then sees it with a chance of {:.0} %",
        args.alpha,
        100.0 * args.power
    );
    if let (Some(share), Some(than)) = (args.share, args.than) {
        let items = two_proportions(share, than, plan)?;
        let method = "two proportions, pooled variance";
        return Ok((
            json!({"items_per_group": items, "share": share, "than": than, "method": method}),
            format!(
                "{items} items in each group show {share} against {than}: {chances} ({method})"
            ),
        ));
    }
    if let (Some(difference), Some(spread)) = (args.difference, args.spread) {
        let items = paired_means(difference, spread, plan)?;
        let method = "paired means, Guenther's correction";
        return Ok((
            json!({"items": items, "difference": difference, "spread": spread, "method": method}),
            format!(
                "{items} items show a mean difference of {difference} that scatters by {spread}: \
                 {chances} ({method})"
            ),
        ));
    }
    let Some(path) = &args.differences else {
        bail!(
            "nothing to plan: give --share and --than, --difference and --spread, or --differences"
        );
    };
    let name = path.display();
    let bytes = scores::read(path)?;
    let text = str::from_utf8(&bytes).with_context(|| format!("`{name}` is not UTF-8"))?;
    let mut values = Vec::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let value: Option<f64> = text.trim().parse().ok();
        values
            .push(value.with_context(|| format!("`{name}`, line {line}: `{text}` is no number"))?);
    }
    let smallest = smallest_paired_difference(&values, plan)?;
    let items = values.len();
    let method = "paired means, normal";
    Ok((
        json!({"smallest_difference": smallest, "items": items, "method": method}),
        format!(
            "{items} items show a mean difference of {smallest:.4} and more: {chances} ({method})"
        ),
    ))
}
