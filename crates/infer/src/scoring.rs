//! How likely a model thinks a text.

use plumb_model::Logits;

use crate::{Error, LanguageModel};

/// Tokens of a pass: their logits are in memory together.
const BATCH: usize = 64;

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
