//! Do two lists order the same items alike?

use crate::{Error, sample};

/// Spearman's rank correlation in `-1.0..=1.0`, ties sharing their mean rank.
/// `None` if either list is constant.
pub fn spearman(left: &[f64], right: &[f64]) -> Result<Option<f64>, Error> {
    check(left, right)?;
    let (left, right) = (ranks(left), ranks(right));
    // The mean rank is the same in both, ties or not.
    let mean = (left.len() + 1) as f64 / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let spread = product(&left, &left) * product(&right, &right);
    Ok((spread > 0.0).then(|| product(&left, &right) / spread.sqrt()))
}

/// Kendall's tau-b in `-1.0..=1.0`, corrected for ties. Kendall 1945,
/// doi:10.1093/biomet/33.3.239. `None` if either list is constant. Takes time
/// in the square of the length.
pub fn kendall(left: &[f64], right: &[f64]) -> Result<Option<f64>, Error> {
    check(left, right)?;
    let (mut sum, mut left_pairs, mut right_pairs) = (0_i64, 0_i64, 0_i64);
    for i in 0..left.len() {
        for j in 0..i {
            let (l, r) = (direction(left[i], left[j]), direction(right[i], right[j]));
            sum += l * r;
            left_pairs += l.abs();
            right_pairs += r.abs();
        }
    }
    let spread = left_pairs as f64 * right_pairs as f64;
    Ok((spread > 0.0).then(|| sum as f64 / spread.sqrt()))
}

fn direction(a: f64, b: f64) -> i64 {
    i64::from(a > b) - i64::from(a < b)
}

fn check(left: &[f64], right: &[f64]) -> Result<(), Error> {
    if left.len() != right.len() {
        return Err(Error::Length {
            what: "the right list",
            found: right.len(),
            needed: left.len(),
        });
    }
    sample::check(left, 0)?;
    sample::check(right, 0)
}

/// Rank of each value from 1, ties sharing their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|a, b| direction(values[*a], values[*b]) == 0) {
        let rank = before as f64 + (tied.len() + 1) as f64 / 2.0;
        for item in tied {
            ranks[*item] = rank;
        }
        before += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{reference, reference_list, system_a, system_b};

    #[test]
    fn both_agree_with_the_reference_implementation() {
        let (a, b) = (system_a(), system_b());
        let (tied_a, tied_b) = (reference_list("gold"), reference_list("predicted"));
        for (left, right, name) in [(&a, &b, "systems"), (&tied_a, &tied_b, "classes")] {
            let found = spearman(left, right).unwrap().unwrap();
            let want = reference(&format!("spearman_{name}"));
            assert!((found - want).abs() < 1e-12, "{name}: {found} is not {want}");
            let found = kendall(left, right).unwrap().unwrap();
            let want = reference(&format!("kendall_{name}"));
            assert!((found - want).abs() < 1e-12, "{name}: {found} is not {want}");
        }
    }

    #[test]
    fn a_constant_list_has_no_order() {
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), Ok(None));
        assert_eq!(kendall(&[1.0, 2.0], &[3.0, 3.0]), Ok(None));
        assert_eq!(kendall(&[0.0, -0.0], &[3.0, 4.0]), Ok(None));
        assert!(matches!(kendall(&[1.0], &[]), Err(Error::Length { .. })));
        assert!(matches!(spearman(&[f64::NAN], &[1.0]), Err(Error::NotFinite { .. })));
    }
}
