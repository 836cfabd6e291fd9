//! `plumb model logits`: what a model expects to come next.

use anyhow::{Context as _, Result};
use plumb_infer::LanguageModel;
use plumb_text::Special;
use serde_json::json;

use super::locate;
use crate::context::Context;
use crate::project;

#[derive(clap::Args, Debug)]
pub struct LogitsArgs {
    /// A name of `plumb model list`, or a path
    model: String,

    /// The text that is read, with the tokens that the model wants before it
    #[arg(long)]
    prompt: String,

    /// Compute as generation does, in integers, not in 32-bit floats
    #[arg(long)]
    packed: bool,

    /// How many of the highest logits
    #[arg(long, default_value_t = 100)]
    top: usize,
}

/// Runs the verb.
pub(super) fn run(args: &LogitsArgs, context: &Context) -> Result<()> {
    let config = project::resolve(context, &context.folder)?;
    let located = locate(context, &args.model)?;
    let model = if args.packed {
        located.generator(config.threads, config.kv_cache.into())
    } else {
        LanguageModel::load_exact(&located.path, config.threads)
    };
    let model = model.with_context(|| format!("cannot load the generator `{}`", located.name))?;
    let tokens = model.tokenizer().encode(&args.prompt, Special::Add)?;
    let logits = model.logits(&tokens)?;
    let mut top: Vec<(u32, f32)> = (0..).zip(logits).collect();
    top.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    top.truncate(args.top);
    if context.json {
        return context.print_json(&json!({"tokens": tokens, "top": top}));
    }
    for (token, logit) in top {
        let piece = model.tokenizer().piece_bytes(token);
        context.say(format!("{token:7}  {logit:9.4}  {:?}", String::from_utf8_lossy(&piece)))?;
    }
    Ok(())
}
