//! From logits to the next token: settings, and the order they are applied in.
//!
//! For every token, in this order:
//!
//! 1. [`Sampling::logit_bias`] is added;
//! 2. the repetition penalty, then the frequency and presence penalties
//!    ([`penalties`]);
//! 3. the penalty of repeated sequences ([`dry`]);
//! 4. the constraint, if there is one, takes out what may not follow;
//! 5. at temperature 0 the most likely token is taken, and nothing below
//!    applies; otherwise
//! 6. top-k, locally typical sampling, top-p and min-p cut the distribution
//!    ([`candidates`]), each on what the one before left and before the
//!    temperature;
//! 7. the temperature divides the logits that are left, and a token is drawn.
//!
//! This is the order of llama.cpp's default sampler chain, with its definitions
//! of the steps, except that presence and frequency count generated tokens
//! only, as the `OpenAI` API does. In transformers and vLLM the temperature
//! comes before the cuts.
//!
//! The random number of a token depends on the seed and on the token's place
//! alone ([`random`]), ties go to the lower token id, sums have one order, and
//! exponentials are those of `plumb_kernels`: a seed gives the same tokens on
//! any machine that computes the same logits.

mod candidates;
mod dry;
mod penalties;
mod random;
mod sampler;
#[cfg(test)]
mod tests;

use crate::Error;

pub use dry::Dry;
pub use random::derived_seed;

pub(crate) use candidates::{Weights, top};
pub(crate) use sampler::Sampler;

/// How the next token is drawn.
#[derive(Clone, Debug, PartialEq)]
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
    /// Keeps the smallest set that reaches this probability, of the tokens
    /// whose information is nearest to the expected one; 1 keeps all. Locally
    /// typical sampling: Meister et al. 2022, arXiv:2202.00666.
    pub typical_p: f32,
    /// Makes tokens of prompt and completion less likely; 1 leaves them.
    /// Keskar et al. 2019, arXiv:1909.05858.
    pub repetition_penalty: f32,
    /// How many of the last tokens the repetition penalty sees; `None` for
    /// all.
    pub repeat_last_n: Option<usize>,
    /// Taken off the logit of every token generated so far.
    pub presence_penalty: f32,
    /// Taken off the logit of a token for each time it was generated.
    pub frequency_penalty: f32,
    /// Makes it less likely to go on with a sequence that was there before.
    pub dry: Option<Dry>,
    /// Added to the logits of single tokens, by id.
    pub logit_bias: Vec<(u32, f32)>,
    pub seed: u64,
}

impl Sampling {
    /// Always the most likely token.
    pub const GREEDY: Self = Self {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        typical_p: 1.0,
        repetition_penalty: 1.0,
        repeat_last_n: None,
        presence_penalty: 0.0,
        frequency_penalty: 0.0,
        dry: None,
        logit_bias: Vec::new(),
        seed: 0,
    };

    /// Fails if a value is not a number or out of its range, and says which.
    pub fn check(&self) -> Result<(), Error> {
        in_range("temperature", self.temperature, 0.0, f32::MAX, "0 or more")?;
        for (field, value) in
            [("top_p", self.top_p), ("min_p", self.min_p), ("typical_p", self.typical_p)]
        {
            in_range(field, value, 0.0, 1.0, "from 0 to 1")?;
        }
        let smallest = f32::MIN_POSITIVE;
        in_range("repetition_penalty", self.repetition_penalty, smallest, f32::MAX, "above 0")?;
        in_range("presence_penalty", self.presence_penalty, -2.0, 2.0, "from -2 to 2")?;
        in_range("frequency_penalty", self.frequency_penalty, -2.0, 2.0, "from -2 to 2")?;
        for &(_, bias) in &self.logit_bias {
            in_range("logit_bias", bias, -100.0, 100.0, "from -100 to 100")?;
        }
        self.dry.as_ref().map_or(Ok(()), Dry::check)
    }

    /// Fails if a bias is for a token that the tokenizer lacks.
    pub(crate) fn check_tokens(&self, vocabulary: usize) -> Result<(), Error> {
        let unknown = self.logit_bias.iter().find(|(token, _)| vocabulary <= *token as usize);
        match unknown {
            Some(&(token, _)) => Err(Error::UnknownBias { token, vocabulary }),
            None => Ok(()),
        }
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self::GREEDY
    }
}

/// Fails unless `low <= value <= high`; `range` says so in words.
fn in_range(
    field: &'static str,
    value: f32,
    low: f32,
    high: f32,
    range: &'static str,
) -> Result<(), Error> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::Setting { field, value: value.to_string(), range })
}
