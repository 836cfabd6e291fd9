//! `plumb search`: passages with their ranks and both scores.

use anyhow::{Result, bail};
use plumb_retrieve::{Bm25, Filter, Hit, Mode, Query};
use plumb_store::Snapshot;
use serde_json::json;

use crate::add::shown;
use crate::config::ModeName;
use crate::context::Context;
use crate::exit::Exit;
use crate::project::{Project, analyzer};

/// Find passages
#[derive(clap::Args, Debug)]
pub struct SearchArgs {
    /// What to search for
    query: String,

    /// Passages wanted
    #[arg(long, short = 'k', default_value_t = 10)]
    top_k: usize,

    /// What to rank by (default: the project's setting)
    #[arg(long, value_enum)]
    mode: Option<ModeName>,

    /// Weight of the vectors in the fused score, from 0 to 1
    #[arg(long, value_name = "WEIGHT")]
    dense_weight: Option<f32>,

    /// Only passages of documents that fit, such as 'path ~ "guide/" and date >= 2024-01-01'
    #[arg(long = "where", value_name = "FILTER")]
    filter: Option<String>,

    /// Search an earlier snapshot
    #[arg(long, value_name = "SNAPSHOT")]
    as_of: Option<String>,
}

pub fn run(args: &SearchArgs, context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    let filter = args.filter.as_deref().map(Filter::parse).transpose()?;
    let mode = mode(args, project.config.mode)?;
    let snapshot = match &args.as_of {
        Some(prefix) => project.snapshot_named(prefix)?,
        None => project.snapshot()?,
    };
    let vector = match mode {
        Mode::Lexical => None,
        Mode::Dense | Mode::Fused(_) => {
            let loaded = project.embedder(context, &snapshot)?;
            Some(loaded.embedder.embed_query(&args.query)?)
        }
    };
    let query = Query {
        terms: &analyzer().terms(&args.query),
        vector: vector.as_deref(),
        top_k: args.top_k,
        mode,
        bm25: Bm25::default(),
        filter: filter.as_ref(),
    };
    let hits = plumb_retrieve::search(&snapshot, &query)?;
    print(&hits, &snapshot, context)?;
    Ok(Exit::Done)
}

fn mode(args: &SearchArgs, setting: Mode) -> Result<Mode> {
    let alone = |name: &str, mode| match args.dense_weight {
        Some(weight) => bail!(
            "--dense-weight is {weight}, but --mode {name} fuses nothing: leave one of the two out"
        ),
        None => Ok(mode),
    };
    Ok(match (args.mode, args.dense_weight) {
        (Some(ModeName::Dense), _) => alone("dense", Mode::Dense)?,
        (Some(ModeName::Lexical), _) => alone("lexical", Mode::Lexical)?,
        (Some(ModeName::Fused) | None, Some(weight)) => {
            Mode::Fused(setting.fusion().with_weight(weight))
        }
        (Some(ModeName::Fused), None) => Mode::Fused(setting.fusion()),
        (None, None) => setting,
    })
}

fn print(hits: &[Hit], snapshot: &Snapshot, context: &Context) -> Result<()> {
    let mut list = Vec::new();
    for hit in hits {
        let passage = snapshot.passage(hit.passage)?;
        if context.json {
            list.push(json!({
                "rank": hit.rank,
                "score": hit.score,
                "dense": hit.dense,
                "dense_rank": hit.dense_rank,
                "lexical": hit.lexical,
                "lexical_rank": hit.lexical_rank,
                "uri": hit.uri,
                "byte_range": [passage.range.start, passage.range.end],
                "heading_path": passage.heading_path,
                "page": passage.page,
                "part": passage.part,
                "text": passage.text,
                "also_in": hit.also_in.iter().map(|other| &other.uri).collect::<Vec<_>>(),
            }));
            continue;
        }
        let place = |score: Option<f32>, rank: Option<usize>| match (score, rank) {
            (Some(score), Some(rank)) => format!("{score:.3} (#{rank})"),
            _ => "-".to_owned(),
        };
        let dense = place(hit.dense, hit.dense_rank);
        let lexical = place(hit.lexical, hit.lexical_rank);
        context.say(format!(
            "{:2}. {:.3}  dense {dense}  bm25 {lexical}  {}, bytes {}-{}",
            hit.rank,
            hit.score,
            shown(&hit.uri),
            passage.range.start,
            passage.range.end
        ))?;
        if !passage.heading_path.is_empty() {
            context.say(format!("    {}", passage.heading_path.join(" > ")))?;
        }
        let text = passage.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let short: String = text.chars().take(240).collect();
        let dots = if short.len() < text.len() { " ..." } else { "" };
        context.say(format!("    {short}{dots}\n"))?;
    }
    if context.json {
        context.print_json(&list)?;
    } else if hits.is_empty() {
        context.say("nothing found")?;
    }
    Ok(())
}
