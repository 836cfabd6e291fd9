//! `plumb tune-retrieval`: the fusion weight that finds right pages first.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plumb_metrics::{Resampling, SplitMix64, compare, mean};
use plumb_retrieve::{Bm25, Filter, Fusion, Mode, Query};
use plumb_store::Snapshot;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::labelled::{self, Labelled};
use crate::project::{Project, analyzer};

/// Find the weight of the vectors that ranks right pages highest
///
/// Ranks passages for labelled questions at weights from 0 to 1. Half of the
/// questions choose the weight; the other half compares it with the project's
/// setting, and only a significant gain there is recommended. Nothing is changed:
/// put the weight into `plumb.toml`. Passages are taken as they were indexed.
#[derive(clap::Args, Debug)]
pub struct TuneArgs {
    /// Questions with the pages that answer them (default: what `plumb eval make` wrote)
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,

    /// Seed of the draw that halves the questions
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Passages looked at; a right page below has a reciprocal rank of 0.
const DEPTH: usize = 20;

/// Weights tried: 0, 0.1, ... 1.
const STEPS: u8 = 10;

pub fn run(args: &TuneArgs, context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    let path = args.questions.clone().unwrap_or_else(|| project.test_set());
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("cannot read the questions `{}`: `plumb eval make` makes some", path.display())
    })?;
    let mut questions = labelled::parse(&text)
        .with_context(|| format!("`{}` is no list of questions", path.display()))?;
    questions.retain(|question| !question.pages.is_empty());
    if questions.len() < 4 {
        bail!("`{}` has {} questions with a page; it takes 4", path.display(), questions.len());
    }
    SplitMix64::new(args.seed).shuffle(&mut questions);
    let snapshot = project.snapshot()?;
    let mut weights: Vec<f32> =
        (0..=STEPS).map(|step| f32::from(step) / f32::from(STEPS)).collect();
    let current = match project.config.mode {
        Mode::Fused(Fusion::Weighted { dense_weight }) => dense_weight,
        Mode::Dense => 1.0,
        Mode::Lexical => 0.0,
        Mode::Fused(Fusion::ReciprocalRank { .. }) => {
            bail!("the project fuses by reciprocal ranks, which has no weight to tune")
        }
    };
    weights.push(current);
    let ranks = reciprocal_ranks(&project, &snapshot, &questions, &weights, context)?;
    report(&ranks, &weights, context)
}

/// For each weight, the reciprocal rank of the first right page of each question.
fn reciprocal_ranks(
    project: &Project,
    snapshot: &Snapshot,
    questions: &[Labelled],
    weights: &[f32],
    context: &Context,
) -> Result<Vec<Vec<f64>>> {
    let embedder = project.embedder(context, snapshot)?.embedder;
    let analyzer = analyzer();
    let bar = context.progress(questions.len() as u64, "{bar:30} {pos}/{len} questions");
    let mut ranks = vec![Vec::new(); weights.len()];
    for question in questions {
        if context.stop.is_set() {
            bail!("interrupted; nothing was changed");
        }
        let (vector, terms) =
            (embedder.embed_query(&question.text)?, analyzer.terms(&question.text));
        let none: Option<Filter> = None;
        for (ranks, weight) in ranks.iter_mut().zip(weights) {
            let query = Query {
                terms: &terms,
                vector: Some(&vector),
                top_k: DEPTH,
                mode: Mode::Fused(Fusion::Weighted { dense_weight: *weight }),
                bm25: Bm25::default(),
                filter: none.as_ref(),
            };
            let hits = plumb_retrieve::search(snapshot, &query)?;
            let first = hits.iter().find(|hit| question.is_answered_by(&hit.uri));
            ranks.push(first.map_or(0.0, |hit| 1.0 / hit.rank as f64));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(ranks)
}

fn report(ranks: &[Vec<f64>], weights: &[f32], context: &Context) -> Result<Exit> {
    let half = ranks[0].len() / 2;
    let chosen = chosen(ranks, half)?;
    let current = weights.len() - 1;
    let held = |place: usize| &ranks[place][half..];
    let found = compare(held(chosen), held(current), &Resampling::default())?;
    let gain = found.difference;
    let is_better = gain.mean > 0.0 && found.randomisation_p < 0.05;
    let means: Vec<f64> =
        ranks.iter().map(|values| mean(&values[..half])).collect::<Result<_, _>>()?;
    if context.json {
        let table = weights.iter().zip(&means).map(|(weight, mean)| json!([weight, mean]));
        context.print_json(&json!({
            "chosen": weights[chosen], "current": weights[current], "tuned_on": half,
            "held_out": ranks[0].len() - half, "mrr_by_weight": table.collect::<Vec<_>>(),
            "held_out_gain": { "value": gain.mean, "interval": [gain.low, gain.high],
                "p": found.randomisation_p },
            "recommended": is_better,
        }))?;
        return Ok(Exit::Done);
    }
    for (weight, mean) in weights[..current].iter().zip(&means) {
        context
            .say(format!("dense_weight {weight:.1}: MRR@{DEPTH} {mean:.4} on {half} questions"))?;
    }
    context.say(format!(
        "chosen: {:.1}; on the {} held-out questions its MRR@{DEPTH} is {:+.4} ({:+.4} to {:+.4}) \
         beside the present {:.1}, p {:.3}",
        weights[chosen],
        ranks[0].len() - half,
        gain.mean,
        gain.low,
        gain.high,
        weights[current],
        found.randomisation_p,
    ))?;
    context.say(if is_better {
        format!("recommended: dense_weight = {:.1} under [retrieval]", weights[chosen])
    } else {
        "not confirmed: leave the weight as it is".to_owned()
    })?;
    Ok(Exit::Done)
}

/// The place of the weight with the highest mean on the first `half` questions;
/// of equal ones the first.
fn chosen(ranks: &[Vec<f64>], half: usize) -> Result<usize> {
    let mut best = (0, f64::MIN);
    for (place, values) in ranks.iter().enumerate() {
        let mean = mean(&values[..half])?;
        if mean > best.1 {
            best = (place, mean);
        }
    }
    Ok(best.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_is_chosen_on_the_first_half_alone() {
        let ranks = [vec![0.5, 0.5, 1.0, 1.0], vec![1.0, 0.5, 0.0, 0.0]];
        assert_eq!(chosen(&ranks, 2).unwrap(), 1);
    }
}
