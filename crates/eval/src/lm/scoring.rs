//! Answers of a model to scores of items, and scores of items to results.

use std::collections::BTreeMap;

use fancy_regex::Regex;
use plumb_metrics::{Resampling, Units, estimate_statistic};
use serde_json::{Map, Value};

use super::prompt::{Prompt, plain};
use super::task::{Output, Task};
use crate::{Error, Score};

/// A log-likelihood, and whether greedy decoding would have written it.
pub(super) type Likelihood = (f64, bool);

/// Scores of one document, of several choices.
pub(super) fn choice_scores(
    task: &Task,
    prompt: &Prompt,
    answers: &[Likelihood],
) -> BTreeMap<String, f64> {
    let count = prompt.choices.len();
    let (given, unconditional) = answers.split_at(count.min(answers.len()));
    let sums: Vec<f64> = given.iter().map(|(sum, _)| *sum).collect();
    let by = |length: &dyn Fn(&str) -> usize| -> Vec<f64> {
        sums.iter().zip(&prompt.choices).map(|(sum, c)| sum / length(c) as f64).collect()
    };
    let right = right_choices(prompt);
    let is_right = |values: &[f64]| {
        f64::from(u8::from(first_largest(values).is_some_and(|best| right.contains(&best))))
    };
    let mut scores = BTreeMap::new();
    for (name, _) in &task.metrics {
        let score = match name.as_str() {
            "acc" => is_right(&sums),
            "acc_norm" => is_right(&by(&|choice| choice.chars().count())),
            "acc_bytes" => is_right(&by(&str::len)),
            "acc_mutual_info" => {
                let gains =
                    sums.iter().zip(unconditional).map(|(with, (without, _))| with - without);
                is_right(&gains.collect::<Vec<_>>())
            }
            "brier_score" => brier(&sums, &right),
            _ => f64::from(u8::from(right.iter().any(|place| given[*place].1))),
        };
        scores.insert(name.clone(), score);
    }
    scores
}

/// Numbers of the choices that are right; those out of range never are.
fn right_choices(prompt: &Prompt) -> Vec<usize> {
    let target = prompt.input.as_ref().unwrap_or(&prompt.target);
    let place = |value: &Value| match value {
        Value::String(text) => prompt.choices.iter().position(|choice| choice == text),
        other => other
            .as_u64()
            .and_then(|place| usize::try_from(place).ok())
            .filter(|place| *place < prompt.choices.len()),
    };
    match target {
        Value::Array(several) => several.iter().filter_map(place).collect(),
        one => place(one).into_iter().collect(),
    }
}

/// The first of the largest values.
fn first_largest(values: &[f64]) -> Option<usize> {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter().position(|value| *value >= most)
}

/// Squared distance of the choices' probabilities from what is right, summed
/// over the choices.
fn brier(sums: &[f64], right: &[usize]) -> f64 {
    let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shares: Vec<f64> = sums.iter().map(|sum| (sum - most).exp()).collect();
    let total: f64 = shares.iter().sum();
    let square = |(place, share): (usize, &f64)| {
        (share / total - f64::from(u8::from(right.contains(&place)))).powi(2)
    };
    shares.iter().enumerate().map(square).sum()
}

/// Whether an answer is right, by each measure of generation.
pub(super) fn text_scores(
    task: &Task,
    prompt: &Prompt,
    answer: &str,
) -> Result<BTreeMap<String, f64>, Error> {
    let wanted: Vec<String> = match &prompt.target {
        Value::Array(several) => several.iter().map(plain).collect::<Result<_, _>>()?,
        Value::Number(place) if !prompt.choices.is_empty() => {
            let index = place.as_u64().and_then(|place| usize::try_from(place).ok());
            index.and_then(|index| prompt.choices.get(index)).cloned().into_iter().collect()
        }
        one => vec![plain(one)?],
    };
    let mut scores = BTreeMap::new();
    for (name, options) in &task.metrics {
        let comparing = Comparing::new(options)?;
        let given = comparing.plain(answer)?;
        let mut is_right = false;
        for target in &wanted {
            is_right |= comparing.plain(target)? == given;
        }
        scores.insert(name.clone(), f64::from(u8::from(is_right)));
    }
    Ok(scores)
}

/// What an exact match passes over.
struct Comparing {
    patterns: Vec<Regex>,
    case: bool,
    punctuation: bool,
    numbers: bool,
}

impl Comparing {
    fn new(options: &Map<String, Value>) -> Result<Self, Error> {
        let is_set = |name: &str| options.get(name).and_then(Value::as_bool).unwrap_or(false);
        let patterns = options.get("regexes_to_ignore").and_then(Value::as_array);
        let compiled = |value: &Value| {
            let pattern = value.as_str().unwrap_or_default();
            let failed =
                |e: fancy_regex::Error| Error::Task { message: format!("`{pattern}`: {e}") };
            Regex::new(pattern).map_err(failed)
        };
        Ok(Self {
            patterns: patterns.into_iter().flatten().map(compiled).collect::<Result<_, _>>()?,
            case: is_set("ignore_case"),
            punctuation: is_set("ignore_punctuation"),
            numbers: is_set("ignore_numbers"),
        })
    }

    fn plain(&self, text: &str) -> Result<String, Error> {
        let mut text = text.to_owned();
        for pattern in &self.patterns {
            let failed = |e: fancy_regex::Error| Error::Task { message: e.to_string() };
            text = pattern.try_replacen(&text, 0, "").map_err(failed)?.into_owned();
        }
        if self.case {
            text = text.to_lowercase();
        }
        text.retain(|c| {
            let passed_over = (self.punctuation && c.is_ascii_punctuation())
                || (self.numbers && c.is_ascii_digit());
            !passed_over
        });
        Ok(text)
    }
}

/// What the items of one measure come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    /// Score of each item; for perplexities the log-likelihood.
    pub(super) values: Vec<f64>,
    /// Weight of each item: words or bytes of a text, otherwise 1.
    pub(super) weights: Vec<f64>,
}

/// The result of a measure over all items.
pub(super) fn result(name: &str, column: &Column, how: &Resampling) -> Result<Score, Error> {
    let failed = |source| Error::Score { name: name.to_owned(), source };
    let shown: fn(f64) -> f64 = match name.split(',').next() {
        Some("perplexity" | "word_perplexity" | "byte_perplexity") => |mean| (-mean).exp(),
        Some("bits_per_byte") => |mean| -mean / std::f64::consts::LN_2,
        _ => return Score::of_mean(&column.values, 0, how).map_err(failed),
    };
    let statistic = |drawn: &[usize]| {
        let sum = |of: &[f64]| drawn.iter().map(|item| of[*item]).sum::<f64>();
        shown(sum(&column.values) / sum(&column.weights))
    };
    let n = column.values.len();
    if n < 2 {
        let all: Vec<usize> = (0..n).collect();
        return Ok(Score { value: statistic(&all), interval: None, n, unscored: 0 });
    }
    let found = estimate_statistic(Units::Items(n), statistic, how).map_err(failed)?;
    Ok(Score::of_estimate(&found, 0, how))
}

/// Weight of a text under a measure: its words, cut at white space as the
/// harness cuts them (a text that ends in white space has one more, which is
/// empty), or its bytes.
pub(super) fn weight(name: &str, text: &str) -> f64 {
    if name != "word_perplexity" {
        return text.len() as f64;
    }
    let inner = text.split_whitespace().count();
    let edge = |c: Option<char>| usize::from(c.is_some_and(is_python_space));
    let (first, last) = (text.chars().next(), text.chars().next_back());
    if inner == 0 {
        return 1.0 + edge(first) as f64;
    }
    (inner + edge(first) + edge(last)) as f64
}

fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The measures that a document gives for `output`, before filters.
pub(super) fn likelihood_scores(
    task: &Task,
    (sum, is_greedy): Likelihood,
) -> BTreeMap<String, f64> {
    debug_assert_ne!(task.output, Output::Generate);
    let score = |name: &str| if name == "acc" { f64::from(u8::from(is_greedy)) } else { sum };
    task.metrics.iter().map(|(name, _)| (name.clone(), score(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_the_harness_counts_them() {
        let text = "the quick brown fox jumps over the lazy dog ".repeat(10);
        assert!((weight("word_perplexity", &text) - 91.0).abs() < 1e-12);
        assert!((weight("word_perplexity", "a b") - 2.0).abs() < 1e-12);
        assert!((weight("word_perplexity", "") - 1.0).abs() < 1e-12);
        assert!((weight("word_perplexity", " ") - 2.0).abs() < 1e-12);
        assert!((weight("bits_per_byte", "\u{e9}") - 2.0).abs() < 1e-12);
    }

    #[test]
    fn perplexities_are_the_worked_example() {
        let text = "the quick brown fox jumps over the lazy dog ".repeat(10);
        let how = Resampling::default();
        for (name, want) in [
            ("word_perplexity", 31.087_729_354_586_94),
            ("byte_perplexity", 2.035_609_849_911_398_6),
            ("bits_per_byte", 1.025_461_077_359_144),
        ] {
            let column = Column { values: vec![-312.75], weights: vec![weight(name, &text)] };
            let found = result(name, &column, &how).unwrap();
            assert!((found.value - want).abs() < 1e-9, "{name}: {}", found.value);
            assert!(found.interval.is_none());
        }
    }

    #[test]
    fn of_equal_choices_the_first_is_taken() {
        assert_eq!(first_largest(&[-2.0, -1.0, -1.0]), Some(1));
        assert_eq!(first_largest(&[]), None);
        assert!((brier(&[0.0, 0.0], &[0]) - 0.5).abs() < 1e-12);
    }
}
