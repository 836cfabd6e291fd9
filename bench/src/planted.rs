//! How many planted errors do the checks of an answer catch?
//!
//! The built program answers a list of questions. In every claim of its answers,
//! facts are swapped one at a time ([`crate::swaps`]), and each swapped sentence
//! is checked as if a model had written it: against all the quotes of its answer.
//! A swap that is shown is missed; an unchanged sentence that is dropped is a
//! false drop.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use plumb_answer::{Answer, Wording, recheck};
use plumb_metrics::wilson;
use serde_json::{Value, json};

use crate::flags::Program;
use crate::machine::Setting;
use crate::swaps::{Family, Pool, swaps};
use crate::{home, questions, read, report};

/// Swaps facts in right answers and counts how many swaps are caught.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    program: Program,

    /// Project folder whose index holds the documents
    #[arg(long)]
    project: PathBuf,

    /// Questions, one JSON object a line; those without a page are left out
    #[arg(long, default_value_os_t = home().join("questions.jsonl"))]
    questions: PathBuf,

    /// File that keeps the answers, one a line; read in place of asking if it is there
    #[arg(long)]
    answers: PathBuf,

    /// Ask with --quote-only
    #[arg(long)]
    quote_only: bool,

    /// Name of the result
    #[arg(long, default_value = "planted")]
    name: String,

    /// Folder for the results
    #[arg(long, default_value_os_t = home().join("results"))]
    out: PathBuf,
}

/// Swaps of one kind: how many, and how many were caught.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    caught: u64,
    planted: u64,
}

/// What became of all swaps, and of the sentences as they were.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    tallies: BTreeMap<(Family, bool), Tally>,
    /// Unchanged sentences by wording: how many were checked, how many dropped.
    unchanged: BTreeMap<&'static str, (u64, u64)>,
    /// Sentences that the model wrote and the answer dropped.
    dropped: u64,
    /// Swaps that nothing caught.
    missed: Vec<Value>,
}

/// Asks, swaps, prints and writes the summary.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let answers = answers(flags)?;
    let outcome = plant(&answers);
    let setting = Setting::now();
    let page = page(flags, answers.len(), &outcome, &setting)?;
    let object = object(&outcome, answers.len(), &setting);
    let written = report::write(&flags.out, &flags.name, &page, &object)?;
    report::say(&format!("{page}\n{written}"));
    Ok(())
}

/// The answers of the file, or those to the questions, which the file then keeps.
fn answers(flags: &Flags) -> anyhow::Result<Vec<Answer>> {
    if !flags.answers.exists() {
        let plumb = flags.program.path()?;
        let mut lines = String::new();
        for question in questions::answerable(&read(&flags.questions)?)? {
            lines += ask(&plumb, flags, &question)?.trim();
            lines.push('\n');
        }
        fs::write(&flags.answers, lines)
            .with_context(|| format!("cannot write `{}`", flags.answers.display()))?;
    }
    let text = read(&flags.answers)?;
    text.lines()
        .map(|line| serde_json::from_str(line).context("a line of the answers is no answer"))
        .collect()
}

fn ask(plumb: &Path, flags: &Flags, question: &str) -> anyhow::Result<String> {
    let mut command = Command::new(plumb);
    command.args(["ask", "--json", question]).current_dir(&flags.project);
    if flags.quote_only {
        command.arg("--quote-only");
    }
    let output = command.output().with_context(|| format!("cannot start `{}`", plumb.display()))?;
    // 0 is an answer and 3 an abstention; anything else is a failure.
    if !matches!(output.status.code(), Some(0 | 3)) {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("the answer is not text")
}

/// Swaps every fact of every claim of `answers`.
pub(crate) fn plant(answers: &[Answer]) -> Outcome {
    let mut far = Pool::default();
    for quote in answers.iter().flat_map(quotes) {
        far.add(quote);
    }
    let mut outcome = Outcome::default();
    for answer in answers {
        let mut near = Pool::default();
        quotes(answer).for_each(|quote| near.add(quote));
        outcome.dropped += answer.dropped.len() as u64;
        for place in 0..answer.claims.len() {
            outcome.plant(answer, place, &near, &far);
        }
    }
    outcome
}

fn quotes(answer: &Answer) -> impl Iterator<Item = &str> {
    let citations = answer.claims.iter().flat_map(|claim| &claim.citations);
    citations.map(|citation| citation.quote_text.as_ref().unwrap_or(&citation.quote).as_str())
}

impl Outcome {
    fn plant(&mut self, answer: &Answer, place: usize, near: &Pool, far: &Pool) {
        let claim = &answer.claims[place];
        let wording = match claim.wording {
            Wording::Quoted => "quoted",
            Wording::Written => "written",
        };
        let (checked, dropped) = self.unchanged.entry(wording).or_default();
        *checked += 1;
        if recheck(&claim.text, answer, place).is_err() {
            *dropped += 1;
            return;
        }
        for swap in swaps(&claim.text, near, far) {
            let tally = self.tallies.entry((swap.family, swap.is_near)).or_default();
            tally.planted += 1;
            if recheck(&swap.text, answer, place).is_err() {
                tally.caught += 1;
            } else {
                self.missed.push(json!({
                    "family": swap.family.name(), "near": swap.is_near,
                    "from": swap.from, "to": swap.to, "text": swap.text,
                }));
            }
        }
    }

    /// Caught and planted swaps of `family`, near, far or both.
    pub(crate) fn of(&self, family: Family, is_near: Option<bool>) -> (u64, u64) {
        let chosen = self.tallies.iter().filter(|((known, near), _)| {
            *known == family && is_near.is_none_or(|wanted| wanted == *near)
        });
        chosen.fold((0, 0), |(caught, planted), (_, tally)| {
            (caught + tally.caught, planted + tally.planted)
        })
    }
}

fn page(
    flags: &Flags,
    answers: usize,
    outcome: &Outcome,
    setting: &Setting,
) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        for (from, is_near) in [("all", None), ("elsewhere", Some(false)), ("same", Some(true))] {
            let (caught, planted) = outcome.of(family, is_near);
            rows.push(vec![
                family.name().to_owned(),
                from.to_owned(),
                format!("{caught} of {planted}"),
                share(caught, planted)?,
            ]);
        }
    }
    let mut unchanged = Vec::new();
    for (wording, (checked, dropped)) in &outcome.unchanged {
        unchanged.push(vec![
            (*wording).to_owned(),
            format!("{dropped} of {checked}"),
            share(*dropped, *checked)?,
        ]);
    }
    Ok(format!(
        "# Planted errors: {}\n\n{}. {answers} answers.\n\n{}\nUnchanged sentences that the \
         check drops:\n\n{}\nThe model wrote {} more sentences, which the answers dropped.\n",
        flags.name,
        setting.line(),
        report::table(
            &["family", "new value from evidence", "caught", "with its 95 % Wilson interval"],
            &rows
        ),
        report::table(&["wording", "dropped", "with its 95 % Wilson interval"], &unchanged),
        outcome.dropped,
    ))
}

fn share(successes: u64, trials: u64) -> anyhow::Result<String> {
    if trials == 0 {
        return Ok("none".to_owned());
    }
    let found = wilson(successes, trials, 0.95)?;
    Ok(format!("{:.3} ({:.3} to {:.3})", found.share, found.low, found.high))
}

fn object(outcome: &Outcome, answers: usize, setting: &Setting) -> Value {
    let families = Family::ALL.map(|family| {
        let counts = |is_near| {
            let (caught, planted) = outcome.of(family, is_near);
            let interval = wilson(caught, planted, 0.95).ok().map(|found| [found.low, found.high]);
            json!({ "caught": caught, "planted": planted, "interval_95": interval })
        };
        json!({
            "family": family.name(), "all": counts(None), "far": counts(Some(false)),
            "near": counts(Some(true)),
        })
    });
    let unchanged = outcome.unchanged.iter().map(|(wording, (checked, dropped))| {
        json!({ "wording": wording, "checked": checked, "dropped": dropped })
    });
    json!({
        "suite": "planted",
        "setting": setting.json(),
        "answers": answers,
        "families": families,
        "unchanged": unchanged.collect::<Vec<_>>(),
        "dropped_by_the_answers": outcome.dropped,
        "missed": outcome.missed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sentences of an invented manual, each with facts of several families.
    const SENTENCES: &[&str] = &[
        "The archive in Geneva keeps invoices for 10 years and drafts for 30 days.",
        "Since 3 March 2021 the office in Basel does not accept paper forms.",
        "A backup of 250 GB takes 45 minutes and may never be stopped by Operations.",
        "The contract of 1998 with Novartis was ended by the Board in June 2004.",
        "Requests above 5,000 francs cannot be approved without a signature of Finance.",
        "About 12% of the 80 servers in Zurich run the release of 2019.",
        "The pump moves 30 litres in two hours, which is 15 litres an hour.",
        "Visitors are not admitted before 8 o'clock unless Security has been told.",
    ];

    fn answers() -> Vec<Answer> {
        let claim = |text: &&str| {
            json!({ "text": text, "wording": "quoted", "citations": [{
                "number": 1, "uri": "file:///m.md", "title": "Manual", "sha256": "",
                "byte_range": [0, text.len()], "in_original": true, "quote": text, "score": 1.0,
            }] })
        };
        let answer = |claims: &[&str]| {
            let claims: Vec<Value> = claims.iter().map(claim).collect();
            serde_json::from_value(json!({
                "status": "answered", "question": "", "answer": "", "claims": claims,
                "support": { "score": 1.0, "threshold": 0.5 }, "snapshot": "", "answer_id": "",
                "models": {}, "timings_ms": {},
            }))
            .unwrap()
        };
        SENTENCES.chunks(2).map(answer).collect()
    }

    #[test]
    fn planted_errors_of_every_family_are_caught_and_nothing_else_is_dropped() {
        let outcome = plant(&answers());
        for family in Family::ALL {
            let (caught, planted) = outcome.of(family, None);
            assert!(planted >= 8, "{}: {planted}", family.name());
            let missed = &outcome.missed;
            assert!(100 * caught >= 95 * planted, "{}: {missed:?}", family.name());
        }
        assert_eq!(outcome.unchanged["quoted"], (SENTENCES.len() as u64, 0));
    }
}
