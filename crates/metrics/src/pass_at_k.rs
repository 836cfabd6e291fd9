//! How often one of `k` attempts succeeds, from more attempts than `k`.

use crate::Error;

/// Unbiased estimate of the chance that one of `k` samples is right, from
/// `samples` of which `correct` were. Chen et al. 2021, arXiv:2107.03374.
///
/// The plain `1 - (1 - share)^k` is too low. `k` must be in `1..=samples`.
pub fn pass_at_k(samples: u64, correct: u64, k: u64) -> Result<f64, Error> {
    if correct > samples {
        return Err(Error::Proportion { successes: correct, trials: samples });
    }
    if k == 0 || k > samples {
        let range = "between 1 and the number of samples";
        return Err(Error::Range { name: "k", value: k as f64, range });
    }
    let wrong = samples - correct;
    if wrong < k {
        return Ok(1.0);
    }
    // Chance that all k are wrong: drawn one after another without putting back.
    let all_wrong: f64 = (wrong + 1..=samples).map(|i| 1.0 - k as f64 / i as f64).product();
    Ok(1.0 - all_wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_examples_come_out() {
        // (samples, correct, k): 1 - C(n-c, k) / C(n, k).
        for (n, c, k, want) in [
            (10, 3, 1, 0.3),
            (10, 3, 5, 0.916_666_666_666_666_6),
            (200, 17, 10, 0.597_448_901_579_911_8),
            (200, 17, 100, 0.999_996_367_690_84),
            (5, 0, 1, 0.0),
            (5, 5, 5, 1.0),
        ] {
            let found = pass_at_k(n, c, k).unwrap();
            assert!((found - want).abs() < 1e-12, "{n} {c} {k}: {found}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(pass_at_k(5, 6, 1), Err(Error::Proportion { .. })));
        assert!(matches!(pass_at_k(5, 1, 0), Err(Error::Range { .. })));
        assert!(matches!(pass_at_k(5, 1, 6), Err(Error::Range { .. })));
    }
}
