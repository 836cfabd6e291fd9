//! The definitions, written so that a loop over them can be vectorised: no
//! branches, no calls.

use super::{Activation, Step};

/// See [`super::apply`].
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(super) fn apply(step: Step) {
    match step {
        Step::Activate(Activation::Silu, x) => each(x, silu),
        Step::Activate(Activation::Gelu, x) => each(x, gelu),
        Step::Activate(Activation::GeluTanh, x) => each(x, gelu_tanh),
        Step::ActivateAndMultiply(Activation::Silu, x, y) => both(x, y, silu),
        Step::ActivateAndMultiply(Activation::Gelu, x, y) => both(x, y, gelu),
        Step::ActivateAndMultiply(Activation::GeluTanh, x, y) => both(x, y, gelu_tanh),
        Step::Exponentials(x, shift) => each(x, |x| exp(x - shift)),
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn each(x: &mut [f32], f: impl Fn(f32) -> f32) {
    for x in x {
        *x = f(*x);
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn both(x: &mut [f32], factors: &[f32], f: impl Fn(f32) -> f32) {
    for (x, factor) in x.iter_mut().zip(factors) {
        *x = f(*x) * factor;
    }
}

/// Adding it leaves the nearest integer in the low bits of a float.
const ROUND: f32 = 12_582_912.0;

/// `e^x` within two units in the last place; the result is 0 below -87.3, where
/// numbers begin to be subnormal.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`; a polynomial gives `e^r`, and `n`
/// goes into the exponent. Coefficients as in Cephes' `expf`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(crate) fn exp(x: f32) -> f32 {
    let clamped = x.clamp(-87.3, 88.7);
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-0.693_359_4, clamped);
    let r = n.mul_add(2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4_f32;
    p = p.mul_add(r, 1.398_2e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 0.166_666_65);
    p = p.mul_add(r, 0.5);
    let e_to_r = p.mul_add(r * r, r) + 1.0;
    let power_of_two = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.3 { 0.0 } else { e_to_r * power_of_two }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// The hyperbolic tangent within 2e-7: `(1 - e) / (1 + e)` with `e = exp(-2|x|)`, which cannot overflow.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(crate) fn tanh(x: f32) -> f32 {
    let e = exp(-2.0 * x.abs());
    ((1.0 - e) / (1.0 + e)).copysign(x)
}

/// `x/2 (1 + tanh(u))` with `u = sqrt(2/pi) (x + 0.044715 x^3)`, where
/// `(1 + tanh(u)) / 2` is the sigmoid of `2u`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn gelu_tanh(x: f32) -> f32 {
    let twice_u = 1.595_769_2 * x * (0.044_715 * x).mul_add(x, 1.0);
    x / (1.0 + exp(-twice_u))
}

/// `x Φ(x)`. The complementary error function is 7.1.26 of Abramowitz and
/// Stegun, Handbook of Mathematical Functions (1964): absolute error below
/// 1.5e-7.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / z.mul_add(0.327_591_1, 1.0);
    let mut p = 1.061_405_4_f32;
    p = p.mul_add(t, -1.453_152);
    p = p.mul_add(t, 1.421_413_7);
    p = p.mul_add(t, -0.284_496_74);
    p = p.mul_add(t, 0.254_829_6);
    let half_erfc = 0.5 * p * t * exp(-z * z);
    x * if x < 0.0 { half_erfc } else { 1.0 - half_erfc }
}
