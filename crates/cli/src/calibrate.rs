//! `plumb calibrate`: the threshold that keeps an error rate, and how sure that
//! is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use plumb_answer::{Answer, Guarantee, Status, StoredSettings};
use plumb_metrics::SplitMix64;
use plumb_metrics::selective::{Demand, Scored, Selection, certify, needed};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::ask::go_on;
use crate::config::WordingName;
use crate::context::Context;
use crate::exit::Exit;
use crate::labelled::{self, Labelled};
use crate::list::hex;
use crate::project::Project;
use crate::session::{self, Session};

/// Set the threshold that keeps the share of wrong answers below a bound
///
/// Asks labelled questions and finds the lowest threshold of support for which,
/// with the stated confidence, at most the stated share of the answers is wrong.
/// `plumb ask --max-error` then uses it. Exits with 1 if the bound cannot be
/// certified with these questions, and says how many it takes.
#[derive(clap::Args, Debug)]
pub struct CalibrateArgs {
    /// Greatest share of wrong answers among the answered
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    max_error: f64,

    /// Probability, over the draw of the questions, that the share is kept
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.95)]
    confidence: f64,

    /// Questions with the pages that answer them, one JSON object a line (default: what
    /// `plumb eval make` wrote)
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,

    /// Seed of the draw that divides the questions
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Write every answer, one JSON object a line
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
}

/// What a calibration found, as the project keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Calibration {
    pub id: String,
    /// Seconds since 1970.
    pub made_at: u64,
    pub max_error: f64,
    pub confidence: f64,
    pub threshold: f32,
    /// Where the questions came from, their hash and their number.
    pub set: String,
    pub set_sha256: String,
    pub questions: u64,
    pub answerable: u64,
    pub seed: u64,
    /// Questions that decided, how many of them were answered, and wrongly.
    pub tested: u64,
    pub answered: u64,
    pub errors: u64,
    /// Upper end of the exact interval of the share of errors.
    pub bound: f64,
    /// What the scores depend on.
    pub snapshot: String,
    pub embedder_sha256: String,
    pub settings: ScoreSettings,
}

/// The settings that decide the score of a question and its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreSettings {
    mode: String,
    dense_weight: f32,
    top_k: usize,
    max_sentences: usize,
    filter: Option<String>,
}

impl ScoreSettings {
    pub fn of(settings: &StoredSettings) -> Self {
        Self {
            mode: settings.mode.clone(),
            dense_weight: settings.dense_weight,
            top_k: settings.top_k,
            max_sentences: settings.max_sentences,
            filter: settings.filter.clone(),
        }
    }
}

impl Calibration {
    /// What an answer states of it.
    pub fn guarantee(&self) -> Guarantee {
        Guarantee {
            max_error: self.max_error,
            confidence: self.confidence,
            calibration: self.id.clone(),
            questions: self.tested,
            answered: self.answered,
            errors: self.errors,
        }
    }
}

/// The last calibration of `project` that promises at most `max_error` under
/// `settings` with the embedder of hash `embedder`.
pub fn find(
    project: &Project,
    max_error: f64,
    settings: &StoredSettings,
    embedder: Option<&str>,
) -> Result<Calibration> {
    let (mut best, mut others): (Option<Calibration>, usize) = (None, 0);
    for (_, bytes) in project.calibrations()?.iter() {
        let known: Calibration =
            serde_json::from_slice(&bytes?).context("a calibration cannot be read")?;
        let fits = known.settings == ScoreSettings::of(settings)
            && embedder == Some(known.embedder_sha256.as_str());
        if known.max_error > max_error || !fits {
            others += 1;
        } else if best.as_ref().is_none_or(|best| best.max_error <= known.max_error) {
            best = Some(known);
        }
    }
    match (best, others) {
        (Some(best), _) => Ok(best),
        (None, 0) => bail!(
            "there is no calibration: run `plumb calibrate --max-error {max_error} --questions FILE`"
        ),
        (None, others) => bail!(
            "none of the {others} calibrations promises an error of {max_error} with this embedder \
             and these settings: run `plumb calibrate --max-error {max_error} --questions FILE`"
        ),
    }
}

pub fn run(args: &CalibrateArgs, context: &Context) -> Result<Exit> {
    let demand = Demand { max_error: args.max_error, confidence: args.confidence };
    let mut project = Project::find(context)?;
    // The evidence is chosen before anything is written, and the score with it.
    project.config.wording = WordingName::Quote;
    project.config.threshold = 0.0;
    let path = args.questions.clone().unwrap_or_else(|| project.test_set());
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("cannot read the questions `{}`: `plumb eval make` makes some", path.display())
    })?;
    let questions = labelled::parse(&text)
        .with_context(|| format!("`{}` is no list of questions", path.display()))?;
    let settings = session::settings(&project.config, None);
    let snapshot = project.snapshot()?;
    let snapshot_id = snapshot.id().to_string();
    let mut session = Session::open(&project, context, snapshot, settings)?;
    let answers = labelled::ask_each(&mut session, &questions, context, |session, question| {
        session.ask(&question.text, &[], &mut |_| go_on(context))
    })?;
    if let Some(path) = &args.answers {
        write_answers(path, &answers)?;
    }
    let scored: Vec<Scored> =
        questions.iter().zip(&answers).map(|(question, answer)| scored(question, answer)).collect();
    let (order, tests) = divided(scored.clone(), args.seed);
    let found = certify(&order, &tests, demand)?;
    let calibration = named(Calibration {
        id: String::new(),
        made_at: now(),
        max_error: args.max_error,
        confidence: args.confidence,
        threshold: threshold(found.threshold),
        set: path.display().to_string(),
        set_sha256: hex(&Sha256::digest(text.as_bytes())),
        questions: questions.len() as u64,
        answerable: questions.iter().filter(|question| !question.pages.is_empty()).count() as u64,
        seed: args.seed,
        tested: found.tested,
        answered: found.answered,
        errors: found.errors,
        bound: found.bound,
        snapshot: snapshot_id,
        embedder_sha256: session.embedder_sha256().unwrap_or_default().to_owned(),
        settings: ScoreSettings::of(&session.settings),
    });
    if found.is_certified {
        let bytes = serde_json::to_vec(&calibration)?;
        project.calibrations()?.append(&calibration.id, &bytes)?;
    }
    report(&calibration, found, demand, &scored, context)
}

/// The least number that a computed score reaches exactly if it was equal to
/// `score`, which came from one.
#[expect(clippy::cast_possible_truncation, reason = "the score was widened from an f32")]
fn threshold(score: f64) -> f32 {
    score as f32
}

fn write_answers(path: &PathBuf, answers: &[Answer]) -> Result<()> {
    let mut lines = String::new();
    for answer in answers {
        writeln!(lines, "{}", serde_json::to_string(answer)?)?;
    }
    std::fs::write(path, lines).with_context(|| format!("cannot write `{}`", path.display()))
}

/// An answer is wrong if no page answers the question, or if the first page that
/// is cited is none of those that do.
fn scored(question: &Labelled, answer: &Answer) -> Scored {
    let first = answer.claims.first().and_then(|claim| claim.citations.first());
    let is_right = answer.status == Status::Answered
        && first.is_some_and(|citation| question.is_answered_by(&citation.uri));
    // Nothing is said without evidence, whatever the threshold.
    let score = if first.is_some() { f64::from(answer.support.score) } else { -1.0 };
    Scored { score, is_wrong: !is_right }
}

/// A third of `scored` to choose the order of tests, the rest to decide. The draw
/// knows neither scores nor labels.
fn divided(mut scored: Vec<Scored>, seed: u64) -> (Vec<Scored>, Vec<Scored>) {
    SplitMix64::new(seed).shuffle(&mut scored);
    let tests = scored.split_off(scored.len() / 3);
    (scored, tests)
}

/// The calibration with its id, which is by content: the time is not part of it.
fn named(calibration: Calibration) -> Calibration {
    let timeless = Calibration { made_at: 0, ..calibration.clone() };
    let json = serde_json::to_string(&timeless).unwrap_or_default();
    Calibration { id: format!("cal_{}", &hex(&Sha256::digest(json))[..12]), ..calibration }
}

#[expect(clippy::disallowed_methods, reason = "when a calibration was made is noted")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn report(
    calibration: &Calibration,
    found: Selection,
    demand: Demand,
    scored: &[Scored],
    context: &Context,
) -> Result<Exit> {
    let needed = needed(found.errors, found.answered, demand);
    let distinct: BTreeSet<u64> = scored.iter().map(|one| one.score.to_bits()).collect();
    if context.json {
        context.print_json(&json!({
            "certified": found.is_certified,
            "calibration": calibration,
            "answered_needed": if found.is_certified { None } else { needed },
            "distinct_scores": distinct.len(),
            "scores": scored.iter().map(|one| json!([one.score, one.is_wrong])).collect::<Vec<_>>(),
        }))?;
        return Ok(if found.is_certified { Exit::Done } else { Exit::Failed });
    }
    let Calibration { id, threshold, questions, answerable, .. } = calibration;
    let Selection { tested, answered, errors, bound, .. } = found;
    let (percent, sure) = (100.0 * demand.max_error, 100.0 * demand.confidence);
    let of = format!("{errors} of {answered} answers wrong, of {tested} questions that decided");
    if found.is_certified {
        context.say(format!(
            "{id}: at most {percent} % of the answers are wrong, with {sure} % confidence, at a \
             support of {threshold} ({of}; bound {bound:.4})"
        ))?;
        let refused = tested - answered;
        context.say(format!(
            "{refused} of {tested} questions are refused then; the set has {questions} questions, \
             {answerable} with an answer"
        ))?;
        context.say(format!("now: plumb ask --max-error {} \"...\"", demand.max_error))?;
        return Ok(Exit::Done);
    }
    context.say(format!(
        "not certified: {percent} % with {sure} % confidence; the most promising support is \
         {threshold} ({of}; bound {bound:.4})"
    ))?;
    context.say(match needed {
        Some(needed) => format!(
            "at that share of errors it takes {needed} answered questions: about {} in all",
            (needed * questions).div_ceil((found.answered * 3 / 2).max(1))
        ),
        None => "that is too often for any number of questions: ask for a greater --max-error, or \
                 improve retrieval"
            .to_owned(),
    })?;
    Ok(Exit::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draw_takes_a_third_and_depends_on_the_seed_alone() {
        let all: Vec<Scored> =
            (0..30).map(|i| Scored { score: f64::from(i), is_wrong: false }).collect();
        let (order, tests) = divided(all.clone(), 1);
        assert_eq!((order.len(), tests.len()), (10, 20));
        assert_eq!(divided(all.clone(), 1).0, order);
        assert_ne!(divided(all, 2).0, order);
    }
}
