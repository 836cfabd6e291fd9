//! What the log-probability of a text says, by token, word and byte.
//!
//! Perplexities by token compare only models with the same tokens; those by word
//! or byte compare all.

/// Log-probability of a text, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// Sum of the natural logarithms of the probabilities of its tokens.
    pub log_probability: f64,
    /// Tokens that were predicted.
    pub tokens: u64,
    /// Words, as the caller counts them.
    pub words: u64,
    /// Bytes of its UTF-8.
    pub bytes: u64,
}

impl Likelihood {
    /// Perplexity by token; `None` without a token.
    pub fn token_perplexity(&self) -> Option<f64> {
        self.perplexity(self.tokens)
    }

    /// Perplexity by word; `None` without a word.
    pub fn word_perplexity(&self) -> Option<f64> {
        self.perplexity(self.words)
    }

    /// Perplexity by byte; `None` without a byte.
    pub fn byte_perplexity(&self) -> Option<f64> {
        self.perplexity(self.bytes)
    }

    /// Bits that a byte costs; `None` without a byte.
    pub fn bits_per_byte(&self) -> Option<f64> {
        let bits = -self.log_probability / std::f64::consts::LN_2;
        (self.bytes > 0).then(|| bits / self.bytes as f64)
    }

    fn perplexity(&self, units: u64) -> Option<f64> {
        (units > 0).then(|| (-self.log_probability / units as f64).exp())
    }
}

/// Words of a text as `lm-evaluation-harness` counts them: cut at runs of white
/// space, so that space at an end adds an empty word.
pub fn harness_words(text: &str) -> u64 {
    let mut words = 1;
    let mut after_space = false;
    for character in text.chars() {
        let is_space = super::space::is_space(character);
        words += u64::from(is_space && !after_space);
        after_space = is_space;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_harness() {
        let text = "the quick brown fox jumps over the lazy dog ".repeat(10);
        let likelihood = Likelihood {
            log_probability: -312.75,
            tokens: 120,
            words: harness_words(&text),
            bytes: text.len() as u64,
        };
        assert_eq!(likelihood.words, 91);
        let near = |found: Option<f64>, want: f64| (found.unwrap() - want).abs() < 1e-12;
        assert!(near(likelihood.token_perplexity(), 13.548_149_910_051_926));
        assert!(near(likelihood.word_perplexity(), 31.087_729_354_586_94));
        assert!(near(likelihood.byte_perplexity(), 2.035_609_849_911_398_6));
        assert!(near(likelihood.bits_per_byte(), 1.025_461_077_359_144));
        assert_eq!(Likelihood { bytes: 0, ..likelihood }.bits_per_byte(), None);
    }
}
