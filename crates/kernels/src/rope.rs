//! Rotary position embedding. Su et al. 2021, arXiv:2104.09864.

use crate::Pool;

/// Tokens that a task turns.
const TOKENS_PER_TASK: usize = 16;

/// Which two numbers of a head are rotated together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// Number `i` with `i + E/2`: GPT-NeoX and most later models.
    HalfSplit,
    /// Number `2i` with `2i + 1`: the original, and Llama as GGUF stores it.
    Interleaved,
}

/// Cosines and sines for a run of positions.
#[derive(Clone, Debug)]
pub struct Rotation {
    pairs: Pairs,
    /// Numbers of a head that are rotated; the others stay.
    width: usize,
    /// Shape (T, width / 2): cosine and sine.
    angles: Vec<(f32, f32)>,
}

impl Rotation {
    /// The rotation for `positions`, by `position * frequency` for each of the
    /// `frequencies`, one a pair.
    pub fn new(pairs: Pairs, frequencies: &[f32], positions: std::ops::Range<usize>) -> Self {
        let angles = positions
            .flat_map(|position| frequencies.iter().map(move |f| position as f32 * f))
            .map(|angle| {
                // In f64, rounded once: the same on every system.
                let (sin, cos) = f64::from(angle).sin_cos();
                (round(cos), round(sin))
            })
            .collect();
        Self { pairs, width: 2 * frequencies.len(), angles }
    }

    /// The rotation of `tokens` tokens by `distance` positions each.
    ///
    /// What was rotated for a position is then rotated for one so much later,
    /// up to rounding.
    pub fn shift(pairs: Pairs, frequencies: &[f32], distance: usize, tokens: usize) -> Self {
        let one = Self::new(pairs, frequencies, distance..distance + 1);
        Self { angles: one.angles.repeat(tokens), ..one }
    }

    /// Rotates `x` (T, H, E) in place, `head_width` being E.
    pub fn apply(&self, pool: &Pool, x: &mut [f32], heads: usize, head_width: usize) {
        let half = self.width / 2;
        if half == 0 {
            return;
        }
        let width = heads * head_width;
        pool.for_parts(x, TOKENS_PER_TASK * width, &|part, x| {
            let angles = self.angles.chunks_exact(half).skip(part * TOKENS_PER_TASK);
            for (token, angles) in x.chunks_exact_mut(width).zip(angles) {
                for head in token.chunks_exact_mut(head_width) {
                    self.turn(head, angles);
                }
            }
        });
    }

    fn turn(&self, head: &mut [f32], angles: &[(f32, f32)]) {
        let turned =
            |x: f32, y: f32, (cos, sin): (f32, f32)| (x * cos - y * sin, x * sin + y * cos);
        match self.pairs {
            Pairs::HalfSplit => {
                let (firsts, seconds) = head[..self.width].split_at_mut(angles.len());
                for ((x, y), angle) in firsts.iter_mut().zip(seconds).zip(angles) {
                    (*x, *y) = turned(*x, *y, *angle);
                }
            }
            Pairs::Interleaved => {
                for (pair, angle) in head.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
                    (pair[0], pair[1]) = turned(pair[0], pair[1], *angle);
                }
            }
        }
    }
}

/// Frequencies `base^(-2i/width)` for the `width / 2` pairs of a head.
pub fn rope_frequencies(base: f32, width: usize) -> Vec<f32> {
    (0..width / 2)
        .map(|i| {
            let exponent = (2 * i) as f32 / width as f32;
            round(f64::from(base).powf(-f64::from(exponent)))
        })
        .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is the purpose")]
fn round(x: f64) -> f32 {
    x as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: Pairs, x: [f32; 6], want: [f32; 6]) {
        let quarter_turn = std::f32::consts::FRAC_PI_2;
        let rotation = Rotation::new(pairs, &[quarter_turn, 2.0 * quarter_turn], 1..2);
        let mut found = x;
        rotation.apply(&Pool::new(std::num::NonZeroUsize::MIN), &mut found, 1, 6);
        assert!(found.iter().zip(want).all(|(f, w)| (f - w).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn pairs_are_turned_and_the_rest_of_a_head_stays() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        check(Pairs::HalfSplit, x, [-3.0, -2.0, 1.0, -4.0, 5.0, 6.0]);
        check(Pairs::Interleaved, x, [-2.0, 1.0, -3.0, -4.0, 5.0, 6.0]);
    }

    #[test]
    fn a_shift_turns_from_one_position_to_another() {
        let pool = Pool::new(std::num::NonZeroUsize::MIN);
        let frequencies = rope_frequencies(10_000.0, 8);
        let x: Vec<f32> = (0..3 * 8).map(|i| (i as f32 * 0.7).sin()).collect();
        let (mut at, mut moved) = (x.clone(), x);
        Rotation::new(Pairs::HalfSplit, &frequencies, 500..503).apply(&pool, &mut at, 1, 8);
        Rotation::new(Pairs::HalfSplit, &frequencies, 20..23).apply(&pool, &mut moved, 1, 8);
        Rotation::shift(Pairs::HalfSplit, &frequencies, 480, 3).apply(&pool, &mut moved, 1, 8);
        assert!(at.iter().zip(&moved).all(|(a, b)| (a - b).abs() < 1e-4), "{at:?} {moved:?}");
    }

    #[test]
    fn the_first_pair_turns_by_one_and_the_last_nearly_by_the_base() {
        let frequencies = rope_frequencies(10_000.0, 64);
        assert_eq!(frequencies.len(), 32);
        assert!((frequencies[0] - 1.0).abs() < 1e-7);
        assert!((frequencies[16] - 0.01).abs() < 1e-8);
    }
}
