//! `plumb eval`: quality, each number with its interval.

mod ab;
mod agreement;
mod classify;
mod compare;
mod lm;
pub mod make;
mod passk;
mod plan;
mod prefer;
mod rag;
mod report;
mod retrieval;
mod scores;
mod table;
mod text;
mod written;

use anyhow::Result;

use crate::context::Context;
use crate::exit::Exit;

/// Measure quality
#[derive(clap::Subcommand, Debug)]
pub enum EvalVerb {
    /// Texts against references: BLEU, chrF, TER, ROUGE, METEOR and others
    Text(Box<text::TextArgs>),
    /// A run of retrieval against judgements
    Retrieval(Box<retrieval::RetrievalArgs>),
    /// Predicted labels, and their probabilities, against true ones
    Classify(Box<classify::ClassifyArgs>),
    /// A language model on a task
    Lm(Box<lm::LmArgs>),
    /// Two systems on the same items: which is better, by how much, how sure
    Compare(Box<compare::CompareArgs>),
    /// Raters: do they agree more than chance would have them?
    Agreement(agreement::AgreementArgs),
    /// Comparisons of two systems: which is how strong (Bradley-Terry, Elo)
    Prefer(prefer::PreferArgs),
    /// How often one of K attempts succeeds
    Passk(passk::PassArgs),
    /// How many items a comparison needs
    Plan(plan::PlanArgs),
    /// Two arms of an experiment, looked at while it runs
    Ab(ab::AbArgs),
    /// A page of a run: HTML in one file, or Markdown
    Report(Box<report::ReportArgs>),
    /// Make a test set from the project's own documents
    Make(make::MakeArgs),
    /// Score the project's answers to a test set, and store the run
    Rag(rag::RagArgs),
}

pub fn run(verb: &EvalVerb, context: &Context) -> Result<Exit> {
    match verb {
        EvalVerb::Text(args) => text::run(args, context),
        EvalVerb::Retrieval(args) => retrieval::run(args, context),
        EvalVerb::Classify(args) => classify::run(args, context),
        EvalVerb::Lm(args) => lm::run(args, context),
        EvalVerb::Compare(args) => compare::run(args, context),
        EvalVerb::Agreement(args) => agreement::run(args, context),
        EvalVerb::Prefer(args) => prefer::run(args, context),
        EvalVerb::Passk(args) => passk::run(args, context),
        EvalVerb::Plan(args) => plan::run(args, context),
        EvalVerb::Ab(args) => ab::run(args, context),
        EvalVerb::Report(args) => report::run(args, context),
        EvalVerb::Make(args) => make::run(args, context),
        EvalVerb::Rag(args) => rag::run(args, context),
    }
}
