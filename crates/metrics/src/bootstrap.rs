//! Intervals for a mean by resampling with replacement.
//!
//! The questions of a benchmark are a sample; another sample would have given
//! another mean. The bootstrap draws as many questions again and again from
//! those at hand and looks at how far the mean moves. Efron and Tibshirani
//! 1993, "An Introduction to the Bootstrap".

use std::collections::BTreeMap;

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

/// What the bootstrap draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units<'a> {
    /// That many items, each on its own.
    Items(usize),
    /// Items of which `strata[i]` names the stratum: each stratum keeps its
    /// size, so that no resample lacks a class.
    Strata(&'a [usize]),
}

/// A statistic of drawn items with its bootstrap interval.
///
/// `statistic` is given the indices of the items of one resample (an item may
/// occur several times); it is called with all items first, and
/// [`Estimate::mean`] is that value. The acceleration of
/// [`Method::BiasCorrected`] is jackknifed over at most 500 groups of items.
/// A statistic that is not finite on some resample is an error.
pub fn estimate_statistic(
    units: Units<'_>,
    statistic: impl Fn(&[usize]) -> f64,
    how: &Resampling,
) -> Result<Estimate, Error> {
    how.check()?;
    let strata = match units {
        Units::Items(count) => vec![(0..count).collect()],
        Units::Strata(strata) => group(strata),
    };
    let all: Vec<usize> = strata.iter().flatten().copied().collect();
    if all.len() < 2 {
        return Err(Error::TooFew { found: all.len(), needed: 2 });
    }
    let observed = statistic(&all);
    sample::check(&[observed], 1)?;
    let mut random = SplitMix64::new(how.seed);
    let mut drawn = vec![0; all.len()];
    let mut one = || {
        let mut slots = drawn.iter_mut();
        for stratum in &strata {
            for slot in slots.by_ref().take(stratum.len()) {
                *slot = stratum[random.below(stratum.len())];
            }
        }
        statistic(&drawn)
    };
    let mut values: Vec<f64> = (0..how.resamples).map(|_| one()).collect();
    sample::check(&values, 1)?;
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - how.level) / 2.0;
    let (low, high) = match how.method {
        Method::Percentile => (tail, 1.0 - tail),
        Method::BiasCorrected => {
            let left_out = jackknifed(&all, statistic);
            sample::check(&left_out, 1)?;
            shifted_tails(observed, &values, acceleration_of(&left_out), tail)
        }
    };
    let (low, high) = (quantile(&values, low), quantile(&values, high));
    Ok(Estimate { mean: observed, low, high, count: all.len() })
}

/// The statistic without each group of items in turn.
fn jackknifed(all: &[usize], statistic: impl Fn(&[usize]) -> f64) -> Vec<f64> {
    const GROUPS: usize = 500;
    let size = all.len().div_ceil(GROUPS);
    let without = |start: usize| {
        let end = (start + size).min(all.len());
        let rest: Vec<usize> = all[..start].iter().chain(&all[end..]).copied().collect();
        statistic(&rest)
    };
    (0..all.len()).step_by(size).map(without).collect()
}

/// Skewness of what leaving out does, by 6. Without an item a mean moves
/// against it, hence the sign.
fn acceleration_of(left_out: &[f64]) -> f64 {
    let mean = sample::raw_mean(left_out);
    -acceleration(left_out, mean)
}

/// Mean of `values` of which those with the same name in `clusters` belong
/// together (several of one document or conversation): whole clusters are
/// drawn. Needs two clusters at least; `count` is the number of values.
pub fn estimate_clustered_mean(
    values: &[f64],
    clusters: &[usize],
    how: &Resampling,
) -> Result<Estimate, Error> {
    let sums = cluster_sums(values, clusters)?;
    let mean = |drawn: &[usize]| {
        let of = drawn.iter().map(|cluster| sums[*cluster]);
        let (sum, count) = of.fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        sum / count
    };
    let found = estimate_statistic(Units::Items(sums.len()), mean, how)?;
    Ok(Estimate { count: values.len(), ..found })
}

/// Standard error of the mean of clustered `values`, with the correction of a
/// few clusters. Needs two clusters at least. Liang and Zeger 1986,
/// doi:10.1093/biomet/73.1.13.
pub fn clustered_standard_error(values: &[f64], clusters: &[usize]) -> Result<f64, Error> {
    let sums = cluster_sums(values, clusters)?;
    let mean = sample::raw_mean(values);
    let squares: f64 = sums.iter().map(|(sum, count)| (sum - count * mean).powi(2)).sum();
    let clusters = sums.len() as f64;
    Ok((clusters / (clusters - 1.0) * squares).sqrt() / values.len() as f64)
}

/// Sum and size of each cluster, of which there must be two.
fn cluster_sums(values: &[f64], clusters: &[usize]) -> Result<Vec<(f64, f64)>, Error> {
    if values.len() != clusters.len() {
        let (found, needed) = (clusters.len(), values.len());
        return Err(Error::Length { what: "the list of clusters", found, needed });
    }
    sample::check(values, 2)?;
    let sum =
        |items: Vec<usize>| (items.iter().map(|item| values[*item]).sum(), items.len() as f64);
    let sums: Vec<(f64, f64)> = group(clusters).into_iter().map(sum).collect();
    if sums.len() < 2 {
        return Err(Error::TooFew { found: sums.len(), needed: 2 });
    }
    Ok(sums)
}

/// Indices of the items of each name, names in rising order.
fn group(names: &[usize]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (item, name) in names.iter().enumerate() {
        groups.entry(*name).or_default().push(item);
    }
    groups.into_values().collect()
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
    let mean = sample::raw_mean(values);
    shifted_tails(mean, means, acceleration(values, mean), tail)
}

/// The same, of any statistic whose value is `observed`. Efron 1987,
/// doi:10.1080/01621459.1987.10478410.
pub(crate) fn shifted_tails(
    observed: f64,
    rising: &[f64],
    acceleration: f64,
    tail: f64,
) -> (f64, f64) {
    let count = rising.len() as f64;
    let below = rising.partition_point(|resampled| *resampled < observed) as f64;
    let not_above = rising.partition_point(|resampled| *resampled <= observed) as f64;
    // Half a resample away from the ends, where the correction is infinite.
    let share = (f64::midpoint(below, not_above) / count).clamp(0.5 / count, 1.0 - 0.5 / count);
    let bias = normal::quantile(share);
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
pub(crate) fn quantile(rising: &[f64], probability: f64) -> f64 {
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
    fn a_mean_as_a_statistic_has_the_interval_of_the_mean() {
        let values = system_a();
        let mean = |drawn: &[usize]| {
            drawn.iter().map(|item| values[*item]).sum::<f64>() / drawn.len() as f64
        };
        for method in [Method::Percentile, Method::BiasCorrected] {
            let how = Resampling { method, ..Resampling::default() };
            let found = estimate_statistic(Units::Items(values.len()), mean, &how).unwrap();
            let want = estimate_mean(&values, &how).unwrap();
            assert!((found.mean - want.mean).abs() < 1e-12);
            assert!((found.low - want.low).abs() < 1e-9, "{found:?} {want:?}");
            assert!((found.high - want.high).abs() < 1e-9, "{found:?} {want:?}");
        }
    }

    #[test]
    fn strata_keep_their_sizes() {
        let strata = [0, 0, 0, 0, 1, 7, 7, 7];
        let share = |drawn: &[usize]| drawn.iter().filter(|item| strata[**item] == 7).count();
        let how = Resampling { resamples: 50, ..Resampling::default() };
        let found =
            estimate_statistic(Units::Strata(&strata), |drawn| share(drawn) as f64, &how).unwrap();
        assert!((found.low - 3.0).abs() < 1e-12 && (found.high - 3.0).abs() < 1e-12);
    }

    #[test]
    fn values_of_a_cluster_are_drawn_together() {
        let how = Resampling::default();
        // Ten documents whose ten values are all equal: the plain bootstrap
        // takes them for a hundred observations.
        let values: Vec<f64> = (0..100_u32).map(|i| f64::from(i / 10 % 5)).collect();
        let clusters: Vec<usize> = (0..100).map(|i| i / 10).collect();
        let plain = estimate_mean(&values, &how).unwrap();
        let clustered = estimate_clustered_mean(&values, &clusters, &how).unwrap();
        let width = |found: &Estimate| found.high - found.low;
        assert!((plain.mean - clustered.mean).abs() < 1e-12 && clustered.count == 100);
        assert!(width(&clustered) > 2.0 * width(&plain), "{plain:?} {clustered:?}");
    }

    #[test]
    fn the_clustered_standard_error_agrees_with_the_reference() {
        let values = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0];
        let clusters = [0, 0, 0, 1, 1, 2, 2, 3, 3, 3];
        let found = clustered_standard_error(&values, &clusters).unwrap();
        assert!((found - reference("clustered_standard_error")).abs() < 1e-12, "{found}");
    }

    #[test]
    fn the_clustered_interval_covers_where_the_plain_one_does_not() {
        let how = Resampling { resamples: 199, ..Resampling::default() };
        let clusters: Vec<usize> = (0..120).map(|i| i / 4).collect();
        let mut random = SplitMix64::new(5);
        let (mut clustered, mut plain) = (0_u32, 0_u32);
        for _ in 0..200 {
            let of_cluster: Vec<f64> =
                (0..30).map(|_| random.below(1_001) as f64 / 1_000.0).collect();
            let values: Vec<f64> = clusters.iter().map(|cluster| of_cluster[*cluster]).collect();
            let holds = |found: Estimate| u32::from(found.low <= 0.5 && 0.5 <= found.high);
            clustered += holds(estimate_clustered_mean(&values, &clusters, &how).unwrap());
            plain += holds(estimate_mean(&values, &how).unwrap());
        }
        // 95 % of 200 is 190; thirty clusters undercover a little.
        assert!((178..=199).contains(&clustered), "{clustered} of 200");
        assert!(plain < 160, "{plain} of 200");
    }

    #[test]
    fn a_statistic_that_breaks_on_a_resample_is_an_error() {
        let how = Resampling::default();
        let found = estimate_statistic(Units::Items(3), |drawn| 1.0 / drawn[0] as f64, &how);
        assert!(matches!(found, Err(Error::NotFinite { .. })));
        let clusters = estimate_clustered_mean(&[1.0, 2.0], &[3, 3], &how);
        assert_eq!(clusters, Err(Error::TooFew { found: 1, needed: 2 }));
        let short = estimate_clustered_mean(&[1.0, 2.0], &[3], &how);
        assert!(matches!(short, Err(Error::Length { found: 1, needed: 2, .. })));
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
