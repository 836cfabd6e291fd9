//! `BERTScore`: how well the tokens of two texts can be matched by their vectors in
//! context. Zhang et al. 2020, arXiv:1904.09675; with the conventions of the
//! package `bert-score` 0.3.13, pair by pair, without rescaling.
//!
//! Where the vectors come from is the caller's business. Special tokens have the
//! weight 0, so that nothing is asked of them, and still a token may match one.

use std::collections::{BTreeSet, HashMap};

/// The tokens of a text with a vector each.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenStates {
    ids: Vec<u32>,
    /// Shape (T, D), each row of length 1.
    units: Vec<f32>,
    width: usize,
}

impl TokenStates {
    /// Takes the rows of `states`, one for each of `ids`, to length 1. Without
    /// states the tokens can be counted, and match nothing.
    pub fn new(ids: Vec<u32>, mut states: Vec<f32>) -> Self {
        let width = states.len().checked_div(ids.len()).unwrap_or(0);
        assert_eq!(states.len(), width * ids.len(), "each token has a vector");
        for row in states.chunks_exact_mut(width.max(1)) {
            let norm = dot(row, row).sqrt();
            if norm > 0.0 {
                for x in row {
                    *x /= norm;
                }
            }
        }
        Self { ids, units: states, width }
    }
}

/// What one token of a text counts.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenWeights {
    weights: HashMap<u32, f64>,
    others: f64,
}

impl TokenWeights {
    /// All alike, but 0 for `special` ones.
    pub fn equal(special: &[u32]) -> Self {
        Self { weights: special.iter().map(|id| (*id, 0.0)).collect(), others: 1.0 }
    }

    /// The rarer in the references the more: `ln((N + 1) / (df + 1))`. Special
    /// tokens are in all of them and count nothing.
    pub fn by_rarity<'a>(references: impl IntoIterator<Item = &'a TokenStates>) -> Self {
        let mut counts: HashMap<u32, f64> = HashMap::new();
        let mut texts = 1.0;
        for reference in references {
            texts += 1.0;
            for id in reference.ids.iter().collect::<BTreeSet<_>>() {
                *counts.entry(*id).or_default() += 1.0;
            }
        }
        let weights = counts.into_iter().map(|(id, found)| (id, (texts / (found + 1.0_f64)).ln()));
        Self { weights: weights.collect(), others: texts.ln() }
    }

    fn of(&self, id: u32) -> f64 {
        self.weights.get(&id).copied().unwrap_or(self.others)
    }
}

/// How well two texts match.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BertScore {
    /// How well the text's tokens are found in the reference.
    pub precision: f64,
    /// How well the reference's tokens are found in the text.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// Matches each token with the likest of the other side. All is 0 if a text has
/// no tokens but two special ones; `None` if all weights are 0, so that there is
/// nothing to weigh.
pub fn bert_score(
    text: &TokenStates,
    reference: &TokenStates,
    weights: &TokenWeights,
) -> Option<BertScore> {
    if text.ids.len() <= 2 || reference.ids.len() <= 2 {
        return Some(BertScore::default());
    }
    let (mut of_text, mut of_reference) =
        (vec![f32::MIN; text.ids.len()], vec![f32::MIN; reference.ids.len()]);
    for (own, best) in text.units.chunks_exact(text.width).zip(&mut of_text) {
        let others = reference.units.chunks_exact(reference.width).zip(&mut of_reference);
        for (other, best_of_other) in others {
            let likeness = dot(own, other);
            *best = best.max(likeness);
            *best_of_other = best_of_other.max(likeness);
        }
    }
    let precision = weighted(&text.ids, &of_text, weights)?;
    let recall = weighted(&reference.ids, &of_reference, weights)?;
    let sum = precision + recall;
    let f1 = if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum };
    Some(BertScore { precision, recall, f1 })
}

fn weighted(ids: &[u32], likeness: &[f32], weights: &TokenWeights) -> Option<f64> {
    let (mut sum, mut total) = (0.0, 0.0);
    for (id, likeness) in ids.iter().zip(likeness) {
        sum += weights.of(*id) * f64::from(*likeness);
        total += weights.of(*id);
    }
    (total > 0.0).then(|| sum / total)
}

/// Eight sums side by side, which a processor computes at once.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, rest_of_a), (b, rest_of_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = rest_of_a.iter().zip(rest_of_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens 1 and 2 stand around every text.
    fn text(tokens: &[(u32, [f32; 2])]) -> TokenStates {
        let around = [&[(1, [1.0, 0.0])], tokens, &[(2, [1.0, 0.0])]].concat();
        let states = around.iter().flat_map(|(_, state)| *state).collect();
        TokenStates::new(around.iter().map(|(id, _)| *id).collect(), states)
    }

    #[test]
    fn each_token_takes_the_likest_of_the_other_side() {
        let weights = TokenWeights::equal(&[1, 2]);
        let left = text(&[(7, [0.0, 3.0]), (8, [0.6, 0.8])]);
        let right = text(&[(9, [0.0, 0.5])]);
        let found = bert_score(&left, &right, &weights).unwrap();
        assert!((found.precision - 0.9).abs() < 1e-6, "{found:?}");
        assert!((found.recall - 1.0).abs() < 1e-6, "{found:?}");
        assert!((found.f1 - 1.8 / 1.9).abs() < 1e-6, "{found:?}");
        let same = bert_score(&left, &left, &weights).unwrap();
        assert!((same.f1 - 1.0).abs() < 1e-6, "{same:?}");
    }

    #[test]
    fn a_word_may_match_a_special_token_that_is_asked_for_nothing() {
        let weights = TokenWeights::equal(&[1, 2]);
        let (left, right) = (text(&[(7, [1.0, 0.0])]), text(&[(9, [0.0, 1.0])]));
        let found = bert_score(&left, &right, &weights).unwrap();
        assert!((found.precision - 1.0).abs() < 1e-6 && found.recall.abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn an_empty_text_matches_nothing_and_words_of_all_texts_say_nothing() {
        let (some, none) = (text(&[(7, [0.0, 1.0])]), text(&[]));
        let equal = TokenWeights::equal(&[1, 2]);
        assert_eq!(bert_score(&none, &some, &equal), Some(BertScore::default()));
        let rare = TokenWeights::by_rarity([&some]);
        assert_eq!(bert_score(&some, &some, &rare), None);
        let rare = TokenWeights::by_rarity([&some, &text(&[(8, [1.0, 1.0])])]);
        assert!((rare.of(7) - 1.5_f64.ln()).abs() < 1e-12);
        assert!((rare.of(99) - 3.0_f64.ln()).abs() < 1e-12);
    }
}
