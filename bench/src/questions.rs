//! Is the page that an answer cites first the right one?
//!
//! Every line of the list is a question with the pages that answer it, or with
//! none if the documents do not hold the answer. The built program is asked in
//! a project whose index holds the documents; its answer is judged by where
//! its first citation leads, and by whether it abstains.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};
use plumb_metrics::wilson;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::flags::Program;
use crate::machine::Setting;
use crate::{home, read, report};

/// Asks the questions of a list and looks at the pages cited.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    program: Program,

    /// Project folder whose index holds the documents
    #[arg(long)]
    project: PathBuf,

    /// The list, one JSON object a line
    #[arg(long, default_value_os_t = home().join("questions.jsonl"))]
    questions: PathBuf,

    /// Folder for the results
    #[arg(long, default_value_os_t = home().join("results"))]
    out: PathBuf,
}

/// One line of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    id: String,
    #[serde(rename = "question")]
    text: String,
    /// Paths of the right pages; empty if no page answers the question.
    pages: Vec<String>,
    /// The heading of the answer, for the people who keep the list.
    #[serde(default)]
    #[expect(dead_code, reason = "read from the list, kept for its readers")]
    heading: Option<String>,
}

/// What became of one question.
#[derive(Debug)]
struct Outcome {
    id: String,
    verdict: Verdict,
    /// The address cited first.
    first: Option<String>,
    seconds: f64,
}

/// Where an answer led, for a question that some page answers and for one that
/// none does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    RightPage,
    RightPageLater,
    WrongPage,
    Abstained,
    RightlyAbstained,
    WronglyAnswered,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::RightPage => "right page",
            Self::RightPageLater => "right page, not first",
            Self::WrongPage => "wrong page",
            Self::Abstained => "abstained",
            Self::RightlyAbstained => "rightly abstained",
            Self::WronglyAnswered => "answered, though no page answers it",
        }
    }
}

/// Asks every question, prints and writes the summary.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let questions = parse(&read(&flags.questions)?)?;
    let plumb = flags.program.path()?;
    let mut outcomes = Vec::new();
    for question in &questions {
        let outcome = ask(&plumb, &flags.project, question)
            .with_context(|| format!("question {}", question.id))?;
        eprint_progress(&outcome);
        outcomes.push(outcome);
    }
    let setting = Setting::now();
    let page = page(&outcomes, &setting)?;
    let object = object(&outcomes, &setting);
    let written = report::write(&flags.out, "questions", &page, &object)?;
    report::say(&format!("{page}\n{written}"));
    Ok(())
}

#[expect(clippy::print_stderr, reason = "progress of a run of several minutes")]
fn eprint_progress(outcome: &Outcome) {
    let Outcome { id, seconds, .. } = outcome;
    eprintln!("{id}: {} ({seconds:.1} s)", outcome.verdict.name());
}

fn parse(text: &str) -> anyhow::Result<Vec<Question>> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("line {number} of the list"))
    };
    lines.map(parse).collect()
}

/// The questions of the list `text` that some page answers.
pub(crate) fn answerable(text: &str) -> anyhow::Result<Vec<String>> {
    let questions = parse(text)?.into_iter().filter(|question| !question.pages.is_empty());
    Ok(questions.map(|question| question.text).collect())
}

/// All questions of the list `text`.
pub(crate) fn all(text: &str) -> anyhow::Result<Vec<String>> {
    Ok(parse(text)?.into_iter().map(|question| question.text).collect())
}

fn ask(plumb: &Path, project: &Path, question: &Question) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let output = Command::new(plumb)
        .args(["ask", "--json", &question.text])
        .current_dir(project)
        .output()
        .with_context(|| format!("cannot start `{}`", plumb.display()))?;
    let seconds = start.elapsed().as_secs_f64();
    // 0 is an answer and 3 an abstention; anything else is a failure.
    if !matches!(output.status.code(), Some(0 | 3)) {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    let answer: Value = serde_json::from_slice(&output.stdout).context("the answer is not JSON")?;
    judge(question, &answer, seconds)
}

fn judge(question: &Question, answer: &Value, seconds: f64) -> anyhow::Result<Outcome> {
    let is_answered = match answer["status"].as_str() {
        Some("answered") => true,
        Some("abstained") => false,
        other => bail!("the answer has the status {other:?}"),
    };
    let cited = if is_answered { cited(answer) } else { Vec::new() };
    if is_answered && cited.is_empty() {
        bail!("the answer cites nothing");
    }
    let is_right = |uri: &String| question.pages.iter().any(|page| is_page(uri, page));
    let verdict = match (question.pages.is_empty(), is_answered) {
        (true, true) => Verdict::WronglyAnswered,
        (true, false) => Verdict::RightlyAbstained,
        (false, false) => Verdict::Abstained,
        (false, true) if cited.first().is_some_and(is_right) => Verdict::RightPage,
        (false, true) if cited.iter().any(is_right) => Verdict::RightPageLater,
        (false, true) => Verdict::WrongPage,
    };
    Ok(Outcome { id: question.id.clone(), verdict, first: cited.into_iter().next(), seconds })
}

/// The addresses that the claims cite, in the order of the answer.
fn cited(answer: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let claims = list(&answer["claims"]);
    let citations = claims.iter().flat_map(|claim| list(&claim["citations"]));
    citations.filter_map(|citation| citation["uri"].as_str().map(str::to_owned)).collect()
}

/// Whether an address ends in the path of the page.
fn is_page(uri: &str, page: &str) -> bool {
    uri.strip_suffix(page).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// The shares that the suite is about: name, successes, trials.
fn shares(outcomes: &[Outcome]) -> Vec<(&'static str, u64, u64)> {
    let count = |verdicts: &[Verdict]| {
        outcomes.iter().filter(|outcome| verdicts.contains(&outcome.verdict)).count() as u64
    };
    let first = count(&[Verdict::RightPage]);
    let cited = first + count(&[Verdict::RightPageLater]);
    let answered = cited + count(&[Verdict::WrongPage]);
    let abstained = count(&[Verdict::Abstained]);
    let wrongly = count(&[Verdict::WronglyAnswered]);
    let unanswerable = wrongly + count(&[Verdict::RightlyAbstained]);
    vec![
        ("answerable: the first cited page is right", first, answered + abstained),
        ("answerable: a cited page is right", cited, answered + abstained),
        ("answerable: abstained", abstained, answered + abstained),
        ("answerable and answered: the first cited page is right", first, answered),
        ("unanswerable: answered all the same", wrongly, unanswerable),
    ]
}

fn page(outcomes: &[Outcome], setting: &Setting) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for (name, successes, trials) in shares(outcomes) {
        rows.push(vec![
            name.to_owned(),
            format!("{successes} of {trials}"),
            share(successes, trials)?,
        ]);
    }
    let each = outcomes.iter().map(|outcome| {
        let first = outcome.first.as_deref().unwrap_or("-");
        let first = first.rsplit('/').next().unwrap_or(first).to_owned();
        vec![
            outcome.id.clone(),
            outcome.verdict.name().to_owned(),
            first,
            format!("{:.1}", outcome.seconds),
        ]
    });
    Ok(format!(
        "# Questions: is the cited page the right one\n\n{}.\n\n{}\n## Each question\n\n{}",
        setting.line(),
        report::table(&["share", "count", "with its 95 % Wilson interval"], &rows),
        report::table(
            &["question", "outcome", "first cited", "seconds"],
            &each.collect::<Vec<_>>()
        ),
    ))
}

fn share(successes: u64, trials: u64) -> anyhow::Result<String> {
    if trials == 0 {
        return Ok("none".to_owned());
    }
    let found = wilson(successes, trials, 0.95)?;
    Ok(format!("{:.3} ({:.3} to {:.3})", found.share, found.low, found.high))
}

fn object(outcomes: &[Outcome], setting: &Setting) -> Value {
    let shares = shares(outcomes).into_iter().map(|(name, successes, trials)| {
        let interval = wilson(successes, trials, 0.95).ok().map(|p| [p.low, p.high]);
        json!({ "share": name, "successes": successes, "trials": trials, "interval_95": interval })
    });
    let each = outcomes.iter().map(|outcome| {
        let Outcome { id, first, seconds, .. } = outcome;
        json!({ "id": id, "outcome": outcome.verdict.name(), "first_cited": first, "seconds": seconds })
    });
    json!({
        "suite": "questions",
        "setting": setting.json(),
        "shares": shares.collect::<Vec<_>>(),
        "questions": each.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(pages: &[&str]) -> Question {
        let pages = pages.iter().map(ToString::to_string).collect();
        Question { id: "1".to_owned(), text: String::new(), pages, heading: None }
    }

    fn answer(uris: &[&str]) -> Value {
        let claims = uris.iter().map(|uri| json!({ "citations": [{ "uri": uri }] }));
        json!({ "status": "answered", "claims": claims.collect::<Vec<_>>() })
    }

    #[track_caller]
    fn check(pages: &[&str], answer: &Value, want: &str) {
        assert_eq!(judge(&question(pages), answer, 0.0).unwrap().verdict.name(), want);
    }

    #[test]
    fn an_answer_is_judged_by_where_it_leads() {
        let abstained = json!({ "status": "abstained", "claims": [] });
        check(&["docs/a.md"], &answer(&["file:///x/docs/a.md", "b.md"]), "right page");
        check(
            &["docs/a.md"],
            &answer(&["file:///x/docs/b.md", "docs/a.md"]),
            "right page, not first",
        );
        check(&["a.md"], &answer(&["file:///x/extra.md", "file:///x/aa.md"]), "wrong page");
        check(&["a.md"], &abstained, "abstained");
        check(&[], &abstained, "rightly abstained");
        check(&[], &answer(&["a.md"]), "answered, though no page answers it");
    }

    #[test]
    fn an_answer_without_citation_is_a_failure_and_not_a_wrong_page() {
        assert!(judge(&question(&["a.md"]), &answer(&[]), 0.0).is_err());
        assert!(judge(&question(&["a.md"]), &json!({ "status": "well" }), 0.0).is_err());
    }

    #[test]
    fn the_list_in_the_repository_can_be_read() {
        let questions = parse(&read(&home().join("questions.jsonl")).unwrap()).unwrap();
        assert!(questions.iter().any(|question| question.pages.is_empty()));
        for page in questions.iter().flat_map(|question| &question.pages) {
            assert!(home().join("..").join(page).exists(), "{page}");
        }
    }

    #[test]
    fn shares_are_counted_over_the_right_questions() {
        let judge = |pages: &[&str], answer| judge(&question(pages), &answer, 1.0).unwrap();
        let abstained = || json!({ "status": "abstained" });
        let outcomes = [
            judge(&["a.md"], answer(&["a.md"])),
            judge(&["a.md"], answer(&["b.md"])),
            judge(&["a.md"], abstained()),
            judge(&[], abstained()),
            judge(&[], answer(&["b.md"])),
        ];
        let counts: Vec<_> = shares(&outcomes).into_iter().map(|(_, s, t)| (s, t)).collect();
        assert_eq!(counts, [(1, 3), (1, 3), (1, 3), (1, 2), (1, 2)]);
        let page = page(&outcomes, &Setting::now()).unwrap();
        assert!(page.contains("| 1 of 3 | 0.333 (0.061 to 0.792) |"), "{page}");
    }
}
