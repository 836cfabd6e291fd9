//! Two rankings into one.

use std::cmp::Ordering;

use crate::error::Error;
use crate::query::Fusion;

impl Fusion {
    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Self::Weighted { dense_weight: value } | Self::Covered { dense_weight: value }
                if !(0.0..=1.0).contains(&value) =>
            {
                Err(Error::Setting { name: "dense_weight", value, expected: "from 0 to 1" })
            }
            Self::ReciprocalRank { k: value } if !(value.is_finite() && value >= 0.0) => {
                Err(Error::Setting { name: "k", value, expected: "at least 0" })
            }
            _ => Ok(()),
        }
    }

    /// One score per candidate; no lexical score can be above `ceiling`.
    pub(crate) fn scores(self, dense: &[f32], lexical: &[f64], ceiling: f64) -> Vec<f64> {
        match self {
            Self::Weighted { dense_weight } => {
                let most = lexical.iter().copied().fold(0.0, f64::max);
                weighted(f64::from(dense_weight), dense, (lexical, most))
            }
            Self::Covered { dense_weight } => {
                weighted(f64::from(dense_weight), dense, (lexical, ceiling))
            }
            Self::ReciprocalRank { k } => reciprocal(f64::from(k), dense, lexical),
        }
    }
}

/// `most` of the lexical scores counts as 1.
fn weighted(weight: f64, dense: &[f32], (lexical, most): (&[f64], f64)) -> Vec<f64> {
    let lowest = f64::from(dense.iter().copied().fold(f32::INFINITY, f32::min));
    let highest = f64::from(dense.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let share = |part: f64, all: f64| if all > 0.0 { part / all } else { 0.0 };
    let fuse = |(&dense, &lexical): (&f32, &f64)| {
        let dense = share(f64::from(dense) - lowest, highest - lowest);
        weight * dense + (1.0 - weight) * share(lexical, most)
    };
    dense.iter().zip(lexical).map(fuse).collect()
}

fn reciprocal(k: f64, dense: &[f32], lexical: &[f64]) -> Vec<f64> {
    let dense: Vec<f64> = dense.iter().copied().map(f64::from).collect();
    let mut scores = vec![0.0; dense.len()];
    let mut add = |ranking: &[usize]| {
        for (place, &candidate) in ranking.iter().enumerate() {
            scores[candidate] += 1.0 / (k + 1.0 + place as f64);
        }
    };
    add(&ranking(&dense, |_| true));
    add(&ranking(lexical, |score| score > 0.0));
    scores
}

/// The candidates whose score is kept, best first; ties by number.
pub(crate) fn ranking(scores: &[f64], keep: impl Fn(f64) -> bool) -> Vec<usize> {
    let mut ranking: Vec<usize> = (0..scores.len()).filter(|&i| keep(scores[i])).collect();
    ranking.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]).then(i.cmp(&j)));
    ranking
}

/// The rank of a candidate, from 1, without ranking the others.
pub(crate) fn rank_of(candidate: usize, scores: &[f64]) -> usize {
    let own = scores[candidate];
    let before = |(i, score): (usize, &f64)| match score.total_cmp(&own) {
        Ordering::Greater => true,
        Ordering::Equal => i < candidate,
        Ordering::Less => false,
    };
    1 + scores.iter().enumerate().filter(|&entry| before(entry)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_reach_a_part_of_the_ceiling_count_for_that_part() {
        let (dense, lexical) = ([1.0, 0.0], [0.0, 1.0]);
        let scores = |fusion: Fusion| fusion.scores(&dense, &lexical, 4.0);
        assert_eq!(scores(Fusion::Weighted { dense_weight: 0.5 }), [0.5, 0.5]);
        assert_eq!(scores(Fusion::Covered { dense_weight: 0.5 }), [0.5, 0.125]);
        // A question without a word that any passage could have.
        let none = Fusion::Covered { dense_weight: 0.5 }.scores(&dense, &[0.0; 2], 0.0);
        assert_eq!(none, [0.5, 0.0]);
        assert!(Fusion::Covered { dense_weight: 1.5 }.check().is_err());
    }
}
