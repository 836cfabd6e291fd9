//! Is the second system better than the first, on the same texts?
//!
//! Two tests of a score that is computed of added-up counts, both as sacrebleu
//! 2.6.0 has them, with the same random numbers: a resample or a trial is the
//! same in both programs. They answer different questions and may disagree, so
//! that a p-value without the name of its test says little.

use super::statistics::Statistics;
use crate::Error;
use crate::bootstrap::quantile;
use crate::pcg64::Pcg64;

/// The seed of sacrebleu.
pub const SEED: u64 = 12_345;

/// What the paired bootstrap found.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedBootstrap {
    /// Mean of the first system's resampled scores, and half the width of the
    /// interval that holds 95 % of them: sacrebleu's `mean ± ci`.
    pub left: (f64, f64),
    /// The same of the second system.
    pub right: (f64, f64),
    /// Interval of the second score less the first, from the same resamples.
    pub difference: (f64, f64),
    /// How often resampled differences, less their mean, are larger than the
    /// one that was found (Koehn 2004, as Moses computes it).
    pub p: f64,
}

/// Resamples the texts of both systems alike. `level` is the confidence of the
/// interval of the difference.
pub fn paired_bootstrap(
    left: &Statistics,
    right: &Statistics,
    score: impl Fn(&[f64]) -> f64,
    (resamples, seed, level): (usize, u64, f64),
) -> Result<PairedBootstrap, Error> {
    let rows = check(left, right, resamples)?;
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::Level { level });
    }
    let observed = score(&right.sums()) - score(&left.sums());
    let mut random = Pcg64::new(seed);
    let (mut of_left, mut of_right) = (left.zeros(), right.zeros());
    let (mut lefts, mut rights) = (Vec::new(), Vec::new());
    for _ in 0..resamples {
        of_left.fill(0.0);
        of_right.fill(0.0);
        for _ in 0..left.len() {
            let row = random.below(rows);
            left.add(row, &mut of_left);
            right.add(row, &mut of_right);
        }
        lefts.push(score(&of_left));
        rights.push(score(&of_right));
    }
    let apart: Vec<f64> = rights.iter().zip(&lefts).map(|(after, before)| after - before).collect();
    if let Some(index) = apart.iter().position(|difference| !difference.is_finite()) {
        return Err(Error::NotFinite { index, value: apart[index] });
    }
    let mean = apart.iter().map(|difference| difference.abs()).sum::<f64>() / resamples as f64;
    let larger = apart.iter().filter(|apart| apart.abs() - mean > observed.abs()).count();
    // Where nothing differs there is nothing to find, which sacrebleu does not see.
    let larger = if left == right { resamples } else { larger };
    let rising = sorted(apart);
    let tail = (1.0 - level) / 2.0;
    Ok(PairedBootstrap {
        left: mean_and_half(lefts),
        right: mean_and_half(rights),
        difference: (quantile(&rising, tail), quantile(&rising, 1.0 - tail)),
        p: (larger + 1) as f64 / (resamples + 1) as f64,
    })
}

/// Two-sided p-value of the difference when each text's two outputs change
/// sides by the toss of a coin (Riezler and Maxwell 2005). Systems that differ
/// in no text have the p-value 1, which sacrebleu does not see.
pub fn approximate_randomization(
    left: &Statistics,
    right: &Statistics,
    score: impl Fn(&[f64]) -> f64,
    (trials, seed): (usize, u64),
) -> Result<f64, Error> {
    check(left, right, trials)?;
    if left == right {
        return Ok(1.0);
    }
    let observed = (score(&left.sums()) - score(&right.sums())).abs();
    let mut random = Pcg64::new(seed);
    let (mut one, mut other) = (left.zeros(), left.zeros());
    let mut larger = 0_usize;
    for index in 0..trials {
        one.fill(0.0);
        other.fill(0.0);
        for row in 0..left.len() {
            let (to_one, to_other) = if random.bit() { (left, right) } else { (right, left) };
            to_one.add(row, &mut one);
            to_other.add(row, &mut other);
        }
        let apart = (score(&one) - score(&other)).abs();
        if !apart.is_finite() {
            return Err(Error::NotFinite { index, value: apart });
        }
        larger += usize::from(apart > observed);
    }
    Ok((larger + 1) as f64 / (trials + 1) as f64)
}

/// The number of texts, of two tables of equally many, two at least.
fn check(left: &Statistics, right: &Statistics, draws: usize) -> Result<u32, Error> {
    if left.len() != right.len() {
        return Err(Error::Unpaired { left: left.len(), right: right.len() });
    }
    if left.len() < 2 {
        return Err(Error::TooFew { found: left.len(), needed: 2 });
    }
    if draws == 0 {
        return Err(Error::NoResamples);
    }
    Ok(u32::try_from(left.len()).expect("a table has less than four billion rows"))
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// As sacrebleu's `estimate_ci`: a fortieth of the scores is cut off at each end.
fn mean_and_half(scores: Vec<f64>) -> (f64, f64) {
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let rising = sorted(scores);
    let cut = rising.len() / 40;
    (mean, (rising[rising.len() - cut - 1] - rising[cut]) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::super::statistics::ratio;
    use super::*;

    #[test]
    fn systems_that_are_the_same_do_not_differ() {
        let table = Statistics::of_mean(&[0.2, 0.4, 0.9]);
        assert_eq!(approximate_randomization(&table, &table, ratio, (100, SEED)), Ok(1.0));
        let found = paired_bootstrap(&table, &table, ratio, (100, SEED, 0.95)).unwrap();
        assert_eq!((found.difference, found.p), ((0.0, 0.0), 1.0));
    }

    #[test]
    fn what_cannot_be_paired_is_refused() {
        let (two, three) = (Statistics::of_mean(&[0.0, 1.0]), Statistics::of_mean(&[0.0; 3]));
        let found = approximate_randomization(&two, &three, ratio, (100, SEED));
        assert_eq!(found, Err(Error::Unpaired { left: 2, right: 3 }));
        let found = paired_bootstrap(&two, &two, ratio, (0, SEED, 0.95));
        assert_eq!(found, Err(Error::NoResamples));
        let found = paired_bootstrap(&two, &two, |_| f64::NAN, (5, SEED, 0.95));
        assert!(matches!(found, Err(Error::NotFinite { .. })));
    }
}
