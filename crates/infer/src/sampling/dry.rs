//! "Don't repeat yourself": a penalty that grows with the length of the
//! sequence that a token would repeat.
//!
//! As the method's author describes it (p-e-w 2024, text-generation-webui pull
//! request 5677) and llama.cpp computes it: if the last `n` tokens also stand
//! earlier in the context, the token that followed them there loses
//! `multiplier * base^(n - allowed_length)`, as soon as `n` reaches
//! `allowed_length`. A match does not reach across a sequence breaker.

use std::collections::HashMap;

use super::in_range;
use crate::Error;

/// Sequence breakers beyond this number or length are a mistake.
const MAX_BREAKERS: usize = 128;
const MAX_BREAKER_BYTES: usize = 256;

/// Settings of the penalty of repeated sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct Dry {
    /// What the first repeated token beyond the allowed length loses; 0
    /// penalises nothing.
    pub multiplier: f32,
    /// Factor for each further one.
    pub base: f32,
    /// Tokens that may be repeated before the next one is penalised.
    pub allowed_length: usize,
    /// How many of the last tokens are looked at; `None` for all.
    pub range: Option<usize>,
    /// Texts over which no repetition reaches, such as the names in a
    /// dialogue. They are found across borders of tokens.
    pub sequence_breakers: Vec<String>,
}

impl Default for Dry {
    /// What the method's author recommends.
    fn default() -> Self {
        Self {
            multiplier: 0.8,
            base: 1.75,
            allowed_length: 2,
            range: None,
            sequence_breakers: ["\n", ":", "\"", "*"].map(str::to_owned).to_vec(),
        }
    }
}

impl Dry {
    pub(super) fn check(&self) -> Result<(), Error> {
        in_range("dry.multiplier", self.multiplier, 0.0, 100.0, "from 0 to 100")?;
        in_range("dry.base", self.base, 1.0, 100.0, "from 1 to 100")?;
        let setting = |field, value: String, range| Err(Error::Setting { field, value, range });
        if self.allowed_length == 0 {
            return setting("dry.allowed_length", "0".to_owned(), "1 or more");
        }
        if MAX_BREAKERS < self.sequence_breakers.len() {
            let count = self.sequence_breakers.len().to_string();
            return setting("the number of dry.sequence_breakers", count, "at most 128");
        }
        let lengths = self.sequence_breakers.iter().map(String::len);
        match lengths.into_iter().find(|length| !(1..=MAX_BREAKER_BYTES).contains(length)) {
            Some(length) => {
                let field = "the length of a text of dry.sequence_breakers";
                setting(field, length.to_string(), "from 1 to 256 bytes")
            }
            None => Ok(()),
        }
    }
}

/// A token of the context.
#[derive(Clone, Copy, Debug)]
struct Place {
    token: u32,
    /// A sequence breaker ends in it.
    ends_breaker: bool,
    /// It holds a whole sequence breaker, and is then never penalised.
    is_breaker: bool,
}

/// The penalty for one sequence.
#[derive(Debug)]
pub(super) struct DryPenalty {
    settings: Dry,
    context: Vec<Place>,
    /// The end of the context's text: as much as a breaker may begin in.
    tail: Vec<u8>,
    /// Of the reversed context, at each place: how long it goes on there as it
    /// begins. Kept for its memory, as is the next.
    matches: Vec<usize>,
    /// By the token that would go on with a repetition: the longest one.
    longest: HashMap<u32, usize>,
}

impl DryPenalty {
    /// After `prompt`; `piece` gives the bytes of a token. `None` if the
    /// penalty changes nothing.
    pub(super) fn new(
        settings: Option<&Dry>,
        prompt: &[u32],
        piece: &dyn Fn(u32) -> Vec<u8>,
    ) -> Option<Self> {
        let settings = settings.filter(|dry| 0.0 < dry.multiplier && dry.range != Some(0))?;
        let mut new = Self {
            settings: settings.clone(),
            context: Vec::new(),
            tail: Vec::new(),
            matches: Vec::new(),
            longest: HashMap::new(),
        };
        let range = settings.range.unwrap_or(usize::MAX);
        for &token in &prompt[prompt.len().saturating_sub(range)..] {
            new.push(token, &piece(token));
        }
        Some(new)
    }

    pub(super) fn push(&mut self, token: u32, piece: &[u8]) {
        let breakers = || self.settings.sequence_breakers.iter().map(String::as_bytes);
        let before = self.tail.len();
        self.tail.extend(piece);
        // One that ends in the text before ended in an earlier token.
        let ends_breaker = breakers().any(|breaker| {
            let from = (before + 1).saturating_sub(breaker.len());
            contains(&self.tail[from.min(self.tail.len())..], breaker)
        });
        let is_breaker = breakers().any(|breaker| contains(piece, breaker));
        let longest = breakers().map(<[u8]>::len).max().unwrap_or(0);
        let keep = longest.saturating_sub(1);
        self.tail.drain(..self.tail.len().saturating_sub(keep));
        self.context.push(Place { token, ends_breaker, is_breaker });
        // Now and then, so that a token costs no move of the whole range.
        if let Some(range) = self.settings.range
            && range.saturating_mul(2) < self.context.len()
        {
            self.context.drain(..self.context.len() - range);
        }
    }

    pub(super) fn apply(&mut self, logits: &mut [f32]) {
        let range = self.settings.range.unwrap_or(usize::MAX);
        let context = &self.context[self.context.len().saturating_sub(range)..];
        let reach = context.iter().rev().take_while(|place| !place.ends_breaker).count();
        if reach < self.settings.allowed_length {
            return;
        }
        let reversed = |i: usize| context[context.len() - 1 - i];
        let equal = |i, j| reversed(i).token == reversed(j).token;
        self_matches(context.len(), equal, &mut self.matches);
        self.longest.clear();
        for (i, &length) in self.matches.iter().enumerate().skip(1) {
            let (length, next) = (length.min(reach), reversed(i - 1));
            if self.settings.allowed_length <= length && !next.is_breaker {
                let longest = self.longest.entry(next.token).or_default();
                *longest = length.max(*longest);
            }
        }
        for (&token, &length) in &self.longest {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit -= penalty(&self.settings, length);
            }
        }
    }
}

/// `multiplier * base^(length - allowed_length)`, at most what a float holds.
///
/// By repeated multiplication, since the library's power is not the same on
/// every platform.
#[expect(clippy::cast_possible_truncation, reason = "it is below the maximum of a float")]
fn penalty(settings: &Dry, length: usize) -> f32 {
    let limit = f64::from(f32::MAX);
    let mut penalty = f64::from(settings.multiplier);
    for _ in settings.allowed_length..length {
        penalty *= f64::from(settings.base);
        if limit < penalty || settings.base <= 1.0 {
            break;
        }
    }
    // Less than the maximum, since a logit is taken off it.
    penalty.min(limit / 4.0) as f32
}

/// For each place `i` of a sequence of `len` items, how many items from `i` on
/// equal those at its beginning, in linear time: the Z function (Gusfield
/// 1997, Algorithms on Strings, Trees and Sequences, section 1.4).
fn self_matches(len: usize, equal: impl Fn(usize, usize) -> bool, out: &mut Vec<usize>) {
    out.clear();
    out.resize(len, 0);
    if let Some(first) = out.first_mut() {
        *first = len;
    }
    // The match that reaches furthest is `left..right`.
    let (mut left, mut right) = (0, 0);
    for i in 1..len {
        let mut known = if i < right { out[i - left].min(right - i) } else { 0 };
        if right <= i + known {
            while i + known < len && equal(known, i + known) {
                known += 1;
            }
            (left, right) = (i, i + known);
        }
        out[i] = known;
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: every earlier occurrence of every ending.
    fn slow(dry: &Dry, pieces: &[&str], context: &[u32]) -> HashMap<u32, usize> {
        let from = context.len().saturating_sub(dry.range.unwrap_or(usize::MAX));
        let ends = breaker_ends(dry, pieces, context);
        let (context, ends) = (&context[from..], &ends[from..]);
        let mut longest = HashMap::new();
        for at in 1..context.len() {
            let next = context[at];
            let holds_breaker = |b: &String| pieces[next as usize].contains(b.as_str());
            if dry.sequence_breakers.iter().any(holds_breaker) {
                continue;
            }
            let common = (0..at)
                .take_while(|&i| {
                    let last = context.len() - 1 - i;
                    context[at - 1 - i] == context[last] && !ends[last]
                })
                .count();
            if dry.allowed_length <= common {
                let length = longest.entry(next).or_insert(0);
                *length = common.max(*length);
            }
        }
        longest
    }

    /// In which tokens of the whole text a breaker ends.
    fn breaker_ends(dry: &Dry, pieces: &[&str], context: &[u32]) -> Vec<bool> {
        let mut ends = vec![false; context.len()];
        let mut text = String::new();
        for (i, &token) in context.iter().enumerate() {
            let before = text.len();
            text.push_str(pieces[token as usize]);
            ends[i] = dry.sequence_breakers.iter().any(|breaker| {
                (before + 1..=text.len()).any(|end| text[..end].ends_with(breaker.as_str()))
            });
        }
        ends
    }

    fn fast(dry: &Dry, pieces: &[&str], context: &[u32], prompt: usize) -> HashMap<u32, usize> {
        let piece = |token: u32| pieces[token as usize].as_bytes().to_vec();
        let Some(mut state) = DryPenalty::new(Some(dry), &context[..prompt], &piece) else {
            return HashMap::new();
        };
        context[prompt..].iter().for_each(|&token| state.push(token, &piece(token)));
        state.apply(&mut []);
        state.longest
    }

    const PIECES: &[&str] = &["a", "b", "ab", "\n", "x\ny", "c"];

    proptest! {
        #[test]
        fn the_fast_penalty_is_the_slow_one(
            context in prop::collection::vec(0_u32..6, 1..60),
            prompt in 0_usize..60,
            allowed_length in 1_usize..4,
            range in prop::option::of(1_usize..40),
            breakers in prop::sample::subsequence(vec!["\n", "bc", "aab", "y"], 0..3),
        ) {
            let dry = Dry {
                allowed_length,
                range,
                sequence_breakers: breakers.into_iter().map(str::to_owned).collect(),
                ..Dry::default()
            };
            // Breakers that began before the range are found only by those
            // who read it.
            let prompt = if range.is_some() { 0 } else { prompt.min(context.len()) };
            let found = fast(&dry, PIECES, &context, prompt);
            prop_assert_eq!(found, slow(&dry, PIECES, &context));
        }

        #[test]
        fn matches_with_the_beginning_are_the_slow_ones(
            items in prop::collection::vec(0..3, 0..40),
        ) {
            let mut found = Vec::new();
            self_matches(items.len(), |i, j| items[i] == items[j], &mut found);
            let want: Vec<usize> = (0..items.len())
                .map(|i| items.iter().zip(&items[i..]).take_while(|(a, b)| a == b).count())
                .collect();
            prop_assert_eq!(found, want);
        }
    }

    #[test]
    fn the_penalty_grows_with_the_repeated_sequence() {
        // The example of llama.cpp: after `a b c` came `c`, after `c` came `b`.
        let context = [0, 1, 5, 5, 1, 5, 2, 0, 1, 5];
        let dry = Dry { allowed_length: 1, sequence_breakers: Vec::new(), ..Dry::default() };
        let longest = fast(&dry, PIECES, &context, 0);
        assert_eq!(longest, HashMap::from([(5, 3), (1, 1), (2, 2)]));
        assert!((penalty(&dry, 3) - 0.8 * 1.75 * 1.75).abs() < 1e-6);
        let long = penalty(&dry, 1_000_000);
        assert!(long.is_finite() && (0.0 - long).is_finite());
    }

    #[test]
    fn a_long_repetition_takes_linear_time() {
        // Quadratic time would be 10^10 comparisons.
        let context = vec![0; 100_000];
        let dry = Dry { sequence_breakers: Vec::new(), ..Dry::default() };
        assert_eq!(fast(&dry, PIECES, &context, 100_000)[&0], 99_999);
    }
}
