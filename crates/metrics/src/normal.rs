//! The standard normal distribution, as far as intervals need it.

use std::f64::consts::PI;

/// Beyond this many standard deviations the rest is below one part in 10^15.
const FAR: f64 = 8.0;

/// Probability that a standard normal number is at most `x`.
///
/// The series of Marsaglia 2004, doi:10.18637/jss.v011.i04; absolute error
/// below 1e-15.
pub(crate) fn cumulative(x: f64) -> f64 {
    if x < -FAR {
        return 0.0;
    }
    if x > FAR {
        return 1.0;
    }
    let (mut sum, mut term, mut divisor) = (x, x, 1.0);
    while term.abs() > f64::EPSILON / 4.0 * sum.abs() {
        divisor += 2.0;
        term *= x * x / divisor;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

/// The `x` for which [`cumulative`] is `probability`, by bisection.
pub(crate) fn quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (-FAR, FAR);
    // Sixty halvings of 16 are finer than the spacing of `f64` near 1.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if cumulative(middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_are_hit() {
        for (probability, x) in
            [(0.5, 0.0), (0.975, 1.959_963_984_540_054), (0.025, -1.959_963_984_540_054)]
        {
            assert!((quantile(probability) - x).abs() < 1e-12, "{probability}");
            assert!((cumulative(x) - probability).abs() < 1e-14, "{x}");
        }
    }

    #[test]
    fn the_quantile_undoes_the_probability() {
        for step in -40..=40 {
            let x = f64::from(step) / 10.0;
            assert!((quantile(cumulative(x)) - x).abs() < 1e-9, "{x}");
        }
    }
}
