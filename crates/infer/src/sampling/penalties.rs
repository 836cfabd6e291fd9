//! Penalties of tokens that were there before.

use std::collections::{HashMap, VecDeque};

/// How often each token occurs in a stretch of text.
#[derive(Debug, Default)]
struct Counts(HashMap<u32, u32>);

impl Counts {
    fn add(&mut self, token: u32) {
        *self.0.entry(token).or_default() += 1;
    }

    fn remove(&mut self, token: u32) {
        if let Some(count) = self.0.get_mut(&token) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&token);
            }
        }
    }
}

/// Divides positive logits and multiplies negative ones, for each token of the
/// last ones once: Keskar et al. 2019, arXiv:1909.05858.
#[derive(Debug)]
pub(super) struct Repetition {
    penalty: f32,
    counts: Counts,
    /// The tokens that are counted, if not all are, and how many.
    window: Option<(VecDeque<u32>, usize)>,
}

impl Repetition {
    /// Counts all of `prompt`, or the last `last_n`. `None` if the penalty
    /// changes nothing.
    pub(super) fn new(penalty: f32, last_n: Option<usize>, prompt: &[u32]) -> Option<Self> {
        if penalty.to_bits() == 1.0_f32.to_bits() || last_n == Some(0) {
            return None;
        }
        let window = last_n.map(|last_n| (VecDeque::new(), last_n));
        let mut new = Self { penalty, counts: Counts::default(), window };
        let seen = last_n.map_or(prompt, |n| &prompt[prompt.len().saturating_sub(n)..]);
        for &token in seen {
            new.push(token);
        }
        Some(new)
    }

    pub(super) fn push(&mut self, token: u32) {
        self.counts.add(token);
        if let Some((window, size)) = &mut self.window {
            window.push_back(token);
            if *size < window.len()
                && let Some(oldest) = window.pop_front()
            {
                self.counts.remove(oldest);
            }
        }
    }

    pub(super) fn apply(&self, logits: &mut [f32]) {
        for &token in self.counts.0.keys() {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit < 0.0 { *logit * self.penalty } else { *logit / self.penalty };
            }
        }
    }
}

/// Takes `presence + count * frequency` off the logit of each generated token:
/// the definition of the `OpenAI` API.
#[derive(Debug)]
pub(super) struct Occurrence {
    presence: f32,
    frequency: f32,
    counts: Counts,
}

impl Occurrence {
    /// `None` if the penalties change nothing.
    pub(super) fn new(presence: f32, frequency: f32) -> Option<Self> {
        let is_none = presence.abs() + frequency.abs() <= 0.0;
        (!is_none).then(|| Self { presence, frequency, counts: Counts::default() })
    }

    pub(super) fn push(&mut self, token: u32) {
        self.counts.add(token);
    }

    pub(super) fn apply(&self, logits: &mut [f32]) {
        for (&token, &count) in &self.counts.0 {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit -= self.presence + self.frequency * count as f32;
            }
        }
    }
}
