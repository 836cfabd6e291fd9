//! From logits to the next token.

/// How the next token is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 always takes the most likely token.
    pub temperature: f32,
    /// Keeps so many of the most likely tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set that reaches this probability; 1 keeps all.
    /// Holtzman et al. 2020, arXiv:1904.09751.
    pub top_p: f32,
    /// Keeps tokens at least this fraction as likely as the first; 0 keeps
    /// all. Nguyen et al. 2024, arXiv:2407.01082.
    pub min_p: f32,
    /// Makes tokens of the context less likely; 1 leaves them. Keskar et al.
    /// 2019, arXiv:1909.05858.
    pub repetition_penalty: f32,
    pub seed: u64,
}

impl Sampling {
    /// Always the most likely token.
    pub const GREEDY: Self = Self {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        seed: 0,
    };
}

/// Draws tokens: the settings and the state of the random numbers.
#[derive(Debug)]
pub(crate) struct Sampler {
    settings: Sampling,
    state: u64,
}

impl Sampler {
    pub(crate) fn new(settings: Sampling) -> Self {
        Self { settings, state: settings.seed }
    }

    /// Lowers the logits of the tokens in `context`, each once.
    pub(crate) fn penalize(&self, logits: &mut [f32], context: &[u32]) {
        let penalty = self.settings.repetition_penalty;
        if penalty.to_bits() == 1.0_f32.to_bits() {
            return;
        }
        let mut seen: Vec<u32> = context.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for token in seen {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
            }
        }
    }

    /// The next token, or `None` if every logit is minus infinity.
    ///
    /// Ties go to the lower token id, so that a seed always gives one answer.
    pub(crate) fn draw(&mut self, logits: &[f32]) -> Option<u32> {
        if self.settings.temperature <= 0.0 {
            return most_likely(logits);
        }
        let mut candidates = self.candidates(logits);
        let max = candidates.first()?.0;
        for (logit, _) in &mut candidates {
            *logit = ((*logit - max) / self.settings.temperature).exp();
        }
        candidates.retain(|(weight, _)| self.settings.min_p <= *weight);
        keep_nucleus(&mut candidates, self.settings.top_p);

        let total: f32 = candidates.iter().map(|(weight, _)| weight).sum();
        let mut left = self.uniform() * total;
        let drawn = candidates.iter().find(|(weight, _)| {
            left -= weight;
            left < 0.0
        });
        drawn.or(candidates.last()).map(|&(_, token)| token)
    }

    /// Tokens that may be drawn and their logits, the most likely first.
    fn candidates(&self, logits: &[f32]) -> Vec<(f32, u32)> {
        let mut candidates: Vec<(f32, u32)> = logits
            .iter()
            .copied()
            .zip(0..)
            .filter(|(logit, _)| *logit > f32::NEG_INFINITY)
            .collect();
        let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        let keep = self.settings.top_k;
        if keep != 0 && keep < candidates.len() {
            candidates.select_nth_unstable_by(keep - 1, order);
            candidates.truncate(keep);
        }
        candidates.sort_unstable_by(order);
        candidates
    }

    /// The next random number in `0.0..1.0`: `SplitMix64`, Steele et al. 2014,
    /// doi:10.1145/2714064.2660195.
    fn uniform(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f32 / (1_u64 << 24) as f32
    }
}

/// The token with the highest logit, the lowest id among equals.
fn most_likely(logits: &[f32]) -> Option<u32> {
    let best = logits.iter().copied().zip(0_u32..).fold(None, |best, (logit, token)| match best {
        Some((best_logit, _)) if logit <= best_logit => best,
        _ if logit > f32::NEG_INFINITY => Some((logit, token)),
        _ => best,
    });
    best.map(|(_, token)| token)
}

/// Keeps the shortest beginning of `candidates` (weights, the largest first)
/// whose share of the total reaches `top_p`, and at least one.
fn keep_nucleus(candidates: &mut Vec<(f32, u32)>, top_p: f32) {
    let total: f32 = candidates.iter().map(|(weight, _)| weight).sum();
    let mut mass = 0.0;
    let outside = candidates.iter().position(|(weight, _)| {
        let is_outside = top_p * total <= mass;
        mass += weight;
        is_outside
    });
    if top_p < 1.0 {
        candidates.truncate(outside.unwrap_or(candidates.len()).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: Sampling = Sampling { temperature: 1.0, ..Sampling::GREEDY };

    /// The set of tokens drawn from these probabilities in 300 draws.
    #[track_caller]
    fn check(settings: Sampling, probs: &[f32], want: &[u32]) {
        let logits: Vec<f32> = probs.iter().map(|p| p.ln()).collect();
        let mut sampler = Sampler::new(settings);
        let mut drawn: Vec<u32> = (0..300).filter_map(|_| sampler.draw(&logits)).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn, want);
    }

    #[test]
    fn greedy_takes_the_most_likely_and_breaks_ties_by_token_id() {
        check(Sampling::GREEDY, &[0.1, 0.4, 0.4, 0.1], &[1]);
        check(Sampling::GREEDY, &[0.0, 0.0], &[]);
    }

    #[test]
    fn every_token_that_may_come_comes_and_no_other() {
        check(EVEN, &[0.25, 0.25, 0.0, 0.5], &[0, 1, 3]);
        check(Sampling { top_k: 2, ..EVEN }, &[0.3, 0.2, 0.2, 0.3], &[0, 3]);
        check(Sampling { top_k: 3, ..EVEN }, &[0.3, 0.2, 0.2, 0.3], &[0, 1, 3]);
        check(Sampling { top_p: 0.6, ..EVEN }, &[0.5, 0.2, 0.3], &[0, 2]);
        check(Sampling { top_p: 0.0, ..EVEN }, &[0.5, 0.2, 0.3], &[0]);
        check(Sampling { min_p: 0.5, ..EVEN }, &[0.5, 0.2, 0.3], &[0, 2]);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let mut sampler = Sampler::new(EVEN);
        let logits = [0.2_f32.ln(), 0.8_f32.ln()];
        let ones = (0..10_000).filter(|_| sampler.draw(&logits) == Some(1)).count();
        assert!((7_850..8_150).contains(&ones), "{ones}");
    }

    #[test]
    fn a_penalty_lowers_logits_of_both_signs_once() {
        let sampler = Sampler::new(Sampling { repetition_penalty: 2.0, ..EVEN });
        let mut logits = [4.0, -4.0, 4.0];
        sampler.penalize(&mut logits, &[0, 1, 1, 9]);
        assert_eq!(logits.map(f32::to_bits), [2.0_f32, -8.0, 4.0].map(f32::to_bits));
    }

    #[test]
    fn a_seed_gives_the_same_tokens() {
        let draw = |seed| {
            let mut sampler = Sampler::new(Sampling { seed, ..EVEN });
            (0..50).filter_map(|_| sampler.draw(&[0.0; 100])).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
