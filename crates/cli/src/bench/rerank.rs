//! `plumb bench rerank`: pairs and tokens a second of a reranker.

use std::time::Instant;

use anyhow::{Context as _, Result};
use plumb_infer::Reranker;
use serde_json::json;

use super::{Rates, tenths};
use crate::context::Context;
use crate::exit::Exit;
use crate::models::locate;
use crate::project;

#[derive(clap::Args, Debug)]
pub struct RerankArgs {
    /// A name of `plumb model list`, or a path
    model: String,

    /// Passages for the query
    #[arg(long, default_value_t = 32)]
    batch: usize,

    /// Tokens of query and passage together
    #[arg(long, default_value_t = 128)]
    length: usize,

    /// Times that it is measured
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

pub(super) fn run(args: &RerankArgs, context: &Context) -> Result<Exit> {
    let threads = project::resolve(context, &context.folder)?.threads;
    let located = locate(context, &args.model)?;
    let reranker = Reranker::load(&located.path, threads)
        .with_context(|| format!("cannot load the reranker `{}`", located.name))?;
    let length = args.length.min(reranker.max_tokens());
    let query = ["house"; 8].join(" ");
    let passage = passage(&reranker, &query, length)?;
    let passages = vec![passage.as_str(); args.batch.max(1)];
    let tokens = passages.len() * reranker.count_tokens(&query, &passage)?;
    reranker.scores(&query, &passages)?;
    let rates = Rates::measure(context, (args.runs, tokens), || {
        let started = Instant::now();
        reranker.scores(&query, &passages)?;
        Ok(started.elapsed().as_secs_f64())
    })?;
    if context.json {
        let pairs = rates.median() * passages.len() as f64 / tokens as f64;
        context.print_json(&json!({
            "model": located.name,
            "sha256": located.sha256,
            "threads": threads,
            "batch": args.batch,
            "length": tokens / passages.len(),
            "tok_s": tenths(rates.median()),
            "pair_s": tenths(pairs),
            "rates": rates.json(),
        }))?;
    } else {
        context.say(rates.text(&format!("rerank {}x{length}", args.batch)))?;
    }
    Ok(Exit::Done)
}

/// Words until the pair has `length` tokens.
fn passage(reranker: &Reranker, query: &str, length: usize) -> Result<String> {
    let mut passage = "house".to_owned();
    while reranker.count_tokens(query, &passage)? < length {
        passage.push_str(" house");
    }
    Ok(passage)
}
