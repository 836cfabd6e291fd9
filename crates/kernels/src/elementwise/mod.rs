//! Functions of one number, and rows that are scaled as a whole: activations,
//! exponentials, sums of a row.
//!
//! [`scalar`] is the definition; the other variants are the same source compiled
//! for their instruction sets. `exp` is our own, so that results do not depend
//! on the mathematics library of the system.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

pub(crate) use scalar::{exp, tanh};

use crate::Isa;

/// What a feed-forward block applies to its inner numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`, also called swish.
    Silu,
    /// `x * Φ(x)` with the normal distribution function Φ.
    Gelu,
    /// The approximation of `Gelu` with `tanh`.
    GeluTanh,
}

/// One step over rows of numbers.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Applies the activation to every number.
    Activate(Activation, &'a mut [f32]),
    /// Replaces `x` by `activation(x) * factor`.
    ActivateAndMultiply(Activation, &'a mut [f32], &'a [f32]),
    /// Replaces `x` by `exp(x - shift)`.
    Exponentials(&'a mut [f32], f32),
}

pub(crate) fn apply(isa: Isa, step: Step) {
    match isa {
        Isa::Scalar => scalar::apply(step),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::apply(proof, step),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::apply(proof.avx2(), step),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => avx512::apply(proof, step),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(_) | Isa::NeonDot(_) => scalar::apply(step),
    }
}

/// Applies `activation` to every number of `x`.
pub fn activate(isa: Isa, activation: Activation, x: &mut [f32]) {
    apply(isa, Step::Activate(activation, x));
}

/// Replaces each `x` by `activation(x) * factor`: the gate of a SwiGLU or
/// `GeGLU` block. Shazeer 2020, arXiv:2002.05202.
pub fn activate_and_multiply(isa: Isa, activation: Activation, x: &mut [f32], factors: &[f32]) {
    assert_eq!(x.len(), factors.len(), "numbers and factors of a gate");
    apply(isa, Step::ActivateAndMultiply(activation, x, factors));
}

/// Makes `scores` positive with sum 1, in proportion to their exponentials.
pub fn softmax(isa: Isa, scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    exponentials(isa, scores, max);
    let inverse = 1.0 / sum(scores);
    for p in scores {
        *p *= inverse;
    }
}

/// Replaces each `x` by the exponential of `x - shift`, 0 below e^-87.3.
pub fn exponentials(isa: Isa, x: &mut [f32], shift: f32) {
    apply(isa, Step::Exponentials(x, shift));
}

/// The sum of `x`, in an order that does not change when zeros are appended.
pub(crate) fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let (chunks, rest) = x.as_chunks::<8>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += x);
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane += x);
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(activation: Activation, x: f32, want: f32) {
        for isa in Isa::available() {
            let mut found = [x];
            activate(isa, activation, &mut found);
            let bound = 3e-7 * want.abs().max(1.0);
            assert!((found[0] - want).abs() <= bound, "{isa:?} {found:?} {want}");
        }
    }

    #[test]
    fn activations_have_their_published_values() {
        // From PyTorch 2.9 in f64.
        check(Activation::Silu, 1.0, 0.731_058_6);
        check(Activation::Silu, -4.0, -0.071_944_84);
        check(Activation::Silu, 30.0, 30.0);
        check(Activation::Gelu, 1.0, 0.841_344_8);
        check(Activation::Gelu, -0.5, -0.154_268_77);
        check(Activation::Gelu, -9.0, 0.0);
        check(Activation::GeluTanh, 1.0, 0.841_192);
        check(Activation::GeluTanh, -0.5, -0.154_286);
        check(Activation::GeluTanh, 40.0, 40.0);
        check(Activation::GeluTanh, -40.0, 0.0);
    }

    #[test]
    fn softmax_of_equal_scores_is_even_and_huge_scores_do_not_overflow() {
        for isa in Isa::available() {
            let mut scores = [1000.0, 1000.0, f32::NEG_INFINITY, 1000.0, 1000.0];
            softmax(isa, &mut scores);
            for (found, want) in scores.iter().zip([0.25, 0.25, 0.0, 0.25, 0.25]) {
                assert!((found - want).abs() < 1e-7, "{scores:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_hyperbolic_tangent_is_within_2e_7(x in -20.0_f32..20.0) {
            let error = f64::from(tanh(x)) - f64::from(x).tanh();
            prop_assert!(error.abs() <= 2e-7, "{} {}", x, error);
        }

        #[test]
        fn exponentials_are_within_two_units_in_the_last_place(
            x in proptest::collection::vec(-87.0_f32..88.0, 1..40),
        ) {
            for isa in Isa::available() {
                let mut found = x.clone();
                apply(isa, Step::Exponentials(&mut found, 0.0));
                for (x, found) in x.iter().zip(found) {
                    let want = f64::from(*x).exp();
                    let error = (f64::from(found) / want - 1.0).abs();
                    prop_assert!(error <= 2.0 * f64::from(f32::EPSILON), "{} {}", x, error);
                }
            }
        }

        #[test]
        fn every_variant_returns_the_same_bits(
            x in proptest::collection::vec(-100.0_f32..100.0, 0..70),
        ) {
            for isa in Isa::available() {
                for activation in [Activation::Silu, Activation::Gelu, Activation::GeluTanh] {
                    let (mut want, mut found) = (x.clone(), x.clone());
                    activate_and_multiply(Isa::Scalar, activation, &mut want, &x);
                    activate_and_multiply(isa, activation, &mut found, &x);
                    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    prop_assert_eq!(bits(&found), bits(&want));
                }
            }
        }
    }
}
