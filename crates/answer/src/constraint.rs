//! Decoding that can only use the words of the evidence.
//!
//! While a model writes, every word it completes must be a word of the
//! evidence or a function word, and every punctuation mark must be a plain one
//! or occur in the evidence. A small model that pads and invents is thereby
//! kept to rearranging what the sources say; whether the arrangement is true
//! is for [`verify`](crate::verify).

use std::collections::BTreeSet;

use plumb_infer::Constraint;

use crate::words::{FUNCTION_WORDS, is_word_byte, written_words};

/// Logits looked at from the top before all of them are.
const PROBES: usize = 64;

/// Punctuation that prose needs, whatever the evidence uses.
const PLAIN_MARKS: &[u8] = b" .,;:'\"()-";

/// Masks every token that would introduce a word the evidence lacks.
///
/// After [`mask`](Constraint::mask) the highest logit is that of an allowed
/// token, but lower ones may be of others, unless all are [masked](Self::masking_all).
pub struct EvidenceWords<'a> {
    /// Words of the evidence as it writes them, in lower case and with a
    /// capital, sorted for prefix search. With case left open a model that may
    /// not write `use` writes `useD`.
    allowed: Vec<String>,
    marks: BTreeSet<u8>,
    piece: Box<dyn Fn(u32) -> Vec<u8> + Send + 'a>,
    is_end: Box<dyn Fn(u32) -> bool + Send + 'a>,
    /// Bytes written so far.
    written: Vec<u8>,
    /// Tokens already in `written`.
    seen: usize,
    /// Whether lower logits are masked, too.
    masks_all: bool,
}

impl<'a> EvidenceWords<'a> {
    /// Allows the words of `evidence`. `piece` gives the bytes of a token, and
    /// `is_end` says which tokens end the turn.
    pub fn new(
        evidence: &[&str],
        piece: impl Fn(u32) -> Vec<u8> + Send + 'a,
        is_end: impl Fn(u32) -> bool + Send + 'a,
    ) -> Self {
        let allowed: BTreeSet<String> = evidence
            .iter()
            .flat_map(|text| written_words(text))
            .chain(FUNCTION_WORDS.iter().copied())
            .flat_map(|word| [word.to_owned(), word.to_ascii_lowercase(), capitalised(word)])
            .collect();
        let marks = evidence
            .iter()
            .flat_map(|text| text.bytes())
            .chain(PLAIN_MARKS.iter().copied())
            .filter(|&byte| !is_word_byte(byte) && byte != b'\n' && byte != b'\r')
            .collect();
        let allowed = allowed.into_iter().collect();
        let (piece, is_end) = (Box::new(piece), Box::new(is_end));
        Self { allowed, marks, piece, is_end, written: Vec::new(), seen: 0, masks_all: false }
    }

    /// The same for words that are drawn: every token that is not allowed is
    /// masked, which takes longer.
    #[must_use]
    pub fn masking_all(self) -> Self {
        Self { masks_all: true, ..self }
    }

    /// True if the evidence or grammar has `word`.
    fn has_word(&self, word: &[u8]) -> bool {
        self.allowed.binary_search_by(|known| known.as_bytes().cmp(word)).is_ok()
    }

    /// True if some allowed word starts with `prefix`.
    fn has_prefix(&self, prefix: &[u8]) -> bool {
        let at = self.allowed.partition_point(|word| word.as_bytes() < prefix);
        self.allowed.get(at).is_some_and(|word| word.as_bytes().starts_with(prefix))
    }

    /// The word that the text breaks off in.
    fn open_word(&self) -> Vec<u8> {
        let start = self.written.iter().rposition(|&b| !is_word_byte(b)).map_or(0, |at| at + 1);
        self.written[start..].to_vec()
    }

    fn allows(&self, token: u32, open: &[u8]) -> bool {
        if (self.is_end)(token) {
            return !self.written.is_empty() && (open.is_empty() || self.has_word(open));
        }
        let piece = (self.piece)(token);
        if piece.is_empty() {
            return false;
        }
        let mut word = open.to_vec();
        for byte in piece {
            if is_word_byte(byte) {
                word.push(byte);
            } else if !self.marks.contains(&byte) || (!word.is_empty() && !self.has_word(&word)) {
                return false;
            } else {
                word.clear();
            }
        }
        word.is_empty() || self.has_prefix(&word)
    }
}

impl Constraint for EvidenceWords<'_> {
    fn mask(&mut self, generated: &[u32], logits: &mut [f32]) {
        for &token in &generated[self.seen.min(generated.len())..] {
            self.written.extend((self.piece)(token));
        }
        self.seen = generated.len();
        let open = self.open_word();
        let probes = if self.masks_all { 0 } else { PROBES };
        for _ in 0..probes {
            let Some(best) = argmax(logits) else { return };
            if self.allows(token_id(best), &open) {
                return;
            }
            logits[best] = f32::NEG_INFINITY;
        }
        for (token, logit) in logits.iter_mut().enumerate() {
            if *logit > f32::NEG_INFINITY && !self.allows(token_id(token), &open) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
    first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
}

fn token_id(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn argmax(logits: &[f32]) -> Option<usize> {
    let (at, best) =
        logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))?;
    (*best > f32::NEG_INFINITY).then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::words::{is_function_word, words};

    const VOCABULARY: &[&str] = &[
        "", "Drop", "out", " drops", " ran", "dom", " units", " un", "its", ".", " Paris", " the",
        "\n", "*", " th", "e", " is", "drop", "s", " Dropout",
    ];
    const EVIDENCE: &str = "Dropout drops random units.";

    fn piece(token: u32) -> Vec<u8> {
        VOCABULARY[token as usize].as_bytes().to_vec()
    }

    fn is_end(token: u32) -> bool {
        token == 0
    }

    #[test]
    fn a_word_has_the_case_of_the_evidence_or_a_plain_one() {
        let constraint = EvidenceWords::new(&["GitHub is used"], piece, is_end);
        for word in ["GitHub", "github", "Github", "used", "Used", "the", "The"] {
            assert!(constraint.has_word(word.as_bytes()), "{word}");
        }
        for word in ["useD", "gitHub", "tHe"] {
            assert!(!constraint.has_word(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn of_words_that_are_drawn_every_token_that_is_left_is_allowed() {
        let mut constraint = EvidenceWords::new(&[EVIDENCE], piece, is_end).masking_all();
        let mut logits = vec![1.0; VOCABULARY.len()];
        constraint.mask(&[1], &mut logits);
        let left: Vec<&str> = VOCABULARY
            .iter()
            .zip(&logits)
            .filter(|(_, logit)| **logit > f32::NEG_INFINITY)
            .map(|(piece, _)| *piece)
            .collect();
        // After `Drop`, which is no word of the evidence, a word must go on.
        assert_eq!(left, ["out", "s"]);
    }

    proptest! {
        #[test]
        fn whatever_the_model_prefers_no_foreign_word_is_written(
            preferences in proptest::collection::vec(
                proptest::collection::vec(-1.0_f32..1.0, VOCABULARY.len()), 1..40),
        ) {
            let mut constraint = EvidenceWords::new(&[EVIDENCE], piece, is_end);
            let mut generated = Vec::new();
            let mut ended = false;
            for mut logits in preferences {
                constraint.mask(&generated, &mut logits);
                let Some(best) = argmax(&logits) else { break };
                if is_end(token_id(best)) {
                    ended = true;
                    break;
                }
                generated.push(token_id(best));
            }
            let text: String =
                generated.iter().map(|&t| VOCABULARY[t as usize]).collect();
            let evidence: BTreeSet<String> = words(EVIDENCE).collect();
            let mut all: Vec<String> = words(&text).collect();
            let breaks_off = text.bytes().last().is_some_and(is_word_byte) && !ended;
            if breaks_off {
                all.pop();
            }
            for word in all {
                prop_assert!(evidence.contains(&word) || is_function_word(&word), "{word} in {text}");
            }
            prop_assert!(!text.contains('\n') && !text.contains('*'));
        }

        #[test]
        fn no_content_word_lies_outside_of_any_evidence_for_any_model(
            evidence in proptest::collection::vec("[a-zA-Z0-9_\u{e9}\u{4e00} .,%*-]{0,16}", 0..5),
            pieces in proptest::collection::vec("[a-zA-Z0-9_\u{e9}\u{4e00} .,%*\n-]{1,5}", 1..40),
            seed in any::<u64>(),
        ) {
            let mut random = seed | 1;
            let texts: Vec<&str> = evidence.iter().map(String::as_str).collect();
            // Token 0 ends the turn. Pieces of the evidence make words likely.
            let known = evidence.iter().flat_map(|text| text.split_inclusive(' '));
            let vocabulary: Vec<String> = std::iter::once(String::new())
                .chain(pieces.iter().map(String::as_str).chain(known).map(str::to_owned))
                .collect();
            let piece = |token: u32| vocabulary[token as usize].as_bytes().to_vec();
            let mut constraint = EvidenceWords::new(&texts, piece, is_end);
            let mut generated: Vec<u32> = Vec::new();
            let mut ended = false;
            while generated.len() < 50 && !ended {
                let mut logits: Vec<f32> = vocabulary
                    .iter()
                    .map(|_| {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        (random >> 40) as f32
                    })
                    .collect();
                constraint.mask(&generated, &mut logits);
                let Some(best) = argmax(&logits) else { break };
                ended = is_end(token_id(best));
                if !ended {
                    generated.push(token_id(best));
                }
            }
            let text: String =
                generated.iter().map(|&token| vocabulary[token as usize].as_str()).collect();
            let allowed: BTreeSet<String> = texts.iter().flat_map(|text| words(text)).collect();
            let mut written: Vec<String> = words(&text).collect();
            if text.bytes().last().is_some_and(is_word_byte) && !ended {
                written.pop();
            }
            for word in written {
                prop_assert!(
                    allowed.contains(&word) || is_function_word(&word),
                    "`{}` in `{}`", word, text
                );
            }
        }
    }
}
