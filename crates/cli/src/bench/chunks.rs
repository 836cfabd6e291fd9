//! `plumb bench chunks`: what reuse of what was read of passages costs in
//! answers, and what it gains in time to the first token.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use plumb_infer::{
    ChunkStore, Constraint, LanguageModel, Options, PiecedPrompt, Reuse, divergence,
};
use plumb_metrics::{Resampling, estimate_mean, wilson};
use plumb_retrieve::{Bm25, Mode, Query};
use plumb_store::Snapshot;
use serde_json::{Value, json};

use super::questions::{QuestionArgs, Scratch, passages, prompt};
use super::{quantiles, tenths};
use crate::context::{Context, now};
use crate::exit::Exit;
use crate::models::locate;
use crate::project::{Project, analyzer};
use crate::reuse::ChunkTypeName;

#[derive(clap::Args, Debug)]
pub struct ChunksArgs {
    /// A name of `plumb model list`, or a path
    model: String,

    #[command(flatten)]
    questions: QuestionArgs,

    /// Passages in a prompt
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [2, 4, 6, 10])]
    passages: Vec<usize>,

    /// Parts of each passage that are read anew
    #[arg(long, value_name = "SHARE,...", value_delimiter = ',',
          default_values_t = [0.0, 0.1, 0.2, 0.5, 1.0])]
    fresh: Vec<f32>,

    /// How keys and values are kept
    #[arg(long, value_enum, value_name = "TYPE,...", value_delimiter = ',',
          default_values_t = [ChunkTypeName::Q8, ChunkTypeName::F16])]
    stored: Vec<ChunkTypeName>,

    /// Tokens of an answer, at most
    #[arg(long, default_value_t = 48)]
    generate: usize,
}

/// Looks at the logits of the first token, and leaves them as they are.
#[derive(Default)]
struct Peek(Vec<f32>);

impl Constraint for Peek {
    fn mask(&mut self, generated: &[u32], logits: &mut [f32]) {
        if generated.is_empty() {
            self.0 = logits.to_vec();
        }
    }
}

/// What came of a prompt.
struct Answer {
    text: String,
    first: Vec<f32>,
    /// From the prompt to the logits of the first token.
    seconds: f64,
}

/// Answers to prompts of so many passages, reused in one way, beside those
/// after full reading.
struct Row {
    passages: usize,
    fresh: f32,
    stored: ChunkTypeName,
    same_texts: u64,
    same_tokens: u64,
    divergences: Vec<f64>,
    seconds: Vec<f64>,
    full_seconds: Vec<f64>,
    prompt_tokens: Vec<f64>,
}

pub(super) fn run(args: &ChunksArgs, context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    let snapshot = project.snapshot()?;
    let config = &project.config;
    let located = locate(context, &args.model)?;
    let model = located
        .generator(config.threads, config.kv_cache.into())
        .with_context(|| format!("cannot load the generator `{}`", located.name))?;
    let scratch = Scratch::new()?;
    let mut rows = Vec::new();
    for &passages in &args.passages {
        for &fresh in &args.fresh {
            // Where all is read, nothing is kept in one way or another.
            let kept = if fresh < 1.0 { args.stored.len() } else { 1 };
            let stored = args.stored.iter().take(kept);
            rows.extend(stored.map(|&stored| Row::new(passages, fresh, stored)));
        }
    }
    let questions = args.questions.questions(&snapshot)?;
    let bar = context.progress(questions.len() as u64, "{bar:30} {pos}/{len} questions");
    let bench = Bench { model: &model, store: scratch.store(&located.sha256), args, context };
    for question in &questions {
        bench.measure(question, &snapshot, &mut rows)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let found: Vec<Value> = rows.iter().map(Row::json).collect();
    if context.json {
        context.print_json(&json!({
            "model": located.name, "sha256": located.sha256, "threads": config.threads,
            "indexed_passages": snapshot.info().passages, "questions": questions.len(),
            "generate": args.generate, "chunk_bytes": scratch.bytes(), "rows": found,
        }))?;
        return Ok(Exit::Done);
    }
    context.say(
        "passages tokens  anew  kept   n  same text  same token  divergence  first token ms  full ms",
    )?;
    for row in &rows {
        context.say(row.text())?;
    }
    Ok(Exit::Done)
}

struct Bench<'a> {
    model: &'a LanguageModel,
    store: ChunkStore,
    args: &'a ChunksArgs,
    context: &'a Context,
}

impl Bench<'_> {
    /// Answers `question` in the way of each row.
    fn measure(&self, question: &str, snapshot: &Snapshot, rows: &mut [Row]) -> Result<()> {
        let most = self.args.passages.iter().max().copied().unwrap_or_default();
        let query = Query {
            terms: &analyzer().terms(question),
            vector: None,
            top_k: most,
            mode: Mode::Lexical,
            bm25: Bm25::default(),
            filter: None,
        };
        let hits = plumb_retrieve::search(snapshot, &query)?;
        for &count in &self.args.passages {
            let pieces = passages(snapshot, &hits, count)?;
            let prompt = prompt(self.model, question, &pieces)?;
            let needed = prompt.tokens.len() + self.args.generate;
            if pieces.len() < count || self.model.context() < needed {
                continue;
            }
            let full = self.answer(&prompt, None)?;
            for row in rows.iter_mut().filter(|row| row.passages == count) {
                let how = (row.stored.into(), row.fresh);
                let reuse = Reuse::new(self.store.clone(), how, now)?;
                // What is not kept is read, and kept; that time is not counted.
                reuse.kept(self.model, &prompt)?;
                row.add(&full, &self.answer(&prompt, Some(&reuse))?, prompt.tokens.len());
            }
        }
        Ok(())
    }

    fn answer(&self, prompt: &PiecedPrompt, reuse: Option<&Reuse>) -> Result<Answer> {
        if self.context.stop.is_set() {
            bail!("interrupted");
        }
        self.model.forget();
        let options = Options {
            max_tokens: self.args.generate,
            stop: vec!["\n".to_owned()],
            ..Options::default()
        };
        let (mut peek, mut go_on) = (Peek::default(), |_: &str| ControlFlow::Continue(()));
        let started = Instant::now();
        let kept = reuse.map_or(Ok(Vec::new()), |reuse| reuse.kept(self.model, prompt))?;
        let loaded = started.elapsed();
        let tokens = (&*prompt.tokens, &*kept);
        let done = self.model.generate_stitched(tokens, &options, Some(&mut peek), &mut go_on)?;
        let seconds = (loaded + done.timings.prefill).as_secs_f64();
        Ok(Answer { text: done.text, first: peek.0, seconds })
    }
}

impl Row {
    fn new(passages: usize, fresh: f32, stored: ChunkTypeName) -> Self {
        Self {
            passages,
            fresh,
            stored,
            same_texts: 0,
            same_tokens: 0,
            divergences: Vec::new(),
            seconds: Vec::new(),
            full_seconds: Vec::new(),
            prompt_tokens: Vec::new(),
        }
    }

    fn add(&mut self, full: &Answer, found: &Answer, prompt_tokens: usize) {
        let likeliest =
            |logits: &[f32]| (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        self.same_texts += u64::from(found.text == full.text);
        self.same_tokens += u64::from(likeliest(&found.first) == likeliest(&full.first));
        self.divergences.push(divergence(&full.first, &found.first));
        self.seconds.push(found.seconds);
        self.full_seconds.push(full.seconds);
        self.prompt_tokens.push(prompt_tokens as f64);
    }

    fn json(&self) -> Value {
        let count = self.seconds.len() as u64;
        let share = |same: u64| {
            let found = wilson(same, count, 0.95).ok();
            json!({"value": found.map(|p| p.share), "interval": found.map(|p| [p.low, p.high])})
        };
        let mean = |values: &[f64]| {
            let found = estimate_mean(values, &Resampling::default()).ok();
            json!({"value": found.map(|e| e.mean), "interval": found.map(|e| [e.low, e.high])})
        };
        let ms = |seconds: &[f64]| {
            let [median, p95] = quantiles(seconds).map(|seconds| tenths(1e3 * seconds));
            json!({"median": median, "p95": p95})
        };
        let pairs = self.full_seconds.iter().zip(&self.seconds);
        let ratios: Vec<f64> = pairs.map(|(full, found)| full / found).collect();
        json!({
            "passages": self.passages, "fresh": self.fresh, "stored": self.stored.name(),
            "n": count, "prompt_tokens": quantiles(&self.prompt_tokens)[0],
            "same_text": share(self.same_texts), "same_first_token": share(self.same_tokens),
            "divergence": mean(&self.divergences),
            "first_token_ms": ms(&self.seconds), "full_first_token_ms": ms(&self.full_seconds),
            "times_as_fast": mean(&ratios),
        })
    }

    fn text(&self) -> String {
        let count = self.seconds.len();
        let share = |same: u64| 100.0 * same as f64 / count.max(1) as f64;
        let ms = |seconds: &[f64]| 1e3 * quantiles(seconds)[0];
        format!(
            "{:8} {:6.0} {:5} {:>5} {count:3} {:8.0} % {:9.0} % {:11.4} {:15.0} {:8.0}",
            self.passages,
            quantiles(&self.prompt_tokens)[0],
            self.fresh,
            self.stored.name(),
            share(self.same_texts),
            share(self.same_tokens),
            self.divergences.iter().sum::<f64>() / count.max(1) as f64,
            ms(&self.seconds),
            ms(&self.full_seconds),
        )
    }
}
