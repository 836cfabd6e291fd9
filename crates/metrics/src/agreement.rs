//! Do raters agree more than chance would have them?
//!
//! All measures are 1 for full agreement and near 0 for chance; below 0 raters
//! disagree on purpose. `None` means that chance alone explains everything,
//! since only one label was ever given.

use crate::{Error, sample};

/// How far apart two labels of Cohen's kappa are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Equal or not.
    None,
    /// By the difference of their numbers.
    Linear,
    /// By its square.
    Quadratic,
}

impl Weights {
    fn of(self, a: usize, b: usize) -> f64 {
        let apart = a.abs_diff(b) as f64;
        match self {
            Self::None => f64::from(u8::from(a != b)),
            Self::Linear => apart,
            Self::Quadratic => apart * apart,
        }
    }
}

/// Cohen's kappa of two raters who gave each item a label below `labels`.
/// Cohen 1960, doi:10.1177/001316446002000104; weighted 1968.
pub fn cohen_kappa(
    left: &[usize],
    right: &[usize],
    labels: usize,
    weights: Weights,
) -> Result<Option<f64>, Error> {
    if left.len() != right.len() {
        return Err(Error::Length {
            what: "the second rater",
            found: right.len(),
            needed: left.len(),
        });
    }
    let (mut of_left, mut of_right) = (vec![0.0; labels], vec![0.0; labels]);
    let mut observed = 0.0;
    for (a, b) in left.iter().zip(right) {
        let value = *a.max(b);
        if value >= labels {
            let range = "below the number of labels";
            return Err(Error::Range { name: "a label", value: value as f64, range });
        }
        of_left[*a] += 1.0;
        of_right[*b] += 1.0;
        observed += weights.of(*a, *b);
    }
    let mut expected = 0.0;
    for (a, in_left) in of_left.iter().enumerate() {
        for (b, in_right) in of_right.iter().enumerate() {
            expected += in_left * in_right * weights.of(a, b);
        }
    }
    expected /= left.len() as f64;
    Ok((expected > 0.0).then(|| 1.0 - observed / expected))
}

/// Fleiss' kappa: `counts[item][label]` is how many raters gave that label.
/// Every item must have the same number of ratings, two at least. Fleiss 1971,
/// doi:10.1037/h0031619.
pub fn fleiss_kappa(counts: &[Vec<u32>]) -> Result<Option<f64>, Error> {
    let Some(first) = counts.first() else {
        return Err(Error::TooFew { found: 0, needed: 1 });
    };
    let raters: u32 = first.iter().sum();
    if raters < 2 {
        return Err(Error::TooFew { found: raters as usize, needed: 2 });
    }
    let mut of_label = vec![0.0; first.len()];
    let mut agreeing = 0.0;
    for item in counts {
        if item.len() != first.len() {
            let (found, needed) = (item.len(), first.len());
            return Err(Error::Length { what: "an item", found, needed });
        }
        let found: u32 = item.iter().sum();
        if found != raters {
            let (found, needed) = (found as usize, raters as usize);
            return Err(Error::Length { what: "the ratings of an item", found, needed });
        }
        for (sum, count) in of_label.iter_mut().zip(item) {
            *sum += f64::from(*count);
            agreeing += f64::from(*count) * (f64::from(*count) - 1.0);
        }
    }
    let (items, raters) = (counts.len() as f64, f64::from(raters));
    let observed = agreeing / (items * raters * (raters - 1.0));
    let chance: f64 = of_label.iter().map(|sum| (sum / (items * raters)).powi(2)).sum();
    Ok((chance < 1.0).then(|| (observed - chance) / (1.0 - chance)))
}

/// What the values of [`krippendorff_alpha`] mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Names: equal or not.
    Nominal,
    /// Places in an order.
    Ordinal,
    /// Numbers whose differences count.
    Interval,
    /// Numbers above 0 whose ratios count.
    Ratio,
}

/// Krippendorff's alpha: `ratings[rater][item]`, `None` where a rater gave
/// none. Items with fewer than two ratings cannot be paired and say nothing.
/// Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability".
pub fn krippendorff_alpha(
    ratings: &[Vec<Option<f64>>],
    level: Level,
) -> Result<Option<f64>, Error> {
    let items = ratings.first().map_or(0, Vec::len);
    if let Some(short) = ratings.iter().find(|rater| rater.len() != items) {
        return Err(Error::Length { what: "a rater", found: short.len(), needed: items });
    }
    let of_item = |item: usize| ratings.iter().filter_map(move |rater| rater[item]);
    let paired = (0..items).map(|item| of_item(item).collect::<Vec<f64>>());
    let paired: Vec<Vec<f64>> = paired.filter(|given| given.len() > 1).collect();
    let mut values: Vec<f64> = paired.iter().flatten().copied().collect();
    sample::check(&values, 2)?;
    values.sort_by(f64::total_cmp);
    values.dedup();
    let place = |value: &f64| values.partition_point(|other| other < value);
    let mut totals = vec![0.0; values.len()];
    for value in paired.iter().flatten() {
        totals[place(value)] += 1.0;
    }
    let apart = distances(&values, &totals, level)?;
    let mut observed = 0.0;
    for given in &paired {
        let of_pair = |a: &f64| given.iter().map(|b| apart[place(a)][place(b)]).sum::<f64>();
        observed += given.iter().map(of_pair).sum::<f64>() / (given.len() - 1) as f64;
    }
    let mut expected = 0.0;
    for (row, a) in apart.iter().zip(&totals) {
        expected += row.iter().zip(&totals).map(|(distance, b)| a * b * distance).sum::<f64>();
    }
    let count: f64 = totals.iter().sum();
    Ok((expected > 0.0).then(|| 1.0 - (count - 1.0) * observed / expected))
}

/// Squared distance of each pair of values, of which `totals` occurred.
fn distances(values: &[f64], totals: &[f64], level: Level) -> Result<Vec<Vec<f64>>, Error> {
    if level == Level::Ratio && values[0] < 0.0 {
        let range = "at least 0 on a ratio scale";
        return Err(Error::Range { name: "a rating", value: values[0], range });
    }
    let distance = |i: usize, j: usize| match level {
        _ if i == j => 0.0,
        Level::Nominal => 1.0,
        Level::Interval => (values[i] - values[j]).powi(2),
        Level::Ratio => ((values[i] - values[j]) / (values[i] + values[j])).powi(2),
        Level::Ordinal => {
            let between: f64 = totals[i.min(j)..=i.max(j)].iter().sum();
            (between - f64::midpoint(totals[i], totals[j])).powi(2)
        }
    };
    let row = |i| (0..values.len()).map(|j| distance(i, j)).collect();
    Ok((0..values.len()).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::reference;

    #[track_caller]
    fn check(found: Result<Option<f64>, Error>, name: &str) {
        let (found, want) = (found.unwrap().unwrap(), reference(name));
        assert!((found - want).abs() < 1e-12, "{name}: {found} is not {want}");
    }

    /// Four raters of twelve items; 0 stands for no rating.
    const RATED: [[u8; 12]; 4] = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ];

    fn rated() -> Vec<Vec<Option<f64>>> {
        let value = |value: u8| (value > 0).then(|| f64::from(value));
        RATED.iter().map(|rater| rater.iter().map(|v| value(*v)).collect()).collect()
    }

    #[test]
    fn alpha_agrees_with_the_reference_implementation() {
        for (level, name) in [
            (Level::Nominal, "krippendorff_nominal"),
            (Level::Ordinal, "krippendorff_ordinal"),
            (Level::Interval, "krippendorff_interval"),
            (Level::Ratio, "krippendorff_ratio"),
        ] {
            check(krippendorff_alpha(&rated(), level), name);
        }
    }

    #[test]
    fn kappa_agrees_with_the_reference_implementation() {
        let (a, b) = ([0, 0, 1, 1, 2, 2, 0, 1, 2, 0], [0, 1, 1, 1, 2, 0, 0, 1, 2, 2]);
        for (weights, name) in [
            (Weights::None, "cohen_none"),
            (Weights::Linear, "cohen_linear"),
            (Weights::Quadratic, "cohen_quadratic"),
        ] {
            check(cohen_kappa(&a, &b, 3, weights), name);
        }
        let counts =
            [[2, 1, 0], [0, 3, 0], [1, 0, 2], [3, 0, 0], [0, 1, 2]].map(|item| item.to_vec());
        check(fleiss_kappa(&counts), "fleiss");
    }

    #[test]
    fn one_label_alone_has_no_agreement_beyond_chance() {
        assert_eq!(cohen_kappa(&[1, 1], &[1, 1], 2, Weights::None), Ok(None));
        assert_eq!(fleiss_kappa(&[vec![3, 0], vec![3, 0]]), Ok(None));
        let same = vec![vec![Some(2.0), Some(2.0)]; 2];
        assert_eq!(krippendorff_alpha(&same, Level::Interval), Ok(None));
    }

    #[test]
    fn ratings_that_do_not_fit_are_refused() {
        assert!(cohen_kappa(&[1], &[], 2, Weights::None).is_err());
        assert!(cohen_kappa(&[2], &[0], 2, Weights::None).is_err());
        assert!(fleiss_kappa(&[vec![2, 1], vec![1, 1]]).is_err());
        assert!(fleiss_kappa(&[vec![1, 0]]).is_err());
        let alone = vec![vec![Some(1.0), None], vec![None, Some(1.0)]];
        assert!(matches!(krippendorff_alpha(&alone, Level::Nominal), Err(Error::TooFew { .. })));
        let below = vec![vec![Some(-1.0)], vec![Some(1.0)]];
        assert!(matches!(krippendorff_alpha(&below, Level::Ratio), Err(Error::Range { .. })));
        let nan = vec![vec![Some(f64::NAN)], vec![Some(1.0)]];
        assert!(matches!(krippendorff_alpha(&nan, Level::Ratio), Err(Error::NotFinite { .. })));
    }
}
