//! Why a number could not be computed.

/// A reason that a measure, an interval or a test refuses its input.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("value {index} is {value}, which is not a finite number")]
    NotFinite { index: usize, value: f64 },

    #[error("{found} values are too few: at least {needed} are needed")]
    TooFew { found: usize, needed: usize },

    #[error(
        "the systems have {left} and {right} values, but a paired test needs one pair a question"
    )]
    Unpaired { left: usize, right: usize },

    #[error("gain {index} is {value}, but a gain is at least 0")]
    NegativeGain { index: usize, value: f64 },

    #[error("the ranked list holds gain {value} more often than the judgements do")]
    UnjudgedGain { value: f64 },

    #[error("level {level} is not between 0 and 1")]
    Level { level: f64 },

    #[error("the number of resamples is 0")]
    NoResamples,

    #[error("{successes} successes of {trials} trials is not a proportion")]
    Proportion { successes: u64, trials: u64 },

    #[error("{what} has {found} entries, but {needed} are needed")]
    Length { what: &'static str, found: usize, needed: usize },

    #[error("{name} is {value}, but must be {range}")]
    Range { name: &'static str, value: f64, range: &'static str },

    #[error("{what} has no value: {why}")]
    Undefined { what: &'static str, why: &'static str },

    #[error("the strength of item {item} is unbounded: no chain of wins leads both to and from it")]
    Unbounded { item: usize },
}

impl Error {
    /// What the caller can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotFinite { .. } => {
                Some("find out why this item has no value and report it apart; do not drop it")
            }
            Self::NegativeGain { .. } => Some("map judgements such as -1 to a gain of 0 first"),
            Self::UnjudgedGain { .. } => Some("a document may stand in the ranked list only once"),
            Self::Unpaired { .. } => Some("compare both systems on the same questions"),
            Self::Unbounded { .. } => {
                Some("add games between the groups, or leave out items that only win or only lose")
            }
            Self::TooFew { .. }
            | Self::Length { .. }
            | Self::Range { .. }
            | Self::Undefined { .. }
            | Self::Level { .. }
            | Self::NoResamples
            | Self::Proportion { .. } => None,
        }
    }
}
