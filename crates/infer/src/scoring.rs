//! How likely a model thinks a text.

use plumb_model::{KvCache, Logits, Run};

use crate::{Error, LanguageModel};

/// Tokens of a pass: their logits are in memory together.
const BATCH: usize = 64;

/// Tokens of a pass over several texts.
const STEP: usize = 512;

/// A text of which the last tokens are to be predicted.
#[derive(Clone, Copy, Debug)]
pub struct Continued<'a> {
    pub tokens: &'a [u32],
    /// The first token that is predicted, at least 1.
    pub from: usize,
}

impl<'a> Continued<'a> {
    /// The tokens before those that are predicted.
    fn context(&self) -> &'a [u32] {
        &self.tokens[..self.from.min(self.tokens.len())]
    }
}

/// A text that is being read, all but its last token.
struct Reading<'a> {
    /// Its number.
    text: usize,
    continued: Continued<'a>,
    /// Tokens that were read.
    read: usize,
    cache: KvCache,
}

/// What of a reading goes into the next pass.
#[derive(Clone, Copy)]
struct Part {
    reading: usize,
    tokens: usize,
    /// After how many of the last of them logits are wanted.
    logits: usize,
}

impl Reading<'_> {
    /// The next part, of so many tokens and logits at most; `None` if there is none.
    fn part(&self, tokens: usize, logits: usize) -> Option<(usize, usize)> {
        let last = self.continued.tokens.len().saturating_sub(1);
        let mut end = last.min(self.read + tokens);
        // The token at `i` is read for the logits of the one at `i + 1`.
        let first = (self.continued.from.saturating_sub(1)).max(self.read);
        end = end.min(first.saturating_add(logits));
        (self.read < end).then(|| (end - self.read, end.saturating_sub(first)))
    }
}

impl LanguageModel {
    /// Calls `use_logits` with the logits (V) after each of `tokens` but the
    /// last, in order, and the number of the token that follows.
    ///
    /// Fails if the tokens are more than the model's context.
    pub fn for_each_logits(
        &self,
        tokens: &[u32],
        use_logits: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        let mut cache = self.new_cache();
        let read = &tokens[..tokens.len().saturating_sub(1)];
        for (batch, part) in read.chunks(BATCH).enumerate() {
            let logits = self.forward(&mut cache, part, Logits::Tail(part.len()))?;
            for (i, logits) in logits.chunks_exact(logits.len() / part.len()).enumerate() {
                use_logits(batch * BATCH + i + 1, logits);
            }
        }
        Ok(())
    }

    /// Calls `use_logits` with the number of a text, the number of a token of it, and
    /// the logits (V) that predict it, for all texts and from [`Continued::from`] on.
    ///
    /// Texts are read together, and of neighbours with the same context that is read
    /// once. A token has the same logits as when its text is read alone. Tokens of
    /// one text come in order; how texts take turns is not said. Fails if one has
    /// more tokens than the model's context.
    pub fn for_each_logits_of(
        &self,
        texts: &[Continued<'_>],
        use_logits: &mut dyn FnMut(usize, usize, &[f32]),
    ) -> Result<(), Error> {
        let groups: Vec<&[Continued<'_>]> =
            texts.chunk_by(|a, b| 1 < a.from && a.context() == b.context()).collect();
        let shared = |group: &&&[Continued<'_>]| 1 < group.len();
        let mut contexts: Vec<Reading<'_>> = groups
            .iter()
            .filter(shared)
            .map(|group| Continued { tokens: group[0].context(), from: usize::MAX })
            .map(|context| self.reading(0, context))
            .collect();
        self.read_together(&mut contexts, &mut |_, _, _| {})?;
        let mut contexts = contexts.into_iter();
        let mut readings: Vec<Reading<'_>> = Vec::with_capacity(texts.len());
        for group in &groups {
            let known = (1 < group.len()).then(|| contexts.next()).flatten();
            for continued in *group {
                let fresh = self.reading(readings.len(), *continued);
                readings.push(match &known {
                    Some(known) => {
                        Reading { read: known.read, cache: known.cache.clone(), ..fresh }
                    }
                    None => fresh,
                });
            }
        }
        self.read_together(&mut readings, use_logits)
    }

    fn reading<'a>(&self, text: usize, continued: Continued<'a>) -> Reading<'a> {
        Reading { text, continued, read: 0, cache: self.new_cache() }
    }

    /// Reads all of `readings` to the end, as much of them in each pass as fits.
    fn read_together(
        &self,
        readings: &mut [Reading<'_>],
        use_logits: &mut dyn FnMut(usize, usize, &[f32]),
    ) -> Result<(), Error> {
        let mut logits = Vec::new();
        loop {
            let parts = parts(readings);
            if parts.is_empty() {
                return Ok(());
            }
            let mut runs: Vec<Run<'_>> = Vec::with_capacity(parts.len());
            let mut wanted = parts.iter().peekable();
            for (number, reading) in readings.iter_mut().enumerate() {
                if let Some(part) = wanted.next_if(|part| part.reading == number) {
                    runs.push(Run {
                        tokens: &reading.continued.tokens[reading.read..][..part.tokens],
                        cache: &mut reading.cache,
                        logits: Logits::Tail(part.logits),
                    });
                }
            }
            self.forward_all(&mut runs, &mut logits)?;
            let rows: usize = parts.iter().map(|part| part.logits).sum();
            let mut rows = logits.chunks_exact((logits.len() / rows.max(1)).max(1));
            for part in &parts {
                let reading = &mut readings[part.reading];
                reading.read += part.tokens;
                for (back, logits) in (0..part.logits).rev().zip(rows.by_ref()) {
                    use_logits(reading.text, reading.read - back, logits);
                }
            }
        }
    }

    /// The natural logarithm of the probability of each of `tokens` but the
    /// first, after those before it.
    pub fn token_logprobs(&self, tokens: &[u32]) -> Result<Vec<f64>, Error> {
        let mut all = Vec::new();
        self.for_each_logits(tokens, &mut |next, logits| {
            let wanted = f64::from(logits[tokens[next] as usize]);
            all.push(wanted - log_sum_exp(logits));
        })?;
        Ok(all)
    }
}

/// What the next pass reads: of the first readings as much as fits.
fn parts(readings: &[Reading<'_>]) -> Vec<Part> {
    let (mut tokens, mut logits) = (STEP, BATCH);
    let mut parts = Vec::new();
    for (reading, found) in readings.iter().enumerate() {
        if let Some((part, rows)) = found.part(tokens, logits) {
            (tokens, logits) = (tokens - part, logits - rows);
            parts.push(Part { reading, tokens: part, logits: rows });
        }
    }
    parts
}

/// The logarithm of the sum of the exponentials of `logits`.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - most).exp()).sum();
    most + sum.ln()
}

/// The Kullback-Leibler divergence, in nats, of the distribution of `found`
/// from that of `reference`: how much worse it is to expect the former where
/// the latter is true. Both have the same length.
pub fn divergence(reference: &[f32], found: &[f32]) -> f64 {
    let [p_total, q_total] = [reference, found].map(log_sum_exp);
    let terms = reference.iter().zip(found).map(|(&p, &q)| {
        let (p, q) = (f64::from(p) - p_total, f64::from(q) - q_total);
        p.exp() * (p - q)
    });
    // Rounding can leave a little less than nothing.
    terms.sum::<f64>().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_of_a_sum_survives_large_logits() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + 2_f64.ln())).abs() < 1e-9);
        assert!((log_sum_exp(&[0.0, f32::NEG_INFINITY])).abs() < 1e-12);
    }

    #[test]
    fn divergence_is_nothing_of_equals_and_known_of_others() {
        assert!(divergence(&[0.5, 1.5, -2.0], &[1.5, 2.5, -1.0]) < 1e-9);
        // Of (3/4, 1/4) from (1/2, 1/2).
        let (p, q) = ([0.0, 0.0], [3_f32.ln(), 0.0]);
        let want = 0.5 * (0.5 / 0.75_f64).ln() + 0.5 * (0.5 / 0.25_f64).ln();
        assert!((divergence(&p, &q) - want).abs() < 1e-6);
    }
}
