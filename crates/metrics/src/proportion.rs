//! How sure one can be of a share such as "37 of 50 were right".

use crate::{Error, normal};

/// A share of successes with the interval around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proportion {
    /// Successes by trials.
    pub share: f64,
    /// Lower end of the interval, at least 0.
    pub low: f64,
    /// Upper end of the interval, at most 1.
    pub high: f64,
}

/// The share of `successes` in `trials` with its Wilson score interval.
///
/// `level` is the confidence, such as 0.95. The interval stays inside `0..=1`
/// and keeps its width when every trial succeeds, where the textbook interval
/// shrinks to a point. Wilson 1927, doi:10.1080/01621459.1927.10502953.
pub fn wilson(successes: u64, trials: u64, level: f64) -> Result<Proportion, Error> {
    if trials == 0 || successes > trials {
        return Err(Error::Proportion { successes, trials });
    }
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::Level { level });
    }
    let z = normal::quantile(f64::midpoint(1.0, level));
    let (share, count) = (successes as f64 / trials as f64, trials as f64);
    let shrink = 1.0 + z * z / count;
    let centre = (share + z * z / (2.0 * count)) / shrink;
    let half = z * (share * (1.0 - share) / count + z * z / (4.0 * count * count)).sqrt() / shrink;
    // At the ends the exact bounds are 0 and 1; rounding may miss them.
    let low = if successes == 0 { 0.0 } else { centre - half };
    let high = if successes == trials { 1.0 } else { centre + half };
    Ok(Proportion { share, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::reference;
    use proptest::prelude::*;

    #[test]
    fn agrees_with_the_reference_implementation() {
        let found = wilson(37, 50, 0.95).unwrap();
        assert!((found.low - reference("wilson_37_of_50_low")).abs() < 1e-12);
        assert!((found.high - reference("wilson_37_of_50_high")).abs() < 1e-12);
    }

    #[test]
    fn all_right_is_not_certainty() {
        let found = wilson(30, 30, 0.95).unwrap();
        assert!(found.high >= 1.0 && found.low < 0.9);
        assert!(wilson(0, 30, 0.95).unwrap().low <= 0.0);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(wilson(0, 0, 0.95), Err(Error::Proportion { .. })));
        assert!(matches!(wilson(3, 2, 0.95), Err(Error::Proportion { .. })));
        assert!(matches!(wilson(1, 2, 1.0), Err(Error::Level { .. })));
        assert!(matches!(wilson(1, 2, f64::NAN), Err(Error::Level { .. })));
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_share_and_stays_a_proportion(
            (trials, successes) in (1_u64..500).prop_flat_map(|n| (Just(n), 0..=n)),
            level in 0.5_f64..0.999,
        ) {
            let found = wilson(successes, trials, level).unwrap();
            prop_assert!(0.0 <= found.low && found.low <= found.share);
            prop_assert!(found.share <= found.high && found.high <= 1.0);
        }
    }
}
