//! The measures by name.

use std::fmt;
use std::str::FromStr;

use plumb_metrics::text::{Readability, Rouge};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Bleu,
    Chrf,
    ChrfPlusPlus,
    Ter,
    Rouge(Rouge),
    Meteor,
    Bert(Side),
    ExactMatch,
    F1,
    Distinct(u8),
    SelfBleu,
    Repetition,
    Extractive(Share),
    Readability(Readability),
}

/// What a likeness of meaning is measured of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Precision,
    Recall,
    F1,
}

/// What a summary takes from its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Coverage,
    Density,
    Compression,
}

/// Measures asked for by one name.
#[derive(Clone, Debug)]
pub struct Named(Vec<Metric>);

/// All names, as they are listed to those who misspell one.
const KNOWN: &str = "bleu, chrf, chrf++, ter, rouge1 to rouge9, rougeL, rougeLsum, meteor, \
     bertscore (its three: bertscore-p, bertscore-r, bertscore-f1), em, f1, \
     distinct1 to distinct9, self-bleu, repetition, coverage, density, compression, \
     flesch, flesch-kincaid, gunning-fog, coleman-liau, ari, readability (these five)";

/// What is measured when nothing is named.
pub(super) fn defaults(has_references: bool) -> Vec<Metric> {
    if has_references {
        let rouge = [Rouge::N(1), Rouge::N(2), Rouge::L].map(Metric::Rouge);
        [vec![Metric::Bleu, Metric::Chrf], rouge.to_vec()].concat()
    } else {
        vec![Metric::Distinct(1), Metric::Distinct(2), Metric::Repetition]
    }
}

/// Each metric once, where it was named first.
pub(super) fn distinct(named: &[Named]) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for metric in named.iter().flat_map(|named| &named.0) {
        if !metrics.contains(metric) {
            metrics.push(*metric);
        }
    }
    metrics
}

impl Metric {
    /// Whether there is nothing to measure without a reference.
    pub(super) fn needs_reference(self) -> bool {
        !matches!(
            self,
            Self::Distinct(_)
                | Self::SelfBleu
                | Self::Repetition
                | Self::Extractive(_)
                | Self::Readability(_)
        )
    }

    /// Whether there is nothing to measure without sources.
    pub(super) fn needs_source(self) -> bool {
        matches!(self, Self::Extractive(_))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Bleu => "bleu",
            Self::Chrf => "chrf",
            Self::ChrfPlusPlus => "chrf++",
            Self::Ter => "ter",
            Self::Rouge(kind) => return kind.fmt(out),
            Self::Meteor => "meteor",
            Self::Bert(Side::Precision) => "bertscore-p",
            Self::Bert(Side::Recall) => "bertscore-r",
            Self::Bert(Side::F1) => "bertscore-f1",
            Self::ExactMatch => "em",
            Self::F1 => "f1",
            Self::Distinct(order) => return write!(out, "distinct{order}"),
            Self::SelfBleu => "self-bleu",
            Self::Repetition => "repetition",
            Self::Extractive(Share::Coverage) => "coverage",
            Self::Extractive(Share::Density) => "density",
            Self::Extractive(Share::Compression) => "compression",
            Self::Readability(formula) => formula.name(),
        })
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let lower = name.trim().to_ascii_lowercase();
        if lower == "readability" {
            return Ok(Self(Readability::ALL.map(Metric::Readability).to_vec()));
        }
        if lower == "bertscore" {
            let sides = [Side::Precision, Side::Recall, Side::F1];
            return Ok(Self(sides.map(Metric::Bert).to_vec()));
        }
        let unknown = || format!("`{name}` is no measure of texts; known are {KNOWN}");
        Ok(Self(vec![parse(&lower).ok_or_else(unknown)?]))
    }
}

fn parse(name: &str) -> Option<Metric> {
    if let Ok(kind) = name.parse() {
        return Some(Metric::Rouge(kind));
    }
    if let Some([digit @ b'1'..=b'9']) = name.strip_prefix("distinct").map(str::as_bytes) {
        return Some(Metric::Distinct(digit - b'0'));
    }
    let formula = Readability::ALL.into_iter().find(|formula| formula.name() == name);
    if let Some(formula) = formula {
        return Some(Metric::Readability(formula));
    }
    Some(match name {
        "bleu" => Metric::Bleu,
        "chrf" => Metric::Chrf,
        "chrf++" => Metric::ChrfPlusPlus,
        "ter" => Metric::Ter,
        "meteor" => Metric::Meteor,
        "bertscore-p" => Metric::Bert(Side::Precision),
        "bertscore-r" => Metric::Bert(Side::Recall),
        "bertscore-f1" => Metric::Bert(Side::F1),
        "em" => Metric::ExactMatch,
        "f1" => Metric::F1,
        "self-bleu" => Metric::SelfBleu,
        "repetition" => Metric::Repetition,
        "coverage" => Metric::Extractive(Share::Coverage),
        "density" => Metric::Extractive(Share::Density),
        "compression" => Metric::Extractive(Share::Compression),
        _ => return None,
    })
}
