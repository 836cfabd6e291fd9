//! Scores by vectors: the dot product of the query with every candidate.
//!
//! It is the cosine where the embedder's vectors have length 1.

use plumb_kernels::{Isa, dot};
use plumb_store::Snapshot;

use crate::candidates::Candidates;
use crate::error::Error;

/// One score per candidate. The query's numbers are finite.
pub(crate) fn scores(
    snapshot: &Snapshot,
    candidates: &Candidates<'_>,
    query: &[f32],
) -> Result<Vec<f32>, Error> {
    let isa = Isa::best();
    let vectors: Vec<_> = snapshot.segments().map(|s| (s.dimension(), s)).collect();
    let mut loaded = vec![None; vectors.len()];
    let mut scores = Vec::with_capacity(candidates.len());
    for place in &candidates.places {
        let (dimension, segment) = vectors[place.segment as usize];
        if dimension != query.len() {
            return Err(Error::Dimension { expected: dimension, found: query.len() });
        }
        let all: &[f32] = match loaded[place.segment as usize] {
            Some(all) => all,
            None => loaded[place.segment as usize].insert(segment.vectors()?),
        };
        let start = place.ordinal as usize * dimension;
        scores.push(dot(isa, query, &all[start..start + dimension]));
    }
    Ok(scores)
}
