//! Values of one system, one per question: checked once, then averaged.

use crate::Error;

/// Arithmetic mean of `values`, none of which may be NaN or infinite.
///
/// ```
/// assert_eq!(plumb_metrics::mean(&[1.0, 0.0, 0.5]), Ok(0.5));
/// assert!(plumb_metrics::mean(&[1.0, f64::NAN]).is_err());
/// ```
pub fn mean(values: &[f64]) -> Result<f64, Error> {
    check(values, 1)?;
    Ok(raw_mean(values))
}

/// Fails unless there are `needed` values and all of them are finite.
pub(crate) fn check(values: &[f64], needed: usize) -> Result<(), Error> {
    if values.len() < needed {
        return Err(Error::TooFew { found: values.len(), needed });
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(Error::NotFinite { index, value: values[index] }),
        None => Ok(()),
    }
}

/// Mean of values that have been checked.
pub(crate) fn raw_mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// A value of `testdata/reference.txt` or `testdata/statistics.txt`.
#[cfg(test)]
#[track_caller]
pub(crate) fn reference(name: &str) -> f64 {
    reference_list(name)[0]
}

/// Twenty values of a system, and of another on the same questions.
#[cfg(test)]
pub(crate) fn system_a() -> Vec<f64> {
    reference_list("system_a")
}

#[cfg(test)]
pub(crate) fn system_b() -> Vec<f64> {
    reference_list("system_b")
}

#[cfg(test)]
#[track_caller]
pub(crate) fn reference_list(name: &str) -> Vec<f64> {
    let lines = include_str!("../testdata/reference.txt").lines();
    let lines = lines.chain(include_str!("../testdata/statistics.txt").lines());
    let mut fields = lines.map(str::split_whitespace).filter_map(|mut fields| {
        (fields.next() == Some(name)).then(|| fields.map(|field| field.parse().unwrap()).collect())
    });
    fields.next().unwrap_or_else(|| panic!("`{name}` is not in the reference values"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_is_named_and_never_dropped() {
        let error = mean(&[0.5, f64::NAN, 1.0]).unwrap_err();
        assert!(matches!(error, Error::NotFinite { index: 1, .. }));
        assert_eq!(error.to_string(), "value 1 is NaN, which is not a finite number");
        assert!(matches!(mean(&[f64::INFINITY]), Err(Error::NotFinite { index: 0, .. })));
    }

    #[test]
    fn the_mean_of_nothing_is_an_error() {
        assert_eq!(mean(&[]), Err(Error::TooFew { found: 0, needed: 1 }));
    }
}
