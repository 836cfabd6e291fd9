//! `plumb ask`: one question, one checked answer.

use std::io;
use std::ops::ControlFlow;

use anyhow::{Result, bail};
use plumb_answer::{Answer, Event, Status};

use crate::answers;
use crate::calibrate;
use crate::config::{Config, WordingName};
use crate::context::Context;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::{Wrapped, marked, sources};
use crate::session::{self, Session};

/// Answer a question from the documents
///
/// Every sentence of the answer is quoted from a document, or was checked
/// against a quote. Exits with 3 if the documents do not support an answer.
#[derive(clap::Args, Debug)]
pub struct AskArgs {
    /// The question
    question: String,

    #[command(flatten)]
    pub choices: Choices,

    /// Refuse what would be wrong more often than this share, by a calibration
    #[arg(long, value_name = "SHARE", conflicts_with = "threshold")]
    max_error: Option<f64>,

    /// Answer from an earlier snapshot
    #[arg(long, value_name = "SNAPSHOT")]
    as_of: Option<String>,
}

/// How to answer, where that differs from the settings.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Choices {
    /// Answer with the quoted sentences themselves; no generator runs
    #[arg(long)]
    pub quote_only: bool,

    /// Generator: a name of `plumb model list`, a GGUF file, or a model of --endpoint
    #[arg(long, value_name = "MODEL")]
    pub generator: Option<String>,

    /// OpenAI-compatible server that the generator runs on
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,

    /// Support below which to abstain, from 0 to 1
    #[arg(long, value_name = "SUPPORT")]
    pub threshold: Option<f32>,

    /// Sentences of evidence, at most
    #[arg(long, value_name = "N")]
    pub max_sentences: Option<usize>,

    /// Only documents that fit, such as 'path ~ "guide/" and date >= 2024-01-01'
    #[arg(long = "where", value_name = "FILTER")]
    pub filter: Option<String>,
}

impl Choices {
    /// The settings with these choices in place.
    pub fn apply(&self, config: &mut Config) -> Result<()> {
        if self.quote_only {
            config.wording = WordingName::Quote;
        }
        if let Some(generator) = &self.generator {
            config.generator.clone_from(generator);
        }
        if let Some(endpoint) = &self.endpoint {
            config.endpoint = Some(endpoint.clone());
        }
        if let Some(threshold) = self.threshold {
            if !(0.0..=1.0).contains(&threshold) {
                bail!("--threshold is {threshold}; it must be from 0 to 1");
            }
            config.threshold = threshold;
        }
        if let Some(max_sentences) = self.max_sentences {
            if max_sentences == 0 {
                bail!("--max-sentences is 0; it must be at least 1");
            }
            config.max_sentences = max_sentences;
        }
        Ok(())
    }
}

pub fn run(args: &AskArgs, context: &Context) -> Result<Exit> {
    let mut project = Project::find(context)?;
    args.choices.apply(&mut project.config)?;
    let snapshot = match &args.as_of {
        Some(prefix) => project.snapshot_named(prefix)?,
        None => project.snapshot()?,
    };
    let settings = session::settings(&project.config, args.choices.filter.clone());
    let mut session = Session::open(&project, context, snapshot, settings)?;
    if let Some(max_error) = args.max_error {
        calibrate_session(&mut session, &project, max_error, context)?;
    }
    let answer = if context.json {
        session.ask(&args.question, &[], &mut |_| go_on(context))?
    } else {
        ask_on_terminal(&mut session, &args.question, &[], context)?
    };
    answers::keep(&project, &session, &answer, &[])?;
    if context.json {
        context.print_json(&answer)?;
    } else {
        sources(&answer, &mut io::stdout().lock())?;
        stale_notices(&answer, context);
    }
    Ok(exit_of(&answer))
}

/// Takes the threshold of the calibration that promises `max_error`.
fn calibrate_session(
    session: &mut Session,
    project: &Project,
    max_error: f64,
    context: &Context,
) -> Result<()> {
    let embedder = session.embedder_sha256();
    let calibration = calibrate::find(project, max_error, &session.settings, embedder)?;
    if calibration.snapshot != session.snapshot_id() {
        let id = &calibration.id;
        context.note(format!("note: the documents changed since {id} was made: calibrate again"));
    }
    session.calibrated(calibration.threshold, calibration.guarantee());
    Ok(())
}

/// Goes on unless Ctrl-C was pressed.
pub fn go_on(context: &Context) -> ControlFlow<()> {
    if context.stop.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// 0 for an answer, 3 for an abstention.
pub fn exit_of(answer: &Answer) -> Exit {
    match answer.status {
        Status::Answered => Exit::Done,
        Status::Abstained => Exit::Abstained,
    }
}

/// Asks, and prints each claim as soon as it has passed its check.
pub fn ask_on_terminal(
    session: &mut Session,
    question: &str,
    history: &[plumb_answer::Turn],
    context: &Context,
) -> Result<Answer> {
    let mut out = Wrapped::new(io::stdout().lock(), 96);
    let answer = session.ask(question, history, &mut |event| {
        let printed = match event {
            Event::Claim(claim) => out.words(&marked(claim)),
            Event::Rewritten(question) => {
                context.note(format!("searching for: {question}"));
                Ok(())
            }
            Event::Passages(_) | Event::Dropped(_) => Ok(()),
        };
        if printed.is_err() { ControlFlow::Break(()) } else { go_on(context) }
    })?;
    if answer.status == Status::Abstained {
        out.words(&answer.answer)?;
    }
    out.end_line()?;
    Ok(answer)
}

/// Says which cited files are no longer what was indexed.
pub fn stale_notices(answer: &Answer, context: &Context) {
    let mut seen = Vec::new();
    for citation in answer.claims.iter().flat_map(|claim| &claim.citations) {
        let Some(path) = plumb_index::address::path_of_url(&citation.uri) else { continue };
        if citation.uri.contains('#') || seen.contains(&path) {
            continue;
        }
        match std::fs::read(&path) {
            Ok(bytes) if crate::list::hex(&sha2_of(&bytes)) == citation.sha256 => {}
            Ok(_) => context.note(format!(
                "note: {} changed since it was indexed: run `plumb sync`",
                path.display()
            )),
            Err(_) => {
                context.note(format!("note: {} can no longer be read", path.display()));
            }
        }
        seen.push(path);
    }
}

fn sha2_of(bytes: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).into()
}
