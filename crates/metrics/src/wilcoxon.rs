//! The signed-rank test: does one system beat another by ranks of differences?
//!
//! Less moved by single large differences than a test of means. Wilcoxon 1945,
//! doi:10.2307/3001968.

use crate::{Error, normal, sample};

/// With at most this many differing pairs the distribution is counted out.
const EXACT_PAIRS: usize = 50;

/// The outcome of a signed-rank test of `left - right`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignedRank {
    /// The smaller of the sums of ranks of positive and negative differences.
    pub statistic: f64,
    /// Two-sided p-value: exact up to fifty differing pairs, ties included,
    /// and otherwise `normal_p`.
    pub p: f64,
    /// Two-sided p-value of the normal approximation, corrected for ties.
    pub normal_p: f64,
    /// The same with the correction for continuity.
    pub corrected_p: f64,
    /// Pairs that differ; the others are left out, as Wilcoxon did.
    pub differing: usize,
}

/// Compares the values of two systems on the same items. Needs one pair that
/// differs.
///
/// Differences tie if they are the same number to the last bit, as in `SciPy`;
/// round values whose last bits are noise first.
pub fn signed_rank(left: &[f64], right: &[f64]) -> Result<SignedRank, Error> {
    if left.len() != right.len() {
        return Err(Error::Unpaired { left: left.len(), right: right.len() });
    }
    let mut differences: Vec<f64> = left.iter().zip(right).map(|(l, r)| l - r).collect();
    sample::check(&differences, 1)?;
    differences.retain(|difference| *difference != 0.0);
    if differences.is_empty() {
        let why = "no pair differs";
        return Err(Error::Undefined { what: "the signed-rank test", why });
    }
    differences.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let (doubled, ties) = doubled_ranks(&differences);
    let positive: usize = differences
        .iter()
        .zip(&doubled)
        .filter(|(difference, _)| **difference > 0.0)
        .map(|(_, rank)| rank)
        .sum();
    let total: usize = doubled.iter().sum();
    let smaller = positive.min(total - positive);
    let (statistic, count) = (smaller as f64 / 2.0, differences.len() as f64);
    let mean = total as f64 / 4.0;
    let spread = ((count * (count + 1.0) * (2.0 * count + 1.0) - ties / 2.0) / 24.0).sqrt();
    let two_sided = |apart: f64| (2.0 * normal::cumulative(-apart / spread)).min(1.0);
    let normal_p = two_sided(mean - statistic);
    let corrected_p = two_sided((mean - statistic - 0.5).max(0.0));
    let exact = differences.len() <= EXACT_PAIRS;
    let p = if exact { exact_p(&doubled, smaller) } else { normal_p };
    Ok(SignedRank { statistic, p, normal_p, corrected_p, differing: differences.len() })
}

/// Twice the rank of each difference, ties sharing their mean rank, and the sum
/// of `t^3 - t` over groups of `t` ties. `rising` is sorted by size.
fn doubled_ranks(rising: &[f64]) -> (Vec<usize>, f64) {
    let (mut ranks, mut ties) = (Vec::with_capacity(rising.len()), 0.0);
    for group in rising.chunk_by(|a, b| a.abs().total_cmp(&b.abs()).is_eq()) {
        let (first, last) = (ranks.len() + 1, ranks.len() + group.len());
        ranks.extend(std::iter::repeat_n(first + last, group.len()));
        let size = group.len() as f64;
        ties += size * size * size - size;
    }
    (ranks, ties)
}

/// Twice the share of sign assignments whose positive ranks sum to at most
/// `smaller`; the number of assignments of each sum is counted rank by rank.
fn exact_p(doubled: &[usize], smaller: usize) -> f64 {
    let mut share = vec![0.0_f64; doubled.iter().sum::<usize>() + 1];
    share[0] = 1.0;
    for rank in doubled {
        for sum in (0..share.len()).rev() {
            let with = if sum >= *rank { share[sum - rank] } else { 0.0 };
            share[sum] = f64::midpoint(share[sum], with);
        }
    }
    (2.0 * share[..=smaller].iter().sum::<f64>()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{reference, reference_list, system_a, system_b};
    use proptest::prelude::*;

    #[track_caller]
    fn check(found: f64, name: &str) {
        let want = reference(name);
        assert!((found - want).abs() < 1e-10, "{name}: {found} is not {want}");
    }

    #[test]
    fn the_approximations_agree_with_the_reference_implementation() {
        let found = signed_rank(&system_a(), &system_b()).unwrap();
        check(found.statistic, "wilcoxon_statistic");
        check(found.normal_p, "wilcoxon_normal_p");
        check(found.corrected_p, "wilcoxon_corrected_p");
    }

    #[test]
    fn the_exact_test_agrees_with_the_reference_implementation() {
        for name in ["untied", "tied"] {
            let differences = reference_list(&format!("wilcoxon_{name}"));
            let found = signed_rank(&differences, &vec![0.0; differences.len()]).unwrap();
            check(found.p, &format!("wilcoxon_{name}_p"));
        }
    }

    #[test]
    fn pairs_that_do_not_differ_are_left_out() {
        let found = signed_rank(&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0]).unwrap();
        // Two differing pairs, both one way: two of four assignments.
        assert!(found.differing == 2 && (found.p - 0.5).abs() < 1e-12);
        let same = signed_rank(&[1.0], &[1.0]);
        assert!(matches!(same, Err(Error::Undefined { .. })));
        assert!(matches!(signed_rank(&[f64::NAN], &[1.0]), Err(Error::NotFinite { .. })));
        assert!(matches!(signed_rank(&[], &[1.0]), Err(Error::Unpaired { .. })));
    }

    proptest! {
        #[test]
        fn counting_agrees_with_trying_every_assignment(
            differences in prop::collection::vec((1_i8..5, any::<bool>()), 1..10),
        ) {
            let signed = |(size, up): &(i8, bool)| f64::from(if *up { *size } else { -size });
            let left: Vec<f64> = differences.iter().map(signed).collect();
            let found = signed_rank(&left, &vec![0.0; left.len()]).unwrap();
            let mut rising = left.clone();
            rising.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
            let (ranks, _) = doubled_ranks(&rising);
            let at_most = (0..1_u32 << ranks.len()).filter(|signs| {
                let sum: usize = ranks.iter().enumerate()
                    .filter(|(bit, _)| signs >> bit & 1 == 1).map(|(_, rank)| rank).sum();
                sum as f64 / 2.0 <= found.statistic
            });
            let share = at_most.count() as f64 / f64::from(1_u32 << ranks.len());
            prop_assert!((found.p - (2.0 * share).min(1.0)).abs() < 1e-12);
        }
    }
}
