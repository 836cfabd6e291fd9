//! Measures of predicted classes, and of scores that rank them.
//!
//! Classes are numbers below a count that the caller chose; what they are
//! called stays outside. Conventions are scikit-learn's.

use crate::{Error, sample};

/// How often each true class was predicted as each class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// Row by true class, column by predicted class.
    counts: Vec<u64>,
}

/// Precision, recall and F1 of one class, or their average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// Share of the predictions of the class that were right; 0 without any.
    pub precision: f64,
    /// Share of the items of the class that were found; 0 without any.
    pub recall: f64,
    /// Harmonic mean of both; 0 if both are.
    pub f1: f64,
}

/// How the scores of classes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// Each class counts the same.
    Macro,
    /// Each item counts the same: of one label each, this is the accuracy.
    Micro,
    /// Each class counts by its number of true items.
    Weighted,
}

impl Confusion {
    /// Counts pairs of true and predicted class, each below `classes`.
    pub fn new(
        pairs: impl IntoIterator<Item = (usize, usize)>,
        classes: usize,
    ) -> Result<Self, Error> {
        let mut counts = vec![0; classes * classes];
        for (truth, predicted) in pairs {
            for class in [truth, predicted] {
                if class >= classes {
                    let (value, range) = (class as f64, "below the number of classes");
                    return Err(Error::Range { name: "a class", value, range });
                }
            }
            counts[truth * classes + predicted] += 1;
        }
        Ok(Self { classes, counts })
    }

    /// Number of items of class `truth` that were predicted as `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes + predicted]
    }

    /// Number of items.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Number of items that truly are of `class`.
    pub fn support(&self, class: usize) -> u64 {
        (0..self.classes).map(|predicted| self.count(class, predicted)).sum()
    }

    /// Number of items that were predicted as `class`.
    pub fn predicted(&self, class: usize) -> u64 {
        (0..self.classes).map(|truth| self.count(truth, class)).sum()
    }

    /// Number of items whose class was predicted.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// Share of the items whose class was predicted; `None` without items.
    pub fn accuracy(&self) -> Option<f64> {
        (self.total() > 0).then(|| self.correct() as f64 / self.total() as f64)
    }

    /// Precision, recall and F1 of `class`.
    pub fn class(&self, class: usize) -> ClassScores {
        scores(self.count(class, class), self.predicted(class), self.support(class))
    }

    /// Precision, recall and F1 over all classes; `None` without items.
    ///
    /// A class without items and predictions is left out of the macro average,
    /// as if it had not been named.
    pub fn average(&self, average: Average) -> Option<ClassScores> {
        if self.total() == 0 {
            return None;
        }
        if average == Average::Micro {
            return Some(scores(self.correct(), self.total(), self.total()));
        }
        let mut sum = ClassScores { precision: 0.0, recall: 0.0, f1: 0.0 };
        let mut weights = 0.0;
        for class in 0..self.classes {
            let support = self.support(class);
            let weight = match average {
                Average::Weighted => support as f64,
                _ => f64::from(u8::from(support > 0 || self.predicted(class) > 0)),
            };
            let one = self.class(class);
            sum.precision += weight * one.precision;
            sum.recall += weight * one.recall;
            sum.f1 += weight * one.f1;
            weights += weight;
        }
        let ClassScores { precision, recall, f1 } = sum;
        Some(ClassScores {
            precision: precision / weights,
            recall: recall / weights,
            f1: f1 / weights,
        })
    }

    /// Matthews' correlation in `-1.0..=1.0`, for any number of classes.
    /// Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006. `None` if all
    /// items are of one class or predicted as one.
    pub fn matthews(&self) -> Option<f64> {
        let total = self.total() as f64;
        let of = |class| (self.support(class) as f64, self.predicted(class) as f64);
        let (mut both, mut truth, mut predicted) = (0.0, 0.0, 0.0);
        for (t, p) in (0..self.classes).map(of) {
            both += t * p;
            truth += t * t;
            predicted += p * p;
        }
        let spread = (total * total - truth) * (total * total - predicted);
        (spread > 0.0).then(|| (self.correct() as f64 * total - both) / spread.sqrt())
    }
}

fn scores(right: u64, predicted: u64, support: u64) -> ClassScores {
    let share = |of: u64| if of > 0 { right as f64 / of as f64 } else { 0.0 };
    let f1 = if predicted + support > 0 {
        2.0 * right as f64 / (predicted + support) as f64
    } else {
        0.0
    };
    ClassScores { precision: share(predicted), recall: share(support), f1 }
}

/// Chance that a positive item scores above a negative one, ties counting
/// half: the area under the ROC curve. `None` if there is only one kind.
pub fn area_under_roc(scores: &[f64], positive: &[bool]) -> Result<Option<f64>, Error> {
    let order = falling(scores, positive)?;
    let (mut pairs, mut negatives_above, mut positives) = (0.0, 0.0, 0.0);
    for tied in order.chunk_by(|a, b| scores[*a].total_cmp(&scores[*b]).is_eq()) {
        let here = tied.iter().filter(|item| positive[**item]).count() as f64;
        let negatives = tied.len() as f64 - here;
        pairs += here * (negatives_above + negatives / 2.0);
        negatives_above += negatives;
        positives += here;
    }
    let all = positives * negatives_above;
    Ok((all > 0.0).then(|| 1.0 - pairs / all))
}

/// Precision summed over the steps of recall: the area under the precision
/// and recall curve, without interpolation. `None` without positive items.
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Result<Option<f64>, Error> {
    let order = falling(scores, positive)?;
    let (mut found, mut seen, mut sum) = (0.0, 0.0, 0.0);
    for tied in order.chunk_by(|a, b| scores[*a].total_cmp(&scores[*b]).is_eq()) {
        let here = tied.iter().filter(|item| positive[**item]).count() as f64;
        seen += tied.len() as f64;
        found += here;
        sum += here * found / seen;
    }
    Ok((found > 0.0).then(|| sum / found))
}

/// Items in falling order of score, after checking the lists.
fn falling(scores: &[f64], positive: &[bool]) -> Result<Vec<usize>, Error> {
    if scores.len() != positive.len() {
        let (found, needed) = (positive.len(), scores.len());
        return Err(Error::Length { what: "the list of labels", found, needed });
    }
    sample::check(scores, 0)?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{reference, reference_list};
    use proptest::prelude::*;

    fn classes(name: &str) -> Vec<usize> {
        let whole = |value: f64| (0..10).find(|class| f64::from(*class) >= value).unwrap();
        reference_list(name)
            .into_iter()
            .map(|value| usize::try_from(whole(value)).unwrap())
            .collect()
    }

    fn confusion() -> Confusion {
        let pairs = classes("gold").into_iter().zip(classes("predicted"));
        Confusion::new(pairs, 4).unwrap()
    }

    #[track_caller]
    fn check(found: f64, name: &str) {
        let want = reference(name);
        assert!((found - want).abs() < 1e-12, "{name}: {found} is not {want}");
    }

    #[test]
    fn every_average_agrees_with_the_reference_implementation() {
        let found = confusion();
        check(found.accuracy().unwrap(), "accuracy");
        check(found.matthews().unwrap(), "matthews");
        for (average, name) in
            [(Average::Macro, "macro"), (Average::Micro, "micro"), (Average::Weighted, "weighted")]
        {
            let scores = found.average(average).unwrap();
            check(scores.precision, &format!("{name}_precision"));
            check(scores.recall, &format!("{name}_recall"));
            check(scores.f1, &format!("{name}_f1"));
        }
        for class in 0..4 {
            check(found.class(class).f1, &format!("class_{class}_f1"));
        }
    }

    #[test]
    fn areas_agree_with_the_reference_implementation() {
        let scores = reference_list("ranked_scores");
        let positive: Vec<bool> =
            reference_list("ranked_labels").iter().map(|l| *l > 0.5).collect();
        check(area_under_roc(&scores, &positive).unwrap().unwrap(), "roc_auc");
        check(average_precision(&scores, &positive).unwrap().unwrap(), "average_precision");
    }

    #[test]
    fn what_cannot_be_said_is_none() {
        let one = Confusion::new([(0, 0), (0, 0)], 2).unwrap();
        assert_eq!(one.matthews(), None);
        assert_eq!(Confusion::new([], 2).unwrap().accuracy(), None);
        assert_eq!(area_under_roc(&[0.5, 0.2], &[true, true]).unwrap(), None);
        assert_eq!(average_precision(&[0.5], &[false]).unwrap(), None);
        assert!(matches!(Confusion::new([(0, 2)], 2), Err(Error::Range { .. })));
        assert!(matches!(area_under_roc(&[f64::NAN], &[true]), Err(Error::NotFinite { .. })));
        assert!(matches!(area_under_roc(&[0.1], &[]), Err(Error::Length { .. })));
    }

    proptest! {
        #[test]
        fn the_area_is_the_share_of_pairs_in_order(
            items in prop::collection::vec((0_u8..6, any::<bool>()), 1..30),
        ) {
            let scores: Vec<f64> = items.iter().map(|(score, _)| f64::from(*score)).collect();
            let labels: Vec<bool> = items.iter().map(|(_, label)| *label).collect();
            let (mut sum, mut pairs) = (0.0, 0.0);
            for (high, _) in items.iter().filter(|(_, label)| *label) {
                for (low, _) in items.iter().filter(|(_, label)| !*label) {
                    pairs += 1.0;
                    sum += f64::midpoint(f64::from(high >= low), f64::from(high > low));
                }
            }
            let found = area_under_roc(&scores, &labels).unwrap();
            prop_assert_eq!(found.is_some(), pairs > 0.0);
            if let Some(found) = found {
                let want: f64 = sum / pairs;
                prop_assert!((found - want).abs() < 1e-12);
            }
        }
    }
}
