//! `plumb generate`: a model's continuation of a prompt, without documents.

mod constraint;
mod flags;
mod output;

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use anyhow::{Context as _, Result};
use plumb_infer::{
    BeamSearch, Choices, Constraint, Finish, Generation, Grammar, LanguageModel, Options,
};
use plumb_text::{Message, Special};

use self::constraint::Source;
use self::flags::{BeamFlags, GrammarFlags, SamplingFlags};
use crate::ask::go_on;
use crate::config::KvCacheName;
use crate::context::Context;
use crate::exit::Exit;
use crate::models::{Located, locate};
use crate::project;

/// Let a model continue a prompt
///
/// Prints the text as it is written. Without sampling options the most likely
/// token is always taken; with them, the same seed gives the same text. Ctrl-C
/// ends with what was written.
#[derive(clap::Args, Debug)]
pub struct GenerateArgs {
    /// A name of `plumb model list`, or a path
    model: String,

    /// What to answer or continue; `-` or nothing reads standard input
    prompt: Option<String>,

    /// Continue the prompt as it is, without the model's chat template
    ///
    /// Control tokens that are spelt out in it count as such.
    #[arg(long)]
    raw: bool,

    /// Tokens after which generation ends
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_tokens: usize,

    /// Text before which generation ends; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,

    /// Continuations, each with a seed derived from --seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    n: usize,

    /// Generate so many and print the --n with the highest mean log-probability
    #[arg(long, value_name = "N")]
    best_of: Option<usize>,

    /// Say how likely the model thought each token, and this many others
    #[arg(long, value_name = "N")]
    logprobs: Option<usize>,

    /// Read one token after the other, also where the text repeats itself; the
    /// output is the same
    #[arg(long)]
    no_speculation: bool,

    /// How keys and values are kept [default: `models.kv_cache` of plumb.toml, or f16]
    #[arg(long, value_enum, value_name = "TYPE")]
    kv_cache: Option<KvCacheName>,

    #[command(flatten)]
    sampling: SamplingFlags,

    #[command(flatten)]
    grammar: GrammarFlags,

    #[command(flatten)]
    beam: BeamFlags,
}

pub fn run(args: &GenerateArgs, context: &Context) -> Result<Exit> {
    let options = Options {
        max_tokens: args.max_tokens,
        sampling: args.sampling.resolve(),
        stop: args.stop.clone(),
        logprobs: args.logprobs,
        speculation: !args.no_speculation,
        ..Options::default()
    };
    options.check()?;
    let source = Source::read(&args.grammar)?;
    let text = prompt_text(args.prompt.as_deref())?;
    let config = project::resolve(context, &context.folder)?;
    let located = locate(context, &args.model)?;
    let model = located
        .generator(config.threads, args.kv_cache.unwrap_or(config.kv_cache).into())
        .with_context(|| format!("cannot load the generator `{}`", located.name))?;
    let prompt = encode(&model, &text, args.raw)?;
    let job = Job { model: &model, located: &located, prompt: &prompt, context };
    if let Some(search) = args.beam.resolve(args.max_tokens) {
        return job.search(&search);
    }
    let grammar = source.compile(|| model.grammar_vocabulary())?;
    let choices = Choices { options, n: args.n, best_of: args.best_of.unwrap_or(args.n) };
    job.generate(&choices, grammar.as_ref())
}

/// The prompt of the command line, or standard input without its last newline.
fn prompt_text(given: Option<&str>) -> Result<String> {
    match given {
        Some(text) if text != "-" => Ok(text.to_owned()),
        _ => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("cannot read standard input as UTF-8")?;
            let line = text.strip_suffix('\n').unwrap_or(&text);
            Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
        }
    }
}

fn encode(model: &LanguageModel, text: &str, is_raw: bool) -> Result<Vec<u32>> {
    let tokenizer = model.tokenizer();
    if is_raw {
        return Ok(tokenizer.encode(text, Special::AddAndParse)?);
    }
    // What is piped in may come from anywhere, and must not end its turn.
    Ok(model.chat_prompt(&[Message::new("user", &tokenizer.defuse(text))])?)
}

/// A prompt in front of a model.
struct Job<'a> {
    model: &'a LanguageModel,
    located: &'a Located,
    prompt: &'a [u32],
    context: &'a Context,
}

impl Job<'_> {
    fn generate(&self, choices: &Choices, grammar: Option<&Grammar>) -> Result<Exit> {
        let (context, mut failed) = (self.context, None);
        // Several texts at once would be a tangle.
        let streams = !context.json && choices.best_of == 1;
        let mut on_piece = |_: usize, piece: &str| {
            if streams && let Err(error) = print(piece) {
                failed = Some(error);
                return ControlFlow::Break(());
            }
            go_on(context)
        };
        let mut constraint =
            || grammar.map(|grammar| Box::new(grammar.constraint()) as Box<dyn Constraint>);
        let all = self.model.generate_many(self.prompt, choices, &mut constraint, &mut on_piece)?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        if context.json {
            context.print_json(&output::generated(self.located, self.model, &all))?;
        } else {
            self.print_all(&all, streams)?;
        }
        let is_cancelled = all.iter().any(|done| done.finish == Finish::Cancelled);
        Ok(if is_cancelled { Exit::Interrupted } else { Exit::Done })
    }

    /// Prints what was not printed while it was written.
    fn print_all(&self, all: &[Generation], is_printed: bool) -> Result<()> {
        for (i, done) in (1..).zip(all) {
            if is_printed {
                self.context.say("")?;
            } else {
                self.context.say(format!("--- {i}\n{}", done.text))?;
            }
            for token in done.logprobs.iter().flatten() {
                self.context.say(output::logprob_line(self.model, token))?;
            }
        }
        Ok(())
    }

    fn search(&self, search: &BeamSearch) -> Result<Exit> {
        let context = self.context;
        let found = self.model.generate_beams(self.prompt, search, &mut || go_on(context))?;
        if context.json {
            context.print_json(&output::searched(self.located, self.prompt.len(), &found))?;
        } else if let Some((_, text)) = found.first() {
            context.say(text)?;
        }
        Ok(if context.stop.is_set() { Exit::Interrupted } else { Exit::Done })
    }
}

fn print(piece: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(piece.as_bytes())?;
    out.flush()
}
