//! What was tried and what came of it, for a reader and for a program.

use anyhow::Result;
use plumb_metrics::mean;
use serde_json::{Value, json};

use super::{Choice, DEPTH, Tuned, apply};
use crate::context::Context;

/// Prints it: of a change that was `asked` for or of one that was looked for, and the
/// file that it was written into.
pub(super) fn print(
    tuned: &Tuned,
    (asked, applied): (bool, Option<&str>),
    context: &Context,
) -> Result<()> {
    if context.json {
        return context.print_json(&object(tuned, asked, applied)?);
    }
    if !asked {
        for one in &tuned.tried[1..] {
            let value = mean(&one.ranks[..tuned.choosing])?;
            context.say(format!(
                "{}: MRR@{DEPTH} {value:.4} on {} questions",
                said(one.choice),
                tuned.choosing
            ))?;
        }
        if tuned.fell_back {
            context.say("fusing was best on these and lost to one search alone on the others")?;
        }
    }
    let gain = &tuned.gain.difference;
    let held = tuned.tried[0].ranks.len() - tuned.choosing;
    let questions =
        if asked { format!("{held} questions") } else { format!("{held} held-out questions") };
    context.say(format!(
        "{}: {}; on the {questions} its MRR@{DEPTH} is {:+.4} ({:+.4} to {:+.4}) beside the \
         present {}, p {:.3}",
        if asked { "asked for" } else { "chosen" },
        said(tuned.choice()),
        gain.mean,
        gain.low,
        gain.high,
        said(tuned.present()),
        tuned.gain.randomisation_p,
    ))?;
    context.say(verdict(tuned, asked, applied))?;
    if applied.is_some() && tuned.choice().chunking != tuned.present().chunking {
        context.say("now index again: plumb add --rebuild")?;
    }
    Ok(())
}

fn verdict(tuned: &Tuned, asked: bool, applied: Option<&str>) -> String {
    let lines = apply::lines(tuned.present(), tuned.choice());
    let lines: Vec<String> = lines
        .into_iter()
        .map(|(section, key, value)| format!("{key} = {value} under [{section}]"))
        .collect();
    let lines = lines.join(", ");
    match (applied, asked) {
        (Some(path), _) if tuned.loses() => format!("forced: {lines}, in {path}"),
        (Some(path), _) => format!("written: {lines}, in {path}"),
        (None, true) if tuned.loses() => {
            "refused: it loses significantly (--apply --force writes it all the same)".to_owned()
        }
        (None, true) => format!("it does not lose significantly: {lines}"),
        (None, false) if tuned.wins() => format!("recommended: {lines}"),
        (None, false) => "not confirmed: leave the settings as they are".to_owned(),
    }
}

/// A way in words.
fn said(choice: Choice) -> String {
    let headings = if choice.chunking.headings { "" } else { ", no headings" };
    let tokens = choice.chunking.max_tokens;
    format!("dense_weight {:.1}, {tokens} tokens{headings}", choice.dense_weight)
}

fn way(choice: Choice) -> Value {
    json!({
        "dense_weight": (f64::from(choice.dense_weight) * 1e3).round() / 1e3,
        "max_tokens": choice.chunking.max_tokens,
        "headings": choice.chunking.headings,
    })
}

fn object(tuned: &Tuned, asked: bool, applied: Option<&str>) -> Result<Value> {
    let gain = &tuned.gain.difference;
    let mut tried = Vec::new();
    for one in tuned.tried.iter().filter(|_| !asked) {
        let mut row = way(one.choice);
        row["mrr"] = mean(&one.ranks[..tuned.choosing])?.into();
        tried.push(row);
    }
    Ok(json!({
        "chosen": way(tuned.choice()),
        "present": way(tuned.present()),
        "tuned_on": tuned.choosing,
        "held_out": tuned.tried[0].ranks.len() - tuned.choosing,
        "tried": tried,
        "gain": {
            "value": gain.mean, "interval": [gain.low, gain.high],
            "p": tuned.gain.randomisation_p,
        },
        "fell_back_to_one_search": tuned.fell_back,
        "recommended": tuned.wins(),
        "loses_significantly": tuned.loses(),
        "written_to": applied,
    }))
}
