//! Intervals that may be looked at while the data still come in.
//!
//! A 95 % interval is right 95 % of the time at a moment fixed in advance. Who
//! looks daily and stops when it excludes 0 is wrong far more often. The
//! asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and
//! Ramdas 2021, arXiv:2103.06476, is wider and is right at all moments at once.

use crate::{Error, normal, sample};

/// How an always-valid interval is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sequence {
    /// Confidence that no interval, however often looked at, misses the truth.
    pub level: f64,
    /// Number of observations at which the interval should be narrowest. It
    /// must be chosen before the data are seen.
    pub tuned_for: u64,
}

impl Default for Sequence {
    fn default() -> Self {
        Self { level: 0.95, tuned_for: 5_000 }
    }
}

/// An estimate whose interval holds at every moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlwaysValid {
    /// The estimate itself.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Two-sided p-value against 0 that holds at every moment.
    pub p: f64,
}

/// The interval of an estimate with variance `variance` (the square of its
/// standard error) after `count` observations, of both arms together.
///
/// Asymptotic: trust it from some hundred observations on.
pub fn always_valid(
    value: f64,
    variance: f64,
    count: u64,
    how: &Sequence,
) -> Result<AlwaysValid, Error> {
    sample::check(&[value, variance], 2)?;
    if !(how.level > 0.0 && how.level < 1.0) {
        return Err(Error::Level { level: how.level });
    }
    if variance <= 0.0 || count == 0 || how.tuned_for == 0 {
        let value = variance.min(count as f64).min(how.tuned_for as f64);
        return Err(Error::Range { name: "a variance or count", value, range: "above 0" });
    }
    let alpha = 1.0 - how.level;
    let n = count as f64;
    let spent = -2.0 * alpha.ln();
    let rho_squared = (spent + (spent + 1.0).ln()) / how.tuned_for as f64;
    let grown = n * rho_squared + 1.0;
    let of_one = variance * n;
    let half = (of_one * 2.0 * grown / (n * n * rho_squared) * (grown.sqrt() / alpha).ln()).sqrt();
    let evidence = n * n * rho_squared * value * value / (2.0 * of_one * grown);
    let p = (grown.sqrt() * (-evidence).exp()).min(1.0);
    Ok(AlwaysValid { value, low: value - half, high: value + half, p })
}

/// The same of the mean of `values`, one an observation: the differences of
/// two systems on shared items, say. Needs two values that differ.
pub fn always_valid_mean(values: &[f64], how: &Sequence) -> Result<AlwaysValid, Error> {
    sample::check(values, 2)?;
    let mean = sample::raw_mean(values);
    always_valid(mean, variance_of_mean(values, mean), values.len() as u64, how)
}

fn variance_of_mean(values: &[f64], mean: f64) -> f64 {
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    squares / (values.len() - 1) as f64 / values.len() as f64
}

/// Two-sided p-value of an estimate at one moment fixed in advance, from the
/// normal approximation: what [`always_valid`] is the price over.
pub fn fixed_p(value: f64, variance: f64) -> Result<f64, Error> {
    sample::check(&[value, variance], 2)?;
    if variance <= 0.0 {
        return Err(Error::Range { name: "the variance", value: variance, range: "above 0" });
    }
    Ok(2.0 * normal::cumulative(-value.abs() / variance.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::sample::reference;

    #[test]
    fn the_interval_agrees_with_the_reference_values() {
        let how = Sequence { level: 0.95, tuned_for: 5_000 };
        let found = always_valid(0.02, 6.632e-5, 10_000, &how).unwrap();
        for (found, name) in
            [(found.low, "sequence_low"), (found.high, "sequence_high"), (found.p, "sequence_p")]
        {
            assert!((found - reference(name)).abs() < 1e-12, "{name}: {found}");
        }
    }

    /// Sum of twelve uniform numbers less six: nearly normal, variance 1.
    fn noise(random: &mut SplitMix64) -> f64 {
        (0..12).map(|_| random.below(1 << 20) as f64 / f64::from(1 << 20)).sum::<f64>() - 6.0
    }

    #[test]
    fn looking_all_the_time_is_paid_for() {
        let how = Sequence { level: 0.95, tuned_for: 400 };
        let mut random = SplitMix64::new(29);
        let (mut missed, mut fooled) = (0_u32, 0_u32);
        for _ in 0..300 {
            let (mut sum, mut squares) = (0.0, 0.0);
            let (mut ever_missed, mut ever_fooled) = (false, false);
            for count in 1_u32..=1_000 {
                let value = noise(&mut random);
                sum += value;
                squares += value * value;
                if count < 50 {
                    continue;
                }
                let n = f64::from(count);
                let mean = sum / n;
                let variance = (squares / n - mean * mean) / (n - 1.0);
                let found = always_valid(mean, variance, u64::from(count), &how).unwrap();
                ever_missed |= found.low > 0.0 || found.high < 0.0;
                ever_fooled |= fixed_p(mean, variance).unwrap() < 0.05;
            }
            missed += u32::from(ever_missed);
            fooled += u32::from(ever_fooled);
        }
        // 5 % of 300 is 15; four standard deviations are 15.
        assert!(missed <= 30, "{missed} of 300");
        assert!(fooled > 60, "peeking at a fixed test looked harmless: {fooled} of 300");
    }

    #[test]
    fn the_mean_of_differences_is_the_same_interval() {
        let values: Vec<f64> = (0..200_u32).map(|i| f64::from(i % 7)).collect();
        let how = Sequence::default();
        let found = always_valid_mean(&values, &how).unwrap();
        assert!(found.low < found.value && found.value < found.high && found.p <= 1.0);
        let nan = always_valid_mean(&[1.0, f64::NAN], &how);
        assert!(matches!(nan, Err(Error::NotFinite { index: 1, .. })));
        assert!(matches!(always_valid_mean(&[1.0, 1.0], &how), Err(Error::Range { .. })));
        let level = Sequence { level: 0.0, ..how };
        assert!(matches!(always_valid_mean(&values, &level), Err(Error::Level { .. })));
    }
}
