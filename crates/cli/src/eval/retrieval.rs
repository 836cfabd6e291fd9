//! `plumb eval retrieval`: a run against judgements.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use plumb_eval::Score;
use plumb_eval::compare::Values;
use plumb_eval::retrieval::{Evaluated, Measure, Missing, Settings, evaluate};
use plumb_eval::run::Manifest;
use plumb_formats::trec::{Qrels, Run};
use serde_json::{Map, Value, json};

use super::scores::{self, SamplingArgs};
use crate::context::Context;
use crate::exit::Exit;

/// Compare a run with judgements
///
/// Both files have the formats of `trec_eval`, and so do the rules: documents are
/// ordered by score, those of the same score by falling name; unjudged documents
/// are not relevant; a query to which nothing is relevant scores 0.
#[derive(clap::Args, Debug)]
pub struct RetrievalArgs {
    /// What was retrieved: lines of query, Q0, document, rank, score, tag
    #[arg(long, value_name = "FILE")]
    run: PathBuf,

    /// What is relevant: lines of query, 0, document, grade
    #[arg(long, value_name = "FILE")]
    qrels: PathBuf,

    #[command(flatten)]
    judging: JudgingArgs,

    /// Also print the value of each query
    #[arg(long)]
    per_query: bool,

    /// Write the run, with every query, into this folder
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,

    #[command(flatten)]
    sampling: SamplingArgs,
}

/// What decides the values of queries.
#[derive(clap::Args, Debug)]
pub struct JudgingArgs {
    /// What to measure: ndcg, `ndcg_exp`, map, mrr, precision, recall, success,
    /// each perhaps with @K; rprec; bpref
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "ndcg@10,map,mrr,recall@100"
    )]
    metrics: Vec<String>,

    /// Count judged queries that the run lacks as 0, instead of leaving them out
    #[arg(long)]
    complete: bool,

    /// Least grade of a relevant document, for all measures but ndcg
    #[arg(long, value_name = "GRADE", default_value_t = 1)]
    relevant_from: i32,
}

impl JudgingArgs {
    fn settings(&self) -> Settings {
        let missing = if self.complete { Missing::Zero } else { Missing::LeftOut };
        Settings { missing, relevant_from: self.relevant_from }
    }

    /// Everything that decides a value, on one line.
    fn signature(&self, measure: Measure) -> String {
        let missing = if self.complete { "0" } else { "left-out" };
        format!(
            "{measure}|order:score-f32,name-falling|relevant:{}|missing:{missing}|plumb:{}",
            self.relevant_from,
            env!("CARGO_PKG_VERSION")
        )
    }

    /// Scores the run of one file.
    pub(super) fn evaluate(&self, run: &Path, qrels: &Path) -> Result<Evaluated> {
        let mut measures: Vec<Measure> = Vec::new();
        for name in &self.metrics {
            let measure = name.parse()?;
            if !measures.contains(&measure) {
                measures.push(measure);
            }
        }
        let (run_bytes, qrels_bytes) = (scores::read(run)?, scores::read(qrels)?);
        let in_file = |path: &Path| format!("in `{}`", path.display());
        let parsed = Run::parse(&run_bytes).with_context(|| in_file(run))?;
        let judged = Qrels::parse(&qrels_bytes).with_context(|| in_file(qrels))?;
        Ok(evaluate(&parsed, &judged, &measures, self.settings())?)
    }
}

/// Runs the command.
pub(super) fn run(args: &RetrievalArgs, context: &Context) -> Result<Exit> {
    let found = args.judging.evaluate(&args.run, &args.qrels)?;
    let how = args.sampling.resampling();
    let mut results: Vec<(String, Measure, Score)> = Vec::new();
    for (index, measure) in found.measures.iter().enumerate() {
        results.push((measure.to_string(), *measure, found.score(index, &how)?));
    }
    let mut object = Map::new();
    for (name, measure, score) in &results {
        object.insert(name.clone(), scores::as_json(score, &args.judging.signature(*measure)));
    }
    if let Some(folder) = &args.save {
        scores::save(folder, &manifest(args)?, &by_query(&found), &object)?;
    }
    if context.json {
        if args.per_query {
            for (name, values) in by_query(&found) {
                object[&name]["per_query"] = json!(values);
            }
        }
        context.print_json(&Value::Object(object))?;
    } else {
        let named = results.iter().map(|(name, _, score)| (name.as_str(), score));
        scores::print_table(context, named)?;
        if args.per_query {
            print_queries(&found, context)?;
        }
    }
    note_left_out(&found, context);
    Ok(Exit::Done)
}

/// The value of each query by measure; of one that the run lacks, none.
pub(super) fn by_query(found: &Evaluated) -> BTreeMap<String, Values> {
    let values = |measure: usize| -> Values {
        let scored = found.values[measure].iter().map(|value| Some(*value));
        let scored = found.queries.iter().cloned().zip(scored);
        scored.chain(found.unscored.iter().map(|query| (query.clone(), None))).collect()
    };
    let named = found.measures.iter().enumerate();
    named.map(|(index, measure)| (measure.to_string(), values(index))).collect()
}

/// What the run is of.
fn manifest(args: &RetrievalArgs) -> Result<Manifest> {
    let mut manifest = Manifest::new("retrieval", &scores::engine(), scores::now());
    for (role, path) in [("run", &args.run), ("qrels", &args.qrels)] {
        manifest.inputs.push(scores::input(role, path, &scores::read(path)?));
    }
    manifest.settings = json!({
        "metrics": args.judging.metrics,
        "complete": args.judging.complete,
        "relevant_from": args.judging.relevant_from,
        "resampling": scores::describe(&args.sampling.resampling()),
    });
    Ok(manifest)
}

fn print_queries(found: &Evaluated, context: &Context) -> Result<()> {
    let names: Vec<String> =
        found.measures.iter().map(|measure| format!("{:>14}", measure.to_string())).collect();
    context.say(format!("{:20} {}", "query", names.join(" ")))?;
    for (place, query) in found.queries.iter().enumerate() {
        let values: Vec<String> =
            found.values.iter().map(|values| format!("{:14.4}", values[place])).collect();
        context.say(format!("{query:20} {}", values.join(" ")))?;
    }
    Ok(())
}

/// Says which queries are not in the numbers.
fn note_left_out(found: &Evaluated, context: &Context) {
    if !found.unscored.is_empty() {
        context.note(format!(
            "{} judged queries are not in the run and are left out (--complete counts them as 0)",
            found.unscored.len()
        ));
    }
    if found.unjudged > 0 {
        context.note(format!("{} queries of the run were not judged", found.unjudged));
    }
}
