//! `plumb tune-retrieval`: the fusion weight, and the cut of passages, that find right
//! pages first.

mod apply;
mod chunks;
mod ranks;
mod report;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plumb_index::Chunking;
use plumb_metrics::{Comparison, Resampling, SplitMix64, compare, mean};
use plumb_retrieve::{Fusion, Mode};

use crate::context::Context;
use crate::exit::Exit;
use crate::labelled::{self, Labelled};
use crate::project::Project;
use ranks::Ranked;

/// Find the weight of the vectors that ranks right pages highest
///
/// Ranks passages for labelled questions at weights from 0, which is BM25 alone, to 1,
/// which is vectors alone. Half of the questions choose; the other half compares the
/// choice with the project's settings, and only a significant gain there is
/// recommended. With --chunks passages are also cut otherwise, in an index of their own
/// beside the project's. Nothing is changed without --apply.
#[derive(clap::Args, Debug)]
pub struct TuneArgs {
    /// Questions with the pages that answer them (default: what `plumb eval make` wrote)
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,

    /// Seed of the draw that halves the questions
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Also try passages of other lengths, and without their headings: all documents are
    /// indexed once for each
    #[arg(long)]
    chunks: bool,

    /// Lengths of passages that --chunks tries, in tokens
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "100,150,250")]
    max_tokens: Vec<usize>,

    /// Compare this change on all questions in place of looking for one: `dense_weight`,
    /// `max_tokens` or `headings`; exits with 1 if it loses significantly
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "chunks")]
    set: Vec<String>,

    /// Write what is recommended, or a change that does not lose, into plumb.toml
    #[arg(long)]
    apply: bool,

    /// Write a change that loses, too
    #[arg(long, requires = "apply", requires = "set")]
    force: bool,
}

/// Passages looked at; a right page below has a reciprocal rank of 0.
const DEPTH: usize = 20;

/// Weights tried: 0, 0.1, ... 1.
const STEPS: u8 = 10;

/// One way to retrieve.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Choice {
    /// 0 is BM25 alone and 1 vectors alone.
    dense_weight: f32,
    chunking: Chunking,
}

/// What was found out, the present way first among those tried.
struct Tuned {
    tried: Vec<Ranked>,
    /// Place of the way that is compared with the present one.
    chosen: usize,
    /// Questions that chose, and those that compare, which come after them.
    choosing: usize,
    /// On the latter; negative where the chosen way is worse.
    gain: Comparison,
    /// True if fusing was chosen and lost to one search alone on the held-out half.
    fell_back: bool,
}

impl Tuned {
    fn present(&self) -> Choice {
        self.tried[0].choice
    }

    fn choice(&self) -> Choice {
        self.tried[self.chosen].choice
    }

    fn wins(&self) -> bool {
        self.gain.difference.mean > 0.0 && self.gain.randomisation_p < 0.05
    }

    fn loses(&self) -> bool {
        self.gain.difference.mean < 0.0 && self.gain.randomisation_p < 0.05
    }
}

pub fn run(args: &TuneArgs, context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    let questions = questions(args, &project)?;
    let present = present(&project)?;
    let tuned = if args.set.is_empty() {
        let tried = ranks::search(&project, &questions, (present, args), context)?;
        tuned(tried, questions.len() / 2)?
    } else {
        let wanted = apply::changed(present, &args.set)?;
        let ways = [present, wanted];
        let tried = ranks::of(&project, &questions, &ways, context)?;
        let gain = compare(&tried[1].ranks, &tried[0].ranks, &Resampling::default())?;
        Tuned { tried, chosen: 1, choosing: 0, gain, fell_back: false }
    };
    let is_wanted = if args.set.is_empty() { tuned.wins() } else { !tuned.loses() };
    let is_refused = !args.set.is_empty() && tuned.loses() && !args.force;
    let applied = if args.apply && !is_refused && (is_wanted || args.force) {
        Some(apply::write(&project, tuned.present(), tuned.choice(), context)?)
    } else {
        None
    };
    report::print(&tuned, (!args.set.is_empty(), applied.as_deref()), context)?;
    Ok(if is_refused { Exit::Failed } else { Exit::Done })
}

/// The questions with a page, shuffled.
fn questions(args: &TuneArgs, project: &Project) -> Result<Vec<Labelled>> {
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
    Ok(questions)
}

/// How the project retrieves.
fn present(project: &Project) -> Result<Choice> {
    let dense_weight = match project.config.mode {
        Mode::Fused(Fusion::Weighted { dense_weight } | Fusion::Covered { dense_weight }) => {
            dense_weight
        }
        Mode::Dense => 1.0,
        Mode::Lexical => 0.0,
        Mode::Fused(Fusion::ReciprocalRank { .. }) => {
            bail!("the project fuses by reciprocal ranks, which has no weight to tune")
        }
    };
    Ok(Choice { dense_weight, chunking: project.config.chunking })
}

/// Chooses on the first `half` of the questions, and compares on the others.
fn tuned(tried: Vec<Ranked>, half: usize) -> Result<Tuned> {
    let mut chosen = best(&tried, half, |_| true)?;
    let leg = best(&tried, half, is_single)?;
    let held = |place: usize| &tried[place].ranks[half..];
    // One search alone is simpler: fusing must not be worse where nothing was chosen.
    let fell_back = chosen != leg && mean(held(chosen))? < mean(held(leg))?;
    if fell_back {
        chosen = leg;
    }
    let gain = compare(held(chosen), held(0), &Resampling::default())?;
    Ok(Tuned { tried, chosen, choosing: half, gain, fell_back })
}

/// The two searches that are fused, each alone.
fn is_single(choice: Choice) -> bool {
    choice.dense_weight <= 0.0 || 1.0 <= choice.dense_weight
}

/// The place of the highest mean on the first `half` questions; of equal ones the first.
fn best(tried: &[Ranked], half: usize, among: impl Fn(Choice) -> bool) -> Result<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (place, one) in tried.iter().enumerate().filter(|(_, one)| among(one.choice)) {
        let mean = mean(&one.ranks[..half])?;
        if best.is_none_or(|(_, other)| other < mean) {
            best = Some((place, mean));
        }
    }
    best.map(|(place, _)| place).context("there is nothing to choose from")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(dense_weight: f32, ranks: &[f64]) -> Ranked {
        let chunking = Chunking { max_tokens: 200, headings: true };
        Ranked { choice: Choice { dense_weight, chunking }, ranks: ranks.to_vec() }
    }

    #[test]
    fn a_way_is_chosen_on_the_first_half_alone() {
        let tried = vec![
            way(0.6, &[0.5, 0.5, 1.0, 1.0]),
            way(0.0, &[0.1, 0.1, 0.0, 0.0]),
            way(1.0, &[1.0, 0.5, 0.0, 0.0]),
        ];
        let found = tuned(tried, 2).unwrap();
        assert_eq!((found.chosen, found.fell_back), (2, false));
        assert!(found.gain.difference.mean < 0.0);
    }

    #[test]
    fn fusing_that_loses_to_one_search_alone_gives_way_to_it() {
        let tried = vec![
            way(0.5, &[0.5, 0.5, 0.2, 0.2]),
            way(0.0, &[0.1, 0.1, 0.9, 0.9]),
            way(0.7, &[1.0, 1.0, 0.3, 0.3]),
            way(1.0, &[0.9, 0.9, 0.8, 0.8]),
        ];
        let found = tuned(tried, 2).unwrap();
        assert_eq!((found.chosen, found.fell_back), (3, true));
    }

    #[test]
    fn of_equal_ways_the_present_one_stays() {
        let tried = vec![way(0.6, &[0.5; 4]), way(0.0, &[0.5; 4]), way(1.0, &[0.5; 4])];
        assert_eq!(tuned(tried, 2).unwrap().chosen, 0);
    }
}
