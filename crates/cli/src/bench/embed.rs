//! `plumb bench embed`: texts and tokens a second of an embedder.

use std::time::Instant;

use anyhow::{Context as _, Result};
use plumb_infer::Embedder;
use serde_json::json;

use super::{Rates, tenths};
use crate::context::Context;
use crate::exit::Exit;
use crate::models::locate;
use crate::project;

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

pub(super) fn run(args: &EmbedArgs, context: &Context) -> Result<Exit> {
    let threads = project::resolve(context, &context.folder)?.threads;
    let located = locate(context, &args.model)?;
    let embedder = Embedder::load(&located.path, threads)
        .with_context(|| format!("cannot load the embedder `{}`", located.name))?;
    // A common word is one token; two more stand around a text.
    let text = vec!["house"; args.length.saturating_sub(2).max(1)].join(" ");
    let batch = vec![text.as_str(); args.batch.max(1)];
    let tokens = batch.len() * (embedder.count_tokens(&text)? + 2);
    embedder.embed_plain(&batch)?;
    let rates = Rates::measure(context, (args.runs, tokens), || {
        let started = Instant::now();
        embedder.embed_plain(&batch)?;
        Ok(started.elapsed().as_secs_f64())
    })?;
    if context.json {
        let texts = rates.median() * batch.len() as f64 / tokens as f64;
        context.print_json(&json!({
            "model": located.name,
            "sha256": located.sha256,
            "threads": threads,
            "batch": args.batch,
            "length": args.length,
            "tok_s": tenths(rates.median()),
            "seq_s": tenths(texts),
            "rates": rates.json(),
        }))?;
    } else {
        context.say(rates.text(&format!("embed {}x{}", args.batch, args.length)))?;
    }
    Ok(Exit::Done)
}
