//! METEOR: words of a text aligned with those of its reference, by form, stem
//! and meaning. Lavie and Agarwal 2007; with the conventions of NLTK 3.10.
//!
//! NLTK's variant is not the program of that paper: words are aligned greedily
//! from the end, and synonyms are looked up for stems.

use super::porter::porter_stem;
use super::space;
use super::statistics::Statistics;
use super::vocabulary::Vocabulary;
use super::wordnet::{WordNet, WordNetError};

/// Marks the end of a chain.
const NONE: u32 = u32::MAX;

/// The weights of METEOR; by default those of NLTK.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Meteor {
    /// Share of precision in the harmonic mean.
    pub alpha: f64,
    /// Exponent of the penalty.
    pub beta: f64,
    /// The most that the penalty takes away.
    pub gamma: f64,
}

impl Default for Meteor {
    fn default() -> Self {
        Self { alpha: 0.9, beta: 3.0, gamma: 0.5 }
    }
}

impl Meteor {
    /// How the numbers were found, and with which version of `WordNet`.
    pub fn signature(&self, wordnet: Option<&WordNet>, references: usize) -> String {
        let wordnet = wordnet.map_or("none", |wordnet| wordnet.version().unwrap_or("unknown"));
        let Self { alpha, beta, gamma } = self;
        format!(
            "meteor|nrefs:{references}|tok:split|alpha:{alpha}|beta:{beta}|gamma:{gamma}\
             |stem:porter|wordnet:{wordnet}|agg:mean|as:nltk-3.10.4"
        )
    }

    /// The score of each text, in `0.0..=1.0`, as rows `[score, 1]`.
    ///
    /// White space separates words. Of several references the one with the best
    /// score counts: `references[r][i]` belongs to `texts[i]`. There must be a
    /// reference, and as many of each as texts. Without one, words are
    /// aligned by form and stem alone.
    pub fn statistics(
        &self,
        texts: &[&str],
        references: &[&[&str]],
        wordnet: Option<&WordNet>,
    ) -> Result<Statistics, WordNetError> {
        let mut table = Statistics::new(2);
        let mut words = Words { wordnet, ..Words::default() };
        let mut aligner = Aligner::default();
        let (mut text, mut reference) = (Vec::new(), Vec::new());
        for (at, hypothesis) in texts.iter().enumerate() {
            words.read(hypothesis, &mut text);
            let mut best = 0.0_f64;
            for list in references {
                words.read(list[at], &mut reference);
                let (matches, chunks) = aligner.align(&text, &reference, &mut words)?;
                best = best.max(self.score(matches, chunks, (text.len(), reference.len())));
            }
            table.push(&[best, 1.0]);
        }
        Ok(table)
    }

    /// The score of so many matches in so many chunks of neighbours.
    fn score(&self, matches: usize, chunks: usize, (own, of_reference): (usize, usize)) -> f64 {
        if matches == 0 {
            return 0.0;
        }
        let matches = matches as f64;
        let (precision, recall) = (matches / own as f64, matches / of_reference as f64);
        let below = self.alpha * precision + (1.0 - self.alpha) * recall;
        let penalty = self.gamma * (chunks as f64 / matches).powf(self.beta);
        (1.0 - penalty) * (precision * recall / below)
    }
}

/// Words, stems and synonyms as numbers, each computed once.
#[derive(Default)]
struct Words<'a> {
    wordnet: Option<&'a WordNet>,
    known: Vocabulary,
    /// For each word, its stem.
    stems: Vec<u32>,
    stem_texts: Vocabulary,
    /// For each stem that was asked for, the stems that mean the same.
    synonyms: Vec<Option<Vec<u32>>>,
}

impl Words<'_> {
    fn read(&mut self, text: &str, into: &mut Vec<u32>) {
        into.clear();
        let lowered = text.to_lowercase();
        for word in space::split(&lowered) {
            let id = self.known.id(word);
            if id as usize == self.stems.len() {
                self.stems.push(self.stem_texts.id(&porter_stem(word)));
            }
            into.push(id);
        }
    }

    /// The synonyms of a stem, itself left out.
    fn synonyms(&mut self, stem: u32) -> Result<&[u32], WordNetError> {
        let at = stem as usize;
        if self.synonyms.len() <= at {
            self.synonyms.resize(at + 1, None);
        }
        if self.synonyms[at].is_none() {
            let mut found = Vec::new();
            if let Some(wordnet) = self.wordnet {
                let word = self.stem_texts.word(stem).to_owned();
                wordnet.each_synonym(&word, |synonym| found.push(self.stem_texts.id(synonym)))?;
            }
            found.sort_unstable();
            found.dedup();
            self.synonyms[at] = Some(found);
        }
        Ok(self.synonyms[at].as_deref().unwrap_or_default())
    }
}

/// A word: its place, and its number at the present stage.
type Placed = (u32, u32);

/// Aligns texts; keeps its memory from one pair to the next.
#[derive(Default)]
struct Aligner {
    text: Vec<Placed>,
    reference: Vec<Placed>,
    /// For each word, the last place in the reference that is free.
    last: Vec<u32>,
    /// For each place in the reference, the one before with the same word.
    before: Vec<u32>,
    matches: Vec<(u32, u32)>,
}

impl Aligner {
    /// Number of matches, and of chunks of neighbours among them.
    fn align(
        &mut self,
        text: &[u32],
        reference: &[u32],
        words: &mut Words,
    ) -> Result<(usize, usize), WordNetError> {
        self.matches.clear();
        self.text.clear();
        self.text.extend((0..).zip(text.iter().copied()));
        self.reference.clear();
        self.reference.extend((0..).zip(reference.iter().copied()));
        self.before.clear();
        self.before.resize(reference.len(), NONE);
        self.stage(words.known.len(), |word, last| Ok(free(word, last)))?;
        for placed in self.text.iter_mut().chain(&mut self.reference) {
            placed.1 = words.stems[placed.1 as usize];
        }
        self.stage(words.stem_texts.len(), |word, last| Ok(free(word, last)))?;
        if words.wordnet.is_some() {
            self.stage(words.stem_texts.len(), |word, last| {
                let synonyms = words.synonyms(word)?.iter();
                let places = synonyms.filter_map(|synonym| free(*synonym, last));
                Ok(places.max_by_key(|(place, _)| *place))
            })?;
        }
        self.matches.sort_unstable();
        let breaks = self
            .matches
            .windows(2)
            .filter(|pair| pair[1].0 != pair[0].0 + 1 || pair[1].1 != pair[0].1 + 1);
        Ok((self.matches.len(), 1 + breaks.count()))
    }

    /// From the last word of the text to the first, gives each the last place
    /// that `choose` finds free, and takes out what was matched.
    fn stage(
        &mut self,
        words: usize,
        mut choose: impl FnMut(u32, &[u32]) -> Result<Option<Placed>, WordNetError>,
    ) -> Result<(), WordNetError> {
        let Self { text, reference, last, before, matches } = self;
        if text.is_empty() || reference.is_empty() {
            return Ok(());
        }
        if last.len() < words {
            last.resize(words, NONE);
        }
        for (place, word) in &*reference {
            before[*place as usize] = std::mem::replace(&mut last[*word as usize], *place);
        }
        let known = matches.len();
        let mut chosen = Ok(());
        for (own, word) in text.iter().rev() {
            match choose(*word, last) {
                Ok(Some((place, word))) => {
                    last[word as usize] = before[place as usize];
                    matches.push((*own, place));
                }
                Ok(None) => {}
                Err(error) => chosen = Err(error),
            }
        }
        for (_, word) in &*reference {
            last[*word as usize] = NONE;
        }
        let found = &mut matches[known..];
        found.sort_unstable_by_key(|(_, place)| *place);
        reference.retain(|(place, _)| found.binary_search_by_key(place, |pair| pair.1).is_err());
        found.sort_unstable();
        text.retain(|(own, _)| found.binary_search_by_key(own, |pair| pair.0).is_err());
        chosen
    }
}

/// The last free place of a word, with the word.
fn free(word: u32, last: &[u32]) -> Option<Placed> {
    let place = *last.get(word as usize)?;
    (place != NONE).then_some((place, word))
}
