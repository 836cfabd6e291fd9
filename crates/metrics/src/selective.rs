//! A threshold on a score such that, of what passes it, few are wrong.
//!
//! A system that may refuse is asked labelled questions. Each has a score, and
//! would be answered rightly or wrongly. [`certify`] finds a threshold for which
//! the share of wrong ones among the answered is at most `max_error`, with a
//! stated confidence over the draw of the questions.
//!
//! The method is Learn then Test (Angelopoulos et al. 2021, arXiv:2110.01052)
//! with split fixed-sequence testing: a first part of the questions only decides
//! in which order thresholds are tested, the second part tests them in that
//! order, each at the full level, until the first that fails. The p-value of a
//! threshold is the exact binomial tail: given how many questions pass it, the
//! wrong ones among them are binomial. What is certified holds for questions
//! drawn like those of the calibration, and for no others.

use crate::Error;

/// A labelled question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The question is answered if this reaches the threshold.
    pub score: f64,
    /// Whether the answer would be wrong.
    pub is_wrong: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Greatest share of wrong answers among the answered, in `0..1`.
    pub max_error: f64,
    /// Probability that the share is kept, in `0..1`.
    pub confidence: f64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selection {
    /// The threshold, and whether it is certified or only the most promising.
    pub threshold: f64,
    pub is_certified: bool,
    /// Questions of the second part.
    pub tested: u64,
    /// Of these, how many reach the threshold.
    pub answered: u64,
    /// Of the answered, how many are wrong.
    pub errors: u64,
    /// Upper end of the one-sided exact interval of the share of errors.
    pub bound: f64,
}

/// Certifies a threshold with `order`, the questions that choose the order of
/// tests, and `tests`, those that decide. The parts must be drawn without looking
/// at scores or labels.
pub fn certify(order: &[Scored], tests: &[Scored], demand: Demand) -> Result<Selection, Error> {
    for level in [demand.max_error, demand.confidence] {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::Level { level });
        }
    }
    for part in [order, tests] {
        if part.is_empty() {
            return Err(Error::TooFew { found: 0, needed: 1 });
        }
        if let Some((index, scored)) =
            part.iter().enumerate().find(|(_, scored)| !scored.score.is_finite())
        {
            return Err(Error::NotFinite { index, value: scored.score });
        }
    }
    let mut best: Option<Selection> = None;
    for threshold in sequence(order, demand.max_error) {
        let (answered, errors) = counts(tests, threshold);
        let is_certified = tail(errors, answered, demand.max_error) <= 1.0 - demand.confidence;
        let found = Selection {
            threshold,
            is_certified,
            tested: tests.len() as u64,
            answered,
            errors,
            bound: upper_bound(errors, answered, demand.confidence),
        };
        if is_certified {
            best = Some(found);
        } else {
            return Ok(best.unwrap_or(found));
        }
    }
    best.ok_or(Error::TooFew { found: 0, needed: 1 })
}

/// Thresholds in the order of their tests: the one that `order` speaks for most,
/// then ever lower ones, which answer more.
fn sequence(order: &[Scored], max_error: f64) -> Vec<f64> {
    let mut thresholds: Vec<f64> = order.iter().map(|scored| scored.score).collect();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    let evidence = |threshold: &f64| {
        let (answered, errors) = counts(order, *threshold);
        tail(errors, answered, max_error)
    };
    let start = (0..thresholds.len())
        .min_by(|&a, &b| evidence(&thresholds[a]).total_cmp(&evidence(&thresholds[b])))
        .unwrap_or(0);
    thresholds.split_off(start)
}

fn counts(scored: &[Scored], threshold: f64) -> (u64, u64) {
    let answered = scored.iter().filter(|one| one.score >= threshold);
    answered.fold((0, 0), |(all, wrong), one| (all + 1, wrong + u64::from(one.is_wrong)))
}

/// Probability of at most `errors` errors in `trials` trials if each is wrong
/// with probability `share`: 1 without trials.
pub fn tail(errors: u64, trials: u64, share: f64) -> f64 {
    if errors >= trials || share <= 0.0 {
        return 1.0;
    }
    if share >= 1.0 {
        return 0.0;
    }
    let odds = (share / (1.0 - share)).ln();
    let mut log_term = trials as f64 * (1.0 - share).ln();
    let mut sum = log_term.exp();
    for i in 0..errors {
        log_term += ((trials - i) as f64 / (i + 1) as f64).ln() + odds;
        sum += log_term.exp();
    }
    sum.min(1.0)
}

/// Upper end of the one-sided exact interval for a share with `errors` in
/// `trials`: the greatest share at which so few errors are not too unlikely.
/// Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.
pub fn upper_bound(errors: u64, trials: u64, confidence: f64) -> f64 {
    if errors >= trials {
        return 1.0;
    }
    let (mut low, mut high) = (errors as f64 / trials as f64, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if tail(errors, trials, middle) > 1.0 - confidence { low = middle } else { high = middle }
    }
    high
}

/// Answered questions that it takes to certify `demand` if they are wrong as
/// often as `errors` in `answered`; `None` if that is too often for any number.
pub fn needed(errors: u64, answered: u64, demand: Demand) -> Option<u64> {
    const MOST: u64 = 100_000;
    if errors > 0 && errors as f64 >= demand.max_error * answered as f64 {
        return None;
    }
    let holds = |trials: u64| {
        let expected = (errors * trials).div_ceil(answered.max(1));
        tail(expected, trials, demand.max_error) <= 1.0 - demand.confidence
    };
    (1..MOST).find(|&trials| holds(trials))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitMix64;

    const FIVE: Demand = Demand { max_error: 0.05, confidence: 0.95 };

    #[test]
    fn the_published_sample_sizes_certify_and_one_less_does_not() {
        // Clopper-Pearson at 95 %: errors, and the least trials for 5 % and 10 %.
        for (errors, trials, share) in [
            (0, 59, 0.05),
            (1, 93, 0.05),
            (2, 124, 0.05),
            (4, 181, 0.05),
            (8, 286, 0.05),
            (0, 29, 0.10),
            (1, 46, 0.10),
            (4, 89, 0.10),
        ] {
            assert!(tail(errors, trials, share) <= 0.05, "{errors} of {trials}");
            assert!(tail(errors, trials - 1, share) > 0.05, "{errors} of {trials}");
            assert!(upper_bound(errors, trials, 0.95) <= share, "{errors} of {trials}");
            assert!(upper_bound(errors, trials - 1, 0.95) > share, "{errors} of {trials}");
        }
    }

    #[test]
    fn the_tail_is_that_of_the_binomial_distribution() {
        // 1/16 + 4/16 + 6/16 of four fair coins.
        assert!((tail(2, 4, 0.5) - 11.0 / 16.0).abs() < 1e-12);
        assert!((tail(0, 0, 0.05) - 1.0).abs() < 1e-12);
        assert!((tail(4, 4, 0.5) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_needed_is_said_and_the_impossible_too() {
        assert_eq!(needed(0, 10, FIVE), Some(59));
        assert_eq!(needed(1, 10, FIVE), None);
        let many = needed(2, 100, FIVE).unwrap();
        assert!((124..400).contains(&many), "{many}");
    }

    #[test]
    fn nonsense_is_refused() {
        let one = [Scored { score: 0.5, is_wrong: false }];
        assert!(matches!(certify(&[], &one, FIVE), Err(Error::TooFew { .. })));
        assert!(matches!(certify(&one, &[], FIVE), Err(Error::TooFew { .. })));
        let nan = [Scored { score: f64::NAN, is_wrong: false }];
        assert!(matches!(certify(&one, &nan, FIVE), Err(Error::NotFinite { .. })));
        let sure = Demand { confidence: 1.0, ..FIVE };
        assert!(matches!(certify(&one, &one, sure), Err(Error::Level { .. })));
    }

    /// Questions whose answers are wrong with probability `(1 - score) / 2`, which
    /// makes the error above a threshold `t` `(1 - t) / 4`.
    fn drawn(count: usize, random: &mut SplitMix64) -> Vec<Scored> {
        let mut uniform = || random.below(1 << 20) as f64 / f64::from(1 << 20);
        (0..count)
            .map(|_| {
                let score = uniform();
                Scored { score, is_wrong: uniform() < (1.0 - score) / 2.0 }
            })
            .collect()
    }

    #[test]
    fn over_many_draws_the_bound_is_broken_as_rarely_as_stated() {
        let mut random = SplitMix64::new(7);
        let demand = Demand { max_error: 0.20, confidence: 0.90 };
        let (mut broken, mut certified) = (0, 0);
        for _ in 0..1_000 {
            let (order, tests) = (drawn(60, &mut random), drawn(140, &mut random));
            let found = certify(&order, &tests, demand).unwrap();
            if found.is_certified {
                certified += 1;
                broken += usize::from((1.0 - found.threshold) / 4.0 > demand.max_error);
            }
        }
        // Three standard deviations above a tenth of all draws.
        assert!(broken <= 128, "{broken} of 1,000 draws");
        assert!(certified > 200, "{certified} of 1,000 draws");
    }
}
