//! ROUGE: n-grams and subsequences that a text shares with its reference. Lin
//! 2004; with the conventions of `rouge_score` 0.1.2.
//!
//! Words are runs of `a` to `z` and `0` to `9`; all else, accents and other
//! scripts included, separates them. A text without such words scores 0.

mod lcs;
mod words;

use std::fmt;
use std::str::FromStr;

use self::lcs::Lcs;
use self::words::{Text, Words};
use super::grams::Matcher;
use super::statistics::Statistics;

/// Which ROUGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rouge {
    /// N-grams of so many words, 1 to 9.
    N(u8),
    /// The longest common subsequence of the whole texts.
    L,
    /// The union of the longest common subsequences of each sentence of the
    /// reference with those of the text. A sentence ends with its line.
    Lsum,
}

/// Whether words are compared by their stems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stemming {
    /// Words are compared as they are. The default.
    #[default]
    Off,
    /// Words longer than three letters are replaced by their Porter stem.
    Porter,
}

impl Rouge {
    /// How the numbers were found.
    pub fn signature(self, stemming: Stemming, references: usize) -> String {
        let stem = if stemming == Stemming::Porter { "porter" } else { "no" };
        format!("{self}|nrefs:{references}|stem:{stem}|score:f1|agg:mean|as:rouge_score-0.1.2")
    }

    /// Numbers of rows of [`rouge`]: precision, recall, F-score, and 1.
    pub const WIDTH: usize = 4;
}

impl fmt::Display for Rouge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::N(order) => write!(out, "rouge{order}"),
            Self::L => out.write_str("rougeL"),
            Self::Lsum => out.write_str("rougeLsum"),
        }
    }
}

impl FromStr for Rouge {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let kind = name.strip_prefix("rouge").map(str::to_ascii_lowercase);
        match kind.as_deref() {
            Some("l") => Ok(Self::L),
            Some("lsum") => Ok(Self::Lsum),
            Some(order) => match order.as_bytes() {
                [digit @ b'1'..=b'9'] => Ok(Self::N(digit - b'0')),
                _ => Err(format!(
                    "`{name}` is no ROUGE; known are rouge1 to rouge9, rougeL, rougeLsum"
                )),
            },
            None => Err(format!("`{name}` is no ROUGE")),
        }
    }
}

/// Precision, recall and F-score of each text by each of `kinds`: a table for
/// each, with rows `[precision, recall, f, 1]`.
///
/// Of several references the one with the best F-score counts, for each kind by
/// itself: `references[r][i]` belongs to `texts[i]`. There must be a reference,
/// and as many of each as texts.
pub fn rouge(
    kinds: &[Rouge],
    stemming: Stemming,
    texts: &[&str],
    references: &[&[&str]],
) -> Vec<Statistics> {
    let mut tables: Vec<_> = kinds.iter().map(|_| Statistics::new(Rouge::WIDTH)).collect();
    let mut words = Words::new(stemming);
    let (mut scorer, mut text, mut reference) =
        (Scorer::default(), Text::default(), Text::default());
    for (at, hypothesis) in texts.iter().enumerate() {
        let mut best = vec![Score::default(); kinds.len()];
        for list in references {
            words.start();
            words.read(hypothesis, &mut text);
            words.read(list[at], &mut reference);
            scorer.start(&text, &reference, words.most());
            for (kind, best) in kinds.iter().zip(&mut best) {
                let score = scorer.score(*kind, &text, &reference);
                if score.f > best.f {
                    *best = score;
                }
            }
        }
        for (table, best) in tables.iter_mut().zip(best) {
            table.push(&[best.precision, best.recall, best.f, 1.0]);
        }
    }
    tables
}

#[derive(Clone, Copy, Debug, Default)]
struct Score {
    precision: f64,
    recall: f64,
    f: f64,
}

impl Score {
    /// Of so many things in common, with so many in the text and the reference.
    fn new(common: usize, own: usize, of_reference: usize) -> Self {
        let precision = common as f64 / own.max(1) as f64;
        let recall = common as f64 / of_reference.max(1) as f64;
        let sum = precision + recall;
        let f = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
        Self { precision, recall, f }
    }
}

/// Scores one pair after another.
#[derive(Default)]
struct Scorer {
    matcher: Matcher,
    /// Matches of one and two words, which most kinds ask for.
    short: [u32; 2],
    /// Distinct words of the pair.
    most: u32,
    lcs: Lcs,
}

impl Scorer {
    fn start(&mut self, text: &Text, reference: &Text, most: u32) {
        self.most = most;
        self.short = self.matcher.count(&[&text.words, &reference.words], most);
    }

    fn score(&mut self, kind: Rouge, text: &Text, reference: &Text) -> Score {
        let (own, of_reference) = (text.words.len(), reference.words.len());
        match kind {
            Rouge::N(order) => {
                let order = usize::from(order);
                let texts: [&[u32]; 2] = [&text.words, &reference.words];
                let common = match order {
                    1 | 2 => self.short[order - 1],
                    3 | 4 => self.matcher.count::<4>(&texts, self.most)[order - 1],
                    _ => self.matcher.count::<9>(&texts, self.most)[order - 1],
                };
                let less = order - 1;
                let (own, of_reference) =
                    (own.saturating_sub(less), of_reference.saturating_sub(less));
                Score::new(common as usize, own, of_reference)
            }
            Rouge::L => {
                let common = self.lcs.length(&reference.words, &text.words, self.most);
                Score::new(common, own, of_reference)
            }
            Rouge::Lsum => {
                let common = self.lcs.of_sentences(reference, text, self.most);
                Score::new(common, own, of_reference)
            }
        }
    }
}
