//! Why an evaluation failed.

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
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownMeasure { .. } => Some(format!(
                "there are {}; all but rprec and bpref take a cut-off, as in ndcg@10",
                crate::retrieval::NAMES.join(", ")
            )),
            Self::NeedsCut { name } => Some(format!("write `{name}@10`, say")),
            Self::NothingShared { .. } => {
                Some("check that both files name the queries alike".to_owned())
            }
            Self::Query { source, .. } | Self::Score { source, .. } => {
                source.hint().map(str::to_owned)
            }
        }
    }
}
