//! The search itself: score, fuse, order, and fold equal texts into one hit.

use std::collections::{HashMap, HashSet};

use plumb_store::{PassageRef, Snapshot};

use crate::bm25::ceiling;
use crate::candidates::Candidates;
use crate::dense;
use crate::error::Error;
use crate::fusion::{rank_of, ranking};
use crate::query::{Elsewhere, Hit, Mode, Query};

/// The scores of every candidate.
struct Scores {
    dense: Option<Vec<f64>>,
    lexical: Vec<f64>,
    total: Vec<f64>,
}

/// The best passages of a snapshot for a query, best first.
///
/// Of passages with the same text only the best is listed. Ties go to the
/// lower address, then to the earlier passage. An empty store and `top_k` 0
/// give an empty list.
pub fn search(snapshot: &Snapshot, query: &Query<'_>) -> Result<Vec<Hit>, Error> {
    check(snapshot, query)?;
    if query.top_k == 0 {
        return Ok(Vec::new());
    }
    let candidates = Candidates::new(snapshot, query.filter)?;
    let scores = score(snapshot, &candidates, query)?;
    let hashes = text_hashes(snapshot, &candidates);
    let chosen = choose(&scores.total, query, &hashes);
    let mut hits: Vec<Hit> = Vec::with_capacity(chosen.len());
    for &candidate in &chosen {
        hits.push(hit(&candidates, &scores, candidate, hits.len() + 1));
    }
    list_elsewhere(&mut hits, &chosen, &candidates, &hashes);
    Ok(hits)
}

fn check(snapshot: &Snapshot, query: &Query<'_>) -> Result<(), Error> {
    query.bm25.check()?;
    if let Mode::Fused(fusion) = query.mode {
        fusion.check()?;
    }
    let Some(vector) = query.vector else {
        return if query.mode == Mode::Lexical { Ok(()) } else { Err(Error::NoVector) };
    };
    if let Some((place, &value)) = vector.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        return Err(Error::BadVector { place, value });
    }
    match snapshot.dimension() {
        Some(expected) if expected != vector.len() => {
            Err(Error::Dimension { expected, found: vector.len() })
        }
        _ => Ok(()),
    }
}

fn score(
    snapshot: &Snapshot,
    candidates: &Candidates<'_>,
    query: &Query<'_>,
) -> Result<Scores, Error> {
    let lexical = query.bm25.scores(snapshot, candidates, query.terms)?;
    let narrow = query.vector.map(|vector| dense::scores(snapshot, candidates, vector));
    let narrow = narrow.transpose()?;
    let wide = |scores: &Vec<f32>| scores.iter().copied().map(f64::from).collect::<Vec<_>>();
    let dense = narrow.as_ref().map(wide);
    let total = match (query.mode, &narrow, &dense) {
        (Mode::Fused(fusion), Some(narrow), _) => {
            fusion.scores(narrow, &lexical, ceiling(snapshot, query.terms)?)
        }
        (Mode::Dense, _, Some(dense)) => dense.clone(),
        _ => lexical.clone(),
    };
    Ok(Scores { dense, lexical, total })
}

fn text_hashes(snapshot: &Snapshot, candidates: &Candidates<'_>) -> Vec<[u8; 16]> {
    let segments: Vec<_> = snapshot.segments().collect();
    let hash = |place: &PassageRef| {
        segments[place.segment as usize].text_hash(place.ordinal).unwrap_or_default()
    };
    candidates.places.iter().map(hash).collect()
}

/// The best candidates with different texts.
fn choose(total: &[f64], query: &Query<'_>, hashes: &[[u8; 16]]) -> Vec<usize> {
    let is_found = |score: f64| query.mode != Mode::Lexical || score > 0.0;
    let mut seen = HashSet::new();
    let ranking = ranking(total, is_found).into_iter();
    ranking.filter(|&candidate| seen.insert(hashes[candidate])).take(query.top_k).collect()
}

fn hit(candidates: &Candidates<'_>, scores: &Scores, candidate: usize, rank: usize) -> Hit {
    let document = candidates.document(candidate);
    let is_lexical = scores.lexical[candidate] > 0.0;
    Hit {
        passage: candidates.places[candidate],
        document: document.id,
        uri: document.uris[0].to_owned(),
        rank,
        score: narrow(scores.total[candidate]),
        dense: scores.dense.as_ref().map(|dense| narrow(dense[candidate])),
        lexical: is_lexical.then(|| narrow(scores.lexical[candidate])),
        dense_rank: scores.dense.as_ref().map(|dense| rank_of(candidate, dense)),
        lexical_rank: is_lexical.then(|| rank_of(candidate, &scores.lexical)),
        also_in: Vec::new(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "scores are shown with fewer digits")]
fn narrow(score: f64) -> f32 {
    score as f32
}

fn list_elsewhere(
    hits: &mut [Hit],
    chosen: &[usize],
    candidates: &Candidates<'_>,
    hashes: &[[u8; 16]],
) {
    let by_hash: HashMap<_, _> = chosen.iter().zip(0..).map(|(&c, hit)| (hashes[c], hit)).collect();
    for (candidate, hash) in hashes.iter().enumerate() {
        let Some(&number) = by_hash.get(hash) else { continue };
        let hit: &mut Hit = &mut hits[number];
        let passage = candidates.places[candidate];
        let own = usize::from(chosen[number] == candidate);
        // The hit names its own first address already.
        let uris = candidates.document(candidate).uris.iter().skip(own);
        hit.also_in.extend(uris.map(|uri| Elsewhere { uri: (*uri).to_owned(), passage }));
    }
}
