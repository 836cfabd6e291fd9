//! Two systems on the same items: which is better, by how much, how sure.

use std::collections::BTreeMap;

use plumb_metrics::planning::{Plan, smallest_paired_difference};
use plumb_metrics::{
    Estimate, Resampling, SignedRank, compare, estimate_mean, holm, mcnemar, signed_rank,
};

use crate::Error;

/// Values of one measure by item; `None` for an item that could not be scored.
pub type Values = BTreeMap<String, Option<f64>>;

/// How one measure of two systems compares: `right` against `left`, which is
/// the baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Name of the measure.
    pub name: String,
    /// Mean of the baseline over the shared items.
    pub left: Estimate,
    /// Mean of the other system over the shared items.
    pub right: Estimate,
    /// Mean of right minus left.
    pub difference: Estimate,
    /// Two-sided p-value of `test`.
    pub p: f64,
    /// The same after Holm's correction over all measures compared.
    pub adjusted_p: f64,
    /// The test behind `p`, in words.
    pub test: &'static str,
    /// Of the paired bootstrap test, which may disagree.
    pub bootstrap_p: f64,
    /// Of the signed-rank test; `None` if no item differs.
    pub signed_rank: Option<SignedRank>,
    /// Items that either system has and the other has not, or that either
    /// could not score.
    pub unscored: usize,
    /// Smallest difference that items of this spread and number show with a
    /// power of 80 %; `None` if no item differs.
    pub detectable: Option<f64>,
    /// What it comes to.
    pub verdict: Verdict,
}

/// What a comparison comes to at the level of the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The right system is better.
    Better,
    /// The right system is worse.
    Worse,
    /// The items do not tell the systems apart; that does not make them equal.
    Undecided,
}

/// Whether less is better, by the name of a measure.
pub fn less_is_better(name: &str) -> bool {
    let stem = name.split('@').next().unwrap_or(name);
    matches!(stem, "ter" | "brier" | "ece" | "bits_per_byte" | "loss")
        || stem.ends_with("perplexity")
}

/// Compares two systems on the measures and items that both have. Fails if
/// there is no such measure or fewer than two such items.
pub fn compare_systems(
    left: &BTreeMap<String, Values>,
    right: &BTreeMap<String, Values>,
    how: &Resampling,
) -> Result<Vec<Compared>, Error> {
    let mut found = Vec::new();
    for (name, of_left) in left {
        if let Some(of_right) = right.get(name) {
            let one = compare_one(name, of_left, of_right, how)
                .map_err(|source| Error::Score { name: name.clone(), source })?;
            found.push(one);
        }
    }
    if found.is_empty() {
        let names =
            |of: &BTreeMap<String, Values>| of.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(Error::NoSharedMeasure { left: names(left), right: names(right) });
    }
    let p_values: Vec<f64> = found.iter().map(|one| one.p).collect();
    let adjusted = holm(&p_values)
        .map_err(|source| Error::Score { name: "adjusted p-values".to_owned(), source })?;
    for (one, p) in found.iter_mut().zip(adjusted) {
        one.adjusted_p = p;
        let gain =
            if less_is_better(&one.name) { -one.difference.mean } else { one.difference.mean };
        if p <= 1.0 - how.level {
            one.verdict = if gain > 0.0 { Verdict::Better } else { Verdict::Worse };
        }
    }
    Ok(found)
}

fn compare_one(
    name: &str,
    of_left: &Values,
    of_right: &Values,
    how: &Resampling,
) -> Result<Compared, plumb_metrics::Error> {
    let shared =
        of_left.iter().filter_map(|(item, value)| Some(((*value)?, (*of_right.get(item)?)?)));
    let (left, right): (Vec<f64>, Vec<f64>) = shared.unzip();
    let only_right = of_right.keys().filter(|item| !of_left.contains_key(*item)).count();
    let unscored = of_left.len() + only_right - left.len();
    let found = compare(&right, &left, how)?;
    let is_binary = left.iter().chain(&right).all(|value| [0.0, 1.0].contains(value));
    let (p, test) = if is_binary {
        let won = |a: &[f64], b: &[f64]| a.iter().zip(b).filter(|(a, b)| a > b).count() as u64;
        (mcnemar(won(&left, &right), won(&right, &left))?.exact_p, "exact McNemar test")
    } else if found.is_exact {
        (found.randomisation_p, "exact sign-flip test")
    } else {
        (found.randomisation_p, "approximate randomisation test")
    };
    let differences: Vec<f64> = right.iter().zip(&left).map(|(r, l)| r - l).collect();
    Ok(Compared {
        name: name.to_owned(),
        left: estimate_mean(&left, how)?,
        right: estimate_mean(&right, how)?,
        difference: found.difference,
        p,
        adjusted_p: p,
        test,
        bootstrap_p: found.bootstrap_p,
        signed_rank: signed_rank(&right, &left).ok(),
        unscored,
        detectable: smallest_paired_difference(&differences, Plan::default()).ok(),
        verdict: Verdict::Undecided,
    })
}

impl Compared {
    /// The verdict as a sentence; `left` and `right` name the systems.
    pub fn sentence(&self, left: &str, right: &str) -> String {
        let Self { name, difference, adjusted_p, test, .. } = self;
        let by = format!(
            "by {:.4} [{:.4}, {:.4}] over {} items (p = {adjusted_p:.4}, {test})",
            difference.mean, difference.low, difference.high, difference.count
        );
        match self.verdict {
            Verdict::Better => format!("{name}: {right} is better than {left} {by}"),
            Verdict::Worse => format!("{name}: {right} is worse than {left} {by}"),
            Verdict::Undecided => {
                let needed = match self.detectable {
                    Some(least) => {
                        format!("; so many items show a difference of {least:.4} or more")
                    }
                    None => String::new(),
                };
                format!("{name}: no difference shown: {right} differs from {left} {by}{needed}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(of: impl Fn(u32) -> f64) -> Values {
        (0..40).map(|item| (format!("q{item:02}"), Some(of(item)))).collect()
    }

    fn system(name: &str, values: Values) -> BTreeMap<String, Values> {
        BTreeMap::from([(name.to_owned(), values)])
    }

    fn noise(item: u32) -> f64 {
        f64::from(item * 7 % 11) / 11.0
    }

    fn one(name: &str, left: Values, right: Values) -> Compared {
        let how = Resampling { resamples: 999, ..Resampling::default() };
        compare_systems(&system(name, left), &system(name, right), &how).unwrap().remove(0)
    }

    #[test]
    fn a_clear_gain_is_better_and_of_an_error_worse() {
        let (low, high) = (values(noise), values(|i| noise(i) + 0.1 + noise(i * 3) / 50.0));
        let found = one("ndcg@10", low.clone(), high.clone());
        assert_eq!(found.verdict, Verdict::Better);
        assert!(found.difference.low > 0.0 && found.difference.mean > 0.1);
        let sentence = found.sentence("old", "new");
        assert!(sentence.starts_with("ndcg@10: new is better than old by 0.1"), "{sentence}");
        assert_eq!(one("ter", low.clone(), high.clone()).verdict, Verdict::Worse);
        assert_eq!(one("map", high, low).verdict, Verdict::Worse);
    }

    #[test]
    fn noise_is_undecided_and_says_what_could_have_been_seen() {
        let found = one("map", values(noise), values(|i| noise(i * 5)));
        assert_eq!(found.verdict, Verdict::Undecided);
        assert!(found.detectable.unwrap() > 0.0);
        assert!(found.sentence("a", "b").contains("no difference shown"));
    }

    #[test]
    fn right_and_wrong_is_a_matter_of_mcnemar() {
        // 12 of 40 right, then those and 10 more.
        let right = |limit: u32| values(move |i| f64::from(u8::from(i < limit)));
        let found = one("accuracy", right(12), right(22));
        assert_eq!(found.test, "exact McNemar test");
        assert!((found.p - 2.0 / 1024.0).abs() < 1e-12, "{}", found.p);
    }

    #[test]
    fn items_that_only_one_has_are_counted_and_not_used() {
        let (mut left, mut right) = (values(noise), values(noise));
        left.insert("only".to_owned(), Some(100.0));
        right.insert("q00".to_owned(), None);
        let found = one("map", left, right);
        assert_eq!((found.difference.count, found.unscored), (39, 2));
    }

    #[test]
    fn several_measures_are_corrected_together() {
        let clear = |shift: f64| values(move |i| noise(i) + shift + noise(i * 3) / 40.0);
        let left =
            BTreeMap::from([("a".to_owned(), values(noise)), ("b".to_owned(), values(noise))]);
        let right = BTreeMap::from([("a".to_owned(), clear(0.2)), ("b".to_owned(), clear(0.2))]);
        let how = Resampling { resamples: 999, ..Resampling::default() };
        let found = compare_systems(&left, &right, &how).unwrap();
        assert!(found.iter().all(|one| (one.adjusted_p - 2.0 * one.p).abs() < 1e-12));
        let other = system("c", values(noise));
        assert!(matches!(compare_systems(&left, &other, &how), Err(Error::NoSharedMeasure { .. })));
    }
}
