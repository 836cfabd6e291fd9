//! Exact match and F1 of short answers, by the rules of `SQuAD` 2.0: Rajpurkar et
//! al. 2018, doi:10.18653/v1/P18-2124.
//!
//! Before two answers are compared, case, ASCII punctuation, the articles `a`,
//! `an` and `the`, and extra space are taken out.

use std::collections::HashMap;

use super::space;
use super::statistics::Statistics;

/// What two answers share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Squad {
    /// 1 if the answers are the same, else 0.
    ExactMatch,
    /// Harmonic mean of precision and recall of their words. Two empty answers
    /// have 1, one empty answer 0.
    F1,
}

impl Squad {
    /// How the numbers were found.
    pub fn signature(self, references: usize) -> String {
        let name = match self {
            Self::ExactMatch => "em",
            Self::F1 => "f1",
        };
        format!("{name}|nrefs:{references}|norm:squad|agg:mean|as:squad-2.0")
    }

    /// The best of each answer against its references, as rows `[value, 1]`:
    /// `references[r][i]` belongs to `answers[i]`. There must be as many of each
    /// as answers.
    pub fn statistics(self, answers: &[&str], references: &[&[&str]]) -> Statistics {
        let values: Vec<f64> = answers
            .iter()
            .enumerate()
            .map(|(at, answer)| {
                let words = normalised(answer);
                let each = references.iter().map(|list| self.value(&words, &normalised(list[at])));
                each.fold(0.0, f64::max)
            })
            .collect();
        Statistics::of_mean(&values)
    }

    fn value(self, answer: &[String], reference: &[String]) -> f64 {
        match self {
            Self::ExactMatch => f64::from(answer == reference),
            Self::F1 if answer.is_empty() || reference.is_empty() => f64::from(answer == reference),
            Self::F1 => f1(answer, reference),
        }
    }
}

fn f1(answer: &[String], reference: &[String]) -> f64 {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in reference {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0_u32;
    for word in answer {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    let common = f64::from(common);
    let (precision, recall) = (common / answer.len() as f64, common / reference.len() as f64);
    if common > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

/// The words that count.
fn normalised(text: &str) -> Vec<String> {
    let kept = text.to_lowercase();
    let kept: String = kept.chars().filter(|one| !one.is_ascii_punctuation()).collect();
    // An article is a word between any characters that are not of words.
    let mut spaced = String::with_capacity(kept.len());
    let mut word = String::new();
    for character in kept.chars().chain([' ']) {
        if character.is_alphanumeric() {
            word.push(character);
            continue;
        }
        spaced.push_str(if matches!(word.as_str(), "a" | "an" | "the") { " " } else { &word });
        word.clear();
        spaced.push(character);
    }
    space::split(&spaced).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, references: &[&str], exact: f64, f1: f64) {
        let lists: Vec<[&str; 1]> = references.iter().map(|reference| [*reference]).collect();
        let lists: Vec<&[&str]> = lists.iter().map(<[_; 1]>::as_slice).collect();
        for (squad, want) in [(Squad::ExactMatch, exact), (Squad::F1, f1)] {
            let found = squad.statistics(&[answer], &lists).sums()[0];
            assert!((found - want).abs() < 1e-12, "{squad:?} of {answer:?}: {found}");
        }
    }

    // Values of `compute_exact` and `compute_f1` in the evaluation of version 2.0.
    #[test]
    fn articles_case_and_punctuation_do_not_count() {
        check("The Eiffel Tower!", &["eiffel tower"], 1.0, 1.0);
        check("an a-ha moment", &["aha moment"], 1.0, 1.0);
        check("theory", &["the ory"], 0.0, 0.0);
        check("a\u{2014}b the", &["\u{2014}b"], 1.0, 1.0);
    }

    #[test]
    fn words_count_as_often_as_both_have_them() {
        check("blue blue sky", &["blue sky sky"], 0.0, 2.0 / 3.0);
        check("in 1989", &["1989", "November 1989"], 0.0, 2.0 / 3.0);
        check("x", &["y"], 0.0, 0.0);
    }

    #[test]
    fn no_answer_is_right_where_none_was_wanted() {
        check("", &[""], 1.0, 1.0);
        check("the", &["."], 1.0, 1.0);
        check("", &["x"], 0.0, 0.0);
    }
}
