//! `plumb bench`: speed, in the same terms as the peers' scripts.

mod ask;
mod chunks;
mod embed;
mod generate;
mod kernels;
mod perplexity;
mod questions;
mod rerank;
mod speculation;
mod together;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::Exit;

/// Measure speed, and what it costs
#[derive(clap::Subcommand, Debug)]
pub enum BenchVerb {
    /// From a question to the first token of its answer, part by part
    Ask(Box<ask::AskArgs>),
    /// Prompt reading and generation of a language model
    Generate(generate::GenerateArgs),
    /// Embedding of equally long texts
    Embed(embed::EmbedArgs),
    /// Scoring of passages against a query
    Rerank(rerank::RerankArgs),
    /// How well a language model expects a text
    Perplexity(perplexity::PerplexityArgs),
    /// Drafts from the context: what they gain, and what they cost
    Speculation(speculation::SpeculationArgs),
    /// Reuse of what was read of passages: its time, and its loss
    Chunks(chunks::ChunksArgs),
    /// Matrix products and attention, beside what this machine can do at most
    Kernels(kernels::KernelsArgs),
}

pub fn run(verb: &BenchVerb, context: &Context) -> Result<Exit> {
    match verb {
        BenchVerb::Ask(args) => ask::run(args, context),
        BenchVerb::Generate(args) => generate::run(args, context),
        BenchVerb::Embed(args) => embed::run(args, context),
        BenchVerb::Rerank(args) => rerank::run(args, context),
        BenchVerb::Perplexity(args) => perplexity::run(args, context),
        BenchVerb::Speculation(args) => speculation::run(args, context),
        BenchVerb::Chunks(args) => chunks::run(args, context),
        BenchVerb::Kernels(args) => kernels::run(args, context),
    }
}

/// Rates of several runs, the lowest first.
struct Rates(Vec<f64>);

impl Rates {
    /// Runs `once`, which does `count` things in the seconds that it returns.
    fn measure(
        context: &Context,
        (runs, count): (usize, usize),
        mut once: impl FnMut() -> Result<f64>,
    ) -> Result<Self> {
        let mut rates = Vec::new();
        for _ in 0..runs.max(1) {
            if context.stop.is_set() {
                bail!("interrupted");
            }
            rates.push(count as f64 / once()?.max(1e-9));
        }
        rates.sort_by(f64::total_cmp);
        Ok(Self(rates))
    }

    fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    fn json(&self) -> Value {
        json!({
            "median": tenths(self.median()),
            "min": tenths(self.0[0]),
            "max": tenths(self.0[self.0.len() - 1]),
            "runs": self.0.len(),
        })
    }

    fn text(&self, name: &str) -> String {
        let (low, high) = (self.0[0], self.0[self.0.len() - 1]);
        format!("{name:16} {:8.1} tok/s  ({low:.1} to {high:.1})", self.median())
    }
}

/// Median and 95th percentile of `values`, by nearest rank; NaN of none.
fn quantiles(values: &[f64]) -> [f64; 2] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = |percent: usize| (percent * sorted.len()).div_ceil(100).max(1) - 1;
    [50, 95].map(|percent| sorted.get(rank(percent)).copied().unwrap_or(f64::NAN))
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_by_nearest_rank() {
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        let whole = |values: &[f64]| quantiles(values).map(|value| format!("{value}"));
        assert_eq!(whole(&values), ["10", "19"]);
        assert_eq!(whole(&[7.0]), ["7", "7"]);
        assert!(quantiles(&[]).iter().all(|value| value.is_nan()));
    }
}
