//! The sampler of one sequence.

use super::candidates::Candidates;
use super::dry::DryPenalty;
use super::penalties::{Occurrence, Repetition};
use super::{Sampling, random};

/// Draws the tokens of one sequence: the settings, and what they need to know
/// of the tokens so far.
///
/// For each token, [`adjust`](Sampler::adjust) changes the logits, then a
/// constraint may, and [`draw`](Sampler::draw) takes one.
/// [`push`](Sampler::push) is told of every token that was taken, drawn or
/// not.
#[derive(Debug)]
pub(crate) struct Sampler {
    settings: Sampling,
    /// Tokens generated so far.
    place: u64,
    repetition: Option<Repetition>,
    occurrence: Option<Occurrence>,
    dry: Option<DryPenalty>,
    candidates: Candidates,
}

impl Sampler {
    /// For a sequence that begins with `prompt`; `piece` gives the bytes of a
    /// token.
    pub(crate) fn new(settings: &Sampling, prompt: &[u32], piece: &dyn Fn(u32) -> Vec<u8>) -> Self {
        let (penalty, last_n) = (settings.repetition_penalty, settings.repeat_last_n);
        Self {
            place: 0,
            repetition: Repetition::new(penalty, last_n, prompt),
            occurrence: Occurrence::new(settings.presence_penalty, settings.frequency_penalty),
            dry: DryPenalty::new(settings.dry.as_ref(), prompt, piece),
            candidates: Candidates::new(),
            settings: settings.clone(),
        }
    }

    /// Whether it takes the likeliest token, whatever came before.
    pub(crate) fn is_plain(&self) -> bool {
        let has_penalty =
            self.repetition.is_some() || self.occurrence.is_some() || self.dry.is_some();
        self.settings.temperature <= 0.0 && self.settings.logit_bias.is_empty() && !has_penalty
    }

    /// Notes that `token` was generated.
    pub(crate) fn push(&mut self, token: u32, piece: &dyn Fn(u32) -> Vec<u8>) {
        self.place += 1;
        if let Some(repetition) = &mut self.repetition {
            repetition.push(token);
        }
        if let Some(occurrence) = &mut self.occurrence {
            occurrence.push(token);
        }
        if let Some(dry) = &mut self.dry {
            dry.push(token, &piece(token));
        }
    }

    /// Applies biases and penalties.
    pub(crate) fn adjust(&mut self, logits: &mut [f32]) {
        for &(token, bias) in &self.settings.logit_bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
        if let Some(repetition) = &self.repetition {
            repetition.apply(logits);
        }
        if let Some(occurrence) = &self.occurrence {
            occurrence.apply(logits);
        }
        if let Some(dry) = &mut self.dry {
            dry.apply(logits);
        }
    }

    /// The next token, or `None` if every logit is minus infinity.
    pub(crate) fn draw(&mut self, logits: &[f32]) -> Option<u32> {
        let settings = &self.settings;
        if settings.temperature <= 0.0 {
            return most_likely(logits);
        }
        self.candidates.gather(logits, settings.top_k);
        self.candidates.keep_typical(settings.typical_p);
        self.candidates.keep_nucleus(settings.top_p);
        self.candidates.keep_likely(settings.min_p);
        let uniform = random::uniform(settings.seed, self.place);
        self.candidates.draw(settings.temperature, uniform)
    }
}

/// The token with the highest logit, the lowest id among equals.
fn most_likely(logits: &[f32]) -> Option<u32> {
    let mut best = (f32::NEG_INFINITY, None);
    for (&logit, token) in logits.iter().zip(0_u32..) {
        if best.0 < logit {
            best = (logit, Some(token));
        }
    }
    best.1
}
