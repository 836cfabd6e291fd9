//! Tests that deal the items out again.
//!
//! [`two_samples`] asks whether two groups of different items have the same
//! mean; [`paired_statistic`] whether two systems on the same items have the
//! same value of some statistic that is no mean (a macro F1, a corpus score).

use crate::bootstrap::Resampling;
use crate::{Error, random::SplitMix64, sample};

/// With at most this many ways to deal every one is tried.
const EXACT_WAYS: f64 = 200_000.0;

/// The outcome of a permutation test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Permutation {
    /// What was observed: left minus right.
    pub difference: f64,
    /// Two-sided p-value.
    pub p: f64,
    /// Whether every way was tried; otherwise `p` is sampled and never 0.
    pub is_exact: bool,
}

/// Tests the difference of the means of two groups of items. Fisher 1935, "The
/// Design of Experiments". Needs one value in each group.
pub fn two_samples(left: &[f64], right: &[f64], how: &Resampling) -> Result<Permutation, Error> {
    sample::check(left, 1)?;
    sample::check(right, 1)?;
    how.check()?;
    let mut pool: Vec<f64> = left.iter().chain(right).copied().collect();
    let (total, size) = (pool.iter().sum::<f64>(), left.len());
    let difference_of =
        |left_sum: f64| left_sum / size as f64 - (total - left_sum) / right.len() as f64;
    let difference = difference_of(left.iter().sum());
    // Differences that are equal on paper differ in the last bits.
    let scale: f64 = pool.iter().map(|value| value.abs()).sum();
    let bar = difference.abs() - 1e-12 * scale / size.min(right.len()) as f64;
    if ways(pool.len(), size) <= EXACT_WAYS {
        let (mut extreme, mut all) = (0_u64, 0_u64);
        each_subset_sum(&pool, size, &mut |sum| {
            all += 1;
            extreme += u64::from(difference_of(sum).abs() >= bar);
        });
        return Ok(Permutation { difference, p: extreme as f64 / all as f64, is_exact: true });
    }
    let mut random = SplitMix64::new(how.seed);
    let extreme = (0..how.resamples).filter(|_| {
        for place in 0..size {
            let other = place + random.below(pool.len() - place);
            pool.swap(place, other);
        }
        difference_of(pool[..size].iter().sum()).abs() >= bar
    });
    let p = (extreme.count() + 1) as f64 / (how.resamples + 1) as f64;
    Ok(Permutation { difference, p, is_exact: false })
}

/// Approximate randomisation of a statistic over `items` pairs: `difference`
/// is called with which items trade places between the systems and returns
/// left minus right. Noreen 1989, "Computer-Intensive Methods for Testing
/// Hypotheses". Exact up to sixteen items.
pub fn paired_statistic(
    items: usize,
    mut difference: impl FnMut(&[bool]) -> f64,
    how: &Resampling,
) -> Result<Permutation, Error> {
    const EXACT_ITEMS: usize = 16;
    how.check()?;
    if items == 0 {
        return Err(Error::TooFew { found: 0, needed: 1 });
    }
    let mut swapped = vec![false; items];
    let observed = difference(&swapped);
    sample::check(&[observed], 1)?;
    let bar = observed.abs() * (1.0 - 1e-12);
    let is_exact = items <= EXACT_ITEMS;
    let rounds = if is_exact { 1_usize << items } else { how.resamples };
    let mut random = SplitMix64::new(how.seed);
    let mut extreme = 0_usize;
    for round in 0..rounds {
        for chunk in swapped.chunks_mut(64) {
            let bits = if is_exact { round as u64 } else { random.next_u64() };
            for (bit, swap) in chunk.iter_mut().enumerate() {
                *swap = bits >> bit & 1 == 1;
            }
        }
        let value = difference(&swapped);
        sample::check(&[value], 1)?;
        extreme += usize::from(value.abs() >= bar);
    }
    let one = usize::from(!is_exact);
    let p = (extreme + one) as f64 / (rounds + one) as f64;
    Ok(Permutation { difference: observed, p, is_exact })
}

/// Number of subsets of `size` of `count`.
fn ways(count: usize, size: usize) -> f64 {
    (1..=size.min(count - size))
        .map(|i| (count - size.min(count - size) + i) as f64 / i as f64)
        .product()
}

fn each_subset_sum(values: &[f64], size: usize, visit: &mut impl FnMut(f64)) {
    fn walk(values: &[f64], size: usize, sum: f64, visit: &mut impl FnMut(f64)) {
        if size == 0 {
            return visit(sum);
        }
        for (index, value) in values.iter().enumerate().take(values.len() + 1 - size) {
            walk(&values[index + 1..], size - 1, sum + value, visit);
        }
    }
    walk(values, size, 0.0, visit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare;
    use crate::sample::{reference, system_a, system_b};

    #[test]
    fn the_exact_test_agrees_with_the_reference_implementation() {
        let (left, right) = (&system_a()[4..12], &system_b()[12..]);
        let found = two_samples(left, right, &Resampling::default()).unwrap();
        assert!(found.is_exact);
        let want = reference("permutation_independent_p");
        assert!((found.p - want).abs() < 1e-12, "{} is not {want}", found.p);
    }

    #[test]
    fn the_sampled_test_comes_near_the_exact_one() {
        // 40 choose 20 ways are too many; the means differ by 0.0055.
        let found = two_samples(&system_a(), &system_b(), &Resampling::default()).unwrap();
        assert!(!found.is_exact);
        let want = reference("permutation_sampled_p");
        assert!((found.p - want).abs() < 0.02, "{} is not near {want}", found.p);
    }

    #[test]
    fn a_mean_by_randomisation_is_the_paired_test() {
        let (left, right) = (&system_a()[..12], &system_b()[..12]);
        let mean = |swapped: &[bool]| {
            let sum: f64 =
                (0..12).map(|i| (left[i] - right[i]) * if swapped[i] { -1.0 } else { 1.0 }).sum();
            sum / 12.0
        };
        let found = paired_statistic(12, mean, &Resampling::default()).unwrap();
        let want = compare(left, right, &Resampling::default()).unwrap();
        assert!(found.is_exact && (found.p - want.randomisation_p).abs() < 1e-12);
        assert!((found.difference - want.difference.mean).abs() < 1e-12);
    }

    #[test]
    fn groups_of_one_kind_are_rarely_told_apart() {
        let mut random = SplitMix64::new(9);
        let how = Resampling { resamples: 199, ..Resampling::default() };
        let alarms = (0..200).filter(|_| {
            let mut draw = || -> Vec<f64> { (0..20).map(|_| random.below(50) as f64).collect() };
            let (left, right) = (draw(), draw());
            two_samples(&left, &right, &how).unwrap().p <= 0.05
        });
        // 5 % of 200 is 10; four standard deviations are 12.
        assert!(alarms.count() <= 22);
    }

    #[test]
    fn bad_input_is_refused() {
        let how = Resampling::default();
        assert!(matches!(two_samples(&[], &[1.0], &how), Err(Error::TooFew { .. })));
        assert!(matches!(two_samples(&[f64::NAN], &[1.0], &how), Err(Error::NotFinite { .. })));
        assert!(matches!(paired_statistic(0, |_| 0.0, &how), Err(Error::TooFew { .. })));
        let nan = paired_statistic(3, |swapped| if swapped[0] { f64::NAN } else { 1.0 }, &how);
        assert!(matches!(nan, Err(Error::NotFinite { .. })));
    }
}
