//! `plumb bench generate`: prompt reading and generation of a language model.

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use plumb_infer::{Options, Sampling, Timings};
use serde_json::json;

use super::{Rates, tenths, together};
use crate::config::KvCacheName;
use crate::context::Context;
use crate::exit::Exit;
use crate::models::locate;
use crate::project;

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

    /// Temperature: at 0 the likeliest token is taken, which need not compute all logits
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,

    /// Sequences that are generated at once, besides
    #[arg(long, default_value_t = 1)]
    sequences: usize,

    /// How keys and values are kept [default: `models.kv_cache` of plumb.toml, or f16]
    #[arg(long, value_enum, value_name = "TYPE")]
    kv_cache: Option<KvCacheName>,

    /// Times that each is measured
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

/// Token ids that spread over the vocabulary, as the peers' scripts use. No two
/// `round`s begin alike, so that none finds the other's cache.
pub(super) fn spread_tokens(count: usize, round: usize, vocabulary: usize) -> Result<Vec<u32>> {
    let span = vocabulary.saturating_sub(1000).clamp(1, 20_000);
    let first = 1000.min(vocabulary.saturating_sub(1));
    (0..count).map(|i| Ok(u32::try_from(first + (i * 37 + round) % span)?)).collect()
}

pub(super) fn run(args: &GenerateArgs, context: &Context) -> Result<Exit> {
    let config = project::resolve(context, &context.folder)?;
    let (threads, kv_cache) = (config.threads, args.kv_cache.unwrap_or(config.kv_cache));
    let located = locate(context, &args.model)?;
    let model = located
        .generator(threads, kv_cache.into())
        .with_context(|| format!("cannot load the generator `{}`", located.name))?;
    let model = Arc::new(model);
    let mut round = 0;
    let mut once = |prompt: usize, generate: usize| -> Result<Timings> {
        round += 1;
        let tokens = spread_tokens(prompt, round, model.tokenizer().vocab_size())?;
        // Texts that repeat themselves would be easy to guess.
        let options = Options {
            max_tokens: generate,
            sampling: Sampling { temperature: args.temperature, ..Sampling::GREEDY },
            ignore_stop_tokens: true,
            speculation: false,
            ..Options::default()
        };
        let mut go_on = |_: &str| ControlFlow::Continue(());
        let done = model.generate(&tokens, &options, None, &mut go_on)?;
        Ok(done.timings)
    };
    once(32, 4)?;
    let prompt = args.prompt.max(1);
    let prefill = Rates::measure(context, (args.runs, prompt), || {
        Ok(once(prompt, 1)?.prefill.as_secs_f64())
    })?;
    let count = args.generate.max(1);
    let depth = args.depth.max(1);
    let decode = Rates::measure(context, (args.runs, count), || {
        // The first token follows from the prompt: one more makes `count` passes.
        Ok(once(depth, count + 1)?.decode.as_secs_f64())
    })?;
    let together = (1 < args.sequences)
        .then(|| together::measure(context, &model, (args.sequences, count, args.runs)))
        .transpose()?;
    if context.json {
        context.print_json(&json!({
            "model": located.name,
            "sha256": located.sha256,
            "threads": threads,
            "prompt": args.prompt,
            "generate": args.generate,
            "depth": args.depth,
            "temperature": args.temperature,
            "kv_cache": kv_cache.name(),
            "kv_bytes_per_token": model.cache_bytes_per_token()?,
            "prompt_tok_s": tenths(prefill.median()),
            "generate_tok_s": tenths(decode.median()),
            "prompt_rates": prefill.json(),
            "generate_rates": decode.json(),
            "sequences": args.sequences,
            "together_rates": together.as_ref().map(Rates::json),
        }))?;
    } else {
        context.say(prefill.text(&format!("prompt {}", args.prompt)))?;
        context.say(decode.text(&format!("generate {}@{}", args.generate, args.depth)))?;
        if let Some(together) = together {
            context.say(together.text(&format!("{} at once", args.sequences)))?;
        }
    }
    Ok(Exit::Done)
}
