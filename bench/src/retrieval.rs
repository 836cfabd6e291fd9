//! Ranking the documents of a test collection, one leg against both together.
//!
//! The weight of the fusion is chosen on one half of the queries and reported
//! on the other, so that the choice does not flatter the figure. The single leg
//! it is compared with is the one that is better on the reported half itself,
//! which flatters the leg.

use std::path::PathBuf;

use anyhow::Context as _;
use plumb_infer::Embedder;
use plumb_metrics::{
    Comparison, Estimate, Gain, Ranking, Resampling, SplitMix64, compare, estimate_mean, mean,
};
use plumb_retrieve::{Fusion, Mode};
use serde_json::{Value, json};

use crate::cranfield::{self, Collection, Query};
use crate::flags::EmbedderFlags;
use crate::index::{Index, Prepared};
use crate::machine::Setting;
use crate::{home, report};

/// The cut of both measures.
const K: usize = 10;

/// Ranks documents by words, by meaning, and by both.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Folder with `cran.all.1400`, `cran.qry` and `cranqrel`
    #[arg(long)]
    collection: PathBuf,

    #[command(flatten)]
    embedder: EmbedderFlags,

    /// Seed of the split into halves and of the resampling
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Folder for the results
    #[arg(long, default_value_os_t = home().join("results"))]
    out: PathBuf,
}

/// What one way of ranking scored on each query.
#[derive(Clone, Debug)]
struct System {
    name: String,
    mode: Mode,
    ndcg: Vec<f64>,
    recall: Vec<f64>,
}

/// Runs the suite, prints and writes the summary.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let collection = cranfield::load(&flags.collection)?;
    let embedder = flags.embedder.load()?;
    let index = index(&collection, &embedder)?;
    // A query without relevant documents has no value; say how many there are.
    let queries: Vec<&Query> =
        collection.queries.iter().filter(|query| query.gains.values().any(|g| *g > 0.0)).collect();
    let mut prepared = Vec::new();
    for query in &queries {
        prepared.push(index.prepare(&query.text, embedder.embed_query(&query.text)?));
    }
    let mut systems = Vec::new();
    for (name, mode) in modes() {
        systems.push(score(&index, name, mode, &queries, &prepared)?);
    }
    let outcome = Outcome::of(&systems, flags.seed)?;
    let dropped = collection.queries.len() - queries.len();
    let setting = Setting::now();
    let facts = format!(
        "{} documents, {} queries ({dropped} without a relevant document left out), {}-dimensional vectors, seed {}",
        collection.documents.len(),
        queries.len(),
        embedder.dimension(),
        flags.seed
    );
    let page = page(&systems, &outcome, &setting, &facts)?;
    let object = object(&systems, &outcome, &setting, &facts)?;
    let written = report::write(&flags.out, "retrieval-cranfield", &page, &object)?;
    report::say(&format!("{page}\n{written}"));
    Ok(())
}

fn index(collection: &Collection, embedder: &Embedder) -> anyhow::Result<Index> {
    let passages: Vec<String> =
        collection.documents.iter().map(cranfield::Document::passage).collect();
    let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
    Index::build(&collection.documents, embedder.embed_documents(&passages)?)
}

/// Every way of ranking that is tried: the two legs, reciprocal ranks, weights.
fn modes() -> Vec<(String, Mode)> {
    let mut modes = vec![
        ("BM25".to_owned(), Mode::Lexical),
        ("dense".to_owned(), Mode::Dense),
        ("reciprocal rank, k = 60".to_owned(), Mode::Fused(Fusion::ReciprocalRank { k: 60.0 })),
    ];
    modes.extend((1..10_u8).map(|tenths| {
        let dense_weight = f32::from(tenths) / 10.0;
        let name = format!("weighted, dense {dense_weight:.1}");
        (name, Mode::Fused(Fusion::Weighted { dense_weight }))
    }));
    modes
}

fn score(
    index: &Index,
    name: String,
    mode: Mode,
    queries: &[&Query],
    prepared: &[Prepared],
) -> anyhow::Result<System> {
    let mut system = System { name, mode, ndcg: Vec::new(), recall: Vec::new() };
    for (query, prepared) in queries.iter().zip(prepared) {
        let ranked = index.search(prepared, mode, K)?;
        let gain = |number: &usize| query.gains.get(number).copied().unwrap_or(0.0);
        let ranked: Vec<f64> = ranked.iter().map(gain).collect();
        let judged: Vec<f64> = query.gains.values().copied().collect();
        let ranking = Ranking::new(&ranked, &judged)?;
        let missing = "the query has no relevant document";
        system.ndcg.push(ranking.ndcg(K, Gain::Linear).context(missing)?);
        system.recall.push(ranking.recall(K).context(missing)?);
    }
    Ok(system)
}

/// The choice on one half of the queries, and what it is worth on the other.
#[derive(Debug)]
struct Outcome {
    /// Places of the queries reported on.
    reported: Vec<usize>,
    /// Place of the weighted system chosen on the other queries.
    chosen: usize,
    /// Place of the leg that is better on the reported queries.
    leg: usize,
    ndcg: Comparison,
    recall: Comparison,
    how: Resampling,
}

impl Outcome {
    fn of(systems: &[System], seed: u64) -> anyhow::Result<Self> {
        let count = systems.first().map_or(0, |system| system.ndcg.len());
        let mut order: Vec<usize> = (0..count).collect();
        SplitMix64::new(seed).shuffle(&mut order);
        let (tuned, reported) = order.split_at(count / 2);
        let is_weighted =
            |system: &System| matches!(system.mode, Mode::Fused(Fusion::Weighted { .. }));
        let is_leg = |system: &System| !matches!(system.mode, Mode::Fused(_));
        let chosen = best(systems, is_weighted, tuned)?;
        let leg = best(systems, is_leg, reported)?;
        let how = Resampling { seed, ..Resampling::default() };
        let against = |of: fn(&System) -> &[f64]| {
            let (left, right) = (of(&systems[chosen]), of(&systems[leg]));
            compare(&pick(left, reported), &pick(right, reported), &how)
        };
        let (ndcg, recall) = (against(|s| &s.ndcg)?, against(|s| &s.recall)?);
        Ok(Self { reported: reported.to_vec(), chosen, leg, ndcg, recall, how })
    }
}

/// Place of the system with the highest mean nDCG on some queries; the earlier
/// of equals.
fn best(
    systems: &[System],
    counts: impl Fn(&System) -> bool,
    queries: &[usize],
) -> anyhow::Result<usize> {
    let mut best: Option<(f64, usize)> = None;
    for (place, system) in systems.iter().enumerate().filter(|(_, system)| counts(system)) {
        let value = mean(&pick(&system.ndcg, queries))?;
        if best.is_none_or(|(most, _)| value > most) {
            best = Some((value, place));
        }
    }
    best.map(|(_, place)| place).context("there is nothing to choose from")
}

fn pick(values: &[f64], places: &[usize]) -> Vec<f64> {
    places.iter().map(|place| values[*place]).collect()
}

fn page(
    systems: &[System],
    outcome: &Outcome,
    setting: &Setting,
    facts: &str,
) -> anyhow::Result<String> {
    let all: Vec<usize> = (0..systems[0].ndcg.len()).collect();
    let chosen = &systems[outcome.chosen].name;
    let leg = &systems[outcome.leg].name;
    Ok(format!(
        "# Retrieval on Cranfield\n\n{}.\n\n{facts}. Gains are 4 to 1 for the codes 1 to 4, linear. \
         Intervals: 95 %, bias-corrected bootstrap over queries, {} resamples.\n\n\
         ## Weight chosen on one half, reported on the other\n\n\
         Chosen on {} queries: {chosen}. On the other {}:\n\n{}\n\
         {chosen} less {leg} (the better leg on these queries):\n\n{}\n\
         ## All queries\n\nNothing is tuned here; the weights are shown side by side.\n\n{}",
        setting.line(),
        outcome.how.resamples,
        all.len() - outcome.reported.len(),
        outcome.reported.len(),
        means(systems, &outcome.reported, &outcome.how)?,
        comparisons(outcome),
        means(systems, &all, &outcome.how)?,
    ))
}

fn means(systems: &[System], queries: &[usize], how: &Resampling) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for system in systems {
        let ndcg = estimate_mean(&pick(&system.ndcg, queries), how)?;
        let recall = estimate_mean(&pick(&system.recall, queries), how)?;
        rows.push(vec![system.name.clone(), cell(&ndcg), cell(&recall)]);
    }
    Ok(report::table(&["ranking", "nDCG@10", "recall@10"], &rows))
}

fn comparisons(outcome: &Outcome) -> String {
    let row = |name: &str, found: &Comparison| {
        let p = |value: f64| format!("{value:.4}");
        let difference = cell(&found.difference);
        vec![name.to_owned(), difference, p(found.randomisation_p), p(found.bootstrap_p)]
    };
    let rows = [row("nDCG@10", &outcome.ndcg), row("recall@10", &outcome.recall)];
    report::table(&["measure", "difference", "p, randomisation", "p, bootstrap"], &rows)
}

fn cell(found: &Estimate) -> String {
    format!("{:.4} ({:.4} to {:.4})", found.mean, found.low, found.high)
}

fn object(
    systems: &[System],
    outcome: &Outcome,
    setting: &Setting,
    facts: &str,
) -> anyhow::Result<Value> {
    let estimate = |values: &[f64], queries: &[usize]| -> anyhow::Result<Value> {
        let found = estimate_mean(&pick(values, queries), &outcome.how)?;
        Ok(json!({ "mean": found.mean, "interval_95": [found.low, found.high] }))
    };
    let all: Vec<usize> = (0..systems[0].ndcg.len()).collect();
    let mut rows = Vec::new();
    for system in systems {
        rows.push(json!({
            "ranking": system.name,
            "all": {
                "ndcg_10": estimate(&system.ndcg, &all)?,
                "recall_10": estimate(&system.recall, &all)?,
            },
            "reported_half": {
                "ndcg_10": estimate(&system.ndcg, &outcome.reported)?,
                "recall_10": estimate(&system.recall, &outcome.reported)?,
            },
        }));
    }
    let comparison = |found: &Comparison| {
        json!({
            "difference": found.difference.mean,
            "interval_95": [found.difference.low, found.difference.high],
            "p_randomisation": found.randomisation_p,
            "p_bootstrap": found.bootstrap_p,
        })
    };
    Ok(json!({
        "suite": "retrieval",
        "collection": "cranfield",
        "facts": facts,
        "setting": setting.json(),
        "rankings": rows,
        "chosen": systems[outcome.chosen].name,
        "best_leg": systems[outcome.leg].name,
        "chosen_less_best_leg": {
            "ndcg_10": comparison(&outcome.ndcg),
            "recall_10": comparison(&outcome.recall),
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(name: &str, mode: Mode, ndcg: &[f64]) -> System {
        System { name: name.to_owned(), mode, ndcg: ndcg.to_vec(), recall: ndcg.to_vec() }
    }

    #[test]
    fn the_weight_is_chosen_without_a_look_at_the_reported_half() {
        let count = 40;
        let mut order: Vec<usize> = (0..count).collect();
        SplitMix64::new(9).shuffle(&mut order);
        let weighted = |dense_weight| Mode::Fused(Fusion::Weighted { dense_weight });
        let (mut low, mut high) = (vec![0.5; count], vec![0.5; count]);
        for (place, query) in order.iter().enumerate() {
            // `low` is better on the first half of the order, worse on the other.
            low[*query] = if place < count / 2 { 0.9 } else { 0.1 };
            high[*query] = if place < count / 2 { 0.2 } else { 1.0 };
        }
        let systems = [
            system("words", Mode::Lexical, &vec![0.3; count]),
            system("meaning", Mode::Dense, &vec![0.4; count]),
            system("low", weighted(0.2), &low),
            system("high", weighted(0.8), &high),
        ];
        let outcome = Outcome::of(&systems, 9).unwrap();
        assert_eq!((outcome.chosen, outcome.leg), (2, 1));
        assert!((outcome.ndcg.difference.mean + 0.3).abs() < 1e-12);
        let setting = Setting::now();
        assert!(page(&systems, &outcome, &setting, "facts").unwrap().contains("low less meaning"));
        assert_eq!(object(&systems, &outcome, &setting, "facts").unwrap()["chosen"], "low");
    }

    #[test]
    fn every_weight_is_tried_once() {
        let modes = modes();
        assert_eq!(modes.len(), 12);
        assert_eq!(modes[11].0, "weighted, dense 0.9");
    }
}
