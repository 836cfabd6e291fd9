//! How much texts repeat: themselves, and each other.

use std::collections::HashMap;

use super::bleu::Bleu;
use super::space;
use super::vocabulary::Vocabulary;
use crate::normal;

/// Different n-grams by all n-grams of a list of texts. Li et al. 2016,
/// doi:10.18653/v1/N16-1014.
#[derive(Clone, Debug, PartialEq)]
pub struct Distinct {
    /// In `0.0..=1.0`; `None` if no text is long enough.
    pub value: Option<f64>,
    /// Standard error by leaving out each text once; `None` from less than two.
    ///
    /// Resampling would not do: a text that is drawn twice brings nothing new.
    pub standard_error: Option<f64>,
    /// The same measure of each text alone.
    pub texts: Vec<Option<f64>>,
}

impl Distinct {
    /// The interval of a confidence such as 0.95, from the standard error.
    pub fn interval(&self, level: f64) -> Option<(f64, f64)> {
        let (value, error) = (self.value?, self.standard_error?);
        let half = normal::quantile(f64::midpoint(1.0, level)) * error;
        Some(((value - half).max(0.0), (value + half).min(1.0)))
    }
}

/// Distinct-n: words are what white space separates. `order` is at least 1.
pub fn distinct(texts: &[&str], order: usize) -> Distinct {
    assert!(order > 0, "an n-gram has a word");
    let mut words = Vocabulary::default();
    let texts: Vec<Vec<u32>> =
        texts.iter().map(|text| space::split(text).map(|word| words.id(word)).collect()).collect();
    // For each n-gram the only text that has it, or none if several do.
    let mut owners: HashMap<&[u32], Option<usize>> = HashMap::new();
    let mut own = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let mut kinds: Vec<&[u32]> = text.windows(order).collect();
        let all = kinds.len();
        kinds.sort_unstable();
        kinds.dedup();
        own.push((kinds.len(), all));
        for gram in kinds {
            owners.entry(gram).and_modify(|owner| *owner = None).or_insert(Some(number));
        }
    }
    let all: usize = own.iter().map(|(_, all)| all).sum();
    let mut only_here = vec![0; texts.len()];
    for owner in owners.values().flatten() {
        only_here[*owner] += 1;
    }
    let share = |kinds: usize, all: usize| (all > 0).then(|| kinds as f64 / all as f64);
    let without: Option<Vec<f64>> = own
        .iter()
        .zip(&only_here)
        .map(|((_, of_text), only)| share(owners.len() - only, all - of_text))
        .collect();
    Distinct {
        value: share(owners.len(), all),
        standard_error: without.filter(|values| values.len() > 1).map(|v| jackknife_error(&v)),
        texts: own.into_iter().map(|(kinds, all)| share(kinds, all)).collect(),
    }
}

/// Standard error of a measure from its values with one text left out.
fn jackknife_error(without: &[f64]) -> f64 {
    let count = without.len() as f64;
    let mean = without.iter().sum::<f64>() / count;
    let squares: f64 = without.iter().map(|value| (value - mean).powi(2)).sum();
    ((count - 1.0) / count * squares).sqrt()
}

/// Share of the n-grams of each text that it has had before: 1 less the
/// different n-grams by all n-grams. Welleck et al. 2020, arXiv:1908.04319, who
/// take four words. `None` for a text that is too short.
pub fn repetition(texts: &[&str], order: usize) -> Vec<Option<f64>> {
    distinct(texts, order).texts.into_iter().map(|value| Some(1.0 - value?)).collect()
}

/// BLEU of each text with all others as its references: the higher, the more
/// alike the texts. Zhu et al. 2018, doi:10.1145/3209978.3210080.
///
/// Empty for less than two texts. Takes time in proportion to all words, not to
/// the pairs of texts.
pub fn self_bleu(how: &Bleu, texts: &[&str]) -> Vec<f64> {
    if texts.len() < 2 {
        return Vec::new();
    }
    let how = Bleu { effective_order: true, ..*how };
    let texts = how.words(texts);
    let rivals = Rivals::new(&texts);
    let mut lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
    lengths.sort_unstable();
    let each = texts.iter().enumerate().map(|(number, text)| {
        let mut sums = [0.0; 10];
        sums[0] = text.len() as f64;
        sums[1] = closest_other(&lengths, text.len()) as f64;
        for order in 1..=4 {
            sums[1 + order] = rivals.matches(number, text, order) as f64;
            sums[5 + order] = (text.len() + 1).saturating_sub(order) as f64;
        }
        how.score(&sums).score
    });
    each.collect()
}

/// Of rising lengths, one of which is that of a text itself, the one of another
/// text that is closest; of two the shorter.
fn closest_other(lengths: &[usize], own: usize) -> usize {
    let at = lengths.partition_point(|length| *length < own);
    let before = at.checked_sub(1).map(|before| lengths[before]);
    let after = lengths.get(at + 1).copied();
    before.into_iter().chain(after).min_by_key(|other| (other.abs_diff(own), *other)).unwrap_or(0)
}

/// For each n-gram the text that has it most often, and the next best count.
struct Rivals<'a> {
    grams: HashMap<&'a [u32], Counts>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    most: usize,
    owner: usize,
    next: usize,
}

impl<'a> Rivals<'a> {
    fn new(texts: &'a [Vec<u32>]) -> Self {
        let mut grams: HashMap<&[u32], Counts> = HashMap::new();
        for (number, text) in texts.iter().enumerate() {
            for order in 1..=4 {
                for (gram, count) in counted(text, order) {
                    let counts = grams.entry(gram).or_default();
                    if count > counts.most {
                        *counts = Counts { most: count, owner: number, next: counts.most };
                    } else {
                        counts.next = counts.next.max(count);
                    }
                }
            }
        }
        Self { grams }
    }

    fn matches(&self, number: usize, text: &[u32], order: usize) -> usize {
        let of_gram = |(gram, count): (&[u32], usize)| {
            let counts = self.grams.get(gram).copied().unwrap_or_default();
            count.min(if counts.owner == number { counts.next } else { counts.most })
        };
        counted(text, order).into_iter().map(of_gram).sum()
    }
}

/// The different n-grams of a text with how often it has them.
fn counted(text: &[u32], order: usize) -> Vec<(&[u32], usize)> {
    let mut grams: Vec<&[u32]> = text.windows(order).collect();
    grams.sort_unstable();
    grams.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 5] =
        ["the cat sat on the mat", "the dog sat on the log", "a b a b a b", "cat", ""];

    #[test]
    fn distinct_counts_kinds_by_all() {
        let found = distinct(&TEXTS, 1);
        // the cat sat on mat dog log a b, of 6 + 6 + 6 + 1 words.
        assert_eq!(found.value, Some(9.0 / 19.0));
        assert_eq!(found.texts[2], Some(2.0 / 6.0));
        assert_eq!(found.texts[4], None);
        let (low, high) = found.interval(0.95).unwrap();
        assert!(low < 9.0 / 19.0 && 9.0 / 19.0 < high);
        assert_eq!(distinct(&["x"], 2).value, None);
        assert_eq!(distinct(&["x y"], 2).interval(0.95), None);
    }

    #[test]
    fn repetition_is_what_came_before() {
        // `a b a` twice, `b a b` twice.
        assert_eq!(repetition(&TEXTS, 3)[2], Some(0.5));
        assert_eq!(repetition(&TEXTS, 3)[0], Some(0.0));
        assert_eq!(repetition(&TEXTS, 3)[3], None);
    }

    #[test]
    fn self_bleu_is_bleu_with_the_others_as_references() {
        let how = Bleu { effective_order: true, ..Bleu::default() };
        let found = self_bleu(&how, &TEXTS);
        for (at, found) in found.iter().enumerate() {
            let others: Vec<[&str; 1]> =
                TEXTS.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, t)| [*t]).collect();
            let others: Vec<&[&str]> = others.iter().map(<[_; 1]>::as_slice).collect();
            let sums = how.statistics(&[TEXTS[at]], &others).sums();
            assert!((found - how.score(&sums).score).abs() < 1e-12, "text {at}");
        }
        assert!(self_bleu(&how, &["alone"]).is_empty());
    }
}
