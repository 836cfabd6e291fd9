//! Two systems that are right or wrong on the same items.

use crate::{Error, beta, normal};

/// Two-sided p-values of the test of `McNemar` 1947,
/// doi:10.1007/BF02295996.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// From the binomial distribution: right for any number of items.
    pub exact_p: f64,
    /// From chi-squared with one degree of freedom, corrected for continuity.
    pub corrected_p: f64,
    /// The same without the correction: too small below about 25 discordant
    /// items.
    pub chi_squared_p: f64,
}

/// Tests whether `left_only` items that only the left system got right and
/// `right_only` that only the right one did could come from a fair coin. Items
/// on which both agree say nothing and are not needed.
pub fn mcnemar(left_only: u64, right_only: u64) -> Result<McNemar, Error> {
    let discordant = left_only.saturating_add(right_only);
    if discordant == 0 {
        return Ok(McNemar { exact_p: 1.0, corrected_p: 1.0, chi_squared_p: 1.0 });
    }
    if discordant > 1 << 53 {
        let (value, range) = (discordant as f64, "at most 2^53");
        return Err(Error::Range { name: "the number of discordant items", value, range });
    }
    let apart = left_only.abs_diff(right_only) as f64;
    let p_of = |apart: f64| 2.0 * normal::cumulative(-apart / (discordant as f64).sqrt());
    Ok(McNemar {
        exact_p: (2.0 * beta::fair_coin_at_most(left_only.min(right_only), discordant)).min(1.0),
        corrected_p: p_of((apart - 1.0).max(0.0)),
        chi_squared_p: p_of(apart),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::sample::reference;

    #[test]
    fn every_form_agrees_with_the_reference_implementation() {
        let found = mcnemar(12, 5).unwrap();
        for (found, name) in [
            (found.exact_p, "mcnemar_exact"),
            (found.corrected_p, "mcnemar_chi2_cc"),
            (found.chi_squared_p, "mcnemar_chi2"),
        ] {
            assert!((found - reference(name)).abs() < 1e-10, "{name}: {found}");
        }
    }

    #[test]
    fn no_discordant_item_is_no_evidence() {
        let found = mcnemar(0, 0).unwrap();
        assert!(found.exact_p >= 1.0 && found.corrected_p >= 1.0 && found.chi_squared_p >= 1.0);
        assert!(mcnemar(3, 3).unwrap().exact_p >= 1.0);
        assert!(mcnemar(u64::MAX, 3).is_err());
    }

    #[test]
    fn equal_systems_are_rarely_told_apart() {
        let mut random = SplitMix64::new(3);
        let alarms = (0..1_000).filter(|_| {
            let left = (0..30).filter(|_| random.below(2) == 0).count() as u64;
            mcnemar(left, 30 - left).unwrap().exact_p <= 0.05
        });
        // The exact test is conservative: at most 50 and four deviations.
        assert!(alarms.count() <= 78);
    }
}
