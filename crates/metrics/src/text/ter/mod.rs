//! TER: edits, with shifts of words, that turn a text into its reference.
//! Snover et al. 2006; with the limits and ties of sacrebleu 2.6.0.

mod banded;
mod bits;
mod shift;
mod words;

use super::statistics::{Statistics, ratio};
use super::vocabulary::Vocabulary;

/// How TER is computed. By default case is ignored and nothing else is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ter {
    /// Whether punctuation is cut off and entities are read.
    pub normalized: bool,
    /// What happens to punctuation.
    pub punctuation: Punctuation,
    /// Whether Chinese and Japanese marks are cut off or taken out as well.
    pub asian_support: bool,
    /// Whether `The` and `the` differ.
    pub case_sensitive: bool,
}

/// What TER does with punctuation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Punctuation {
    /// It counts like any other character.
    #[default]
    Kept,
    /// It is taken out.
    Removed,
}

impl Ter {
    /// The signature of sacrebleu. Its version says whose numbers these are.
    pub fn signature(&self, references: usize) -> String {
        let yes = |holds| if holds { "yes" } else { "no" };
        format!(
            "nrefs:{references}|case:{}|tok:tercom|norm:{}|punct:{}|asian:{}|version:2.6.0",
            if self.case_sensitive { "mixed" } else { "lc" },
            yes(self.normalized),
            yes(self.punctuation == Punctuation::Kept),
            yes(self.asian_support),
        )
    }

    /// Of each text, the edits to the reference that needs fewest, and the mean
    /// length of its references: `references[r][i]` belongs to `texts[i]`. There
    /// must be a reference, and as many of each as texts.
    pub fn statistics(&self, texts: &[&str], references: &[&[&str]]) -> Statistics {
        let mut table = Statistics::new(2);
        let mut words = Vocabulary::default();
        let mut search = shift::Search::default();
        for (at, text) in texts.iter().enumerate() {
            words.clear();
            let text = words::symbols(*self, text, &mut words);
            let (mut least, mut length) = (usize::MAX, 0);
            for reference in references {
                let reference = words::reference_symbols(*self, reference[at], &mut words);
                length += reference.len();
                least = least.min(search.edits(&text, &reference));
            }
            table.push(&[least as f64, length as f64 / references.len() as f64]);
        }
        table
    }

    /// The score of added-up edits and lengths: 0 is best, and 100 may be passed.
    pub fn score(sums: &[f64]) -> f64 {
        if sums[1] > 0.0 {
            100.0 * ratio(sums)
        } else if sums[0] > 0.0 {
            // Words where the reference has none.
            100.0
        } else {
            0.0
        }
    }
}
