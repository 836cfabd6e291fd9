//! Do stated probabilities come true as often as they say?

use crate::Error;

/// One bar of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Confidences above this...
    pub low: f64,
    /// ...and at most this lie in the bin.
    pub high: f64,
    /// Number of items.
    pub count: u64,
    /// Number of items that were right.
    pub correct: u64,
    /// Mean confidence of the items; the middle of the bin without any.
    pub confidence: f64,
}

impl Bin {
    /// Share of the items that were right; `None` without items.
    pub fn accuracy(&self) -> Option<f64> {
        (self.count > 0).then(|| self.correct as f64 / self.count as f64)
    }
}

/// Sorts items by confidence into `bins` bins of equal width. A confidence on
/// an edge belongs to the bin below, and 0 to the first.
pub fn reliability(confidence: &[f64], correct: &[bool], bins: usize) -> Result<Vec<Bin>, Error> {
    check(confidence, correct)?;
    if bins == 0 {
        return Err(Error::Range { name: "the number of bins", value: 0.0, range: "above 0" });
    }
    let edge = |index: usize| index as f64 / bins as f64;
    let empty = |index| {
        let (low, high) = (edge(index), edge(index + 1));
        Bin { low, high, count: 0, correct: 0, confidence: 0.0 }
    };
    let mut table: Vec<Bin> = (0..bins).map(empty).collect();
    for (confidence, correct) in confidence.iter().zip(correct) {
        let index = table.partition_point(|bin| bin.high < *confidence).min(bins - 1);
        let bin = &mut table[index];
        bin.count += 1;
        bin.correct += u64::from(*correct);
        bin.confidence += confidence;
    }
    for bin in &mut table {
        bin.confidence = match bin.count {
            0 => f64::midpoint(bin.low, bin.high),
            count => bin.confidence / count as f64,
        };
    }
    Ok(table)
}

/// Expected calibration error: the mean distance of confidence and accuracy
/// over the bins, weighted by items. `None` without items. It depends on the
/// number of bins, which must be said beside it. Naeini, Cooper and Hauskrecht
/// 2015, doi:10.1609/aaai.v29i1.9602.
pub fn expected_calibration_error(table: &[Bin]) -> Option<f64> {
    let total: u64 = table.iter().map(|bin| bin.count).sum();
    let apart = |bin: &Bin| {
        let accuracy = bin.accuracy().unwrap_or(bin.confidence);
        bin.count as f64 * (bin.confidence - accuracy).abs()
    };
    (total > 0).then(|| table.iter().map(apart).sum::<f64>() / total as f64)
}

/// Brier score of each item: the squared distance of a probability from what
/// came true, 0 the best and 1 the worst. Brier 1950. Its mean is the score.
pub fn brier(probability: &[f64], came_true: &[bool]) -> Result<Vec<f64>, Error> {
    check(probability, came_true)?;
    let square = |(p, truth): (&f64, &bool)| (p - f64::from(u8::from(*truth))).powi(2);
    Ok(probability.iter().zip(came_true).map(square).collect())
}

fn check(probability: &[f64], truth: &[bool]) -> Result<(), Error> {
    if probability.len() != truth.len() {
        let (found, needed) = (truth.len(), probability.len());
        return Err(Error::Length { what: "the list of outcomes", found, needed });
    }
    match probability.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        None => Ok(()),
        Some(value) => {
            let (name, range) = ("a probability", "between 0 and 1");
            Err(Error::Range { name, value: *value, range })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mean;
    use crate::sample::{reference, reference_list};

    fn data() -> (Vec<f64>, Vec<bool>) {
        let correct = reference_list("calibration_correct").iter().map(|c| *c > 0.5).collect();
        (reference_list("calibration_confidence"), correct)
    }

    #[test]
    fn the_scores_agree_with_the_reference() {
        let (confidence, correct) = data();
        for bins in [10, 15] {
            let table = reliability(&confidence, &correct, bins).unwrap();
            let found = expected_calibration_error(&table).unwrap();
            assert!((found - reference(&format!("ece_{bins}"))).abs() < 1e-12, "{bins}: {found}");
        }
        let found = mean(&brier(&confidence, &correct).unwrap()).unwrap();
        assert!((found - reference("brier")).abs() < 1e-12);
    }

    #[test]
    fn edges_belong_to_the_bin_below() {
        let table = reliability(&[0.0, 0.1, 0.2, 0.25, 1.0], &[true; 5], 10).unwrap();
        let counts: Vec<u64> = table.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [2, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(table[5].accuracy(), None);
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        assert!(matches!(reliability(&[1.1], &[true], 10), Err(Error::Range { .. })));
        assert!(matches!(brier(&[f64::NAN], &[true]), Err(Error::Range { .. })));
        assert!(matches!(brier(&[0.5], &[]), Err(Error::Length { .. })));
        assert!(matches!(reliability(&[], &[], 0), Err(Error::Range { .. })));
        assert_eq!(expected_calibration_error(&reliability(&[], &[], 10).unwrap()), None);
    }
}
