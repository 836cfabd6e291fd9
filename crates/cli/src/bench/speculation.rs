//! `plumb bench speculation`: what drafts from the context gain where a text
//! quotes its prompt, and what they cost where it copies nothing.

use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plumb_infer::{Constraint, LanguageModel, Options, Timings};
use plumb_metrics::{Estimate, Resampling, estimate_mean};
use plumb_text::Special;
use serde::Serialize;
use serde_json::json;

use super::{quantiles, tenths};
use crate::context::Context;
use crate::demo;
use crate::exit::Exit;
use crate::models::locate;
use crate::project;

/// What drafts may make of the rate where they are of no use, at least.
const BAR: f64 = 0.97;

#[derive(clap::Args, Debug)]
pub struct SpeculationArgs {
    /// A name of `plumb model list`, or a path
    model: String,

    /// The text to take prompts and continuations from, as UTF-8 [default: the handbook]
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,

    /// Tokens of a prompt
    #[arg(long, default_value_t = 512)]
    prompt: usize,

    /// Tokens that are generated
    #[arg(long, default_value_t = 96)]
    generate: usize,

    /// Rounds, in each of which each is measured with and without drafts
    #[arg(long, default_value_t = 10)]
    rounds: usize,
}

/// Lets only these tokens follow, one after the other, so that a model says a
/// text that is known before, and takes a pass for each token of it.
struct Say<'a>(&'a [u32]);

impl Constraint for Say<'_> {
    fn mask(&mut self, generated: &[u32], logits: &mut [f32]) {
        let next = self.0.get(generated.len()).and_then(|&token| logits.get_mut(token as usize));
        if let Some(logit) = next {
            *logit = f32::MAX;
        }
    }
}

/// Texts of one kind.
#[derive(Default)]
struct Kind {
    /// Tokens a second.
    without: Vec<f64>,
    with: Vec<f64>,
    drafted: usize,
    accepted: usize,
}

#[derive(Serialize)]
struct Found {
    /// Of the rates with drafts and without, round by round.
    ratio: f64,
    /// Of 95 % confidence.
    interval: [f64; 2],
    lowest: f64,
    without_tok_s: f64,
    with_tok_s: f64,
    drafted: usize,
    accepted: usize,
}

pub(super) fn run(args: &SpeculationArgs, context: &Context) -> Result<Exit> {
    let config = project::resolve(context, &context.folder)?;
    let located = locate(context, &args.model)?;
    let model = located
        .generator(config.threads, config.kv_cache.into())
        .with_context(|| format!("cannot load the generator `{}`", located.name))?;
    if args.rounds < 2 || args.generate < 2 || args.prompt < args.generate {
        bail!("at least 2 rounds, 2 tokens and a prompt of as many tokens are needed");
    }
    let tokens = tokens(args, &model)?;
    let (mut plain, mut quoting) = (Kind::default(), Kind::default());
    let bar = context.progress(args.rounds as u64, "{bar:30} {pos}/{len} rounds");
    // What passes take is measured by the first, as it is where a model serves.
    for round in 0..=args.rounds {
        let (prompt, next, quoted) = stretches(args, tokens.len(), round)?;
        let kinds = [(&mut plain, next), (&mut quoting, quoted)];
        for (kind, text) in kinds {
            let mut warm_up = Kind::default();
            let kind = if round == 0 { &mut warm_up } else { kind };
            let say = (&tokens[prompt.clone()], &tokens[text]);
            // Which goes first changes, as the machine's speed does.
            for with in if round.is_multiple_of(2) { [true, false] } else { [false, true] } {
                if context.stop.is_set() {
                    bail!("interrupted");
                }
                kind.add(with, once(&model, say, with)?, args.generate);
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let found = [plain.found()?, quoting.found()?];
    if context.json {
        context.print_json(&json!({
            "model": located.name, "sha256": located.sha256, "threads": config.threads,
            "prompt": args.prompt, "generate": args.generate, "rounds": args.rounds,
            "copies_nothing": found[0], "quotes_prompt": found[1],
            "bar": BAR, "is_met": BAR <= found[0].ratio,
        }))?;
    } else {
        for (name, found) in ["copies nothing", "quotes its prompt"].iter().zip(&found) {
            context.say(format!(
                "{name:18} {:.3} of the rate without drafts ({:.3} to {:.3}, lowest {:.3}): \
                 {:.1} to {:.1} tok/s, {} of {} drafted tokens came",
                found.ratio,
                found.interval[0],
                found.interval[1],
                found.lowest,
                found.without_tok_s,
                found.with_tok_s,
                found.accepted,
                found.drafted
            ))?;
        }
    }
    Ok(Exit::Done)
}

fn tokens(args: &SpeculationArgs, model: &LanguageModel) -> Result<Vec<u32>> {
    let text = match &args.text {
        Some(path) => fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}` as UTF-8", path.display()))?,
        None => demo::handbook(),
    };
    let mut tokens = model.tokenizer().encode(&text, Special::Plain)?;
    let stops = model.tokenizer().stop_ids();
    tokens.retain(|token| !stops.contains(token));
    let (needed, context) = (2 * (args.prompt + args.generate), model.context());
    if tokens.len() < needed {
        bail!("the text has {} tokens; {needed} are needed", tokens.len());
    }
    if context < args.prompt + args.generate {
        bail!("the model holds {context} tokens: choose a shorter --prompt");
    }
    Ok(tokens)
}

/// Where in a text of `tokens` tokens a round finds its prompt, a text that is
/// far from it, and one that is part of it.
fn stretches(
    args: &SpeculationArgs,
    tokens: usize,
    round: usize,
) -> Result<(Range<usize>, Range<usize>, Range<usize>)> {
    let half = tokens / 2;
    let place = |room: usize| (round * 7919) % room.max(1);
    let start = place(half.checked_sub(args.prompt).context("half a text holds a prompt")?);
    let next = half + place(tokens - half - args.generate);
    let quoted = start + place(args.prompt - args.generate);
    Ok((start..start + args.prompt, next..next + args.generate, quoted..quoted + args.generate))
}

fn once(
    model: &LanguageModel,
    (prompt, text): (&[u32], &[u32]),
    speculation: bool,
) -> Result<Timings> {
    let options = Options { max_tokens: text.len(), speculation, ..Options::default() };
    let mut go_on = |_: &str| ControlFlow::Continue(());
    let done = model.generate(prompt, &options, Some(&mut Say(text)), &mut go_on)?;
    if done.tokens != text {
        bail!("the model said {} of {} tokens", done.tokens.len(), text.len());
    }
    Ok(done.timings)
}

impl Kind {
    fn add(&mut self, with: bool, timings: Timings, tokens: usize) {
        // The first token follows from the prompt.
        let rate = (tokens - 1) as f64 / timings.decode.as_secs_f64().max(1e-9);
        if with { &mut self.with } else { &mut self.without }.push(rate);
        self.drafted += timings.drafted_tokens;
        self.accepted += timings.accepted_tokens;
    }

    fn found(&self) -> Result<Found> {
        let rounds = self.with.iter().zip(&self.without);
        let ratios: Vec<f64> = rounds.map(|(with, without)| with / without).collect();
        let Estimate { mean, low, high, .. } = estimate_mean(&ratios, &Resampling::default())?;
        let median = |rates: &[f64]| tenths(quantiles(rates)[0]);
        Ok(Found {
            ratio: thousandths(mean),
            interval: [low, high].map(thousandths),
            lowest: thousandths(ratios.iter().copied().fold(f64::INFINITY, f64::min)),
            without_tok_s: median(&self.without),
            with_tok_s: median(&self.with),
            drafted: self.drafted,
            accepted: self.accepted,
        })
    }
}

fn thousandths(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
