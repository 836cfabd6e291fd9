//! Several tests at once: p-values that stay honest.
//!
//! Twenty metrics of two equal systems differ "significantly" in one on
//! average. Adjusted p-values can be held against the usual level again.

use crate::Error;

/// Adjusts p-values so that the chance of any false alarm stays below the
/// level. Holm 1979, Scandinavian Journal of Statistics 6:65.
///
/// Returned in the order given; each is in `0.0..=1.0`.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, Error> {
    let order = rising(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        least = least.max((p_values.len() - rank) as f64 * p_values[index]).min(1.0);
        adjusted[index] = least;
    }
    Ok(adjusted)
}

/// Adjusts p-values so that the expected share of false alarms among all
/// alarms stays below the level, for tests that are independent or move
/// together. Benjamini and Hochberg 1995,
/// doi:10.1111/j.2517-6161.1995.tb02031.x.
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, Error> {
    let order = rising(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut most = 1.0_f64;
    for (rank, index) in order.into_iter().enumerate().rev() {
        most = most.min(p_values.len() as f64 / (rank + 1) as f64 * p_values[index]);
        adjusted[index] = most;
    }
    Ok(adjusted)
}

/// Indices of the p-values in rising order, after checking each.
fn rising(p_values: &[f64]) -> Result<Vec<usize>, Error> {
    if let Some(value) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Error::Range { name: "a p-value", value: *value, range: "between 0 and 1" });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::reference_list;
    use proptest::prelude::*;

    #[test]
    fn both_agree_with_the_reference_implementation() {
        let p_values = reference_list("p_values");
        // Out of order, so that a mix-up of order and place shows.
        let turned: Vec<f64> = p_values.iter().rev().copied().collect();
        for (name, found) in
            [("holm", holm(&turned).unwrap()), ("fdr_bh", benjamini_hochberg(&turned).unwrap())]
        {
            for (found, want) in found.iter().rev().zip(reference_list(name)) {
                assert!((found - want).abs() < 1e-12, "{name}: {found} is not {want}");
            }
        }
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        assert!(matches!(holm(&[0.5, f64::NAN]), Err(Error::Range { .. })));
        assert!(matches!(benjamini_hochberg(&[1.5]), Err(Error::Range { .. })));
        assert_eq!(holm(&[]), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn adjusting_never_lowers_and_keeps_the_order(
            p_values in prop::collection::vec(0.0_f64..=1.0, 1..30),
        ) {
            let (strict, mild) = (holm(&p_values).unwrap(), benjamini_hochberg(&p_values).unwrap());
            for i in 0..p_values.len() {
                prop_assert!(p_values[i] <= mild[i] + 1e-15 && mild[i] <= strict[i] + 1e-15);
                for j in 0..p_values.len() {
                    if p_values[i] <= p_values[j] {
                        prop_assert!(strict[i] <= strict[j] && mild[i] <= mild[j]);
                    }
                }
            }
        }
    }
}
