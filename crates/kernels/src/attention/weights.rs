//! The softmax of one segment of positions, and how segments are put together.
//!
//! The definitions are in plain Rust, sixteen sums side by side, and are
//! compiled once for each instruction set.
//!
//! What a row has seen of some positions is its [sums](Sums): the weighted
//! values, the largest score, and the sum of the weights. Weights are relative
//! to the largest score *of their segment*, so that segments can be computed in
//! any order and by any thread; they are put together in the order of positions.
//! Milakov and Gimelshein 2018, arXiv:1805.02867.

use std::ops::Range;

use super::strips::LANES;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::Isa;
use crate::elementwise::{exp, tanh};

/// Scores of one row in a segment.
pub(super) struct Scores<'a> {
    /// A multiple of sixteen; they become weights.
    pub(super) numbers: &'a mut [f32],
    /// Those that the row sees.
    pub(super) seen: Range<usize>,
    pub(super) soft_cap: Option<f32>,
    /// Added to those that the row sees, or empty.
    pub(super) bias: &'a [f32],
}

/// Numbers of a row's sums beside its values.
pub(super) const EXTRA: usize = LANES;

/// What a row has seen of some positions: its values (padded E), each the sum of
/// weighted values, then [`EXTRA`] numbers: the largest score, the sum of the
/// weights, and nothing.
pub(super) struct Sums;

impl Sums {
    /// Makes `sums` those of a row that has seen nothing.
    pub(super) fn clear(sums: &mut [f32]) {
        sums.fill(0.0);
        Self::put(sums, (f32::NEG_INFINITY, 0.0));
    }

    /// Sets the largest score and the sum of the weights.
    pub(super) fn put(sums: &mut [f32], (max, total): (f32, f32)) {
        let at = sums.len() - EXTRA;
        (sums[at], sums[at + 1]) = (max, total);
    }
}

/// Makes weights of scores; returns the largest score and the sum of the
/// weights. A position that the row does not see weighs zero.
pub(super) fn weigh(isa: Isa, row: Scores) -> (f32, f32) {
    match isa {
        Isa::Scalar => weigh_here(row),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::weigh(proof, row),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::weigh(proof.avx2(), row),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => avx512::weigh(proof, row),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(_) | Isa::NeonDot(_) => weigh_here(row),
    }
}

/// Adds to `sums` those of the positions that follow.
pub(super) fn merge(isa: Isa, sums: &mut [f32], next: &[f32]) {
    match isa {
        Isa::Scalar => merge_here(sums, next),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::merge(proof, sums, next),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::merge(proof.avx2(), sums, next),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => avx512::merge(proof, sums, next),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(_) | Isa::NeonDot(_) => merge_here(sums, next),
    }
}

/// Writes to `out` (E) the mean of the values that `sums` adds up, a score of
/// `sink` having weight but no value.
pub(super) fn finish(isa: Isa, sums: &[f32], sink: f32, out: &mut [f32]) {
    match isa {
        Isa::Scalar => finish_here(sums, sink, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::finish(proof, sums, sink, out),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::finish(proof.avx2(), sums, sink, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => avx512::finish(proof, sums, sink, out),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(_) | Isa::NeonDot(_) => finish_here(sums, sink, out),
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(super) fn finish_here(sums: &[f32], sink: f32, out: &mut [f32]) {
    let (values, extra) = sums.split_at(sums.len() - EXTRA);
    let max = larger(extra[0], sink);
    let shrunk = exp(extra[0] - max);
    let inverse = shrunk / (extra[1] * shrunk + exp(sink - max));
    for (out, value) in out.iter_mut().zip(values) {
        // Zeros are positive, however many that weigh nothing were added.
        *out = value * inverse + 0.0;
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(super) fn weigh_here(row: Scores) -> (f32, f32) {
    let Scores { numbers: scores, seen, soft_cap, bias } = row;
    scores[..seen.start].fill(f32::NEG_INFINITY);
    scores[seen.end..].fill(f32::NEG_INFINITY);
    if let Some(cap) = soft_cap {
        for score in &mut scores[seen.clone()] {
            *score = cap * tanh(*score / cap);
        }
    }
    for (score, bias) in scores[seen].iter_mut().zip(bias) {
        *score += bias;
    }
    let (scores, _) = scores.as_chunks_mut::<LANES>();
    let mut largest = [f32::NEG_INFINITY; LANES];
    for scores in &*scores {
        for (largest, score) in largest.iter_mut().zip(scores) {
            *largest = larger(*largest, *score);
        }
    }
    let max = largest.into_iter().fold(f32::NEG_INFINITY, larger);
    // A row that sees nothing has no largest score to be relative to.
    let shift = if max == f32::NEG_INFINITY { 0.0 } else { max };
    let mut sums = [0.0_f32; LANES];
    for scores in scores {
        for (score, sum) in scores.iter_mut().zip(&mut sums) {
            *score = exp(*score - shift);
            *sum += *score;
        }
    }
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
    }
    (max, sums[0])
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(super) fn merge_here(sums: &mut [f32], next: &[f32]) {
    let at = sums.len() - EXTRA;
    let (old_max, next_max) = (sums[at], next[at]);
    if next_max == f32::NEG_INFINITY {
        return;
    }
    let max = larger(old_max, next_max);
    let (old_factor, next_factor) = (exp(old_max - max), exp(next_max - max));
    for (sum, next) in sums.iter_mut().zip(next) {
        *sum = *sum * old_factor + next * next_factor;
    }
    sums[at] = max;
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn larger(a: f32, b: f32) -> f32 {
    if a < b { b } else { a }
}
