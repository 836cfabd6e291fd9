//! The beta distribution, as far as exact intervals and binomial tests need it.

/// Natural logarithm of the gamma function for `x > 0`.
///
/// The approximation of Lanczos 1964, doi:10.1137/0701008, with seven terms
/// beyond the first; relative error below 1e-14.
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let shifted = x - 1.0;
    let series: f64 =
        (1_u32..).zip(TERMS).map(|(index, term)| term / (shifted + f64::from(index))).sum();
    let base = shifted + 7.5;
    (2.0 * std::f64::consts::PI).ln() / 2.0 + (shifted + 0.5) * base.ln() - base
        + (series + 0.999_999_999_999_809_9).ln()
}

/// Probability that a beta number with shapes `a` and `b`, both above 0, is at
/// most `x` in `0.0..=1.0`: the regularised incomplete beta function.
pub(crate) fn cumulative(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = a * x.ln() + b * (-x).ln_1p() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b);
    // The fraction converges fast on this side of the mean only.
    if x < (a + 1.0) / (a + b + 2.0) {
        front.exp() * fraction(x, a, b) / a
    } else {
        1.0 - front.exp() * fraction(1.0 - x, b, a) / b
    }
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22), by
/// the method of Lentz 1976, doi:10.1364/AO.15.000668.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut upper = 1.0;
    let mut lower = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut product = lower;
    for step in 1_u32..100_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            lower = 1.0 / away_from_zero(1.0 + term * lower);
            upper = away_from_zero(1.0 + term / upper);
            change = upper * lower;
            product *= change;
        }
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    product
}

/// The `x` for which [`cumulative`] is `probability`, by bisection.
pub(crate) fn quantile(probability: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if cumulative(middle, a, b) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Probability of at most `successes` in `trials` tosses of a fair coin.
pub(crate) fn fair_coin_at_most(successes: u64, trials: u64) -> f64 {
    if successes >= trials {
        return 1.0;
    }
    cumulative(0.5, (trials - successes) as f64, (successes + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: f64, want: f64) {
        assert!((found - want).abs() < 1e-13, "{found} is not {want}");
    }

    #[test]
    fn closed_forms_are_hit() {
        // Uniform; a square; and 1 - (1 - x)^5.
        check(cumulative(0.3, 1.0, 1.0), 0.3);
        check(cumulative(0.3, 2.0, 1.0), 0.09);
        check(cumulative(0.3, 1.0, 5.0), 1.0 - 0.7_f64.powi(5));
        check(cumulative(0.5, 37.0, 37.0), 0.5);
        check(ln_gamma(11.0), 3_628_800.0_f64.ln());
    }

    #[test]
    fn a_fair_coin_is_counted_out() {
        // 1 + 5 + 10 of 32.
        check(fair_coin_at_most(2, 5), 0.5);
        check(fair_coin_at_most(0, 10), 1.0 / 1024.0);
        check(fair_coin_at_most(5, 5), 1.0);
    }

    #[test]
    fn the_quantile_undoes_the_probability() {
        for (a, b) in [(0.5, 0.5), (3.0, 8.0), (400.5, 700.5), (1e5, 20.0)] {
            for probability in [1e-6, 0.025, 0.5, 0.975] {
                let x = quantile(probability, a, b);
                assert!((cumulative(x, a, b) - probability).abs() < 1e-9, "{a} {b} {probability}");
            }
        }
    }
}
