//! Do stored answers come out the same, byte for byte, when they are asked again?
//!
//! The built program answers many questions, each in a process of its own, and
//! stores the answers. Then it replays them all: alone on one thread, alone on
//! two, and while other processes ask the same project other questions. What is
//! compared is everything of an answer but its timings.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use plumb_metrics::clopper_pearson;
use serde_json::{Value, json};

use crate::flags::Program;
use crate::machine::Setting;
use crate::{home, questions, read, report};

/// Asks, replays, and counts the answers that came out the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    program: Program,

    /// Project folder with an index; the answers are stored there
    #[arg(long)]
    project: PathBuf,

    /// Questions, one JSON object a line
    #[arg(long, default_value_os_t = home().join("questions.jsonl"))]
    questions: PathBuf,

    /// How many answers to store; questions are asked in several forms to get as many
    #[arg(long, default_value_t = 1_000)]
    count: usize,

    /// Ask with --quote-only
    #[arg(long)]
    quote_only: bool,

    /// Processes that ask other questions during the last replay
    #[arg(long, default_value_t = 3)]
    load: usize,

    /// Name of the result
    #[arg(long, default_value = "replay")]
    name: String,

    /// Folder for the results
    #[arg(long, default_value_os_t = home().join("results"))]
    out: PathBuf,
}

/// What one replay of all answers gave.
struct Round {
    name: String,
    identical: u64,
    replayed: u64,
    /// Answers that other processes got meanwhile.
    beside: u64,
}

/// Asks, replays, prints and writes the summary.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let plumb = flags.program.path()?;
    let asked = forms(&questions::all(&read(&flags.questions)?)?, flags.count)?;
    for question in &asked {
        ask(&plumb, flags, question)?;
    }
    let mut rounds = Vec::new();
    for threads in ["1", "2"] {
        let (identical, replayed) = replay(&plumb, flags, threads)?;
        let name = format!("alone, {threads} threads");
        rounds.push(Round { name, identical, replayed, beside: 0 });
    }
    rounds.push(under_load(&plumb, flags, &asked)?);
    let setting = Setting::now();
    let page = page(flags, &rounds, &setting)?;
    let written = report::write(&flags.out, &flags.name, &page, &object(flags, &rounds, &setting))?;
    report::say(&format!("{page}\n{written}"));
    if rounds.iter().any(|round| round.identical != round.replayed) {
        bail!("some answers came out differently");
    }
    Ok(())
}

/// As many different questions as wanted: each list of forms asks all of them.
fn forms(questions: &[String], count: usize) -> anyhow::Result<Vec<String>> {
    const FORMS: [&str; 8] = [
        "",
        "Please tell me: ",
        "I would like to know: ",
        "Question: ",
        "Can you say: ",
        "Somebody asks: ",
        "For a colleague: ",
        "Once more: ",
    ];
    let all =
        FORMS.iter().flat_map(|form| questions.iter().map(move |text| format!("{form}{text}")));
    let asked: Vec<String> = all.take(count).collect();
    if asked.len() < count {
        bail!("{} questions in {} forms are fewer than {count}", questions.len(), FORMS.len());
    }
    Ok(asked)
}

fn ask(plumb: &Path, flags: &Flags, question: &str) -> anyhow::Result<()> {
    let mut arguments = vec!["ask", "--json", question];
    if flags.quote_only {
        arguments.push("--quote-only");
    }
    let output = Command::new(plumb)
        .args(&arguments)
        .current_dir(&flags.project)
        .output()
        .with_context(|| format!("cannot start `{}`", plumb.display()))?;
    // 0 is an answer and 3 an abstention; anything else is a failure.
    if !matches!(output.status.code(), Some(0 | 3)) {
        bail!("{question}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// How many answers came out the same, of how many.
fn replay(plumb: &Path, flags: &Flags, threads: &str) -> anyhow::Result<(u64, u64)> {
    let output = Command::new(plumb)
        .args(["answer", "replay", "--all", "--json", "--threads", threads])
        .current_dir(&flags.project)
        .output()
        .with_context(|| format!("cannot start `{}`", plumb.display()))?;
    let text = String::from_utf8(output.stdout).context("the output is not text")?;
    let (mut identical, mut replayed) = (0, 0);
    for line in text.lines() {
        let object: Value = serde_json::from_str(line).context("a replay is no JSON")?;
        replayed += 1;
        identical += u64::from(object["identical"] == true);
    }
    if replayed == 0 {
        bail!("nothing was replayed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok((identical, replayed))
}

/// Replays while `--load` processes ask, one question after another.
fn under_load(plumb: &Path, flags: &Flags, asked: &[String]) -> anyhow::Result<Round> {
    let (done, beside) = (AtomicBool::new(false), AtomicU64::new(0));
    let found = std::thread::scope(|scope| {
        let mut askers = Vec::new();
        for worker in 0..flags.load {
            let (done, beside) = (&done, &beside);
            askers.push(scope.spawn(move || -> anyhow::Result<()> {
                for question in asked.iter().skip(worker).step_by(flags.load.max(1)) {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    ask(plumb, flags, &format!("Beside the replay: {question}"))?;
                    beside.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }));
        }
        let found = replay(plumb, flags, "2");
        done.store(true, Ordering::Relaxed);
        for asker in askers {
            asker.join().unwrap_or_else(|_| bail!("a process beside the replay failed"))?;
        }
        found
    });
    let (identical, replayed) = found?;
    let beside = beside.into_inner();
    let name = format!("beside {} processes that ask", flags.load);
    Ok(Round { name, identical, replayed, beside })
}

fn page(flags: &Flags, rounds: &[Round], setting: &Setting) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for round in rounds {
        let found = clopper_pearson(round.identical, round.replayed, 0.95)?;
        rows.push(vec![
            round.name.clone(),
            format!("{} of {}", round.identical, round.replayed),
            format!("{:.4} ({:.4} to {:.4})", found.share, found.low, found.high),
            round.beside.to_string(),
        ]);
    }
    Ok(format!(
        "# Replay: {}\n\n{}. {} answers asked for, {}.\n\n{}",
        flags.name,
        setting.line(),
        flags.count,
        if flags.quote_only { "quotes only" } else { "worded by the project's generator" },
        report::table(
            &[
                "replay",
                "identical, byte for byte",
                "with its exact 95 % interval",
                "answers beside"
            ],
            &rows
        ),
    ))
}

fn object(flags: &Flags, rounds: &[Round], setting: &Setting) -> Value {
    let rounds = rounds.iter().map(|round| {
        json!({
            "replay": round.name, "identical": round.identical, "replayed": round.replayed,
            "answers_beside": round.beside,
        })
    });
    json!({
        "suite": "replay",
        "setting": setting.json(),
        "count": flags.count,
        "quote_only": flags.quote_only,
        "rounds": rounds.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_asked_in_as_many_forms_as_it_takes() {
        let questions = ["Why?".to_owned(), "How?".to_owned()];
        let asked = forms(&questions, 3).unwrap();
        assert_eq!(asked, ["Why?", "How?", "Please tell me: Why?"]);
        assert!(forms(&questions, 17).is_err());
    }
}
