//! Names of measures: `ndcg@10`, `map`, and what other tools call them.

use std::fmt;
use std::str::FromStr;

use plumb_metrics::Gain;

use crate::Error;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Normalised discounted cumulative gain.
    Ndcg(Gain),
    /// Average precision, whose mean is MAP.
    AveragePrecision,
    /// Reciprocal rank, whose mean is MRR.
    ReciprocalRank,
    /// Share of the first documents that are relevant.
    Precision,
    /// Share of the relevant documents that are among the first.
    Recall,
    /// Whether any of the first documents is relevant.
    Success,
    /// Precision at the number of relevant documents.
    RPrecision,
    /// Binary preference.
    Bpref,
}

/// A measure, perhaps of the first so many documents only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// What is measured.
    pub kind: Kind,
    /// How many of the first documents count; `None` for all.
    pub cut: Option<usize>,
}

/// Every measure by its name.
pub const NAMES: [&str; 9] =
    ["ndcg", "ndcg_exp", "map", "mrr", "precision", "recall", "success", "rprec", "bpref"];

const KINDS: [Kind; 9] = [
    Kind::Ndcg(Gain::Linear),
    Kind::Ndcg(Gain::Exponential),
    Kind::AveragePrecision,
    Kind::ReciprocalRank,
    Kind::Precision,
    Kind::Recall,
    Kind::Success,
    Kind::RPrecision,
    Kind::Bpref,
];

/// What other tools call the measures, in lower case.
const ALIASES: [(&str, &str); 12] = [
    ("ap", "map"),
    ("map_cut", "map"),
    ("rr", "mrr"),
    ("recip_rank", "mrr"),
    ("p", "precision"),
    ("r", "recall"),
    ("hit", "success"),
    ("hits", "success"),
    ("hit_rate", "success"),
    ("ndcg_cut", "ndcg"),
    ("ndcg_burges", "ndcg_exp"),
    ("r_precision", "rprec"),
];

impl FromStr for Measure {
    type Err = Error;

    /// Reads `ndcg@10`, `map`, or in the way of `trec_eval` `ndcg_cut_10`,
    /// `P_5`, `recip_rank`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownMeasure { name: text.to_owned() };
        let lower = text.trim().to_ascii_lowercase();
        let (name, cut) = match lower.split_once('@') {
            Some((name, cut)) => (name, Some(cut)),
            None => match lower.rsplit_once('_') {
                Some((name, cut)) if cut.bytes().all(|byte| byte.is_ascii_digit()) => {
                    (name, Some(cut))
                }
                _ => (lower.as_str(), None),
            },
        };
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let name = alias.map_or(name, |(_, name)| name);
        let place = NAMES.iter().position(|known| *known == name).ok_or_else(unknown)?;
        let cut = cut.map(str::parse::<usize>).transpose().map_err(|_| unknown())?;
        let kind = KINDS[place];
        match kind {
            Kind::RPrecision | Kind::Bpref if cut.is_some() => Err(unknown()),
            Kind::Precision | Kind::Recall | Kind::Success if cut.is_none() => {
                Err(Error::NeedsCut { name: name.to_owned() })
            }
            _ if cut == Some(0) => Err(unknown()),
            _ => Ok(Self { kind, cut }),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = KINDS.iter().position(|kind| *kind == self.kind);
        f.write_str(NAMES[place.expect("every kind is in the list")])?;
        self.cut.map_or(Ok(()), |cut| write!(f, "@{cut}"))
    }
}
