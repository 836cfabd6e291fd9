//! `plumb bench`: tokens a second, in the same terms as the peers' scripts.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use plumb_infer::{Constraint, Embedder, LanguageModel, Options, Sampling};
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::models::locate;
use crate::project;

/// Measure speed
#[derive(clap::Subcommand, Debug)]
pub enum BenchVerb {
    /// Prompt reading and generation of a language model
    Generate(GenerateArgs),
    /// Embedding of equally long texts
    Embed(EmbedArgs),
}

#[derive(clap::Args, Debug)]
pub struct GenerateArgs {
    /// A name of `plumb model list`, or a path
    model: String,

    /// Tokens of the prompt that is read
    #[arg(long, default_value_t = 512)]
    prompt: usize,

    /// Tokens that are generated
    #[arg(long, default_value_t = 64)]
    generate: usize,

    /// Tokens in the cache before generation starts
    #[arg(long, default_value_t = 0)]
    depth: usize,

    /// Times that each is measured
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

#[derive(clap::Args, Debug)]
pub struct EmbedArgs {
    /// A name of `plumb model list`, or a path
    model: String,

    /// Texts at once
    #[arg(long, default_value_t = 32)]
    batch: usize,

    /// Tokens of each
    #[arg(long, default_value_t = 128)]
    length: usize,

    /// Times that it is measured
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

pub fn run(verb: &BenchVerb, context: &Context) -> Result<Exit> {
    match verb {
        BenchVerb::Generate(args) => generate(args, context),
        BenchVerb::Embed(args) => embed(args, context),
    }
}

/// Median, lowest and highest of some rates.
struct Rates(Vec<f64>);

impl Rates {
    fn measure(runs: usize, tokens: usize, mut once: impl FnMut() -> Result<f64>) -> Result<Self> {
        let mut rates = Vec::new();
        for _ in 0..runs.max(1) {
            rates.push(tokens as f64 / once()?.max(1e-9));
        }
        rates.sort_by(f64::total_cmp);
        Ok(Self(rates))
    }

    fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    fn json(&self) -> serde_json::Value {
        let round = |rate: f64| (rate * 10.0).round() / 10.0;
        json!({
            "median": round(self.median()),
            "min": round(self.0[0]),
            "max": round(self.0[self.0.len() - 1]),
            "runs": self.0.len(),
        })
    }

    fn text(&self, name: &str) -> String {
        let (low, high) = (self.0[0], self.0[self.0.len() - 1]);
        format!("{name:16} {:8.1} tok/s  ({low:.1} to {high:.1})", self.median())
    }
}

/// Token ids that spread over the vocabulary, as the peers' scripts use. No two
/// `round`s begin alike, so that none finds the other's cache.
fn spread_tokens(count: usize, round: usize, vocabulary: usize) -> Result<Vec<u32>> {
    let span = vocabulary.saturating_sub(1000).clamp(1, 20_000);
    let first = 1000.min(vocabulary.saturating_sub(1));
    (0..count).map(|i| Ok(u32::try_from(first + (i * 37 + round) % span)?)).collect()
}

/// Lets only one token follow, so that generation never ends early.
struct Always(u32);

impl Constraint for Always {
    fn mask(&mut self, _generated: &[u32], logits: &mut [f32]) {
        for (token, logit) in logits.iter_mut().enumerate() {
            *logit = if token == self.0 as usize { 0.0 } else { f32::NEG_INFINITY };
        }
    }
}

fn generate(args: &GenerateArgs, context: &Context) -> Result<Exit> {
    let threads = project::resolve(context, &context.folder)?.threads;
    let located = locate(context, &args.model)?;
    let model = LanguageModel::load(&located.path, threads)
        .with_context(|| format!("cannot load the generator `{}`", located.name))?;
    let mut round = 0;
    let mut run = |prompt: usize, generate: usize| {
        if context.stop.is_set() {
            bail!("interrupted");
        }
        round += 1;
        let tokens = spread_tokens(prompt, round, model.tokenizer().vocab_size())?;
        let options =
            Options { max_tokens: generate, sampling: Sampling::GREEDY, stop: Vec::new() };
        let mut go_on = |_: &str| ControlFlow::Continue(());
        let mut always = Always(1234);
        let done = model.generate(&tokens, &options, Some(&mut always), &mut go_on)?;
        Ok(done.timings)
    };
    run(32, 4)?;
    let prompt = args.prompt.max(1);
    let prefill = Rates::measure(args.runs, prompt, || Ok(run(prompt, 1)?.prefill.as_secs_f64()))?;
    let count = args.generate.max(1);
    let depth = args.depth.max(1);
    let decode = Rates::measure(args.runs, count, || Ok(run(depth, count)?.decode.as_secs_f64()))?;
    if context.json {
        context.print_json(&json!({
            "model": located.name,
            "sha256": located.sha256,
            "threads": threads,
            "prompt": args.prompt,
            "generate": args.generate,
            "depth": args.depth,
            "prompt_tokens_per_second": prefill.json(),
            "generate_tokens_per_second": decode.json(),
        }))?;
    } else {
        context.say(prefill.text(&format!("prompt {}", args.prompt)))?;
        context.say(decode.text(&format!("generate {}@{}", args.generate, args.depth)))?;
    }
    Ok(Exit::Done)
}

fn embed(args: &EmbedArgs, context: &Context) -> Result<Exit> {
    let threads = project::resolve(context, &context.folder)?.threads;
    let located = locate(context, &args.model)?;
    let embedder = Embedder::load(&located.path, threads)
        .with_context(|| format!("cannot load the embedder `{}`", located.name))?;
    // A common word is one token; two more stand around a text.
    let text = vec!["house"; args.length.saturating_sub(2).max(1)].join(" ");
    let batch = vec![text.as_str(); args.batch.max(1)];
    let tokens = batch.len() * (embedder.count_tokens(&text)? + 2);
    embedder.embed_plain(&batch)?;
    let rates = Rates::measure(args.runs, tokens, || {
        if context.stop.is_set() {
            bail!("interrupted");
        }
        let started = Instant::now();
        embedder.embed_plain(&batch)?;
        Ok(started.elapsed().as_secs_f64())
    })?;
    if context.json {
        context.print_json(&json!({
            "model": located.name,
            "sha256": located.sha256,
            "threads": threads,
            "batch": args.batch,
            "length": args.length,
            "tokens_per_second": rates.json(),
        }))?;
    } else {
        context.say(rates.text(&format!("embed {}x{}", args.batch, args.length)))?;
    }
    Ok(Exit::Done)
}
