//! A grammar beside one generation.

use std::collections::VecDeque;

use llguidance::Matcher;

use super::limits;
use crate::Constraint;

/// Holds one generation to a [`Grammar`](super::Grammar).
///
/// Where the grammar leaves only one text, its usual tokens are forced, so that
/// they can be read in one pass. They are decided as a whole when the first of
/// them is due, and are the same whether they are read together or asked for
/// one by one.
pub struct GrammarConstraint {
    matcher: Matcher,
    end: u32,
    /// Generated tokens that the matcher has seen.
    seen: usize,
    forced: VecDeque<u32>,
    failure: Option<String>,
}

impl GrammarConstraint {
    pub(super) fn new(matcher: Matcher, end: u32) -> Self {
        Self { matcher, end, seen: 0, forced: VecDeque::new(), failure: None }
    }

    /// Catches up with what was generated, and finds out what must follow.
    fn follow(&mut self, generated: &[u32]) {
        for &token in generated.get(self.seen..).unwrap_or(&[]) {
            if self.failure.is_none()
                && let Err(error) = self.matcher.consume_token(token)
            {
                self.fail(&error.to_string());
            }
            if self.forced.pop_front() != Some(token) {
                self.forced.clear();
            }
        }
        self.seen = generated.len();
        if self.failure.is_none() && self.forced.is_empty() {
            if self.matcher.is_stopped() {
                self.forced.push_back(self.end);
            } else {
                self.forced.extend(self.matcher.compute_ff_tokens());
            }
            if let Some(message) = self.matcher.get_error() {
                self.fail(&message);
            }
        }
    }

    fn fail(&mut self, message: &str) {
        self.failure = Some(limits::shortened(message));
        self.forced.clear();
    }
}

impl Constraint for GrammarConstraint {
    fn mask(&mut self, generated: &[u32], logits: &mut [f32]) {
        self.follow(generated);
        if let Some(&only) = self.forced.front() {
            keep(logits, |token| token == only as usize);
            return;
        }
        if self.failure.is_none() {
            match self.matcher.compute_mask_or_eos() {
                Ok(allowed) => {
                    return keep(logits, |token| token < allowed.len() && allowed.get(token));
                }
                Err(error) => self.fail(&error.to_string()),
            }
        }
        logits.fill(f32::NEG_INFINITY);
    }

    fn forced(&mut self, generated: &[u32]) -> Vec<u32> {
        self.follow(generated);
        self.forced.iter().copied().collect()
    }

    fn failure(&self) -> Option<String> {
        self.failure.clone()
    }
}

fn keep(logits: &mut [f32], is_allowed: impl Fn(usize) -> bool) {
    for (token, logit) in logits.iter_mut().enumerate() {
        if !is_allowed(token) {
            *logit = f32::NEG_INFINITY;
        }
    }
}
