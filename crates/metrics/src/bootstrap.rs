//! Intervals for a mean by resampling with replacement.
//!
//! The questions of a benchmark are a sample; another sample would have given
//! another mean. The bootstrap draws as many questions again and again from
//! those at hand and looks at how far the mean moves. Efron and Tibshirani
//! 1993, "An Introduction to the Bootstrap".

use crate::{Error, normal, random::SplitMix64, sample};

/// How ends of an interval are read off the resampled means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The plain quantiles. Too narrow for fewer than about 50 values.
    Percentile,
    /// Bias-corrected and accelerated quantiles, which follow skewed values.
    /// Efron 1987, doi:10.1080/01621459.1987.10478410. The default choice.
    BiasCorrected,
}

/// How much to resample, from which seed, and for which confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// Number of resamples; 9,999 gives ends stable to about a hundredth of
    /// the width.
    pub resamples: usize,
    /// Start of the random stream.
    pub seed: u64,
    /// Confidence, such as 0.95.
    pub level: f64,
    /// How the ends are chosen.
    pub method: Method,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { resamples: 9_999, seed: 1, level: 0.95, method: Method::BiasCorrected }
    }
}

impl Resampling {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.resamples == 0 {
            return Err(Error::NoResamples);
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(Error::Level { level: self.level });
        }
        Ok(())
    }
}

/// A mean with the interval around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean of the values themselves, not of the resampled means.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of values behind it.
    pub count: usize,
}

/// Mean of `values` with its bootstrap interval. Needs two values at least.
///
/// Values that are all equal give an interval of width 0. Values that belong
/// together (several of one document) must be averaged first: the bootstrap
/// takes each for independent.
pub fn estimate_mean(values: &[f64], how: &Resampling) -> Result<Estimate, Error> {
    sample::check(values, 2)?;
    how.check()?;
    Ok(from_resampled(values, &resampled_means(values, how), how))
}

/// The means of all resamples, in rising order.
pub(crate) fn resampled_means(values: &[f64], how: &Resampling) -> Vec<f64> {
    let mut random = SplitMix64::new(how.seed);
    let mut one = || {
        let sum: f64 = (0..values.len()).map(|_| values[random.below(values.len())]).sum();
        sum / values.len() as f64
    };
    let mut means: Vec<f64> = (0..how.resamples).map(|_| one()).collect();
    means.sort_by(f64::total_cmp);
    means
}

pub(crate) fn from_resampled(values: &[f64], means: &[f64], how: &Resampling) -> Estimate {
    let mean = sample::raw_mean(values);
    let tail = (1.0 - how.level) / 2.0;
    let (low, high) = match how.method {
        Method::Percentile => (tail, 1.0 - tail),
        Method::BiasCorrected => corrected_tails(values, means, tail),
    };
    Estimate { mean, low: quantile(means, low), high: quantile(means, high), count: values.len() }
}

/// The probabilities at which `BCa` reads the resampled means.
fn corrected_tails(values: &[f64], means: &[f64], tail: f64) -> (f64, f64) {
    let (mean, count) = (sample::raw_mean(values), means.len() as f64);
    let below = means.partition_point(|resampled| *resampled < mean) as f64;
    let not_above = means.partition_point(|resampled| *resampled <= mean) as f64;
    // Half a resample away from the ends, where the correction is infinite.
    let share = (f64::midpoint(below, not_above) / count).clamp(0.5 / count, 1.0 - 0.5 / count);
    let bias = normal::quantile(share);
    let acceleration = acceleration(values, mean);
    let shifted = |probability: f64| {
        let moved = bias + normal::quantile(probability);
        normal::cumulative(bias + moved / (1.0 - acceleration * moved))
    };
    (shifted(tail), shifted(1.0 - tail))
}

/// Skewness of the jackknifed means by 6: leaving out a value moves the mean
/// in proportion to that value's distance from it.
fn acceleration(values: &[f64], mean: f64) -> f64 {
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let cubes: f64 = values.iter().map(|value| (value - mean).powi(3)).sum();
    if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 }
}

/// Value at `probability` of a rising list, between neighbours in proportion.
fn quantile(rising: &[f64], probability: f64) -> f64 {
    let place = probability * (rising.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a probability times a length is neither negative nor beyond the list"
    )]
    let (before, after) = (rising[place.floor() as usize], rising[place.ceil() as usize]);
    before + (after - before) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{reference, system_a};
    use proptest::prelude::*;

    #[track_caller]
    fn check(method: Method, name: &str) {
        let how = Resampling { method, ..Resampling::default() };
        let found = estimate_mean(&system_a(), &how).unwrap();
        // Another random stream than the reference: ends agree to a few
        // hundredths of the width (0.113).
        for (end, side) in [(found.low, "low"), (found.high, "high")] {
            let want = reference(&format!("{name}_{side}"));
            assert!((end - want).abs() < 0.004, "{name}_{side}: {end} is not near {want}");
        }
    }

    #[test]
    fn intervals_agree_with_the_reference_implementation() {
        check(Method::Percentile, "bootstrap_percentile");
        check(Method::BiasCorrected, "bootstrap_bca");
    }

    #[test]
    fn the_corrected_interval_follows_the_skew() {
        let mut values = vec![0.0; 27];
        values.extend([4.0, 6.0, 20.0]);
        let of = |method| {
            estimate_mean(&values, &Resampling { method, ..Resampling::default() }).unwrap()
        };
        let (plain, corrected) = (of(Method::Percentile), of(Method::BiasCorrected));
        assert!(corrected.high > plain.high && corrected.low > plain.low);
    }

    #[test]
    fn the_interval_covers_the_true_mean_about_as_often_as_it_says() {
        let how = Resampling { resamples: 399, ..Resampling::default() };
        let mut random = SplitMix64::new(11);
        let mut covered = 0_u32;
        for _ in 0..400 {
            let values: Vec<f64> = (0..60).map(|_| random.below(1_001) as f64 / 1_000.0).collect();
            let found = estimate_mean(&values, &how).unwrap();
            covered += u32::from(found.low <= 0.5 && 0.5 <= found.high);
        }
        // 95 % of 400 is 380; four standard deviations are 17.
        assert!((360..=397).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_another_seed_another() {
        let with = |seed| {
            estimate_mean(&system_a(), &Resampling { seed, ..Resampling::default() }).unwrap()
        };
        assert_eq!(with(5), with(5));
        assert_ne!(with(5), with(6));
    }

    #[test]
    fn bad_input_is_refused() {
        let how = Resampling::default();
        assert!(matches!(estimate_mean(&[1.0], &how), Err(Error::TooFew { .. })));
        assert!(matches!(estimate_mean(&[1.0, f64::NAN], &how), Err(Error::NotFinite { .. })));
        let none = Resampling { resamples: 0, ..how };
        assert_eq!(estimate_mean(&[1.0, 2.0], &none), Err(Error::NoResamples));
        let level = Resampling { level: 1.5, ..how };
        assert_eq!(estimate_mean(&[1.0, 2.0], &level), Err(Error::Level { level: 1.5 }));
    }

    proptest! {
        #[test]
        fn the_interval_lies_within_the_values(
            values in prop::collection::vec(-5.0_f64..5.0, 2..40),
            seed: u64,
        ) {
            let how = Resampling { resamples: 99, seed, ..Resampling::default() };
            let found = estimate_mean(&values, &how).unwrap();
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(found.low <= found.high);
            prop_assert!(least - 1e-9 <= found.low && found.high <= most + 1e-9);
        }

        #[test]
        fn equal_values_leave_no_doubt(value in -5.0_f64..5.0, count in 2_usize..30) {
            let found = estimate_mean(&vec![value; count], &Resampling::default()).unwrap();
            prop_assert!((found.high - found.low).abs() < 1e-9);
        }
    }
}
