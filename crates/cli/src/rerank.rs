//! `plumb rerank`: passages in, the best first out.

use std::io::{self, BufRead, Write};

use anyhow::{Context as _, Result};
use plumb_infer::Reranker;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::models::locate;
use crate::project;

/// Sort passages by how well they answer a query
#[derive(clap::Args, Debug)]
pub struct RerankArgs {
    /// What the passages are to answer
    query: String,

    /// A reranker: a name of `plumb model list`, or a path
    #[arg(long)]
    model: String,

    /// Print only so many
    #[arg(long)]
    top: Option<usize>,
}

/// Runs the command: reads a passage a line, prints score and line.
pub fn run(args: &RerankArgs, context: &Context) -> Result<Exit> {
    let threads = project::resolve(context, &context.folder)?.threads;
    let located = locate(context, &args.model)?;
    let reranker = Reranker::load(&located.path, threads)
        .with_context(|| format!("cannot load the reranker `{}`", located.name))?;
    let lines: Vec<String> =
        io::stdin().lock().lines().collect::<Result<_, _>>().context("cannot read the passages")?;
    let passages: Vec<&str> = lines.iter().map(String::as_str).collect();
    let scores = reranker.scores(&args.query, &passages)?;
    let mut order: Vec<usize> = (0..passages.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.truncate(args.top.unwrap_or(passages.len()));
    if context.json {
        let results: Vec<_> = order
            .iter()
            .map(|&i| json!({"index": i, "score": scores[i], "text": passages[i]}))
            .collect();
        context.print_json(&json!({"model": located.name, "results": results}))?;
        return Ok(Exit::Done);
    }
    let mut out = io::stdout().lock();
    for i in order {
        writeln!(out, "{:8.4}  {}", scores[i], passages[i])?;
    }
    Ok(Exit::Done)
}
