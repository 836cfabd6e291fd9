//! Log-probabilities of tokens.
//!
//! Of the model's own distribution: the softmax of the logits before biases,
//! penalties, constraints, cuts and temperature. What [`crate::Sampling`] does
//! is a choice among the tokens, and says nothing of how likely the model
//! thought them.

use crate::sampling::{Weights, top};

/// How likely the model thought a token.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    pub token: u32,
    /// Natural logarithm of the token's probability.
    pub logprob: f32,
    /// The most likely tokens at this place and their log-probabilities, the
    /// most likely first; `token` need not be among them.
    pub top: Vec<(u32, f32)>,
}

/// The mean log-probability of a continuation, by which continuations of
/// different lengths are compared; that of none is minus infinity.
pub fn mean_logprob(tokens: &[TokenLogprob]) -> f64 {
    let sum: f64 = tokens.iter().map(|token| f64::from(token.logprob)).sum();
    if tokens.is_empty() { f64::NEG_INFINITY } else { sum / tokens.len() as f64 }
}

/// Remembers one place's logits until a token was chosen.
#[derive(Debug)]
pub(crate) struct Logprobs {
    /// Alternatives that are reported.
    count: usize,
    logits: Vec<f32>,
    log_total: f64,
    weights: Weights,
    best: Vec<(f32, u32)>,
}

impl Logprobs {
    /// Will report `count` alternatives for each token.
    pub(crate) fn new(count: usize) -> Self {
        let (logits, best) = (Vec::new(), Vec::new());
        Self { count, logits, log_total: 0.0, weights: Weights::new(), best }
    }

    /// Takes the logits of the next place, as the model gave them.
    pub(crate) fn read(&mut self, logits: &[f32]) {
        self.logits.clear();
        self.logits.extend_from_slice(logits);
        self.log_total = log_sum_exp(logits, &mut self.weights);
    }

    /// The log-probability of each token.
    pub(crate) fn all(&self) -> impl Iterator<Item = f32> {
        self.logits.iter().map(|&logit| self.relative(logit))
    }

    #[expect(clippy::cast_possible_truncation, reason = "it is as exact as a logit")]
    fn relative(&self, logit: f32) -> f32 {
        (f64::from(logit) - self.log_total) as f32
    }

    /// What is to be said of `token` at the place that was read.
    pub(crate) fn of(&mut self, token: u32) -> TokenLogprob {
        let logit = self.logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
        top(&self.logits, self.count, &mut self.best);
        self.best.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let top = self.best.iter().map(|&(logit, token)| (token, self.relative(logit))).collect();
        TokenLogprob { token, logprob: self.relative(logit), top }
    }
}

/// `ln(sum(exp(logit)))`; what is no number counts as impossible.
///
/// In eight sums, whatever the machine: one after the other would wait for each
/// addition.
fn log_sum_exp(logits: &[f32], weights: &mut Weights) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let number = |&logit: &f32| if logit.is_nan() { f32::NEG_INFINITY } else { logit };
    let mut lanes = [0.0_f64; 8];
    let (chunks, rest) = weights.of(logits.iter().map(number), 1.0).as_chunks::<8>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &weight)| *lane += f64::from(weight));
    }
    let sum = lanes.iter().sum::<f64>() + rest.iter().map(|&w| f64::from(w)).sum::<f64>();
    f64::from(max) + sum.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_chosen_token_and_the_best_are_reported() {
        let mut logprobs = Logprobs::new(2);
        logprobs.read(&[0.1_f32.ln(), 0.2_f32.ln(), 0.5_f32.ln(), 0.2_f32.ln()]);
        let found = logprobs.of(0);
        assert_eq!(found.token, 0);
        assert!((found.logprob - 0.1_f32.ln()).abs() < 1e-6);
        assert_eq!(found.top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [2, 1]);
        assert!((found.top[1].1 - 0.2_f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn the_mean_is_that_of_the_tokens() {
        let of = |logprob| TokenLogprob { token: 0, logprob, top: Vec::new() };
        assert!((mean_logprob(&[of(-1.0), of(-2.0)]) + 1.5).abs() < 1e-9);
        assert!(mean_logprob(&[]).is_infinite());
    }

    proptest! {
        #[test]
        fn probabilities_sum_to_one(logits in prop::collection::vec(-30.0_f32..30.0, 1..500)) {
            let mut logprobs = Logprobs::new(0);
            logprobs.read(&logits);
            let sum: f64 = logprobs.all().map(|l| f64::from(l).exp()).sum();
            prop_assert!((sum - 1.0).abs() < 1e-4, "{}", sum);
            let slow: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
            prop_assert!((logprobs.log_total - slow.ln()).abs() < 1e-5);
        }
    }
}
