//! `plumb eval rag`: the project's answers to a test set, in numbers.
//!
//! What each measure is:
//!
//! - *context precision*, the share of the passages found that come from a right
//!   page, and *context recall*, the share of right pages among them, each averaged
//!   over the questions that a page answers;
//! - *citation precision*, the share of citations that lead to a right page, and
//!   *citation recall*, the share of answerable questions with such a citation;
//! - *faithfulness*, the share of the sentences written or quoted that the check of
//!   claims accepts: lexical evidence, no entailment model;
//! - *answer relevance*, the cosine of question and answer by the embedder;
//! - *refusal precision and recall*, over abstentions and over questions that no
//!   page answers;
//! - *noise robustness*, the share of right answers that stay right with three
//!   times as many passages to choose from.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plumb_answer::{Answer, Event, Status, StoredSettings};
use plumb_metrics::{Resampling, estimate_mean, mcnemar, wilson};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::ask::go_on;
use crate::calibrate::ScoreSettings;
use crate::config::WordingName;
use crate::context::Context;
use crate::exit::Exit;
use crate::labelled::{self, Labelled};
use crate::list::hex;
use crate::project::Project;
use crate::session::{self, Session};

/// Score the project's answers to a test set, and store the run
///
/// With --gate, a run that loses significantly against the last stored run on the
/// same questions is refused: it is not stored, and the exit code is 1.
#[derive(clap::Args, Debug)]
pub struct RagArgs {
    /// Questions with the pages that answer them (default: what `plumb eval make` wrote)
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,

    /// Let the generator word the answers, as `plumb ask` would
    #[arg(long)]
    write: bool,

    /// Refuse a run that loses significantly against the last stored one
    #[arg(long)]
    gate: bool,

    /// Store the run even if the gate refuses it
    #[arg(long, requires = "gate")]
    force: bool,
}

/// A stored run.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    set_sha256: String,
    snapshot: String,
    embedder_sha256: String,
    settings: ScoreSettings,
    threshold: f32,
    writes: bool,
    /// Of each question: answered rightly, or rightly refused.
    right: Vec<bool>,
    measures: Value,
}

/// What became of one question.
#[derive(Clone, Debug)]
struct Outcome {
    is_answerable: bool,
    is_answered: bool,
    /// Answered with a right page first, or refused where no page answers.
    is_right: bool,
    context: Option<(f64, f64)>,
    citations: (u64, u64),
    claims: (u64, u64),
    relevance: Option<f64>,
}

pub fn run(args: &RagArgs, context: &Context) -> Result<Exit> {
    let mut project = Project::find(context)?;
    if !args.write {
        project.config.wording = WordingName::Quote;
    }
    let path = args.questions.clone().unwrap_or_else(|| project.test_set());
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("cannot read the questions `{}`: `plumb eval make` makes some", path.display())
    })?;
    let questions = labelled::parse(&text)
        .with_context(|| format!("`{}` is no list of questions", path.display()))?;
    let settings = session::settings(&project.config, None);
    let mut session = Session::open(&project, context, project.snapshot()?, settings.clone())?;
    let outcomes = labelled::ask_each(&mut session, &questions, context, |session, question| {
        ask(session, question, context)
    })?;
    let noisy = noise(&project, &questions, &outcomes, settings, context)?;
    let measures = measures(&outcomes, noisy)?;
    let run = Run {
        set_sha256: hex(&Sha256::digest(text.as_bytes())),
        snapshot: session.snapshot_id(),
        embedder_sha256: session.embedder_sha256().unwrap_or_default().to_owned(),
        settings: ScoreSettings::of(&session.settings),
        threshold: session.settings.threshold,
        writes: args.write,
        right: outcomes.iter().map(|outcome| outcome.is_right).collect(),
        measures: Value::Object(measures),
    };
    finish(&project, args, &run, context)
}

/// Compares with the last run, stores this one, and reports both.
fn finish(project: &Project, args: &RagArgs, run: &Run, context: &Context) -> Result<Exit> {
    let last = last_run(project, &run.set_sha256)?;
    let verdict = last.as_ref().map(|last| verdict(last, run)).transpose()?;
    let is_worse = verdict.as_ref().is_some_and(|verdict| verdict.is_worse);
    let is_refused = args.gate && is_worse && !args.force;
    let bytes = serde_json::to_vec(run)?;
    let id = format!("run_{}", &hex(&Sha256::digest(&bytes))[..12]);
    if !is_refused {
        project.runs()?.append(&id, &bytes).context("cannot store the run")?;
    }
    if context.json {
        context.print_json(&json!({
            "run": id, "stored": !is_refused, "measures": run.measures,
            "against_last": verdict.as_ref().map(|verdict| json!({
                "gained": verdict.gained, "lost": verdict.lost, "p": verdict.p,
                "significantly_worse": verdict.is_worse,
            })),
        }))?;
    } else {
        print(run, verdict.as_ref(), context)?;
        let state = if is_refused { "refused: not stored (--force stores it)" } else { "stored" };
        context.say(format!("{id}: {state}"))?;
    }
    Ok(if is_refused { Exit::Failed } else { Exit::Done })
}

fn ask(session: &mut Session, question: &Labelled, context: &Context) -> Result<Outcome> {
    let mut found: Vec<String> = Vec::new();
    let answer = session.ask(&question.text, &[], &mut |event| {
        if let Event::Passages(hits) = event {
            found = hits.iter().map(|hit| hit.uri.clone()).collect();
        }
        go_on(context)
    })?;
    let relevance = match answer.status {
        Status::Answered => Some(session.similarity(&question.text, &answer.answer)?),
        Status::Abstained => None,
    };
    Ok(outcome(question, &answer, &found, relevance))
}

fn outcome(
    question: &Labelled,
    answer: &Answer,
    found: &[String],
    relevance: Option<f64>,
) -> Outcome {
    let is_answerable = !question.pages.is_empty();
    let is_answered = answer.status == Status::Answered;
    let cited: Vec<bool> = answer
        .claims
        .iter()
        .flat_map(|claim| &claim.citations)
        .map(|citation| question.is_answered_by(&citation.uri))
        .collect();
    let relevant = found.iter().filter(|uri| question.is_answered_by(uri)).count();
    let pages_found = question
        .pages
        .iter()
        .filter(|page| {
            let only = Labelled { pages: vec![(*page).clone()], ..question.clone() };
            found.iter().any(|uri| only.is_answered_by(uri))
        })
        .count();
    let context = (is_answerable && !found.is_empty()).then(|| {
        let precision = relevant as f64 / found.len() as f64;
        (precision, pages_found as f64 / question.pages.len() as f64)
    });
    let is_right = if is_answerable { cited.first() == Some(&true) } else { !is_answered };
    let count = |list: &[bool]| list.iter().filter(|is_right| **is_right).count() as u64;
    let shown = answer.claims.len() as u64;
    Outcome {
        is_answerable,
        is_answered,
        is_right,
        context,
        citations: (count(&cited), cited.len() as u64),
        claims: (shown, shown + answer.dropped.len() as u64),
        relevance,
    }
}

/// Right answers that are asked again with three times as many passages: how many
/// stay right, of how many. At most fifty.
fn noise(
    project: &Project,
    questions: &[Labelled],
    outcomes: &[Outcome],
    settings: StoredSettings,
    context: &Context,
) -> Result<(u64, u64)> {
    const MOST: usize = 50;
    let more = StoredSettings { top_k: 3 * settings.top_k, ..settings };
    let mut session = Session::open(project, context, project.snapshot()?, more)?;
    let right = questions
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| outcome.is_answerable && outcome.is_right)
        .take(MOST);
    let (mut stayed, mut all) = (0, 0);
    for (question, _) in right {
        session.leave_out(&question.hides)?;
        all += 1;
        stayed += u64::from(ask(&mut session, question, context)?.is_right);
    }
    Ok((stayed, all))
}

type Measures = serde_json::Map<String, Value>;

fn measures(outcomes: &[Outcome], noisy: (u64, u64)) -> Result<Measures> {
    let mut measures = Measures::new();
    let mut mean = |name: &str, values: Vec<f64>, of: usize| -> Result<()> {
        let unscored = of - values.len();
        let value = match estimate_mean(&values, &Resampling::default()) {
            Ok(found) => json!({
                "value": found.mean, "interval": [found.low, found.high], "n": values.len(),
                "unscored": unscored, "method": "mean, 95 % BCa bootstrap",
            }),
            Err(why) => json!({
                "value": null, "n": values.len(), "unscored": unscored, "why": why.to_string(),
            }),
        };
        measures.insert(name.to_owned(), value);
        Ok(())
    };
    let answerable: Vec<&Outcome> = outcomes.iter().filter(|one| one.is_answerable).collect();
    let answered: Vec<&Outcome> = outcomes.iter().filter(|one| one.is_answered).collect();
    let contexts: Vec<(f64, f64)> = answerable.iter().filter_map(|one| one.context).collect();
    mean("context_precision", contexts.iter().map(|c| c.0).collect(), answerable.len())?;
    mean("context_recall", contexts.iter().map(|c| c.1).collect(), answerable.len())?;
    let relevances: Vec<f64> = answered.iter().filter_map(|one| one.relevance).collect();
    mean("answer_relevance", relevances, answered.len())?;
    let count = |list: &[&Outcome], holds: &dyn Fn(&Outcome) -> bool| {
        list.iter().filter(|one| holds(one)).count() as u64
    };
    let sum = |pair: &dyn Fn(&Outcome) -> (u64, u64)| {
        outcomes.iter().map(pair).fold((0, 0), |(a, b), (x, y)| (a + x, b + y))
    };
    let all: Vec<&Outcome> = outcomes.iter().collect();
    let refused = count(&all, &|one| !one.is_answered);
    let rightly = count(&all, &|one| !one.is_answered && !one.is_answerable);
    let unanswerable = (outcomes.len() - answerable.len()) as u64;
    let cites = count(&answerable, &|one| one.citations.0 > 0);
    let first = count(&answerable, &|one| one.is_right);
    let shares = [
        ("citation_precision", sum(&|one| one.citations)),
        ("citation_recall", (cites, answerable.len() as u64)),
        ("first_citation_right", (first, answerable.len() as u64)),
        ("faithfulness", sum(&|one| one.claims)),
        ("refusal_precision", (rightly, refused)),
        ("refusal_recall", (rightly, unanswerable)),
        ("noise_robustness", noisy),
    ];
    for (name, (right, of)) in shares {
        let value = match wilson(right, of, 0.95) {
            Ok(found) => json!({
                "value": found.share, "interval": [found.low, found.high], "n": of,
                "unscored": 0, "method": "share, 95 % Wilson",
            }),
            Err(why) => json!({ "value": null, "n": of, "unscored": 0, "why": why.to_string() }),
        };
        measures.insert(name.to_owned(), value);
    }
    if let Some(Value::Object(faithfulness)) = measures.get_mut("faithfulness") {
        faithfulness.insert("evidence".to_owned(), json!("lexical check against the quotes"));
    }
    Ok(measures)
}

/// How a run did beside the last one.
#[derive(Debug)]
struct Verdict {
    /// Questions that only the new run, and only the last one, got right.
    gained: u64,
    lost: u64,
    /// Of the exact two-sided test of `McNemar`.
    p: f64,
    is_worse: bool,
}

fn verdict(last: &Run, run: &Run) -> Result<Verdict> {
    if last.right.len() != run.right.len() {
        bail!("the stored run has another number of questions than its set");
    }
    let only =
        |a: &Run, b: &Run| a.right.iter().zip(&b.right).filter(|(a, b)| **a && !**b).count() as u64;
    let (gained, lost) = (only(run, last), only(last, run));
    let p = mcnemar(lost, gained)?.exact_p;
    Ok(Verdict { gained, lost, p, is_worse: lost > gained && p < 0.05 })
}

fn last_run(project: &Project, set_sha256: &str) -> Result<Option<Run>> {
    let mut last = None;
    for (_, bytes) in project.runs()?.iter() {
        let run: Run = serde_json::from_slice(&bytes?).context("a stored run cannot be read")?;
        if run.set_sha256 == set_sha256 {
            last = Some(run);
        }
    }
    Ok(last)
}

fn print(run: &Run, verdict: Option<&Verdict>, context: &Context) -> Result<()> {
    for (name, measure) in run.measures.as_object().into_iter().flatten() {
        let name = name.replace('_', " ");
        let n = &measure["n"];
        let unscored = &measure["unscored"];
        let number = |value: &Value| value.as_f64().map_or("-".to_owned(), |v| format!("{v:.3}"));
        let (low, high) = (number(&measure["interval"][0]), number(&measure["interval"][1]));
        context.say(format!(
            "{name:22} {} ({low} to {high}), n {n}, unscored {unscored}",
            number(&measure["value"])
        ))?;
    }
    context.say("faithfulness rests on the lexical check against the quotes")?;
    if let Some(Verdict { gained, lost, p, is_worse }) = verdict {
        let what = if *is_worse { "significantly worse" } else { "not significantly worse" };
        context.say(format!(
            "against the last run: {gained} questions gained, {lost} lost, p {p:.3}: {what}"
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(right: &[bool]) -> Run {
        Run {
            set_sha256: String::new(),
            snapshot: String::new(),
            embedder_sha256: String::new(),
            settings: ScoreSettings::of(&session::settings(
                &crate::config::Config::resolve(
                    crate::config::File::default(),
                    &crate::config::Overrides::default(),
                    1,
                )
                .unwrap(),
                None,
            )),
            threshold: 0.5,
            writes: false,
            right: right.to_vec(),
            measures: json!({}),
        }
    }

    #[test]
    fn a_run_is_worse_only_if_it_loses_significantly() {
        let all = run(&[true; 20]);
        let half: Vec<bool> = (0..20).map(|i| i % 2 == 0).collect();
        let most: Vec<bool> = (0..20).map(|i| i > 2).collect();
        assert!(verdict(&all, &run(&half)).unwrap().is_worse);
        assert!(!verdict(&all, &run(&most)).unwrap().is_worse);
        assert!(!verdict(&run(&half), &all).unwrap().is_worse);
        assert!(verdict(&all, &run(&[true])).is_err());
    }

    #[test]
    fn shares_are_counted_over_the_right_questions() {
        let one = |is_answerable, is_answered, is_right| Outcome {
            is_answerable,
            is_answered,
            is_right,
            context: is_answerable.then_some((0.5, 1.0)),
            citations: (u64::from(is_right && is_answered), u64::from(is_answered)),
            claims: (u64::from(is_answered), u64::from(is_answered)),
            relevance: is_answered.then_some(0.5),
        };
        let outcomes = [
            one(true, true, true),
            one(true, false, false),
            one(false, false, true),
            one(false, true, false),
        ];
        let found = measures(&outcomes, (1, 1)).unwrap();
        let value = |name: &str| found[name]["value"].as_f64();
        assert_eq!(value("refusal_precision"), Some(0.5));
        assert_eq!(value("refusal_recall"), Some(0.5));
        assert_eq!(value("citation_precision"), Some(0.5));
        assert_eq!(value("citation_recall"), Some(0.5));
        assert_eq!(found["answer_relevance"]["n"], 2);
    }
}
