//! Predicted labels against true ones, and probabilities against outcomes.

mod items;

use std::collections::HashSet;

use plumb_metrics::calibration::{Bin, brier, expected_calibration_error, reliability};
use plumb_metrics::classification::{Average, Confusion, area_under_roc, average_precision};
use plumb_metrics::{Resampling, Units, agreement, estimate_statistic};

use crate::{Error, Score};

pub use items::{Item, parse};

/// What is computed beside the labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The class that is looked for, if there are two: the last in order
    /// unless named.
    pub positive: Option<String>,
    /// Bins of the reliability table.
    pub bins: usize,
    /// How intervals are made.
    pub how: Resampling,
}

/// Everything measured.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The labels, in order: by number if all are numbers, else by name.
    pub classes: Vec<String>,
    /// Counts by true and predicted label.
    pub confusion: Confusion,
    /// Name, score and signature of each measure.
    pub scores: Vec<(String, Score, String)>,
    /// Measures that have no value, with the reason.
    pub undefined: Vec<(String, String)>,
    /// Confidence against accuracy, where there are probabilities.
    pub reliability: Option<Vec<Bin>>,
    /// Of each item its name and whether its label was right, `None` where
    /// there was no prediction.
    pub correct: Vec<(String, Option<bool>)>,
}

/// The items that have a prediction, as numbers.
struct Pairs {
    truth: Vec<usize>,
    predicted: Vec<usize>,
    /// Probability of each class, an item a row.
    rows: Option<Vec<Vec<f64>>>,
    /// Probability of the predicted label.
    confidence: Option<Vec<f64>>,
}

/// Compares `predicted` with `gold`, item by item. Files of different length,
/// names that differ, an item without a true label, and probabilities for some
/// items only are errors.
pub fn evaluate(
    gold: &[Item],
    predicted: &[Item],
    settings: &Settings,
) -> Result<Evaluated, Error> {
    let correct = align(gold, predicted)?;
    let classes = classes(gold, predicted);
    let pairs = Pairs::new(gold, predicted, &classes)?;
    let confusion = Confusion::new(
        pairs.truth.iter().copied().zip(pairs.predicted.iter().copied()),
        classes.len(),
    )
    .map_err(|source| Error::Score { name: "confusion".to_owned(), source })?;
    let unscored = gold.len() - pairs.truth.len();
    let mut found = Evaluated {
        classes,
        confusion,
        scores: Vec::new(),
        undefined: Vec::new(),
        reliability: None,
        correct,
    };
    let mut measuring = Measuring { pairs: &pairs, settings, unscored, found: &mut found };
    measuring.labels()?;
    measuring.probabilities()?;
    Ok(found)
}

/// Checks that both files speak of the same items.
fn align(gold: &[Item], predicted: &[Item]) -> Result<Vec<(String, Option<bool>)>, Error> {
    if gold.len() != predicted.len() {
        return Err(Error::Lines { gold: gold.len(), predicted: predicted.len() });
    }
    let mut correct = Vec::with_capacity(gold.len());
    let mut seen = HashSet::new();
    for (line, (truth, said)) in (1..).zip(gold.iter().zip(predicted)) {
        if let (Some(a), Some(b)) = (&truth.id, &said.id)
            && a != b
        {
            let message = format!("the item is `{a}` in one file and `{b}` in the other");
            return Err(Error::Line { line, message });
        }
        if truth.label.is_none() {
            let message = "the item has no true label".to_owned();
            return Err(Error::Line { line, message });
        }
        let name = truth.id.clone().or_else(|| said.id.clone()).unwrap_or_else(|| line.to_string());
        if !seen.insert(name.clone()) {
            let message = format!("the item `{name}` was there before");
            return Err(Error::Line { line, message });
        }
        correct.push((name, said.label.as_ref().map(|label| Some(label) == truth.label.as_ref())));
    }
    Ok(correct)
}

/// Every label that occurs, in order.
fn classes(gold: &[Item], predicted: &[Item]) -> Vec<String> {
    let labels = gold.iter().chain(predicted).flat_map(|item| {
        item.label.iter().chain(item.probabilities.iter().flat_map(|of| of.keys()))
    });
    let mut classes: Vec<String> = labels.cloned().collect();
    classes.sort_unstable();
    classes.dedup();
    let numbers: Option<Vec<f64>> = classes.iter().map(|label| label.parse().ok()).collect();
    if let Some(numbers) = numbers {
        let mut pairs: Vec<(f64, String)> = numbers.into_iter().zip(classes).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        return pairs.into_iter().map(|(_, label)| label).collect();
    }
    classes
}

impl Pairs {
    fn new(gold: &[Item], predicted: &[Item], classes: &[String]) -> Result<Self, Error> {
        let place = |label: &String| classes.iter().position(|class| class == label);
        let mut pairs = Self { truth: vec![], predicted: vec![], rows: None, confidence: None };
        let (mut rows, mut confidence) = (Vec::new(), Vec::new());
        for (truth, said) in gold.iter().zip(predicted) {
            let labels = (truth.label.as_ref().and_then(place), said.label.as_ref());
            let (Some(truth), Some(label)) = labels else { continue };
            pairs.truth.push(truth);
            pairs.predicted.extend(place(label));
            if let Some(of) = &said.probabilities {
                rows.push(
                    classes.iter().map(|class| of.get(class).copied().unwrap_or(0.0)).collect(),
                );
            }
            let of_label =
                said.probabilities.as_ref().map(|of| of.get(label).copied().unwrap_or(0.0));
            confidence.extend(said.probability.or(of_label));
        }
        let count = pairs.truth.len();
        for (what, found) in [("probabilities", rows.len()), ("a probability", confidence.len())] {
            if found != 0 && found != count {
                return Err(Error::SomeOnly { what, found, count });
            }
        }
        pairs.rows = (!rows.is_empty()).then_some(rows);
        pairs.confidence = (!confidence.is_empty()).then_some(confidence);
        Ok(pairs)
    }

    fn correct(&self) -> Vec<bool> {
        self.truth.iter().zip(&self.predicted).map(|(truth, said)| truth == said).collect()
    }
}

/// An area under a curve of scores and labels.
type Area = fn(&[f64], &[bool]) -> Result<Option<f64>, plumb_metrics::Error>;

/// One evaluation under way.
struct Measuring<'a> {
    pairs: &'a Pairs,
    settings: &'a Settings,
    unscored: usize,
    found: &'a mut Evaluated,
}

impl Measuring<'_> {
    /// Measures of labels alone.
    fn labels(&mut self) -> Result<(), Error> {
        let right: Vec<f64> =
            self.pairs.correct().into_iter().map(|right| f64::from(u8::from(right))).collect();
        self.mean("accuracy", &right, "")?;
        let average =
            |of: Average, pick: fn(&plumb_metrics::classification::ClassScores) -> f64| {
                move |confusion: &Confusion| confusion.average(of).map(|scores| pick(&scores))
            };
        self.of_confusion("macro_f1", average(Average::Macro, |s| s.f1))?;
        self.of_confusion("macro_precision", average(Average::Macro, |s| s.precision))?;
        self.of_confusion("macro_recall", average(Average::Macro, |s| s.recall))?;
        self.of_confusion("micro_f1", average(Average::Micro, |s| s.f1))?;
        self.of_confusion("weighted_f1", average(Average::Weighted, |s| s.f1))?;
        self.of_confusion("mcc", Confusion::matthews)?;
        let (pairs, classes) = (self.pairs, self.found.classes.len());
        self.statistic("kappa", "weights:none", |drawn| {
            let pick = |of: &[usize]| drawn.iter().map(|i| of[*i]).collect::<Vec<_>>();
            let (a, b) = (pick(&pairs.truth), pick(&pairs.predicted));
            agreement::cohen_kappa(&a, &b, classes, agreement::Weights::None).ok().flatten()
        })
    }

    /// Measures of probabilities, where there are some.
    fn probabilities(&mut self) -> Result<(), Error> {
        let Some(confidence) = &self.pairs.confidence else { return Ok(()) };
        let correct = self.pairs.correct();
        let failed = |source| Error::Score { name: "reliability".to_owned(), source };
        let bins = self.settings.bins;
        self.found.reliability = Some(reliability(confidence, &correct, bins).map_err(failed)?);
        let extra = format!("bins:{bins}-equal-width|of:predicted-label");
        self.statistic("ece", &extra, |drawn| {
            let confidence: Vec<f64> = drawn.iter().map(|i| confidence[*i]).collect();
            let correct: Vec<bool> = drawn.iter().map(|i| correct[*i]).collect();
            expected_calibration_error(&reliability(&confidence, &correct, bins).ok()?)
        })?;
        let Some(rows) = &self.pairs.rows else {
            let values = brier(confidence, &correct).map_err(failed)?;
            return self.mean("brier", &values, "of:predicted-label");
        };
        let truth = &self.pairs.truth;
        let of_row = |(row, truth): (&Vec<f64>, &usize)| -> f64 {
            let square =
                |(class, p): (usize, &f64)| (p - f64::from(u8::from(class == *truth))).powi(2);
            row.iter().enumerate().map(square).sum()
        };
        let halved = if self.found.classes.len() == 2 { 0.5 } else { 1.0 };
        let values: Vec<f64> = rows.iter().zip(truth).map(|one| halved * of_row(one)).collect();
        let form = if halved < 1.0 { "of:positive" } else { "of:all-classes" };
        self.mean("brier", &values, form)?;
        self.areas(rows)
    }

    /// Areas under curves: of the positive class of two, or the mean over all.
    fn areas(&mut self, rows: &[Vec<f64>]) -> Result<(), Error> {
        let classes = self.found.classes.clone();
        let wanted: Vec<usize> = match (&self.settings.positive, classes.len()) {
            (Some(name), _) => {
                let class = classes.iter().position(|class| class == name);
                let missing =
                    || Error::NoSuchClass { name: name.clone(), classes: classes.join(", ") };
                vec![class.ok_or_else(missing)?]
            }
            (None, 2) => vec![1],
            (None, count) => (0..count).collect(),
        };
        let named: Vec<&str> = wanted.iter().map(|class| classes[*class].as_str()).collect();
        let extra = format!("positive:{}", named.join("+"));
        let truth = &self.pairs.truth;
        for (name, area) in
            [("auroc", area_under_roc as Area), ("average_precision", average_precision)]
        {
            self.statistic(name, &extra, |drawn| {
                let mut sum = 0.0;
                for class in &wanted {
                    let scores: Vec<f64> = drawn.iter().map(|i| rows[*i][*class]).collect();
                    let positive: Vec<bool> = drawn.iter().map(|i| truth[*i] == *class).collect();
                    sum += area(&scores, &positive).ok().flatten()?;
                }
                Some(sum / wanted.len() as f64)
            })?;
        }
        Ok(())
    }

    fn of_confusion(
        &mut self,
        name: &str,
        statistic: impl Fn(&Confusion) -> Option<f64>,
    ) -> Result<(), Error> {
        let (pairs, classes) = (self.pairs, self.found.classes.len());
        self.statistic(name, "", |drawn| {
            let of = drawn.iter().map(|i| (pairs.truth[*i], pairs.predicted[*i]));
            statistic(&Confusion::new(of, classes).ok()?)
        })
    }

    fn mean(&mut self, name: &str, values: &[f64], extra: &str) -> Result<(), Error> {
        let score = Score::of_mean(values, self.unscored, &self.settings.how)
            .map_err(|source| Error::Score { name: name.to_owned(), source })?;
        self.add(name, score, extra);
        Ok(())
    }

    /// A statistic with a bootstrap that keeps the number of items of each
    /// true class, so that no resample lacks one.
    fn statistic(
        &mut self,
        name: &str,
        extra: &str,
        statistic: impl Fn(&[usize]) -> Option<f64>,
    ) -> Result<(), Error> {
        let count = self.pairs.truth.len();
        let all: Vec<usize> = (0..count).collect();
        let Some(value) = statistic(&all) else {
            let why = "all items have one label, or all predictions".to_owned();
            self.found.undefined.push((name.to_owned(), why));
            return Ok(());
        };
        if count < 2 {
            let score = Score { value, interval: None, n: count, unscored: self.unscored };
            self.add(name, score, extra);
            return Ok(());
        }
        // Of a resample that leaves it undefined, the value is that of chance.
        let or_chance = |drawn: &[usize]| statistic(drawn).unwrap_or(0.0);
        let how = &self.settings.how;
        let found = estimate_statistic(Units::Strata(&self.pairs.truth), or_chance, how)
            .map_err(|source| Error::Score { name: name.to_owned(), source })?;
        self.add(name, Score::of_estimate(&found, self.unscored, how), extra);
        Ok(())
    }

    fn add(&mut self, name: &str, score: Score, extra: &str) {
        let classes = self.found.classes.len();
        let mut signature = format!("{name}|classes:{classes}");
        if !extra.is_empty() {
            signature = format!("{signature}|{extra}");
        }
        signature = format!("{signature}|plumb:{}", env!("CARGO_PKG_VERSION"));
        self.found.scores.push((name.to_owned(), score, signature));
    }
}

#[cfg(test)]
mod tests;
