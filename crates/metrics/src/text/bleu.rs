//! BLEU: how many n-grams of a text its references have. Papineni et al. 2002,
//! doi:10.3115/1073083.1073135; with the conventions of sacrebleu 2.6.0, Post
//! 2018, doi:10.18653/v1/W18-6319.

use std::str::FromStr;

use super::grams::Matcher;
use super::space;
use super::statistics::Statistics;
use super::tokenize::{Buffers, Tokenizer};
use super::vocabulary::Vocabulary;

/// N-grams of one word to this many are counted.
const ORDERS: usize = 4;
/// Numbers of a row: lengths of text and reference, matches and n-grams by order.
const WIDTH: usize = 2 + 2 * ORDERS;

/// What stands for a precision of 0, whose logarithm does not exist.
///
/// The values given to `Floor` and `AddK` are those of Chen and Cherry 2014,
/// doi:10.3115/v1/W14-3346, unless others are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Smoothing {
    /// The k-th order without a match counts as one match in `2^k` times its
    /// n-grams, as `mteval-v13a.pl`. The default.
    #[default]
    Exponential,
    /// This many matches (0.1) in place of none.
    Floor(f64),
    /// This many matches and n-grams (1) more, from two words on.
    AddK(f64),
    /// Nothing: one order without a match makes the score 0.
    None,
}

impl Smoothing {
    fn signature(self) -> String {
        match self {
            Self::Exponential => "exp".to_owned(),
            Self::Floor(value) => format!("floor[{value:.2}]"),
            Self::AddK(value) => format!("add-k[{value:.2}]"),
            Self::None => "none".to_owned(),
        }
    }

    /// The same with another value, where it has one. `None` if it has none.
    pub fn with_value(self, value: f64) -> Option<Self> {
        match self {
            Self::Floor(_) => Some(Self::Floor(value)),
            Self::AddK(_) => Some(Self::AddK(value)),
            Self::Exponential | Self::None => None,
        }
    }
}

impl FromStr for Smoothing {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "exp" => Ok(Self::Exponential),
            "floor" => Ok(Self::Floor(0.1)),
            "add-k" => Ok(Self::AddK(1.0)),
            "none" => Ok(Self::None),
            _ => Err(format!("`{name}` is no smoothing; known are exp, floor, add-k, none")),
        }
    }
}

/// How BLEU is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bleu {
    /// How texts become words.
    pub tokenizer: Tokenizer,
    /// What stands for a precision of 0.
    pub smoothing: Smoothing,
    /// Whether case is ignored.
    pub lowercase: bool,
    /// Whether orders that a short text has no n-grams of are left out, which
    /// the score of a single text needs.
    pub effective_order: bool,
}

/// A score and what it is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct BleuScore {
    /// In `0.0..=100.0`.
    pub score: f64,
    /// Matches of each order, smoothing by `AddK` included.
    pub matches: [f64; ORDERS],
    /// N-grams of each order, smoothing by `AddK` included.
    pub totals: [f64; ORDERS],
    /// Percent of n-grams that match, smoothed, by order.
    pub precisions: [f64; ORDERS],
    /// Brevity penalty, in `0.0..=1.0`.
    pub brevity_penalty: f64,
    /// Words of the texts.
    pub length: f64,
    /// Words of the references that are closest in length.
    pub reference_length: f64,
}

impl Bleu {
    /// The signature of sacrebleu. Its version says whose numbers these are.
    pub fn signature(&self, references: usize) -> String {
        format!(
            "nrefs:{references}|case:{}|eff:{}|tok:{}|smooth:{}|version:2.6.0",
            if self.lowercase { "lc" } else { "mixed" },
            if self.effective_order { "yes" } else { "no" },
            self.tokenizer.name(),
            self.smoothing.signature(),
        )
    }

    /// Counts of each text against its references: `references[r][i]` belongs to
    /// `texts[i]`. There must be a reference, and as many of each as texts.
    pub fn statistics(&self, texts: &[&str], references: &[&[&str]]) -> Statistics {
        let mut table = Statistics::new(WIDTH);
        let mut counter = Counter::default();
        for (at, text) in texts.iter().enumerate() {
            counter.words.clear();
            counter.add(self, text);
            for reference in references {
                counter.add(self, reference[at]);
            }
            table.push(&counter.row());
            counter.clear();
        }
        table
    }

    /// The words of each text as numbers.
    pub(super) fn words(&self, texts: &[&str]) -> Vec<Vec<u32>> {
        let mut counter = Counter::default();
        let each = texts.iter().map(|text| {
            counter.clear();
            counter.add(self, text);
            std::mem::take(&mut counter.symbols)
        });
        each.collect()
    }

    /// The score of added-up counts.
    pub fn score(&self, sums: &[f64]) -> BleuScore {
        let (length, reference_length) = (sums[0], sums[1]);
        let mut score = BleuScore {
            score: 0.0,
            matches: std::array::from_fn(|order| sums[2 + order]),
            totals: std::array::from_fn(|order| sums[2 + ORDERS + order]),
            precisions: [0.0; ORDERS],
            brevity_penalty: brevity_penalty(length, reference_length),
            length,
            reference_length,
        };
        // Without a single match there is nothing to smooth.
        if score.matches.iter().any(|matches| *matches > 0.0) {
            let orders = self.smooth(&mut score);
            if score.precisions[..orders].iter().all(|precision| *precision > 0.0) {
                let logs: f64 = score.precisions[..orders].iter().map(|p| p.ln()).sum();
                score.score = score.brevity_penalty * (logs / orders as f64).exp();
            }
        }
        score
    }

    /// Fills in the precisions, and says how many orders count.
    fn smooth(&self, score: &mut BleuScore) -> usize {
        let (mut halvings, mut orders) = (1.0, ORDERS);
        for order in 0..ORDERS {
            if let Smoothing::AddK(more) = self.smoothing
                && order > 0
            {
                score.matches[order] += more;
                score.totals[order] += more;
            }
            let (matches, total) = (score.matches[order], score.totals[order]);
            if total == 0.0 {
                break;
            }
            if self.effective_order {
                orders = order + 1;
            }
            score.precisions[order] = match self.smoothing {
                _ if matches != 0.0 => 100.0 * matches / total,
                Smoothing::Exponential => {
                    halvings *= 2.0;
                    100.0 / (halvings * total)
                }
                Smoothing::Floor(value) => 100.0 * value / total,
                Smoothing::AddK(_) | Smoothing::None => 0.0,
            };
        }
        orders
    }
}

fn brevity_penalty(length: f64, reference_length: f64) -> f64 {
    if length >= reference_length {
        1.0
    } else if length > 0.0 {
        (1.0 - reference_length / length).exp()
    } else {
        0.0
    }
}

/// Words of one text and its references as numbers.
#[derive(Default)]
struct Counter {
    words: Vocabulary,
    buffers: Buffers,
    lowered: String,
    /// All texts, one after another.
    symbols: Vec<u32>,
    ends: Vec<usize>,
    matcher: Matcher,
}

impl Counter {
    fn clear(&mut self) {
        self.symbols.clear();
        self.ends.clear();
    }

    fn add(&mut self, how: &Bleu, text: &str) {
        let text = if how.lowercase {
            self.lowered = text.to_lowercase();
            &self.lowered
        } else {
            text
        };
        let (words, symbols) = (&mut self.words, &mut self.symbols);
        how.tokenizer.each(space::trim_end(text), &mut self.buffers, |word| {
            symbols.push(words.id(word) + 1);
        });
        self.ends.push(symbols.len());
    }

    fn row(&mut self) -> [f64; WIDTH] {
        let mut starts = 0;
        let texts: Vec<&[u32]> = self
            .ends
            .iter()
            .map(|end| &self.symbols[std::mem::replace(&mut starts, *end)..*end])
            .collect();
        let length = texts[0].len();
        let closest = texts[1..].iter().map(|reference| reference.len());
        let closest = closest.min_by_key(|other| (other.abs_diff(length), *other));
        let most = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        let matches = self.matcher.count::<ORDERS>(&texts, most);
        let mut row = [0.0; WIDTH];
        row[0] = length as f64;
        row[1] = closest.unwrap_or(0) as f64;
        for order in 0..ORDERS {
            row[2 + order] = f64::from(matches[order]);
            row[2 + ORDERS + order] = length.saturating_sub(order) as f64;
        }
        row
    }
}
