//! `plumb bench ask`: from a question to the first token of its answer, and
//! where the time goes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use plumb_answer::{
    ChunkReuse, Event, LocalWriter, ModelId, Request, StoredSettings, Writer, WriterError,
    answer_messages,
};
use plumb_infer::{LanguageModel, VectorStore};
use serde_json::{Value, json};

use super::questions::{QuestionArgs, Scratch, passages};
use super::{quantiles, tenths};
use crate::ask::{Choices, go_on};
use crate::config::WordingName;
use crate::context::Context;
use crate::exit::Exit;
use crate::models::locate;
use crate::project::Project;
use crate::reuse;
use crate::session::{self, Session};

/// The part of kept evidence that is read anew, unless flags or settings say
/// another.
const FRESH: f32 = 0.1;

#[derive(clap::Args, Debug)]
pub struct AskArgs {
    #[command(flatten)]
    questions: QuestionArgs,

    /// Show the generator so many whole passages in place of the chosen sentences
    #[arg(long, value_name = "N")]
    passages: Option<usize>,

    #[command(flatten)]
    choices: Choices,
}

/// What the writer is told and tells beside the way that a question takes.
struct Shared {
    asked: Cell<Instant>,
    question: RefCell<String>,
    /// Whole passages that the generator is shown; none for the sentences.
    passages: RefCell<Vec<String>>,
    is_warm: Cell<bool>,
    written: Cell<Option<Written>>,
}

/// When a text was written.
#[derive(Clone, Copy)]
struct Written {
    /// From the request to the first token.
    read: Duration,
    /// From the question to the first token.
    first: Duration,
    /// From the first token to the last.
    rest: Duration,
    prompt_tokens: usize,
    cached_tokens: usize,
}

/// Two writers of one model, of which one reuses what it read.
struct Timed {
    cold: LocalWriter,
    warm: LocalWriter,
    shared: Rc<Shared>,
}

impl Writer for Timed {
    fn id(&self) -> ModelId {
        self.cold.id()
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn write(
        &mut self,
        request: &Request<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, WriterError> {
        let shared = &self.shared;
        let passages = shared.passages.borrow();
        let messages = answer_messages(&shared.question.borrow(), &passages);
        let mut request = Request { ..*request };
        if !passages.is_empty() {
            (request.messages, request.pieces) = (&messages, &passages);
        }
        let writer = if shared.is_warm.get() { &mut self.warm } else { &mut self.cold };
        let started = Instant::now();
        let mut first = None;
        let text = writer.write(&request, &mut |piece| {
            if !piece.is_empty() && first.is_none() {
                first = Some((started.elapsed(), shared.asked.get().elapsed()));
            }
            on_text(piece)
        })?;
        let timings = writer.timings();
        shared.written.set(first.map(|(read, first)| Written {
            read,
            first,
            rest: started.elapsed().saturating_sub(read),
            prompt_tokens: timings.prompt_tokens,
            cached_tokens: timings.cached_tokens,
        }));
        Ok(text)
    }
}

/// Milliseconds of each part of answers, and tokens of their prompts.
type Parts = BTreeMap<&'static str, Vec<f64>>;

/// The parts that are shown, in their order.
const SHOWN: [&str; 11] = [
    "embed",
    "search",
    "sentences",
    "select",
    "read",
    "first_token",
    "first_claim",
    "rest",
    "all",
    "prompt_tokens",
    "cached_tokens",
];

pub(super) fn run(args: &AskArgs, context: &Context) -> Result<Exit> {
    let mut project = Project::find(context)?;
    args.choices.apply(&mut project.config)?;
    let scratch = Scratch::new()?;
    let started = Instant::now();
    let mut bench = Bench::open(&project, args, context, &scratch)?;
    let loaded = started.elapsed();
    let questions = args.questions.questions(bench.session.snapshot())?;
    let (mut cold, mut warm) = (Parts::new(), Parts::new());
    let bar = context.progress(questions.len() as u64, "{bar:30} {pos}/{len} questions");
    for question in &questions {
        bench.ask(question, false, context)?.into_iter().for_each(|part| add(&mut cold, part));
        // The first time what is not kept is read, and kept.
        bench.ask(question, true, context)?;
        bench.ask(question, true, context)?.into_iter().for_each(|part| add(&mut warm, part));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let written = cold.get("first_token").map_or(0, Vec::len);
    if written == 0 {
        bail!("none of the {} questions was answered by the generator", questions.len());
    }
    if context.json {
        context.print_json(&json!({
            "generator": bench.generator, "threads": project.config.threads,
            "questions": questions.len(), "written": written,
            "indexed_passages": bench.session.snapshot().info().passages,
            "passages": args.passages, "load_ms": tenths(ms(loaded)),
            "chunk_reuse": bench.reuse, "chunk_bytes": scratch.bytes(),
            "cold": summary(&cold), "warm": summary(&warm),
        }))?;
        return Ok(Exit::Done);
    }
    context.say(format!(
        "{written} of {} questions answered by {}; models loaded in {:.0} ms; of kept evidence {} \
         is read anew",
        questions.len(),
        bench.generator,
        ms(loaded),
        bench.reuse.fresh,
    ))?;
    print(&cold, &warm, context)?;
    Ok(Exit::Done)
}

fn print(cold: &Parts, warm: &Parts, context: &Context) -> Result<()> {
    context.say("ms                   cold      p95      warm      p95")?;
    for name in SHOWN {
        let of = |parts: &Parts| {
            let [median, p95] = quantiles(parts.get(name).map_or(&[], Vec::as_slice));
            format!("{median:9.1}{p95:9.1}")
        };
        context.say(format!("{name:15}{} {}", of(cold), of(warm)))?;
    }
    Ok(())
}

struct Bench {
    session: Session,
    vectors: Option<VectorStore>,
    model: Arc<LanguageModel>,
    generator: String,
    reuse: ChunkReuse,
    shared: Rc<Shared>,
    passages: usize,
}

impl Bench {
    /// Loads the models, to keep what is read in `scratch`.
    fn open(
        project: &Project,
        args: &AskArgs,
        context: &Context,
        scratch: &Scratch,
    ) -> Result<Self> {
        let config = &project.config;
        if config.wording == WordingName::Quote || config.endpoint.is_some() {
            bail!("this measures a generator of this machine, and the settings name none");
        }
        let mut settings = session::settings(config, args.choices.filter.clone());
        let stored = config.reuse.stored.name().to_owned();
        let reuse = settings.chunk_reuse.take().unwrap_or(ChunkReuse { fresh: FRESH, stored });
        settings.top_k = settings.top_k.max(args.passages.unwrap_or(0));
        let reusing = StoredSettings { chunk_reuse: Some(reuse.clone()), ..settings.clone() };
        let located = locate(context, &config.generator)?;
        let place = (scratch.path(), &*located.sha256);
        let kept = reuse::open(&reusing, place, u64::MAX)?;
        let model = located
            .generator(config.threads, config.kv_cache.into())
            .with_context(|| format!("cannot load the generator `{}`", located.name))?;
        let model = Arc::new(model);
        let shared = Rc::new(Shared {
            asked: Cell::new(Instant::now()),
            question: RefCell::default(),
            passages: RefCell::default(),
            is_warm: Cell::new(false),
            written: Cell::new(None),
        });
        let id = || ModelId { name: located.name.clone(), sha256: Some(located.sha256.clone()) };
        let writer = Timed {
            cold: LocalWriter::new(model.clone(), id(), None),
            warm: LocalWriter::new(model.clone(), id(), kept),
            shared: shared.clone(),
        };
        let (snapshot, writer) = (project.snapshot()?, Some(Box::new(writer) as Box<dyn Writer>));
        let session = Session::with_writer(project, context, snapshot, settings, writer)?;
        let embedder = session.embedder_sha256().unwrap_or_default().to_owned();
        let vectors = reuse::vectors((scratch.path(), &embedder), u64::MAX);
        let passages = args.passages.unwrap_or(0);
        Ok(Self { session, vectors, model, generator: located.name, reuse, shared, passages })
    }

    /// Asks as a new process would: nothing of earlier questions is known but
    /// what is kept. Returns the parts, unless nothing was written.
    fn ask(
        &mut self,
        question: &str,
        is_warm: bool,
        context: &Context,
    ) -> Result<Vec<(&'static str, f64)>> {
        self.model.forget();
        self.session.keep_vectors(self.vectors.clone().filter(|_| is_warm));
        let shared = &self.shared;
        shared.is_warm.set(is_warm);
        shared.written.set(None);
        question.clone_into(&mut shared.question.borrow_mut());
        let (snapshot, count) = (self.session.snapshot().clone(), self.passages);
        let (mut claimed, mut failure) = (None, None);
        shared.asked.set(Instant::now());
        let answer = self.session.ask(question, &[], &mut |event| {
            match event {
                Event::Passages(hits) => match passages(&snapshot, hits, count) {
                    Ok(found) => *shared.passages.borrow_mut() = found,
                    Err(error) => failure = Some(error),
                },
                Event::Claim(_) if claimed.is_none() => {
                    claimed = Some(shared.asked.get().elapsed());
                }
                _ => {}
            }
            if failure.is_some() { ControlFlow::Break(()) } else { go_on(context) }
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        let answer = answer?;
        let Some(written) = shared.written.get() else { return Ok(Vec::new()) };
        let lap = |name: &str| answer.timings_ms.get(name).copied().unwrap_or_default();
        let mut parts = vec![
            ("embed", lap("embed")),
            ("search", lap("search")),
            ("sentences", lap("sentences")),
            ("select", lap("select")),
            ("read", ms(written.read)),
            ("first_token", ms(written.first)),
            ("rest", ms(written.rest)),
            ("all", lap("total")),
            ("prompt_tokens", written.prompt_tokens as f64),
            ("cached_tokens", written.cached_tokens as f64),
        ];
        parts.extend(claimed.map(|claimed| ("first_claim", ms(claimed))));
        Ok(parts)
    }
}

fn ms(duration: Duration) -> f64 {
    1e3 * duration.as_secs_f64()
}

fn add(parts: &mut Parts, (name, value): (&'static str, f64)) {
    parts.entry(name).or_default().push(value);
}

/// Median and 95th percentile of each part.
fn summary(parts: &Parts) -> Value {
    let rows = parts.iter().map(|(name, values)| {
        let [median, p95] = quantiles(values).map(tenths);
        ((*name).to_owned(), json!({"median": median, "p95": p95, "n": values.len()}))
    });
    Value::Object(rows.collect())
}
