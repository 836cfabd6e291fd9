//! Why an evaluation failed.

use std::path::PathBuf;

/// Why something could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no measure `{name}`")]
    UnknownMeasure { name: String },

    #[error("the measure `{name}` needs a cut-off")]
    NeedsCut { name: String },

    #[error("no judged query is in the run: {judged} are judged, {retrieved} are in the run")]
    NothingShared { judged: usize, retrieved: usize },

    #[error("query `{query}`")]
    Query { query: String, source: plumb_metrics::Error },

    #[error("cannot compute `{name}`")]
    Score { name: String, source: plumb_metrics::Error },

    #[error("line {line}: {message}")]
    Line { line: usize, message: String },

    #[error("there are {gold} true labels and {predicted} predictions")]
    Lines { gold: usize, predicted: usize },

    #[error("{what} is given for {found} of {count} predictions")]
    SomeOnly { what: &'static str, found: usize, count: usize },

    #[error("no item has the label `{name}`: there are {classes}")]
    NoSuchClass { name: String, classes: String },

    #[error("the systems share no measure: one has {left}, the other {right}")]
    NoSharedMeasure { left: String, right: String },

    #[error("not results of an evaluation")]
    NotResults { source: serde_json::Error },

    #[error("the results have no values by item")]
    NoItems,

    #[error("the value of item `{item}` at `{name}` is not a number")]
    NotANumber { name: String, item: String },

    #[error("nothing was measured")]
    NothingMeasured,

    #[error("cannot read or write `{path}`")]
    Io { path: PathBuf, source: std::io::Error },

    #[error("the run has format {found}; this program reads {known}")]
    RunFormat { found: u32, known: u32 },

    #[error("`{path}` holds a run with other inputs or settings")]
    OtherRun { path: PathBuf },

    #[error("`{path}` holds a run that came to its end")]
    FinishedRun { path: PathBuf },

    #[error("{message}")]
    Task { message: String },

    #[error("the field `{name}` of a task is not understood")]
    TaskField { name: String },

    #[error("document {number}")]
    Document { number: usize, source: Box<Error> },

    #[error("the text cannot be cut into tokens")]
    Tokenize { source: plumb_text::Error },

    #[error("the continuation has {found} tokens; 1 to {most} can be scored")]
    Continuation { found: usize, most: usize },

    #[error("the model failed")]
    Model { source: Box<plumb_infer::Error> },

    #[error("a stored answer differs from a new one: `{path}` cannot be trusted (key {key})")]
    CacheDiffers { path: PathBuf, key: String },

    #[error("stopped")]
    Stopped,
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::UnknownMeasure { .. } => {
                return Some(format!(
                    "there are {}; all but rprec and bpref take a cut-off, as in ndcg@10",
                    crate::retrieval::NAMES.join(", ")
                ));
            }
            Self::NeedsCut { name } => return Some(format!("write `{name}@10`, say")),
            Self::NothingShared { .. } => "check that both files name the queries alike",
            Self::Query { source, .. } | Self::Score { source, .. } => source.hint()?,
            Self::Lines { .. } => "both files need a line for each item, in the same order",
            Self::SomeOnly { .. } => "give it for every prediction or for none",
            Self::NoItems => "print them with --per-query, --per-item or --per-segment",
            Self::NotResults { .. } => "give what `plumb eval ... --json` printed",
            Self::OtherRun { .. } | Self::FinishedRun { .. } => {
                "name another folder, or remove this one"
            }
            Self::TaskField { .. } => {
                "leave it out if it does not change scores; functions in Python cannot be run"
            }
            Self::Document { source, .. } => return source.hint(),
            Self::CacheDiffers { .. } => {
                "the file was put aside as `.wrong`; run again, and report this if it recurs"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
