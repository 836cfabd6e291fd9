//! Quality of retrieval and of cited answers, measured.
//!
//! `retrieval` runs a test collection with queries and judgements through the
//! same store, index and fusion that the program uses, and `steps` what each step gains. `questions` asks the
//! built program a list of questions and looks at the page that it cites.
//! `planted` swaps facts in its answers and counts how many swaps its checks catch.
//! `injection` puts attacks into documents and counts the answers that they steer.
//! `replay` asks stored answers again and compares them byte for byte.
//! All write what they found to `bench/results` as Markdown and as JSON.

mod attacks;
mod cranfield;
mod flags;
mod index;
mod injection;
mod machine;
mod passages;
mod planted;
mod questions;
mod replay;
mod report;
mod retrieval;
mod steps;
mod swaps;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Measures the quality of retrieval and of cited answers")]
struct Flags {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// Ranks the documents of a test collection for each of its queries
    Retrieval(retrieval::Flags),
    /// Measures what each step of retrieval gains
    Steps(steps::Flags),
    /// Asks each question of a list and checks the page that is cited
    Questions(questions::Flags),
    /// Swaps facts in right answers and counts how many swaps are caught
    Planted(planted::Flags),
    /// Puts attacks into documents and counts the answers that they steer
    Injection(injection::Flags),
    /// Asks stored answers again, alone and beside others, and compares the bytes
    Replay(replay::Flags),
}

fn main() -> anyhow::Result<()> {
    match Flags::parse().suite {
        Suite::Retrieval(flags) => retrieval::run(&flags),
        Suite::Steps(flags) => steps::run(&flags),
        Suite::Questions(flags) => questions::run(&flags),
        Suite::Planted(flags) => planted::run(&flags),
        Suite::Injection(flags) => injection::run(&flags),
        Suite::Replay(flags) => replay::run(&flags),
    }
}

/// The folder of this package in the checkout it was built from.
fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a text file, with its path in the error.
fn read(path: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}
