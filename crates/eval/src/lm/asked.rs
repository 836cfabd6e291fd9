//! A language model of `plumb-infer`, asked as the harness asks its models.
//!
//! Token conventions are those of `lm-evaluation-harness` for causal models:
//! white space at the end of a context belongs to the continuation; context and
//! continuation are cut to tokens together, and the continuation's are those
//! after as many as the context alone has; an empty context is the beginning-
//! of-text token, or the end-of-text token where there is none; what is too
//! long loses its beginning. A whole text is read in windows that do not
//! overlap: the first begins after that same token, each later one after the
//! last token before it, and the last window is filled up with what came before.

mod together;

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use plumb_infer::{Engine, LanguageModel, Options, Sampling, log_sum_exp};
use plumb_text::Special;
use serde_json::Value;

use super::model::{Answer, Model, Question};
use super::scoring::Likelihood;
use crate::Error;

/// Continuations up to this long are read token by token after their context,
/// which stays read from one choice to the next.
const SHORT: usize = 12;

/// A loaded model with what identifies it.
pub struct Asked {
    model: Arc<LanguageModel>,
    identity: Value,
    /// Tokens of context that are used.
    window: usize,
    /// Writes several answers at once; started with the first of them.
    engine: OnceLock<Engine>,
}

impl Asked {
    /// `identity` must name everything that may change an answer but the
    /// window, which is added: tokens that the model reads at most.
    pub fn new(model: Arc<LanguageModel>, mut identity: Value, window: Option<usize>) -> Self {
        let window = window.unwrap_or(model.context()).min(model.context()).max(2);
        identity["window"] = window.into();
        Self { model, identity, window, engine: OnceLock::new() }
    }

    fn likelihood(&self, context: &str, continuation: &str) -> Result<Likelihood, Error> {
        let (context, continuation) = self.encode_pair(context, continuation)?;
        self.of_tokens(&context, &continuation)
    }

    /// Tokens of both, cut apart.
    fn encode_pair(
        &self,
        context: &str,
        continuation: &str,
    ) -> Result<(Vec<u32>, Vec<u32>), Error> {
        let tokenizer = self.model.tokenizer();
        let failed = |source| Error::Tokenize { source };
        if context.is_empty() {
            let mut tokens = tokenizer.encode(continuation, Special::Parse).map_err(failed)?;
            let prefix = self.prefix()?;
            if tokens.first() != Some(&prefix) {
                tokens.insert(0, prefix);
            }
            let rest = tokens.split_off(1);
            return Ok((tokens, rest));
        }
        let trimmed = context.trim_end_matches(|c: char| c.is_whitespace());
        let special = self.special_for(context);
        let whole = format!("{context}{continuation}");
        let whole = tokenizer.encode(&whole, special).map_err(failed)?;
        let mut before = tokenizer.encode(trimmed, self.special_for(trimmed)).map_err(failed)?;
        before.truncate(whole.len());
        let after = whole[before.len()..].to_vec();
        Ok((before, after))
    }

    /// What goes before a text without context.
    fn prefix(&self) -> Result<u32, Error> {
        let tokenizer = self.model.tokenizer();
        let token = tokenizer.bos().or(tokenizer.eos());
        token.ok_or_else(|| Error::Task {
            message: "the model has neither a beginning- nor an end-of-text token".to_owned(),
        })
    }

    /// A text that spells out the first token gets no other.
    fn special_for(&self, text: &str) -> Special {
        let tokenizer = self.model.tokenizer();
        let spelt = tokenizer.bos().or(tokenizer.eos()).map(|id| tokenizer.piece_bytes(id));
        let is_spelt = spelt.is_some_and(|spelt| text.as_bytes().starts_with(&spelt));
        if is_spelt { Special::Parse } else { Special::AddAndParse }
    }

    /// Both as they are read, the beginning of what is too long left out, and the
    /// place of the first token of the continuation.
    fn joined(&self, context: &[u32], continuation: &[u32]) -> Result<(Vec<u32>, usize), Error> {
        if continuation.is_empty() || continuation.len() > self.window {
            let (found, most) = (continuation.len(), self.window);
            return Err(Error::Continuation { found, most });
        }
        let mut tokens = [context, continuation].concat();
        let surplus = tokens.len().saturating_sub(self.window + 1);
        tokens.drain(..surplus);
        let first = tokens.len() - continuation.len();
        Ok((tokens, first))
    }

    /// Of `continuation` after `context`, both in tokens.
    fn of_tokens(&self, context: &[u32], continuation: &[u32]) -> Result<Likelihood, Error> {
        let (tokens, first) = self.joined(context, continuation)?;
        let mut found = (0.0, true);
        if continuation.len() <= SHORT {
            for place in first..tokens.len() {
                let logits = self.model.logits(&tokens[..place]).map_err(failed)?;
                add(&mut found, tokens[place], &logits);
            }
        } else {
            let mut each = |next: usize, logits: &[f32]| {
                if next >= first {
                    add(&mut found, tokens[next], logits);
                }
            };
            self.model.for_each_logits(&tokens, &mut each).map_err(failed)?;
        }
        Ok(found)
    }

    /// Of a whole text, window by window.
    fn rolling(&self, text: &str) -> Result<f64, Error> {
        let tokens = self.tokens(text)?;
        let mut sum = 0.0;
        for (context, part) in windows(&tokens, self.prefix()?, self.window) {
            sum += self.of_tokens(&context, part)?.0;
        }
        Ok(sum)
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, Error> {
        let special = self.special_for(text);
        let tokens = self.model.tokenizer().encode(text, special);
        tokens.map_err(|source| Error::Tokenize { source })
    }

    /// The end of `context` that leaves room for `max_tokens` more.
    fn prompt(&self, context: &str, max_tokens: usize) -> Result<Vec<u32>, Error> {
        let mut prompt = self.tokens(context)?;
        let room = self.window.saturating_sub(max_tokens).max(1);
        let surplus = prompt.len().saturating_sub(room);
        prompt.drain(..surplus);
        Ok(prompt)
    }

    fn generate(&self, context: &str, options: &Options) -> Result<String, Error> {
        let prompt = self.prompt(context, options.max_tokens)?;
        let mut on_piece = |_: &str| ControlFlow::Continue(());
        let done = self.model.generate(&prompt, options, None, &mut on_piece).map_err(failed)?;
        Ok(done.text)
    }
}

impl Model for Asked {
    fn answer(&self, question: &Question) -> Result<Answer, Error> {
        Ok(match question {
            Question::LogLikelihood { context, continuation } => {
                let (sum, is_greedy) = self.likelihood(context, continuation)?;
                Answer::LogLikelihood { sum, is_greedy }
            }
            Question::Rolling { text } => {
                Answer::LogLikelihood { sum: self.rolling(text)?, is_greedy: false }
            }
            Question::Generate { context, until, .. } => {
                let text = self.generate(context, &options(question))?;
                Answer::Text { text: until_end(&text, until) }
            }
        })
    }

    fn answers(&self, questions: &[Question]) -> Result<Vec<Answer>, Error> {
        together::answers(self, questions)
    }

    fn identity(&self) -> Value {
        self.identity.clone()
    }
}

/// How the answer to a question is written; greedily and at once if it is no text.
fn options(question: &Question) -> Options {
    let Question::Generate { until, max_tokens, temperature, seed, .. } = question else {
        return Options::default();
    };
    #[expect(clippy::cast_possible_truncation, reason = "a setting of few digits")]
    let temperature = *temperature as f32;
    Options {
        max_tokens: *max_tokens,
        sampling: Sampling { temperature, seed: *seed, ..Sampling::GREEDY },
        stop: until.iter().filter(|end| !end.is_empty()).cloned().collect(),
        ..Options::default()
    }
}

/// `text` up to the first of the ends.
fn until_end(text: &str, until: &[String]) -> String {
    let ends = until.iter().filter(|end| !end.is_empty());
    ends.fold(text, |text, end| text.split(end.as_str()).next().unwrap_or(text)).to_owned()
}

/// Adds what the logits say of `token`, which comes next.
fn add(found: &mut Likelihood, token: u32, logits: &[f32]) {
    let wanted = f64::from(logits[token as usize]);
    found.0 += wanted - log_sum_exp(logits);
    found.1 &= first_likeliest(logits) == Some(token as usize);
}

fn failed(source: plumb_infer::Error) -> Error {
    Error::Model { source: Box::new(source) }
}

/// The first of the likeliest tokens.
fn first_likeliest(logits: &[f32]) -> Option<usize> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter().position(|logit| *logit >= most)
}

/// Parts of `tokens` that are predicted together, each with what is read
/// before it: see the head of the module.
fn windows(tokens: &[u32], prefix: u32, window: usize) -> Vec<(Vec<u32>, &[u32])> {
    let mut parts = Vec::new();
    let mut start = 0;
    for part in tokens.chunks(window) {
        let end = start + part.len();
        let context =
            if start == 0 { vec![prefix] } else { tokens[end - window - 1..start].to_vec() };
        parts.push((context, part));
        start = end;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_predict_every_token_once_and_fill_the_last() {
        let tokens = [10, 11, 12, 13, 14, 15, 16, 17];
        let found = windows(&tokens, 0, 3);
        let want: [(&[u32], &[u32]); 3] = [
            (&[0], &[10, 11, 12]),
            (&[12], &[13, 14, 15]),
            // Two are left: one more is read before them.
            (&[14, 15], &[16, 17]),
        ];
        assert_eq!(found.len(), want.len());
        for ((context, part), (want_context, want_part)) in found.iter().zip(want) {
            assert_eq!((context.as_slice(), *part), (want_context, want_part));
        }
        assert!(windows(&[], 0, 3).is_empty());
        assert_eq!(windows(&tokens, 0, 100).len(), 1);
    }
}
