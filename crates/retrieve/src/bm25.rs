//! Scores by words: BM25.
//!
//! Each occurrence of a term in the query adds, for a passage of length `l`
//! that holds the term `tf` times,
//!
//! `idf * tf / (tf + k1 * (1 - b + b * l / mean))` with
//! `idf = ln(1 + (N - df + 0.5) / (df + 0.5))`,
//!
//! where `N` counts the live passages of the snapshot, `df` those of them with
//! the term, and `mean` is their mean length. Lengths count terms, repeats
//! included. A filter changes none of these. It is Lucene's form, as bm25s
//! defines it (Lù 2024, arXiv:2407.03618, method `lucene`); Robertson and
//! Zaragoza 2009, doi:10.1561/1500000019.

use std::collections::BTreeMap;

use plumb_store::{SegmentView, Snapshot};

use crate::candidates::Candidates;
use crate::error::Error;

/// The two numbers of BM25.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bm25 {
    /// How soon more of the same term stops to matter; at least 0.
    pub k1: f32,
    /// How much a long passage must hold more; from 0 to 1.
    pub b: f32,
}

impl Default for Bm25 {
    /// Lucene's.
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

impl Bm25 {
    pub(crate) fn check(self) -> Result<(), Error> {
        let wrong = |name, value, expected| Err(Error::Setting { name, value, expected });
        if !(self.k1.is_finite() && self.k1 >= 0.0) {
            return wrong("k1", self.k1, "at least 0");
        }
        if !(0.0..=1.0).contains(&self.b) {
            return wrong("b", self.b, "from 0 to 1");
        }
        Ok(())
    }

    /// One score per candidate; 0 for those without any of the terms.
    pub(crate) fn scores(
        self,
        snapshot: &Snapshot,
        candidates: &Candidates<'_>,
        terms: &[String],
    ) -> Result<Vec<f64>, Error> {
        let mut scores = vec![0.0; candidates.len()];
        let passages = snapshot.passage_count() as f64;
        let mean = snapshot.term_count() as f64 / passages;
        let (k1, b) = (f64::from(self.k1), f64::from(self.b));
        let mut repeats = BTreeMap::<&str, f64>::new();
        for term in terms {
            *repeats.entry(term).or_default() += 1.0;
        }
        // By the order of the terms, so that the sums have one order.
        for (term, repeats) in repeats {
            let live = live_postings(snapshot, term)?;
            let idf = idf_of(passages, live.len() as f64);
            for (segment, ordinal, count) in live {
                let Some(candidate) = candidates.number(segment.number(), ordinal) else {
                    continue;
                };
                let length = f64::from(segment.terms_of(ordinal).unwrap_or_default());
                let count = f64::from(count);
                let saturation = count / (count + k1 * (1.0 - b + b * length / mean));
                scores[candidate] += repeats * idf * saturation;
            }
        }
        Ok(scores)
    }
}

/// What no passage's score for `terms` can exceed: each saturates at its `idf`.
pub(crate) fn ceiling(snapshot: &Snapshot, terms: &[String]) -> Result<f64, Error> {
    let passages = snapshot.passage_count() as f64;
    let mut sum = 0.0;
    for term in terms {
        sum += idf_of(passages, live_postings(snapshot, term)?.len() as f64);
    }
    Ok(sum)
}

/// How rare `term` is among the live passages: the `idf` of BM25, highest for
/// a term that no passage has.
#[expect(clippy::cast_possible_truncation, reason = "a weight needs no more than six digits")]
pub fn idf(snapshot: &Snapshot, term: &str) -> Result<f32, Error> {
    let df = live_postings(snapshot, term)?.len() as f64;
    Ok(idf_of(snapshot.passage_count() as f64, df) as f32)
}

fn idf_of(passages: f64, df: f64) -> f64 {
    (1.0 + (passages - df + 0.5) / (df + 0.5)).ln()
}

/// The live passages that have `term`, with how often they have it.
fn live_postings<'s>(
    snapshot: &'s Snapshot,
    term: &str,
) -> Result<Vec<(SegmentView<'s>, u32, u32)>, Error> {
    let mut live = Vec::new();
    for segment in snapshot.segments() {
        let found = segment.postings(term)?;
        let found = found.filter(|(ordinal, _)| segment.is_live(*ordinal));
        live.extend(found.map(|(ordinal, count)| (segment, ordinal, count)));
    }
    Ok(live)
}
