//! Rotary positions: frequencies, and how models stretch them past the
//! positions that they were first trained on.

use std::f64::consts::TAU;
use std::ops::Range;

use plumb_kernels::{Pairs, Pool, Rotation, rope_frequencies};

/// Tokens that a task scales.
const TOKENS_PER_TASK: usize = 16;

/// How keys and queries are rotated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rope {
    pub(crate) pairs: Pairs,
    pub(crate) base: f32,
    /// Numbers of a head that are rotated.
    pub(crate) width: usize,
    pub(crate) scaling: Scaling,
}

/// What is done to the frequencies of the plain rotation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scaling {
    None,
    /// Positions are divided by the factor. Chen et al. 2023, arXiv:2306.15595.
    Linear(f32),
    Llama3(Llama3),
    Yarn(Yarn),
    LongRope(LongRope),
    /// Each frequency is divided by a number of its own.
    Factors(Vec<f32>),
}

/// Low frequencies are divided by `factor` and high ones kept, by the turns
/// that a pair makes in the `original` positions, with a smooth step between
/// the two bounds. Llama Team 2024, arXiv:2407.21783.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Llama3 {
    pub(crate) factor: f32,
    pub(crate) low_turns: f32,
    pub(crate) high_turns: f32,
    pub(crate) original: usize,
}

/// The same idea with a ramp over the pairs. Peng et al. 2023,
/// arXiv:2309.00071.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Yarn {
    pub(crate) factor: f32,
    /// Turns from which a pair is kept, and up to which it is divided.
    pub(crate) fast: f32,
    pub(crate) slow: f32,
    pub(crate) original: usize,
    /// The ends of the ramp are whole pairs.
    pub(crate) is_truncated: bool,
    pub(crate) magnitude: f32,
}

/// A divisor for each pair, of two sets: one for texts of up to `original`
/// tokens and one for longer ones. Ding et al. 2024, arXiv:2402.13753.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LongRope {
    pub(crate) short: Vec<f32>,
    pub(crate) long: Vec<f32>,
    pub(crate) original: usize,
    pub(crate) magnitude: f32,
}

/// Which of the two sets of [`LongRope`] a text is read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Short,
    Long,
}

impl Rope {
    /// The frequencies of the `width / 2` pairs.
    pub(crate) fn frequencies(&self, reach: Reach) -> Vec<f32> {
        let mut all = rope_frequencies(self.base, self.width);
        let divide = |all: &mut [f32], by: &[f32]| {
            all.iter_mut().zip(by).for_each(|(frequency, factor)| *frequency /= factor);
        };
        match &self.scaling {
            Scaling::None => {}
            Scaling::Linear(factor) => all.iter_mut().for_each(|frequency| *frequency /= factor),
            Scaling::Llama3(scaling) => all.iter_mut().for_each(|f| *f = scaling.stretched(*f)),
            Scaling::Yarn(scaling) => scaling.stretch(self.base, &mut all),
            Scaling::LongRope(scaling) if reach == Reach::Long => divide(&mut all, &scaling.long),
            Scaling::LongRope(scaling) => divide(&mut all, &scaling.short),
            Scaling::Factors(factors) => divide(&mut all, factors),
        }
        all
    }

    /// Factor of what is rotated.
    pub(crate) fn magnitude(&self) -> f32 {
        match &self.scaling {
            Scaling::Yarn(scaling) => scaling.magnitude,
            Scaling::LongRope(scaling) => scaling.magnitude,
            _ => 1.0,
        }
    }

    /// Tokens up to which a text is [`Reach::Short`], if that is of importance.
    pub(crate) fn short_tokens(&self) -> Option<usize> {
        match &self.scaling {
            Scaling::LongRope(scaling) => Some(scaling.original),
            _ => None,
        }
    }
}

impl Llama3 {
    fn stretched(&self, frequency: f32) -> f32 {
        let turns = round(self.original as f64 * f64::from(frequency) / TAU);
        let divided = frequency / self.factor;
        if turns < self.low_turns {
            divided
        } else if self.high_turns < turns {
            frequency
        } else {
            let kept = (turns - self.low_turns) / (self.high_turns - self.low_turns);
            (1.0 - kept) * divided + kept * frequency
        }
    }
}

impl Yarn {
    fn stretch(&self, base: f32, frequencies: &mut [f32]) {
        let width = (2 * frequencies.len()) as f64;
        // The pair, as a fraction, that makes so many turns.
        let pair = |turns: f32| {
            let ratio = self.original as f64 / (f64::from(turns) * TAU);
            width * ratio.ln() / (2.0 * f64::from(base).ln())
        };
        let (mut low, mut high) = (pair(self.fast), pair(self.slow));
        if self.is_truncated {
            (low, high) = (low.floor(), high.ceil());
        }
        (low, high) = (low.max(0.0), high.min(width - 1.0));
        // Papers and programs avoid the division by zero so.
        let length = if low.total_cmp(&high).is_eq() { 0.001 } else { high - low };
        for (i, frequency) in frequencies.iter_mut().enumerate() {
            let divided = round(((i as f64 - low) / length).clamp(0.0, 1.0));
            *frequency = *frequency / self.factor * divided + *frequency * (1.0 - divided);
        }
    }
}

/// The default magnitude of [`Yarn`].
pub(crate) fn yarn_magnitude(factor: f32) -> f32 {
    if factor <= 1.0 { 1.0 } else { round(0.1 * f64::from(factor).ln() + 1.0) }
}

/// The default magnitude of [`LongRope`], for so many times the `original`
/// positions.
pub(crate) fn long_rope_magnitude(factor: f32, original: usize) -> f32 {
    if factor <= 1.0 {
        return 1.0;
    }
    round((1.0 + f64::from(factor).ln() / (original as f64).ln()).sqrt())
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is the purpose")]
fn round(x: f64) -> f32 {
    x as f32
}

/// The rotation of a run of positions, and its magnitude.
#[derive(Debug)]
pub(crate) struct Turn {
    rotation: Rotation,
    /// Numbers of a head that are rotated.
    width: usize,
    magnitude: f32,
}

impl Turn {
    pub(crate) fn new(rope: &Rope, reach: Reach, positions: Range<usize>) -> Self {
        let rotation = Rotation::new(rope.pairs, &rope.frequencies(reach), positions);
        Self { rotation, width: rope.width, magnitude: rope.magnitude() }
    }

    /// Rotates `x` (T, H, E) in place, `head_width` being E.
    pub(crate) fn apply(&self, pool: &Pool, x: &mut [f32], heads: usize, head_width: usize) {
        self.rotation.apply(pool, x, heads, head_width);
        if self.magnitude.to_bits() == 1.0_f32.to_bits() {
            return;
        }
        pool.for_parts(x, TOKENS_PER_TASK * heads * head_width, &|_, x| {
            for head in x.chunks_exact_mut(head_width) {
                head[..self.width].iter_mut().for_each(|x| *x *= self.magnitude);
            }
        });
    }
}
