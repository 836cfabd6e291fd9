//! chrF and chrF++: F-score of character n-grams, and of words. Popovic 2015,
//! doi:10.18653/v1/W15-3049, and 2017, doi:10.18653/v1/W17-4770; with the
//! conventions of sacrebleu 2.6.0.

use super::grams::Matcher;
use super::space;
use super::statistics::Statistics;
use super::vocabulary::Vocabulary;

/// Character n-grams of one character to this many are counted.
const CHARACTERS: usize = 6;
/// Word n-grams of one word to this many are counted, at most.
const WORDS: usize = 2;
/// Orders at most.
const ORDERS: usize = CHARACTERS + WORDS;
/// In place of a precision or recall that has nothing to count.
const EPSILON: f64 = 1e-16;

/// How chrF is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chrf {
    /// Orders of word n-grams: 0 for chrF, 2 for chrF++.
    pub word_order: usize,
    /// How many times recall counts as much as precision.
    pub beta: u32,
    /// Whether case is ignored.
    pub lowercase: bool,
    /// Whether white space is a character.
    pub whitespace: bool,
    /// How orders are put together.
    pub orders: Orders,
}

/// How chrF puts its orders together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orders {
    /// The F-score of mean precision and mean recall, over the orders that both
    /// texts have n-grams of. The default.
    #[default]
    Effective,
    /// The mean of the orders' F-scores, with a tiny number for what is not
    /// there, as Popovic's own program, Moses and NLTK.
    Epsilon,
}

impl Default for Chrf {
    fn default() -> Self {
        Self {
            word_order: 0,
            beta: 2,
            lowercase: false,
            whitespace: false,
            orders: Orders::Effective,
        }
    }
}

impl Chrf {
    /// chrF++: words count beside characters.
    pub fn plus_plus() -> Self {
        Self { word_order: WORDS, ..Self::default() }
    }

    /// The signature of sacrebleu. Its version says whose numbers these are.
    pub fn signature(&self, references: usize) -> String {
        let yes = |holds| if holds { "yes" } else { "no" };
        format!(
            "nrefs:{references}|case:{}|eff:{}|nc:{CHARACTERS}|nw:{}|space:{}|version:2.6.0",
            if self.lowercase { "lc" } else { "mixed" },
            yes(self.orders == Orders::Effective),
            self.word_order,
            yes(self.whitespace),
        )
    }

    /// Counts of each text against the reference that it scores best with:
    /// `references[r][i]` belongs to `texts[i]`. There must be a reference, and
    /// as many of each as texts. `word_order` is 2 at most.
    pub fn statistics(&self, texts: &[&str], references: &[&[&str]]) -> Statistics {
        let width = 3 * (CHARACTERS + self.word_order.min(WORDS));
        let mut table = Statistics::new(width);
        let mut counter = Counter::default();
        for (at, text) in texts.iter().enumerate() {
            let mut best = (-1.0, [0.0; 3 * ORDERS]);
            for reference in references {
                let row = counter.row(self, text, reference[at]);
                let score = self.score(&row[..width]);
                if score > best.0 {
                    best = (score, row);
                }
            }
            table.push(&best.1[..width]);
        }
        table
    }

    /// The score of added-up counts, in `0.0..=100.0`. Each order has three: of
    /// the text, of the reference, and of matches.
    pub fn score(&self, sums: &[f64]) -> f64 {
        let factor = f64::from(self.beta * self.beta);
        let (mut scores, mut precisions, mut recalls, mut effective) = (0.0, 0.0, 0.0, 0.0);
        let (orders, _) = sums.as_chunks::<3>();
        for &[own, of_reference, matches] in orders {
            let precision = if own > 0.0 { matches / own } else { EPSILON };
            let recall = if of_reference > 0.0 { matches / of_reference } else { EPSILON };
            let below = factor * precision + recall;
            scores +=
                if below > 0.0 { (1.0 + factor) * precision * recall / below } else { EPSILON };
            if own > 0.0 && of_reference > 0.0 {
                precisions += precision;
                recalls += recall;
                effective += 1.0;
            }
        }
        if self.orders == Orders::Epsilon {
            return 100.0 * scores / orders.len() as f64;
        }
        if precisions + recalls == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precisions / effective, recalls / effective);
        100.0 * (1.0 + factor) * precision * recall / (factor * precision + recall)
    }
}

/// One text and one reference as numbers.
#[derive(Default)]
struct Counter {
    characters: Characters,
    words: Vocabulary,
    left: Vec<u32>,
    right: Vec<u32>,
    matcher: Matcher,
}

impl Counter {
    fn row(&mut self, how: &Chrf, text: &str, reference: &str) -> [f64; 3 * ORDERS] {
        if how.lowercase {
            self.row_of_cased(how, &text.to_lowercase(), &reference.to_lowercase())
        } else {
            self.row_of_cased(how, text, reference)
        }
    }

    fn row_of_cased(&mut self, how: &Chrf, text: &str, reference: &str) -> [f64; 3 * ORDERS] {
        let mut row = [0.0; 3 * ORDERS];
        self.characters.clear();
        for (side, text) in [(&mut self.left, text), (&mut self.right, reference)] {
            side.clear();
            if text.is_ascii() {
                self.characters.push_ascii(text, how.whitespace, side);
                continue;
            }
            let kept = text.chars().filter(|one| how.whitespace || !space::is_space(*one));
            side.extend(kept.map(|character| self.characters.symbol(character)));
        }
        let most = self.characters.most;
        let matches = self.matcher.count::<CHARACTERS>(&[&self.left, &self.right], most);
        self.fill(&mut row[..3 * CHARACTERS], &matches);
        if how.word_order > 0 {
            self.words.clear();
            for (side, text) in [(&mut self.left, text), (&mut self.right, reference)] {
                side.clear();
                each_word(text, |word| side.push(self.words.id(word) + 1));
            }
            let most = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
            let matches = self.matcher.count::<WORDS>(&[&self.left, &self.right], most);
            self.fill(&mut row[3 * CHARACTERS..], &matches);
        }
        row
    }

    fn fill(&self, row: &mut [f64], matches: &[u32]) {
        let (orders, _) = row.as_chunks_mut::<3>();
        for (order, (row, matches)) in orders.iter_mut().zip(matches).enumerate() {
            let own = self.left.len().saturating_sub(order);
            let of_reference = self.right.len().saturating_sub(order);
            // Where the reference has no such n-gram, those of the text do not count.
            let own = if of_reference > 0 { own } else { 0 };
            *row = [own as f64, of_reference as f64, f64::from(*matches)];
        }
    }
}

/// Calls `visit` with each word, one mark of punctuation at its end taken off,
/// or else one at its start: `(hi)` is `(hi` and `)`.
fn each_word(text: &str, mut visit: impl FnMut(&str)) {
    let is_mark = |byte: &u8| byte.is_ascii_punctuation();
    for word in space::split(text) {
        let bytes = word.as_bytes();
        if bytes.len() > 1 && bytes.last().is_some_and(is_mark) {
            visit(&word[..word.len() - 1]);
            visit(&word[word.len() - 1..]);
        } else if bytes.len() > 1 && bytes.first().is_some_and(is_mark) {
            visit(&word[..1]);
            visit(&word[1..]);
        } else {
            visit(word);
        }
    }
}

/// Which characters of ASCII are white space to Python.
const SPACES: [bool; 128] = {
    let mut spaces = [false; 128];
    let mut byte = 0;
    while byte < 128 {
        spaces[byte] = matches!(byte, 0x09..=0x0d | 0x1c..=0x20);
        byte += 1;
    }
    spaces
};

/// Numbers from 1 for characters, in the order in which they were first met.
struct Characters {
    ascii: [u32; 128],
    /// How many of ASCII have a number.
    ascii_count: u32,
    others: Vocabulary,
    /// The largest number.
    most: u32,
}

impl Default for Characters {
    fn default() -> Self {
        Self { ascii: [0; 128], ascii_count: 0, others: Vocabulary::default(), most: 0 }
    }
}

impl Characters {
    fn clear(&mut self) {
        self.ascii.fill(0);
        if self.others.len() > 0 {
            self.others.clear();
        }
        (self.ascii_count, self.most) = (0, 0);
    }

    /// Adds the numbers of the characters of an ASCII text.
    fn push_ascii(&mut self, text: &str, with_space: bool, symbols: &mut Vec<u32>) {
        symbols.reserve(text.len());
        for byte in text.bytes() {
            if !with_space && SPACES[usize::from(byte & 127)] {
                continue;
            }
            let symbol = &mut self.ascii[usize::from(byte)];
            if *symbol == 0 {
                self.ascii_count += 1;
                *symbol = self.ascii_count;
                self.most = self.most.max(*symbol);
            }
            symbols.push(*symbol);
        }
    }

    fn symbol(&mut self, character: char) -> u32 {
        if let Some(symbol) = self.ascii.get_mut(character as usize) {
            if *symbol == 0 {
                self.ascii_count += 1;
                *symbol = self.ascii_count;
                self.most = self.most.max(*symbol);
            }
            return *symbol;
        }
        // Those beyond ASCII are numbered by themselves, above all of ASCII.
        let symbol = 128 + 1 + self.others.id(character.encode_utf8(&mut [0; 4]));
        self.most = self.most.max(symbol);
        symbol
    }
}
