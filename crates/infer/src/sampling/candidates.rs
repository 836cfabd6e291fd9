//! Cutting a distribution, and drawing from what is left.
//!
//! Candidates stay in the order of their ids, whatever is cut, and a cut looks
//! only as far down the ranking as it must: nothing sorts a vocabulary.

use std::cmp::Ordering;

use plumb_kernels::{Isa, exponentials};

/// Ranked at first when the size of a set is not known; 16 times as many each
/// further time.
const FIRST_RANKED: usize = 128;

/// A token that may be drawn.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    token: u32,
    logit: f32,
    /// Relative to the likeliest token's, at temperature 1.
    weight: f32,
    /// What a cut ranks by, the lowest first.
    key: f32,
}

impl Candidate {
    /// Ties go to the lower id.
    fn ranking(&self, other: &Self) -> Ordering {
        self.key.total_cmp(&other.key).then(self.token.cmp(&other.token))
    }
}

/// The tokens that may be drawn, and memory for finding them.
#[derive(Debug)]
pub(super) struct Candidates {
    kept: Vec<Candidate>,
    ranked: Vec<Candidate>,
    best: Vec<(f32, u32)>,
    weights: Weights,
}

impl Candidates {
    pub(super) fn new() -> Self {
        Self { kept: Vec::new(), ranked: Vec::new(), best: Vec::new(), weights: Weights::new() }
    }

    /// Starts with the `top_k` most likely tokens, or with all if it is 0.
    /// Logits that are no numbers are never drawn.
    pub(super) fn gather(&mut self, logits: &[f32], top_k: usize) {
        let candidate = |(logit, token): (f32, u32)| {
            // Infinite logits would have no differences.
            Candidate { token, logit: logit.min(f32::MAX), weight: 0.0, key: 0.0 }
        };
        self.kept.clear();
        if top_k == 0 || logits.len() <= top_k {
            let possible = logits.iter().copied().zip(0..);
            self.kept.extend(possible.filter(|(l, _)| f32::NEG_INFINITY < *l).map(candidate));
        } else {
            top(logits, top_k, &mut self.best);
            self.best.sort_unstable_by_key(|&(_, token)| token);
            self.kept.extend(self.best.iter().copied().map(candidate));
        }
        let weights = self.weights.of(self.kept.iter().map(|c| c.logit), 1.0);
        self.kept.iter_mut().zip(weights).for_each(|(c, &weight)| c.weight = weight);
    }

    /// Top-p: see [`super::Sampling::top_p`].
    pub(super) fn keep_nucleus(&mut self, top_p: f32) {
        if top_p < 1.0 {
            self.kept.iter_mut().for_each(|c| c.key = -c.logit);
            self.keep_share(top_p);
        }
    }

    /// Locally typical sampling, with tokens whose information is equally far
    /// from the expected one, as floats, in the order of their ids: see [`super::Sampling::typical_p`].
    #[expect(clippy::cast_possible_truncation, reason = "a key is as exact as a logit")]
    pub(super) fn keep_typical(&mut self, typical_p: f32) {
        if 1.0 <= typical_p {
            return;
        }
        let total = self.total();
        let max = self.kept.iter().map(|c| c.logit).fold(f32::NEG_INFINITY, f32::max);
        let information = |c: &Candidate| total.ln() - (f64::from(c.logit) - f64::from(max));
        let likely = self.kept.iter().filter(|c| 0.0 < c.weight);
        let entropy: f64 = likely.map(|c| f64::from(c.weight) / total * information(c)).sum();
        for c in &mut self.kept {
            c.key = (information(c) - entropy).abs() as f32;
        }
        self.keep_share(typical_p);
    }

    /// Min-p: see [`super::Sampling::min_p`].
    pub(super) fn keep_likely(&mut self, min_p: f32) {
        if min_p <= 0.0 {
            return;
        }
        let max = self.kept.iter().map(|c| c.weight).fold(0.0, f32::max);
        self.kept.retain(|c| min_p * max <= c.weight);
    }

    /// Keeps the shortest beginning of the ranking by `key` whose share of the
    /// total weight reaches `share`, and at least one candidate.
    fn keep_share(&mut self, share: f32) {
        let wanted = f64::from(share) * self.total();
        let mut count = FIRST_RANKED;
        loop {
            self.rank(count);
            let mut mass = 0.0;
            let reached = self.ranked.iter().find(|c| {
                mass += f64::from(c.weight);
                wanted <= mass
            });
            if let Some(&last) = reached {
                self.kept.retain(|c| c.ranking(&last) != Ordering::Greater);
                return;
            }
            if self.kept.len() <= count {
                return;
            }
            count = count.saturating_mul(16);
        }
    }

    /// Puts the first `count` of the ranking into `ranked`, in order.
    fn rank(&mut self, count: usize) {
        self.ranked.clear();
        self.ranked.extend_from_slice(&self.kept);
        if count < self.ranked.len() {
            self.ranked.select_nth_unstable_by(count - 1, Candidate::ranking);
            self.ranked.truncate(count);
        }
        self.ranked.sort_unstable_by(Candidate::ranking);
    }

    /// What is left.
    #[cfg(test)]
    pub(super) fn tokens(&self) -> Vec<u32> {
        self.kept.iter().map(|c| c.token).collect()
    }

    /// The sum of all weights, in the order of ids.
    fn total(&self) -> f64 {
        self.kept.iter().map(|c| f64::from(c.weight)).sum()
    }

    /// The token at `uniform`, a number in `0.0..1.0`, of the distribution at
    /// `temperature`; `None` if nothing may be drawn.
    pub(super) fn draw(&mut self, temperature: f32, uniform: f64) -> Option<u32> {
        let weights = self.weights.of(self.kept.iter().map(|c| c.logit), temperature);
        let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        let (target, mut mass) = (uniform * total, 0.0);
        let mut possible = self.kept.iter().zip(weights).filter(|(_, weight)| 0.0 < **weight);
        let last = possible.clone().next_back();
        let drawn = possible.find(|(_, weight)| {
            mass += f64::from(**weight);
            target < mass
        });
        drawn.or(last).map(|(c, _)| c.token)
    }
}

/// Exponentials of logits, relative to the highest.
#[derive(Debug)]
pub(crate) struct Weights {
    isa: Isa,
    buffer: Vec<f32>,
}

impl Weights {
    pub(crate) fn new() -> Self {
        Self { isa: Isa::best(), buffer: Vec::new() }
    }

    /// `exp((logit - max) / temperature)` of each.
    pub(crate) fn of(&mut self, logits: impl Iterator<Item = f32>, temperature: f32) -> &[f32] {
        self.buffer.clear();
        self.buffer.extend(logits);
        let max = self.buffer.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Exactly 1 is the usual case, and then dividing changes nothing.
        if temperature.to_bits() == 1.0_f32.to_bits() {
            exponentials(self.isa, &mut self.buffer, max);
        } else {
            self.buffer.iter_mut().for_each(|x| *x = (*x - max) / temperature);
            exponentials(self.isa, &mut self.buffer, 0.0);
        }
        &self.buffer
    }
}

/// Puts the `count` highest logits with their ids into `out`, in no order.
/// Ties go to the lower id; what is no number or minus infinity is left out.
///
/// One pass with a comparison a logit, and a selection whenever `2 * count`
/// have passed it.
pub(crate) fn top(logits: &[f32], count: usize, out: &mut Vec<(f32, u32)>) {
    let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    out.clear();
    if count == 0 {
        return;
    }
    let room = count.saturating_mul(2).max(64);
    let shrink = |out: &mut Vec<(f32, u32)>| {
        if count < out.len() {
            out.select_nth_unstable_by(count - 1, order);
            out.truncate(count);
        }
        out.last().map_or(f32::NEG_INFINITY, |last| last.0)
    };
    let mut least = f32::NEG_INFINITY;
    for (&logit, token) in logits.iter().zip(0..) {
        // A later one that equals the least has the higher id.
        if least < logit {
            out.push((logit, token));
            if room <= out.len() {
                least = shrink(out);
            }
        }
    }
    shrink(out);
}
