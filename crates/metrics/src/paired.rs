//! Is one system better than another on the same questions?
//!
//! Two tests, named because they may disagree. The *randomisation test* asks
//! how often a mean difference this large appears when, question by question,
//! a coin decides which system is which; it is exact up to twenty differing
//! questions. The *bootstrap test* asks how often the resampled mean difference
//! strays as far from the observed one as the observed one is from 0. Smucker,
//! Allan and Carterette 2007, doi:10.1145/1321440.1321528, compare them.

use crate::bootstrap::{Estimate, Resampling, from_resampled, resampled_means};
use crate::{Error, random::SplitMix64, sample};

/// With at most this many differing pairs every assignment of signs is tried.
const EXACT_PAIRS: usize = 20;

/// The outcome of a paired comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Mean of `left - right` with its bootstrap interval.
    pub difference: Estimate,
    /// Two-sided p-value of the randomisation test.
    pub randomisation_p: f64,
    /// Whether every assignment was tried; otherwise the p-value is sampled.
    pub is_exact: bool,
    /// Two-sided p-value of the paired bootstrap test.
    pub bootstrap_p: f64,
}

/// Compares two systems on the same questions: `left[i]` and `right[i]` are
/// their values on question `i`. Needs two questions at least.
///
/// Sampled p-values are `(extreme + 1) / (resamples + 1)`, never 0.
pub fn compare(left: &[f64], right: &[f64], how: &Resampling) -> Result<Comparison, Error> {
    if left.len() != right.len() {
        return Err(Error::Unpaired { left: left.len(), right: right.len() });
    }
    sample::check(left, 2)?;
    sample::check(right, 2)?;
    how.check()?;
    let differences: Vec<f64> = left.iter().zip(right).map(|(l, r)| l - r).collect();
    sample::check(&differences, 2)?;
    let means = resampled_means(&differences, how);
    let difference = from_resampled(&differences, &means, how);
    let observed = difference.mean;
    let strayed = means.iter().filter(|mean| (*mean - observed).abs() >= observed.abs()).count();
    Ok(Comparison {
        difference,
        randomisation_p: randomisation_p(&differences, how),
        is_exact: differences.iter().filter(|d| **d != 0.0).count() <= EXACT_PAIRS,
        bootstrap_p: sampled_p(strayed, how.resamples),
    })
}

fn sampled_p(extreme: usize, resamples: usize) -> f64 {
    (extreme + 1) as f64 / (resamples + 1) as f64
}

/// Two-sided p: the share of sign assignments whose sum is at least as far from 0 as observed.
fn randomisation_p(differences: &[f64], how: &Resampling) -> f64 {
    // A pair that does not differ cannot change the sum.
    let moving: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let observed: f64 = moving.iter().sum();
    let reach: f64 = moving.iter().map(|d| d.abs()).sum();
    // Sums that are equal on paper differ in the last bits.
    let bar = observed.abs() - 1e-12 * reach;
    if moving.len() <= EXACT_PAIRS {
        let assignments = 1_u64 << moving.len();
        let extreme = (0..assignments).filter(|signs| signed_sum(&moving, *signs).abs() >= bar);
        return extreme.count() as f64 / assignments as f64;
    }
    // Another stream than the bootstrap's, which starts at the seed itself.
    let mut random = SplitMix64::new(how.seed ^ 0x5bd1_e995_9d1b_54a5);
    let extreme = (0..how.resamples).filter(|_| flipped_sum(&moving, &mut random).abs() >= bar);
    sampled_p(extreme.count(), how.resamples)
}

fn signed_sum(values: &[f64], signs: u64) -> f64 {
    (0_u32..)
        .zip(values)
        .map(|(bit, value)| if signs >> bit & 1 == 1 { -value } else { *value })
        .sum()
}

fn flipped_sum(values: &[f64], random: &mut SplitMix64) -> f64 {
    values.chunks(64).map(|chunk| signed_sum(chunk, random.next_u64())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{reference, system_a, system_b};
    use proptest::prelude::*;

    fn quick() -> Resampling {
        Resampling { resamples: 199, ..Resampling::default() }
    }

    #[test]
    fn the_exact_test_agrees_with_the_reference_implementation() {
        let found = compare(&system_a(), &system_b(), &Resampling::default()).unwrap();
        let want = reference("signflip_exact_p");
        assert!((found.randomisation_p - want).abs() < 1e-12, "{}", found.randomisation_p);
        assert!((found.difference.mean - reference("paired_mean_difference")).abs() < 1e-12);
    }

    #[test]
    fn the_sampled_test_comes_near_the_exact_one() {
        // The same differences beside pairs that tie, then repeated so that
        // the exact test is out of reach.
        let (mut a, mut b) = (system_a(), system_b());
        a.extend(system_a());
        b.extend(system_b());
        let found = compare(&a, &b, &Resampling::default()).unwrap();
        // 40 independent pairs with mean 0.0065 and sd 0.0458: z = 0.72.
        assert!((0.42..0.52).contains(&found.randomisation_p), "{}", found.randomisation_p);
        assert!((0.38..0.56).contains(&found.bootstrap_p), "{}", found.bootstrap_p);
    }

    #[test]
    fn a_clear_difference_is_seen_by_both_tests_and_its_interval() {
        let left: Vec<f64> = (0..40).map(|i| 0.5 + f64::from(i % 7) / 100.0).collect();
        let right: Vec<f64> = (0..40).map(|i| 0.4 + f64::from(i % 5) / 100.0).collect();
        let found = compare(&left, &right, &quick()).unwrap();
        assert!(found.randomisation_p <= 0.01 && found.bootstrap_p <= 0.01);
        assert!(found.difference.low > 0.0);
    }

    #[test]
    fn equal_systems_do_not_differ() {
        let found = compare(&system_a(), &system_a(), &quick()).unwrap();
        assert!(found.randomisation_p >= 1.0 && found.bootstrap_p >= 1.0);
    }

    #[test]
    fn two_systems_that_are_the_same_are_rarely_told_apart() {
        let mut random = SplitMix64::new(17);
        let mut draw = || -> Vec<f64> { (0..30).map(|_| random.below(100) as f64).collect() };
        let alarms = (0..200).filter(|_| {
            let (left, right) = (draw(), draw());
            compare(&left, &right, &quick()).unwrap().randomisation_p <= 0.05
        });
        // 5 % of 200 is 10; four standard deviations are 12.
        assert!(alarms.count() <= 22);
    }

    #[test]
    fn pairs_that_do_not_fit_are_refused() {
        let unpaired = compare(&[1.0, 2.0], &[1.0], &quick());
        assert_eq!(unpaired, Err(Error::Unpaired { left: 2, right: 1 }));
        let nan = compare(&[1.0, f64::NAN], &[1.0, 2.0], &quick());
        assert!(matches!(nan, Err(Error::NotFinite { index: 1, .. })));
        let overflow = compare(&[f64::MAX, 0.0], &[f64::MIN, 0.0], &quick());
        assert!(matches!(overflow, Err(Error::NotFinite { index: 0, .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn swapping_the_systems_turns_the_sign_and_keeps_the_test(
            pairs in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 2..12),
        ) {
            let (left, right): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let there = compare(&left, &right, &quick()).unwrap();
            let back = compare(&right, &left, &quick()).unwrap();
            prop_assert!((there.difference.mean + back.difference.mean).abs() < 1e-12);
            prop_assert!((there.randomisation_p - back.randomisation_p).abs() < 1e-12);
        }
    }
}
