//! Drafts from the context: what followed the last tokens when they occurred
//! before is likely to follow again, above all where an answer quotes. Several
//! tokens are then checked in one pass, which reads the weights once.
//!
//! A draft decides nothing. Each token is chosen from the logits as it would
//! be without a draft, with the same random numbers, and a draft is accepted as
//! far as it equals what was chosen: for a draft of one certain token that is
//! the rejection rule of Leviathan et al. 2023, arXiv:2211.17192, and the
//! output has the same tokens as without.
//!
//! Drafts of repeated text: Saxena 2023, "Prompt Lookup Decoding"; with a
//! suffix automaton: Hu et al. 2024, arXiv:2411.10666. How long a draft is
//! follows from what passes of each length were measured to take and from how
//! often drafts after matches of that length were right; an account of time
//! saved and lost ends drafting where it does not pay.

mod automaton;
mod costs;
mod draft;

use std::time::Duration;

pub(crate) use costs::Costs;
pub(crate) use draft::Draft;

use automaton::Automaton;

/// Tokens of the longest draft.
pub(crate) const MAX_DRAFT: usize = 23;

/// The part of the time that drafts may cost if they are all wrong, once in
/// advance and once as time goes by.
const RISK: f64 = 0.01;

/// Passes that they may cost in advance, at most: a text is often shorter than
/// it may be.
const IN_ADVANCE: f64 = 0.6;

/// After so many passes with drafts one is made without: what drafts gain is
/// counted in such passes, and what those take changes with the machine.
const PLAIN_EVERY: usize = 24;

/// Lengths of matches from which on another rate of acceptance is kept, with
/// the rate that is assumed at first.
const RATES: [(usize, f64); 6] = [(1, 0.3), (2, 0.5), (3, 0.65), (5, 0.8), (9, 0.9), (17, 0.95)];

/// As how many observations the assumed rate counts.
const PRIOR: f64 = 4.0;

/// How often drafted tokens were right.
#[derive(Clone, Copy, Debug)]
struct Rate {
    right: f64,
    seen: f64,
}

impl Rate {
    fn value(self) -> f64 {
        self.right / self.seen
    }
}

/// The drafts of one generation.
#[derive(Debug)]
pub(crate) struct Speculator {
    automaton: Automaton,
    rates: [Rate; RATES.len()],
    /// Index into `rates` of the draft that is being checked.
    matched: usize,
    /// Seconds that drafts may still lose.
    account: f64,
    /// Passes since one without a draft.
    since_plain: usize,
}

impl Speculator {
    /// Drafts for a text that continues `prompt` by at most `max_tokens`.
    pub(crate) fn new(prompt: &[u32], max_tokens: usize, costs: &Costs) -> Self {
        let mut automaton = Automaton::new();
        for &token in prompt {
            automaton.push(token);
        }
        let rates = RATES.map(|(_, rate)| Rate { right: rate * PRIOR, seen: PRIOR });
        let account = (RISK * max_tokens as f64).min(IN_ADVANCE) * costs.of(1);
        Self { automaton, rates, matched: 0, account, since_plain: 0 }
    }

    /// Adds a generated token.
    pub(crate) fn push(&mut self, token: u32) {
        self.automaton.push(token);
    }

    /// What may come next, at most `limit` tokens; nothing where reading more
    /// tokens is not expected to save time.
    pub(crate) fn draft(&mut self, limit: usize, costs: &Costs) -> &[u32] {
        let found = self.automaton.found();
        let Some(matched) = RATES.iter().rposition(|&(len, _)| len <= found.len) else {
            return &[];
        };
        if PLAIN_EVERY <= self.since_plain {
            return &[];
        }
        let text = self.automaton.text();
        let mut most = limit.min(MAX_DRAFT).min(text.len() - found.end);
        while 0 < most && self.account < costs.of(1 + most) - costs.of(1) {
            most -= 1;
        }
        let len = best_len(self.rates[matched].value(), most, costs);
        self.matched = matched;
        &text[found.end..found.end + len]
    }

    /// Learns from a pass over one token and a draft of `drafted`, of which the
    /// first `accepted` were right.
    pub(crate) fn learn(&mut self, (drafted, accepted): (usize, usize), costs: &Costs) {
        let plain = costs.of(1);
        self.account += RISK * plain;
        self.since_plain += 1;
        if drafted == 0 {
            self.since_plain = 0;
            return;
        }
        let rate = &mut self.rates[self.matched];
        rate.right += accepted as f64;
        rate.seen += (accepted + 1).min(drafted) as f64;
        self.account += (accepted + 1) as f64 * plain - costs.of(1 + drafted);
    }
}

/// How many tokens to draft if each is right with probability `rate`: the
/// number that gives most tokens a second, if that is more than none gives.
fn best_len(rate: f64, most: usize, costs: &Costs) -> usize {
    let (mut best, mut best_speed) = (0, 1.0 / costs.of(1));
    let (mut expected, mut chance) = (1.0, 1.0);
    for len in 1..=most {
        chance *= rate;
        expected += chance;
        let speed = expected / costs.of(1 + len);
        if best_speed < speed {
            (best, best_speed) = (len, speed);
        }
    }
    best
}

/// Seconds as a number.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests;
