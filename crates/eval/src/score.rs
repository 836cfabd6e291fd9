//! A number that may be printed: never without its interval and its counts.

use plumb_metrics::{Estimate, Method, Proportion, Resampling, estimate_mean, mean, wilson};

/// A measured value with what must stand beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The value itself.
    pub value: f64,
    /// Its interval; `None` for fewer than two items, which say nothing of how
    /// other items would have come out.
    pub interval: Option<Interval>,
    /// Number of items behind the value.
    pub n: usize,
    /// Number of items that could not be scored and are not in the value.
    pub unscored: usize,
}

/// Where the value may lie, and how that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Confidence, such as 0.95.
    pub level: f64,
    /// The method, in a word: `wilson`, `bca`, `percentile`.
    pub method: &'static str,
}

impl Score {
    /// The mean of one value an item. The interval is Wilson's if every value
    /// is 0 or 1, and bootstrapped otherwise. A NaN is an error.
    pub fn of_mean(
        values: &[f64],
        unscored: usize,
        how: &Resampling,
    ) -> Result<Self, plumb_metrics::Error> {
        let n = values.len();
        let value = mean(values)?;
        if n < 2 {
            return Ok(Self { value, interval: None, n, unscored });
        }
        let hits = values.iter().filter(|value| **value >= 1.0).count();
        if values.iter().all(|value| [0.0, 1.0].contains(value)) {
            let found = wilson(hits as u64, n as u64, how.level)?;
            return Ok(Self::of_proportion(&found, n, unscored, how.level));
        }
        Ok(Self::of_estimate(&estimate_mean(values, how)?, unscored, how))
    }

    /// A bootstrapped estimate.
    pub fn of_estimate(found: &Estimate, unscored: usize, how: &Resampling) -> Self {
        let method = match how.method {
            Method::Percentile => "percentile",
            Method::BiasCorrected => "bca",
        };
        let interval = Interval { low: found.low, high: found.high, level: how.level, method };
        Self { value: found.mean, interval: Some(interval), n: found.count, unscored }
    }

    /// A share of `n` items with Wilson's interval.
    fn of_proportion(found: &Proportion, n: usize, unscored: usize, level: f64) -> Self {
        let interval = Interval { low: found.low, high: found.high, level, method: "wilson" };
        Self { value: found.share, interval: Some(interval), n, unscored }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_get_wilsons_interval_and_other_values_a_bootstrap() {
        let how = Resampling::default();
        let share = Score::of_mean(&[1.0, 0.0, 1.0, 1.0], 2, &how).unwrap();
        assert_eq!(share.interval.unwrap().method, "wilson");
        assert_eq!((share.n, share.unscored), (4, 2));
        let values = Score::of_mean(&[0.5, 0.0, 1.0, 1.0], 0, &how).unwrap();
        assert_eq!(values.interval.unwrap().method, "bca");
    }

    #[test]
    fn one_item_has_a_value_and_no_interval() {
        let one = Score::of_mean(&[0.5], 0, &Resampling::default()).unwrap();
        assert!(one.interval.is_none() && (one.value - 0.5).abs() < 1e-12);
        assert!(Score::of_mean(&[], 3, &Resampling::default()).is_err());
        assert!(Score::of_mean(&[f64::NAN], 0, &Resampling::default()).is_err());
    }
}
