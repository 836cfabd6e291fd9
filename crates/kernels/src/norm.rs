//! Normalisation of rows to a common scale.

use crate::elementwise::sum;
use crate::{Isa, dot};

/// Scales every row of `x` (T, D) to mean square 1, then by `gain` (D).
///
/// Zhang and Sennrich 2019, arXiv:1910.07467. `eps` is added to the mean
/// square, so that a row of zeros has a scale.
pub fn rms_norm(isa: Isa, x: &mut [f32], gain: &[f32], eps: f32) {
    for row in x.chunks_exact_mut(gain.len()) {
        let mean_square = dot(isa, row, row) / gain.len() as f32;
        let scale = 1.0 / (mean_square + eps).sqrt();
        for (x, gain) in row.iter_mut().zip(gain) {
            *x = *x * scale * gain;
        }
    }
}

/// Shifts and scales every row of `x` (T, D) to mean 0 and variance 1, then
/// by `gain` and `bias` (D). Ba et al. 2016, arXiv:1607.06450.
pub fn layer_norm(isa: Isa, x: &mut [f32], (gain, bias): (&[f32], &[f32]), eps: f32) {
    assert_eq!(gain.len(), bias.len(), "gain and bias of a norm");
    for row in x.chunks_exact_mut(gain.len()) {
        let mean = sum(row) / gain.len() as f32;
        for x in row.iter_mut() {
            *x -= mean;
        }
        let variance = dot(isa, row, row) / gain.len() as f32;
        let scale = 1.0 / (variance + eps).sqrt();
        for ((x, gain), bias) in row.iter_mut().zip(gain).zip(bias) {
            *x = *x * scale * gain + bias;
        }
    }
}

/// Scales `x` to length 1; a row of zeros stays as it is.
pub fn normalize(isa: Isa, x: &mut [f32]) {
    let length = dot(isa, x, x).sqrt();
    if 0.0 < length {
        for x in x {
            *x /= length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &[f32], want: &[f32]) {
        let near = found.iter().zip(want).all(|(f, w)| (f - w).abs() < 1e-6);
        assert!(near && found.len() == want.len(), "{found:?} {want:?}");
    }

    #[test]
    fn rms_norm_makes_the_mean_square_one() {
        let mut x = [3.0, 4.0, 0.0, 0.0];
        rms_norm(Isa::Scalar, &mut x, &[1.0, 2.0], 0.0);
        check(&x[..2], &[0.848_528_1, 2.262_741_7]);
        assert!(x[2].is_nan(), "zeros need an eps");
        let mut x = [0.0, 0.0];
        rms_norm(Isa::Scalar, &mut x, &[1.0, 2.0], 1e-6);
        check(&x, &[0.0, 0.0]);
    }

    #[test]
    fn layer_norm_removes_mean_and_scale() {
        let mut x = [1.0, 3.0, 10.0, 30.0];
        layer_norm(Isa::Scalar, &mut x, (&[1.0, 2.0], &[0.5, 0.0]), 0.0);
        check(&x, &[-0.5, 2.0, -0.5, 2.0]);
    }

    #[test]
    fn a_unit_vector_keeps_its_direction() {
        let mut x = [3.0, 4.0];
        normalize(Isa::Scalar, &mut x);
        check(&x, &[0.6, 0.8]);
        let mut zeros = [0.0, 0.0];
        normalize(Isa::Scalar, &mut zeros);
        check(&zeros, &[0.0, 0.0]);
    }
}
