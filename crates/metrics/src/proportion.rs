//! How sure one can be of a share such as "37 of 50 were right".

use crate::{Error, beta, normal};

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
    check(successes, trials, level)?;
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

/// The share of `successes` in `trials` with its exact interval: it covers the
/// true share at least as often as `level` says, at the price of width.
/// Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.
pub fn clopper_pearson(successes: u64, trials: u64, level: f64) -> Result<Proportion, Error> {
    check(successes, trials, level)?;
    let (hits, misses) = (successes as f64, (trials - successes) as f64);
    let tail = (1.0 - level) / 2.0;
    let low = if successes == 0 { 0.0 } else { beta::quantile(tail, hits, misses + 1.0) };
    let high =
        if successes == trials { 1.0 } else { beta::quantile(1.0 - tail, hits + 1.0, misses) };
    Ok(Proportion { share: hits / trials as f64, low, high })
}

/// The share of `successes` in `trials` with the interval of the posterior
/// under Jeffreys' prior, between Wilson's and the exact one in width. Ends at
/// 0 and 1 stay there. Brown et al. 2001, doi:10.1214/ss/1009213286.
pub fn jeffreys(successes: u64, trials: u64, level: f64) -> Result<Proportion, Error> {
    check(successes, trials, level)?;
    let (hits, misses) = (successes as f64, (trials - successes) as f64);
    let end = |probability| beta::quantile(probability, hits + 0.5, misses + 0.5);
    let tail = (1.0 - level) / 2.0;
    let low = if successes == 0 { 0.0 } else { end(tail) };
    let high = if successes == trials { 1.0 } else { end(1.0 - tail) };
    Ok(Proportion { share: hits / trials as f64, low, high })
}

fn check(successes: u64, trials: u64, level: f64) -> Result<(), Error> {
    if trials == 0 || successes > trials {
        return Err(Error::Proportion { successes, trials });
    }
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::Level { level });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::reference;
    use proptest::prelude::*;

    type Interval = fn(u64, u64, f64) -> Result<Proportion, Error>;
    const METHODS: [(&str, Interval); 3] =
        [("wilson", wilson), ("beta", clopper_pearson), ("jeffreys", jeffreys)];

    #[test]
    fn agrees_with_the_reference_implementation() {
        for (name, method) in METHODS {
            let found = method(37, 50, 0.95).unwrap();
            let low = reference(&format!("{name}_37_of_50_low"));
            let high = reference(&format!("{name}_37_of_50_high"));
            assert!((found.low - low).abs() < 1e-10, "{name}: {} is not {low}", found.low);
            assert!((found.high - high).abs() < 1e-10, "{name}: {} is not {high}", found.high);
        }
    }

    #[test]
    fn the_exact_interval_covers_at_least_as_often_as_it_says() {
        for (method, floor) in [(clopper_pearson as Interval, 0.95), (wilson, 0.90)] {
            for percent in [2_u32, 10, 35, 50, 80] {
                let covered = coverage(method, 40, f64::from(percent) / 100.0);
                assert!(covered >= floor, "{percent} %: {covered}");
            }
        }
    }

    /// Probability, summed over all outcomes, that the interval holds `share`.
    fn coverage(method: Interval, trials: u64, share: f64) -> f64 {
        let mut chance = (1.0 - share).powi(i32::try_from(trials).unwrap());
        let mut covered = 0.0;
        for successes in 0..=trials {
            let found = method(successes, trials, 0.95).unwrap();
            if found.low <= share && share <= found.high {
                covered += chance;
            }
            chance *= (trials - successes) as f64 / (successes + 1) as f64 * share / (1.0 - share);
        }
        covered
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
            for (name, method) in METHODS {
                let found = method(successes, trials, level).unwrap();
                prop_assert!(0.0 <= found.low && found.low <= found.share, "{name}");
                prop_assert!(found.share <= found.high && found.high <= 1.0, "{name}");
            }
        }
    }
}
