//! `plumb chat`: a conversation in the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context as _, Result, bail};
use plumb_answer::Turn;

use crate::answers;
use crate::ask::{Choices, ask_on_terminal, go_on, stale_notices};
use crate::context::Context;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::sources;
use crate::session::{self, Session};

/// Ask in a conversation
///
/// A follow-up question such as "and why?" is made to stand alone before it is
/// searched for. `/sources` shows the sources of the last answer, `/new`
/// forgets the conversation, `/quit` or Ctrl-D ends it.
#[derive(clap::Args, Debug)]
pub struct ChatArgs {
    #[command(flatten)]
    choices: Choices,

    /// Go on with the last conversation, or with the one that had this answer, from there
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "")]
    resume: Option<String>,
}

pub fn run(args: &ChatArgs, context: &Context) -> Result<Exit> {
    let mut project = Project::find(context)?;
    args.choices.apply(&mut project.config)?;
    let mut history = match &args.resume {
        Some(id) => stored_conversation(&project, id)?,
        None => Vec::new(),
    };
    let settings = session::settings(&project.config, args.choices.filter.clone());
    let mut session = Session::open(&project, context, project.snapshot()?, settings)?;
    let mut last = None;
    if let Some(turn) = history.last() {
        context.note(format!("going on after: {}", turn.question));
    }
    if io::stdin().is_terminal() {
        context.note("ask away; /sources, /new, /quit");
    }
    while let Some(line) = read_line()? {
        match line.trim() {
            "" => {}
            "/quit" | "/exit" => break,
            "/new" => history.clear(),
            "/sources" => match &last {
                Some(answer) => sources(answer, &mut io::stdout().lock())?,
                None => context.say("nothing was answered yet")?,
            },
            command if command.starts_with('/') => {
                context.say(format!("`{command}` is not one of /sources, /new, /quit"))?;
            }
            question => {
                let answer = if context.json {
                    session.ask(question, &history, &mut |_| go_on(context))?
                } else {
                    ask_on_terminal(&mut session, question, &history, context)?
                };
                answers::keep(&project, &session, &answer, &history)?;
                let asked = answer.standalone_question.clone();
                history.push(Turn {
                    question: asked.unwrap_or_else(|| question.to_owned()),
                    answer: answer.answer.clone(),
                });
                keep_conversation(&project, &history, &answer.answer_id)?;
                if context.json {
                    context.print_json(&answer)?;
                } else {
                    sources(&answer, &mut io::stdout().lock())?;
                    stale_notices(&answer, context);
                }
                last = Some(answer);
            }
        }
        if context.stop.is_set() {
            return Ok(Exit::Interrupted);
        }
    }
    Ok(Exit::Done)
}

/// The next line, or `None` at the end of the input.
fn read_line() -> Result<Option<String>> {
    if io::stdin().is_terminal() {
        print_prompt()?;
    }
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line)?;
    Ok((read > 0).then_some(line))
}

fn print_prompt() -> Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "\n> ")?;
    out.flush()?;
    Ok(())
}

/// Stores the conversation under the id of its last answer.
fn keep_conversation(project: &Project, history: &[Turn], id: &str) -> Result<()> {
    let json = serde_json::to_vec(history)?;
    project.conversations()?.append(id, &json).context("cannot store the conversation")
}

/// The turns up to the answer whose id begins with `id`; the last conversation
/// if that is empty.
fn stored_conversation(project: &Project, id: &str) -> Result<Vec<Turn>> {
    let journal = project.conversations()?;
    let matches: Vec<&str> =
        journal.iter().map(|(known, _)| known).filter(|known| known.starts_with(id)).collect();
    let id = match (matches.as_slice(), id) {
        ([.., last], "") => *last,
        ([only], _) => *only,
        ([], "") => bail!("there is no conversation to go on with: `plumb chat` begins one"),
        ([], _) => bail!(
            "there is no conversation with the answer `{id}`: `plumb answer list` shows what was \
             answered"
        ),
        (several, _) => bail!("`{id}` is the beginning of {} answers", several.len()),
    };
    let bytes = journal.get(id)?.with_context(|| format!("the conversation `{id}` is gone"))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("the conversation `{id}` cannot be read"))
}
