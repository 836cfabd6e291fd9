//! A request to an engine, as a stream of its texts, or the same from what was
//! kept of an earlier one.
//!
//! Dropping it cancels what the engine does for it, within one step.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plumb_infer::{
    Event, Finish, Generation, Grammar, Options, Priority, Request, Ticket, TokenLogprob,
    derived_seed,
};
use tokio::sync::mpsc;

use crate::allowance::Allowance;
use crate::cache::{Policy, Replies, reply_key};
use crate::failure::{Failure, Kind};
use crate::generator::Generator;
use crate::state::App;
use crate::trace::SharedSpan;

/// What is to be generated.
pub struct Job {
    pub prompt: Vec<u32>,
    pub options: Options,
    pub grammar: Option<Grammar>,
    /// What the grammar was made of.
    pub schema: Option<String>,
    /// Continuations, at least 1.
    pub n: usize,
    /// Whether it may be served from what was kept. That of a request whose
    /// result is drawn anew each time is [`Policy::NEVER`].
    pub policy: Policy,
    /// `chat` or `text_completion`.
    pub operation: &'static str,
    /// What the prompt was made of, where traces may hold it.
    pub input: Option<String>,
    pub call: Allowance,
}

/// What comes of a [`Job`]. The number is that of the continuation.
#[derive(Clone, Debug)]
pub enum Piece {
    Text(usize, String),
    /// The last of this continuation.
    Done(usize, Generation),
}

impl Piece {
    /// Bytes that it takes up.
    pub fn bytes(&self) -> usize {
        let own = size_of::<Self>();
        match self {
            Self::Text(_, text) => own + text.len(),
            Self::Done(_, done) => {
                let place = |place: &TokenLogprob| size_of_val(place) + size_of_val(&*place.top);
                let logprobs = done.logprobs.iter().flatten().map(place).sum::<usize>();
                own + done.text.len() + size_of_val(&*done.tokens) + logprobs
            }
        }
    }
}

/// Where pieces come from.
enum Source {
    /// An engine has the job.
    Engine {
        events: mpsc::UnboundedReceiver<(usize, Event)>,
        /// Dropped with this, which cancels what still runs.
        _tickets: Vec<Ticket>,
    },
    /// An earlier job gave them; the number of the next.
    Kept(Replies, usize),
}

/// A job that is being done.
pub struct Generating {
    app: Arc<App>,
    model: String,
    source: Source,
    /// What is to be kept when all is there, and under which key.
    keeping: Option<([u8; 32], Vec<Piece>)>,
    call: Allowance,
    /// When each continuation had its last text.
    last: Vec<Option<Instant>>,
    left: usize,
}

impl Generating {
    /// Hands `job` to the engine of `generator`, unless `owner` was given the
    /// same before. Fails if it cannot be done or too many wait.
    pub fn start(
        app: &Arc<App>,
        generator: &Generator,
        owner: &str,
        job: &Job,
    ) -> Result<Self, Failure> {
        check_room(job, generator, app)?;
        let key = (job.policy != Policy::NEVER).then(|| reply_key(owner, generator, job));
        let kept = key.filter(|_| job.policy.takes).and_then(|key| {
            let kept = app.caches.exact.get(&key);
            app.metrics.looked_up("exact", kept.is_some());
            kept
        });
        let source = match kept {
            Some(kept) => Source::Kept(kept, 0),
            None => Self::submit(app, generator, job)?,
        };
        let is_kept = matches!(source, Source::Kept(..));
        Ok(Self {
            app: app.clone(),
            model: generator.id.name.clone(),
            source,
            keeping: key.filter(|_| job.policy.keeps && !is_kept).map(|key| (key, Vec::new())),
            call: job.call.clone(),
            last: vec![None; job.n],
            left: job.n,
        })
    }

    fn submit(app: &Arc<App>, generator: &Generator, job: &Job) -> Result<Source, Failure> {
        let (sender, events) = mpsc::unbounded_channel();
        let mut tickets = Vec::new();
        let span = job.span(&generator.id.name);
        for index in 0..job.n {
            let sender = sender.clone();
            let mut ending = Ending {
                app: app.clone(),
                model: generator.id.name.clone(),
                call: job.call.clone(),
                span: span.clone(),
                submitted: Instant::now(),
                is_first: index == 0,
            };
            // Told also when nobody waits any more: what was done is to be paid.
            let on_event = Box::new(move |event| {
                if let Event::Done(done) = &event {
                    ending.note(done);
                }
                match sender.send((index, event)) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            });
            let mut options = job.options.clone();
            options.sampling.seed = derived_seed(job.options.sampling.seed, index);
            let constraint = job.grammar.as_ref().map(Grammar::constraint);
            let request = Request {
                prompt: job.prompt.clone(),
                kept: Vec::new(),
                options,
                constraint: constraint.map(|c| Box::new(c) as _),
                priority: Priority::Interactive,
            };
            tickets.push(generator.engine.submit(request, on_event)?);
        }
        Ok(Source::Engine { events, _tickets: tickets })
    }

    /// Whether the reply was kept.
    pub fn is_kept(&self) -> bool {
        matches!(self.source, Source::Kept(..))
    }

    /// How many continuations there will be.
    pub fn choices(&self) -> usize {
        self.last.len()
    }

    /// What comes next; `None` after the last continuation is done.
    ///
    /// Fails when the deadline has passed, when the server has to stop, or when
    /// the engine failed.
    pub async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        if self.left == 0 {
            return Ok(None);
        }
        let piece = match &mut self.source {
            Source::Kept(pieces, next) => {
                let piece = pieces.get(*next).cloned();
                *next += 1;
                piece.map(|piece| self.again(piece))
            }
            Source::Engine { .. } => Some(self.made().await?),
        };
        if let (Some((_, pieces)), Some(piece)) = (&mut self.keeping, &piece) {
            pieces.push(piece.clone());
        }
        if self.left == 0
            && let Some((key, pieces)) = self.keeping.take()
        {
            self.app.caches.exact.insert(key, pieces);
        }
        Ok(piece)
    }

    /// A piece that was kept: nothing of its prompt had to be read.
    fn again(&mut self, piece: Piece) -> Piece {
        match piece {
            Piece::Text(index, text) => {
                if self.last.iter().all(Option::is_none) {
                    self.time(index);
                }
                Piece::Text(index, text)
            }
            Piece::Done(index, mut done) => {
                self.left -= 1;
                let timings = &mut done.timings;
                timings.cached_tokens = timings.prompt_tokens;
                (timings.prefill, timings.decode) = (Duration::ZERO, Duration::ZERO);
                Piece::Done(index, done)
            }
        }
    }

    /// The next piece of the engine's.
    async fn made(&mut self) -> Result<Piece, Failure> {
        let ended = || Failure::unavailable("the engine of this model has stopped");
        let Source::Engine { events, .. } = &mut self.source else { return Err(ended()) };
        let event = self.call.wait_for_text(&self.app.drain, events.recv()).await?;
        match event.ok_or_else(ended)? {
            (index, Event::Text(text)) => {
                self.time(index);
                Ok(Piece::Text(index, text))
            }
            (index, Event::Done(done)) => {
                self.left -= 1;
                let done = done?;
                if done.finish == Finish::Cancelled {
                    self.keeping = None;
                }
                Ok(Piece::Done(index, done))
            }
        }
    }

    /// All continuations, when they are done.
    pub async fn all(mut self) -> Result<Vec<Generation>, Failure> {
        let mut all: Vec<Option<Generation>> = vec![None; self.last.len()];
        while let Some(piece) = self.next().await? {
            if let Piece::Done(index, done) = piece {
                all[index] = Some(done);
            }
        }
        Ok(all.into_iter().flatten().collect())
    }

    fn time(&mut self, index: usize) {
        let now = Instant::now();
        let metrics = &self.app.metrics;
        match self.last[index].replace(now) {
            None => {
                let waited = now.duration_since(self.call.arrived());
                metrics.first_token_seconds.observe(&[&self.model], waited.as_secs_f64());
            }
            Some(before) => {
                let waited = now.duration_since(before);
                metrics.inter_token_seconds.observe(&[&self.model], waited.as_secs_f64());
            }
        }
    }
}

impl Job {
    /// What a trace says of it at its beginning.
    fn span(&self, model: &str) -> SharedSpan {
        let options = &self.options;
        let mut span = self.call.scope().operation(self.operation, model);
        if span.is_recorded() {
            span.set("gen_ai.request.max_tokens", options.max_tokens);
            span.set("gen_ai.request.temperature", f64::from(options.sampling.temperature));
            span.set("gen_ai.request.top_p", f64::from(options.sampling.top_p));
            span.set("gen_ai.request.top_k", options.sampling.top_k);
            span.set("gen_ai.request.seed", options.sampling.seed.to_string());
            span.set("gen_ai.request.choice.count", self.n);
            if !options.stop.is_empty() {
                span.set("gen_ai.request.stop_sequences", options.stop.clone());
            }
            if let Some(input) = &self.input {
                span.set("gen_ai.input.messages", input.clone());
            }
        }
        span.shared()
    }
}

/// What there is to do when a continuation has ended.
struct Ending {
    app: Arc<App>,
    model: String,
    call: Allowance,
    span: SharedSpan,
    submitted: Instant,
    is_first: bool,
}

impl Ending {
    fn note(&mut self, done: &Result<Generation, plumb_infer::Error>) {
        match done {
            Ok(done) => {
                self.app.metrics.generated(&self.model, done, self.submitted.elapsed());
                // A prompt is paid once, however often it is continued.
                if self.is_first {
                    self.call.read(done.timings.prompt_tokens);
                }
                self.call.wrote(done.tokens.len());
                self.span.generated(done, self.submitted);
            }
            Err(error) => self.span.with(|span| span.fail("generation", &error.to_string())),
        }
    }
}

/// The tokens that a prompt and its completion may have together.
pub fn room(generator: &Generator, app: &App) -> usize {
    generator.model.context().min(app.limits().engine.cache_tokens)
}

/// Refuses what does not fit, with the numbers: nothing is cut off.
fn check_room(job: &Job, generator: &Generator, app: &App) -> Result<(), Failure> {
    let (prompt, wanted) = (job.prompt.len(), job.options.max_tokens);
    let room = room(generator, app);
    if prompt + wanted <= room {
        return Ok(());
    }
    Err(Failure::new(
        Kind::TooLong,
        format!(
            "this model holds {room} tokens, and the request has {}: {prompt} of the prompt and \
             {wanted} of the completion; shorten the messages or ask for fewer tokens",
            prompt + wanted
        ),
    ))
}

/// The name that OpenAI's API has for an end.
pub fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::EndOfTurn | Finish::StopString | Finish::Cancelled => "stop",
        Finish::Length => "length",
    }
}
