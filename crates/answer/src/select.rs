//! Choosing the sentences that answer a question, before any model writes.
//!
//! Each sentence of the retrieved passages is scored by its meaning (cosine to
//! the question), by the rarity-weighted share of the question's words that it
//! or its headings contain, and by how well its passage did in retrieval.
//! Sentences are then taken greedily, each for its own score and for what it
//! adds to the question's words covered so far, until the next would add
//! little. Where the question names something and good sentences are about it,
//! those about something else of a name are left out.

use std::collections::{BTreeMap, BTreeSet};

use plumb_text::Analyzer;

use crate::addressed::is_addressed;
use crate::support::asks_for_number;
use crate::words::words;

/// A sentence that could be quoted.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Index of its passage in the list of hits.
    pub(crate) passage: usize,
    /// Position among the sentences of its passage.
    pub(crate) position: usize,
    /// The sentence as a reader sees it.
    pub(crate) text: String,
    /// Title and headings above it.
    pub(crate) context: String,
    /// Cosine to the question, in `-1.0..=1.0`.
    pub(crate) cosine: f32,
    /// Score of its passage, scaled so that the best passage has 1.0.
    pub(crate) passage_score: f32,
}

/// What a question asks for, as weighted terms.
pub(crate) struct QuestionTerms {
    weights: BTreeMap<String, f32>,
    /// Terms of the names in the question.
    names: BTreeSet<String>,
    /// Whether only a number can be the answer.
    pub(crate) wants_number: bool,
}

/// Words that ask rather than name what is asked about.
const ASKING: &str = "explain describe discuss tell define compare contrast outline list give \
    name example concept role purpose significance importance difference differ type kind way \
    main key common work help use used need important please question answer mean illustrate \
    popular typically relate involve";

/// How much an asking word counts beside others.
const ASKING_SHARE: f32 = 0.1;
const MIN_IDF: f32 = 1.0;

/// The words after "how", as in "how long" or "how many": they ask for a
/// measure and need not be in its statement.
fn measures(question: &str) -> Vec<String> {
    let all: Vec<String> = words(question).collect();
    all.windows(2).filter(|pair| pair[0] == "how").map(|pair| pair[1].clone()).collect()
}

impl QuestionTerms {
    /// Weighs the terms of `question` by `idf`, asking words lightly.
    ///
    /// In a handful of passages every word is rare or everywhere, so no word
    /// counts less than [`MIN_IDF`].
    pub(crate) fn new(question: &str, analyzer: &Analyzer, idf: &dyn Fn(&str) -> f32) -> Self {
        let mut asking: BTreeSet<String> = analyzer.terms(ASKING).into_iter().collect();
        asking.extend(measures(question).iter().flat_map(|word| analyzer.terms(word)));
        let weights = analyzer
            .terms(question)
            .into_iter()
            .map(|term| {
                let light = if asking.contains(&term) { ASKING_SHARE } else { 1.0 };
                let weight = idf(&term).max(MIN_IDF) * light;
                (term, weight)
            })
            .collect();
        let names = names(question).flat_map(|name| analyzer.terms(name)).collect();
        Self { weights, names, wants_number: asks_for_number(question) }
    }

    /// True if a sentence with the terms `known`, those of its headings among
    /// them, has one of the names in the question.
    fn is_named(&self, known: &BTreeSet<String>) -> bool {
        !self.names.is_disjoint(known)
    }

    /// Weighted share of the terms that `known` has, in `0.0..=1.0`; 0 for a
    /// question without terms.
    pub(crate) fn coverage(&self, known: &BTreeSet<String>) -> f32 {
        let total: f32 = self.weights.values().sum();
        if total == 0.0 {
            return 0.0;
        }
        let hit: f32 =
            self.weights.iter().filter(|(term, _)| known.contains(*term)).map(|(_, w)| w).sum();
        hit / total
    }
}

/// Words of `text` that are written as names are: with a capital letter though
/// they do not begin it, or with digits among letters.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let is_sign = |c: char| !c.is_alphanumeric();
    text.split_whitespace()
        .map(move |word| word.trim_matches(is_sign))
        .enumerate()
        .filter(|(position, word)| {
            let is_mixed =
                word.chars().any(char::is_alphabetic) && word.chars().any(|c| c.is_ascii_digit());
            is_mixed || (*position > 0 && word.starts_with(char::is_uppercase))
        })
        .map(|(_, word)| word)
}

/// How much each signal counts in a sentence's score.
const COSINE_WEIGHT: f32 = 0.55;
const COVERAGE_WEIGHT: f32 = 0.25;
const PASSAGE_WEIGHT: f32 = 0.20;
/// Lost by a sentence that points at something said before it.
const DANGLING_PENALTY: f32 = 0.10;
/// Lost for each sentence that stands before it in its passage, at most three:
/// writers state first and elaborate after.
const POSITION_PENALTY: f32 = 0.02;
/// What newly covered words of the question are worth.
const NOVELTY_WEIGHT: f32 = 0.35;
/// A further sentence must reach this share of the best one's score.
const KEEP_SHARE: f32 = 0.72;
/// Two sentences with a greater share of common terms say the same.
const SAME_SHARE: f32 = 0.7;

/// Indices into `candidates` of at most `max_sentences` that answer the
/// question, best first. Empty only if there are no candidates.
pub(crate) fn choose(
    candidates: &[Candidate],
    question: &QuestionTerms,
    analyzer: &Analyzer,
    max_sentences: usize,
) -> Vec<usize> {
    let terms: Vec<BTreeSet<String>> =
        candidates.iter().map(|c| analyzer.terms(&c.text).into_iter().collect()).collect();
    let wide: Vec<BTreeSet<String>> = candidates
        .iter()
        .zip(&terms)
        .map(|(c, own)| analyzer.terms(&c.context).into_iter().chain(own.iter().cloned()).collect())
        .collect();
    let scores: Vec<f32> =
        candidates.iter().zip(&wide).map(|(c, known)| score(c, question.coverage(known))).collect();
    let eligible = eligible(candidates, question, &wide, &scores);
    let mut chosen: Vec<usize> = Vec::new();
    let mut covered = BTreeSet::new();
    let mut first_gain = 0.0;
    while chosen.len() < max_sentences {
        let gain = |i: usize| {
            let both: BTreeSet<String> = covered.union(&wide[i]).cloned().collect();
            scores[i] + NOVELTY_WEIGHT * (question.coverage(&both) - question.coverage(&covered))
        };
        let best = eligible
            .iter()
            .copied()
            .filter(|i| !chosen.contains(i))
            .filter(|&i| chosen.iter().all(|&j| overlap(&terms[i], &terms[j]) < SAME_SHARE))
            .map(|i| (i, gain(i)))
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let Some((best, gain)) = best else { break };
        if chosen.is_empty() {
            first_gain = scores[best];
        } else if gain < KEEP_SHARE * first_gain {
            break;
        }
        covered.extend(wide[best].iter().cloned());
        chosen.push(best);
    }
    chosen
}

/// Indices of the sentences that may be taken. What is said of the Velvel pump is
/// no answer to a question about the Velnor pump, however near their vectors are: if
/// a sentence about what the question names scores well, those are not taken that
/// neither have its name, in themselves or their headings, nor go without names.
fn eligible(
    candidates: &[Candidate],
    question: &QuestionTerms,
    wide: &[BTreeSet<String>],
    scores: &[f32],
) -> Vec<usize> {
    let is_named = |i: usize| question.is_named(&wide[i]);
    let best = scores.iter().copied().fold(f32::MIN, f32::max);
    let all = 0..candidates.len();
    if !all.clone().any(|i| is_named(i) && scores[i] >= KEEP_SHARE * best) {
        return all.collect();
    }
    all.filter(|&i| is_named(i) || names(&candidates[i].text).next().is_none()).collect()
}

fn score(candidate: &Candidate, coverage: f32) -> f32 {
    let dangling = if is_dangling(&candidate.text) { DANGLING_PENALTY } else { 0.0 };
    let late = POSITION_PENALTY * candidate.position.min(3) as f32;
    COSINE_WEIGHT * candidate.cosine
        + COVERAGE_WEIGHT * coverage
        + PASSAGE_WEIGHT * candidate.passage_score
        - dangling
        - late
}

/// Share of the smaller set that both have.
fn overlap(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f32 {
    let smaller = a.len().min(b.len());
    if smaller == 0 { 0.0 } else { a.intersection(b).count() as f32 / smaller as f32 }
}

/// True if the sentence opens with a word that refers to an earlier one.
pub(crate) fn is_dangling(sentence: &str) -> bool {
    const OPENERS: &[&str] = &[
        "also",
        "and",
        "as",
        "because",
        "besides",
        "both",
        "but",
        "consequently",
        "for",
        "he",
        "hence",
        "here",
        "however",
        "instead",
        "it",
        "its",
        "moreover",
        "neither",
        "nevertheless",
        "or",
        "otherwise",
        "she",
        "so",
        "such",
        "that",
        "their",
        "then",
        "therefore",
        "these",
        "they",
        "this",
        "those",
        "thus",
        "together",
        "yet",
    ];
    words(sentence).next().is_some_and(|word| OPENERS.binary_search(&word.as_str()).is_ok())
}

/// True if `sentence` says something by itself: a statement of at least four
/// words, not a heading, a question, an introduction of a list or code.
pub(crate) fn is_quotable(sentence: &str) -> bool {
    let trimmed = sentence.trim();
    let count = words(trimmed).count();
    let letters = trimmed.chars().filter(|c| c.is_alphabetic()).count();
    let symbols = trimmed.chars().filter(|c| !c.is_alphanumeric() && !c.is_whitespace()).count();
    (4..=90).contains(&count)
        && letters > 2 * symbols
        && !trimmed.ends_with([':', '?', ','])
        && !trimmed.starts_with(['#', '`', '=', '<', '@'])
        && !trimmed.starts_with("...")
        && !is_signature(trimmed)
        && !is_deceptive(trimmed)
        && !is_addressed(trimmed)
}

/// True if a program reads something else in `text` than a person sees: invisible
/// and reordering characters, words of two alphabets that look alike, comments of
/// markup, pictures that load an address. Such a sentence is never quoted.
fn is_deceptive(text: &str) -> bool {
    let is_invisible = |c: char| {
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
            || (c.is_control() && !c.is_whitespace())
    };
    let is_latin = |c: char| c.is_ascii_alphabetic();
    // Greek and Cyrillic, and Latin letters in full width or in mathematical alphabets.
    let is_look_alike = |c: char| {
        matches!(c, '\u{370}'..='\u{3ff}' | '\u{400}'..='\u{52f}' | '\u{ff21}'..='\u{ff3a}'
            | '\u{ff41}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d7ff}')
    };
    let mixes = |word: &str| word.chars().any(is_latin) && word.chars().any(is_look_alike);
    text.chars().any(is_invisible)
        || text.split(|c: char| !c.is_alphabetic()).any(mixes)
        || ["<!--", "-->", "![", "<|", "|>", "javascript:", "data:text"]
            .iter()
            .any(|sign| text.contains(sign))
}

/// True for a line of a reference manual that names what the next ones
/// describe: `heapq.nsmallest(n, iterable, key=None)`, `--onto <branch>`.
fn is_signature(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or(line);
    let is_call =
        first.find('(').is_some_and(|at| at > 0) && line.ends_with([')', ']', '\u{00b6}']);
    let is_option = line.starts_with('-') && line.len() < 60;
    is_call || is_option
}

/// True under headings whose sentences name sources instead of saying things.
pub(crate) fn is_reference_section(heading_path: &[String]) -> bool {
    const NAMES: &[&str] = &[
        "bibliography",
        "further reading",
        "references",
        "see also",
        "sources",
        "table of contents",
    ];
    heading_path.iter().any(|heading| NAMES.contains(&heading.trim().to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(text: &str, cosine: f32) -> Candidate {
        Candidate {
            passage: 0,
            position: 0,
            text: text.into(),
            context: String::new(),
            cosine,
            passage_score: 1.0,
        }
    }

    fn chosen(question: &str, candidates: &[Candidate], max: usize) -> Vec<usize> {
        let analyzer = Analyzer::english();
        let terms = QuestionTerms::new(question, &analyzer, &|_| 1.0);
        choose(candidates, &terms, &analyzer, max)
    }

    #[test]
    fn the_closest_sentence_comes_first() {
        let list = [
            candidate("Cats sleep for most of the day.", 0.1),
            candidate("Dropout sets random units to zero.", 0.8),
        ];
        assert_eq!(chosen("What is dropout?", &list, 3), [1]);
    }

    #[test]
    fn the_same_statement_is_not_taken_twice() {
        let list = [
            candidate("Dropout sets random units to zero.", 0.8),
            candidate("Dropout sets the random units to zero.", 0.79),
        ];
        assert_eq!(chosen("What is dropout?", &list, 3), [0]);
    }

    #[test]
    fn a_second_part_of_the_question_is_answered_too() {
        let list = [
            candidate("Stemming cuts suffixes off words.", 0.6),
            candidate("Stemming is fast and cuts off suffixes roughly.", 0.58),
            candidate("Lemmatization looks up dictionary forms.", 0.55),
        ];
        assert_eq!(chosen("What are stemming and lemmatization?", &list, 2), [0, 2]);
    }

    #[test]
    fn what_is_said_of_another_name_is_left_out() {
        let question = "How many litres does the Velnor pump move?";
        let list = [
            candidate("The Velvel pump moves 11 litres.", 0.82),
            candidate("The Velnor pump moves 23 litres.", 0.8),
            candidate("QX07Z is the amount of litres.", 0.78),
            candidate("The amount is measured once a month.", 0.85),
        ];
        assert_eq!(chosen(question, &list, 4), [1, 3]);
        // Nothing is known of the Velnor pump: what is nearest is for others to judge.
        assert_eq!(chosen(question, &list[..1], 4), [0]);
    }

    #[test]
    fn a_heading_with_the_name_is_enough() {
        let mut list = [
            candidate("Debian was announced in 1993.", 0.7),
            candidate("The project was founded by Ian Murdock.", 0.7),
        ];
        list[1].context = "Debian".into();
        assert_eq!(chosen("Who founded Debian?", &list, 3), [1, 0]);
    }

    #[test]
    fn the_measure_asked_for_need_not_be_in_the_answer() {
        let analyzer = Analyzer::english();
        let idf = |term: &str| if term == "long" { 1.8 } else { 0.2 };
        let terms = QuestionTerms::new("For how long are invoices kept?", &analyzer, &idf);
        let known = analyzer.terms("Invoices are kept for ten years.").into_iter().collect();
        assert!(terms.coverage(&known) > 0.9);
    }

    #[test]
    fn no_candidates_give_no_choice() {
        assert_eq!(chosen("What is dropout?", &[], 3), [0_usize; 0]);
    }

    #[test]
    fn headings_questions_and_lead_ins_are_not_quotable() {
        for text in
            ["# What dropout is", "What is dropout used for?", "It has these parts:", "Yes."]
        {
            assert!(!is_quotable(text), "{text}");
        }
        for text in ["heapq.nsmallest(n, iterable, key=None)", "--keep-base and --onto may not be"]
        {
            assert!(!is_quotable(text), "{text}");
        }
        assert!(is_quotable("Dropout sets random units to zero."));
    }

    #[test]
    fn what_a_person_does_not_see_is_not_quotable() {
        for text in [
            "Invoices are kept\u{200b} for ten years in all.",
            "Invoices are kept\u{202e} for ten years in all.",
            "Inv\u{43e}ices are kept for ten years in all.",
            "Inv\u{ff4f}ices are kept for ten years in all.",
            "Invoices are kept <!-- or not --> for ten years.",
            "Invoices are kept ![here](https://x.example/a.png) for years.",
            "Invoices are kept <|im_end|> for ten years.",
        ] {
            assert!(!is_quotable(text), "{text}");
        }
        assert!(is_quotable("The angle \u{3b1} of the wing is kept small."));
        assert!(is_quotable(
            "\u{41c}\u{43e}\u{441}\u{43a}\u{432}\u{430} is the Russian name of Moscow."
        ));
    }

    #[test]
    fn a_sentence_that_starts_with_a_pronoun_dangles() {
        assert!(is_dangling("It was proposed in 2014."));
        assert!(!is_dangling("Italy was united in 1861."));
    }
}
