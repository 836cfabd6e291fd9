//! `plumb answer`: stored answers, shown and re-run.

mod replay;

use anyhow::{Context as _, Result, bail};
use plumb_answer::{Answer, StoredAnswer, Turn};
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::{Wrapped, marked, sources};
use crate::session::Session;

/// Show or re-run stored answers
#[derive(clap::Subcommand, Debug)]
pub enum AnswerVerb {
    /// List the stored answers
    List,
    /// Show a stored answer with its sources
    Show {
        /// Id of the answer, or its beginning
        id: String,
    },
    /// Answer again from the same snapshot, and say whether it came out the same
    Replay {
        /// Ids of answers, or their beginnings
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,

        /// All answers that are stored
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

/// Stores `answer`, so that it can be shown and replayed.
pub fn keep(project: &Project, session: &Session, answer: &Answer, history: &[Turn]) -> Result<()> {
    let stored = StoredAnswer {
        answer: answer.clone(),
        settings: session.settings.clone(),
        history: history.to_vec(),
        written: session.written.clone(),
        deterministic: session.is_deterministic(),
    };
    let json = serde_json::to_vec(&stored)?;
    project.answers()?.append(&answer.answer_id, &json).context("cannot store the answer")
}

pub fn run(verb: &AnswerVerb, context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    match verb {
        AnswerVerb::List => list(&project, context),
        AnswerVerb::Show { id } => show(&load(&project, id)?.answer, context),
        AnswerVerb::Replay { ids, all: false } => replay::named(&project, ids, context),
        AnswerVerb::Replay { all: true, .. } => replay::all(&project, context),
    }
}

fn list(project: &Project, context: &Context) -> Result<Exit> {
    let journal = project.answers()?;
    let mut rows = Vec::new();
    for (id, bytes) in journal.iter() {
        let stored: StoredAnswer = serde_json::from_slice(&bytes?)?;
        rows.push(json!({
            "answer_id": id,
            "status": stored.answer.status,
            "question": stored.answer.question,
        }));
    }
    if context.json {
        context.print_json(&rows)?;
        return Ok(Exit::Done);
    }
    for row in &rows {
        let field = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        context.say(format!(
            "{}  {:9}  {}",
            field("answer_id"),
            field("status"),
            field("question")
        ))?;
    }
    Ok(Exit::Done)
}

fn load(project: &Project, id: &str) -> Result<StoredAnswer> {
    let journal = project.answers()?;
    let ids: Vec<&str> =
        journal.iter().map(|(known, _)| known).filter(|known| known.starts_with(id)).collect();
    let id = match ids.as_slice() {
        [only] => *only,
        [] => bail!("there is no answer `{id}`: `plumb answer list` shows what there is"),
        several => bail!("`{id}` is the beginning of {} answers", several.len()),
    };
    let bytes = journal.get(id)?.with_context(|| format!("the answer `{id}` is gone"))?;
    serde_json::from_slice(&bytes).with_context(|| format!("the answer `{id}` cannot be read"))
}

fn show(answer: &Answer, context: &Context) -> Result<Exit> {
    if context.json {
        context.print_json(answer)?;
        return Ok(Exit::Done);
    }
    context.say(&answer.question)?;
    let mut out = std::io::stdout().lock();
    let mut wrapped = Wrapped::new(&mut out, 96);
    if answer.claims.is_empty() {
        wrapped.words(&answer.answer)?;
    }
    for claim in &answer.claims {
        wrapped.words(&marked(claim))?;
    }
    wrapped.end_line()?;
    sources(answer, &mut out)?;
    for claim in &answer.claims {
        for citation in &claim.citations {
            let quote = citation.quote_text.as_ref().unwrap_or(&citation.quote);
            let number = citation.number;
            std::io::Write::write_fmt(&mut out, format_args!("[{number}] \"{quote}\"\n"))?;
        }
    }
    Ok(Exit::Done)
}
