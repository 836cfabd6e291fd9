//! Language models on tasks: choices by likelihood, generation, perplexity.
//!
//! A [`Task`] is what `lm-evaluation-harness` calls one, and gets the same
//! prompts and the same scores on the same answers. Answers come from a
//! [`Model`] through a [`Cache`].

mod asked;
mod docs;
mod filters;
mod model;
mod prompt;
mod python_random;
mod questions;
mod scoring;
mod task;
mod template;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use plumb_metrics::Resampling;
use serde_json::{Value, json};

use crate::run::ItemRecord;
use crate::{Error, Score};
use prompt::{Prompt, Prompts};
use questions::{first_context, pairs, questions};
use scoring::Column;

pub use asked::Asked;
pub use docs::{Doc, parse_docs};
pub use model::{Answer, Cache, CacheUse, Model, Question, hash};
pub use task::{Output, Overrides, Task, parse_yaml};

/// How a task is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Start of the random numbers that draw examples; the harness's is 1234.
    pub fewshot_seed: u64,
    /// How intervals are made.
    pub how: Resampling,
    /// Documents whose questions the model may answer together, at least 1.
    pub at_once: NonZeroUsize,
}

/// What a model reached on a task.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// Name and score of each measure.
    pub scores: Vec<(String, Score)>,
    /// What was asked and answered, item by item.
    pub items: Vec<ItemRecord>,
}

/// Runs `model` on every document of `task`. `on_item` is called after each
/// and stops the evaluation by an error.
pub fn evaluate(
    task: &Task,
    model: &dyn Model,
    cache: &mut Cache,
    settings: &Settings,
    on_item: &mut dyn FnMut(&ItemRecord) -> Result<(), Error>,
) -> Result<Evaluated, Error> {
    let mut prompts = Prompts::new(task, settings.fewshot_seed);
    let mut columns: BTreeMap<String, Column> = BTreeMap::new();
    let mut items = Vec::with_capacity(task.docs.len());
    for docs in task.docs.chunks(settings.at_once.get()) {
        let prompts: Vec<_> = docs.iter().map(|doc| prompts.next(doc)).collect();
        answer_together(task, model, cache, &prompts);
        for prompt in prompts {
            let number = items.len();
            let in_doc = |source: Error| Error::Document { number, source: Box::new(source) };
            let prompt = prompt.map_err(in_doc)?;
            let mut asking = Asking { task, model, cache };
            let (record, weights) = asking.document(number, &prompt).map_err(in_doc)?;
            for (name, score) in &record.scores {
                let column = columns.entry(name.clone()).or_default();
                column.values.push(score.unwrap_or_default());
                column.weights.push(weights.get(name).copied().unwrap_or(1.0));
            }
            on_item(&record)?;
            items.push(record);
        }
    }
    let mut scores = Vec::new();
    for (name, column) in &columns {
        scores.push((name.clone(), scoring::result(name, column, &settings.how)?));
    }
    Ok(Evaluated { scores, items })
}

/// Puts the answers to all questions of several documents into the cache.
///
/// What fails here is asked again document by document, so that the error names the
/// one that it comes from.
fn answer_together(
    task: &Task,
    model: &dyn Model,
    cache: &mut Cache,
    prompts: &[Result<Prompt, Error>],
) {
    if prompts.len() < 2 {
        return;
    }
    let each = prompts.iter().flatten().filter_map(|prompt| questions(task, prompt).ok());
    let all: Vec<Question> = each.flatten().collect();
    let _ = cache.prepare(model, &all);
}

/// One document being asked about.
struct Asking<'a, 'b> {
    task: &'a Task,
    model: &'a dyn Model,
    cache: &'b mut Cache,
}

/// A record, and the weights of its scores where they are not 1.
type Weighted = (ItemRecord, BTreeMap<String, f64>);

impl Asking<'_, '_> {
    fn document(&mut self, number: usize, prompt: &Prompt) -> Result<Weighted, Error> {
        match self.task.output {
            Output::MultipleChoice => self.choices(number, prompt),
            Output::LogLikelihood => self.continuation(number, prompt),
            Output::Rolling => self.whole(number, prompt),
            Output::Generate => self.generated(number, prompt),
        }
    }

    fn choices(&mut self, number: usize, prompt: &Prompt) -> Result<Weighted, Error> {
        let pairs = pairs(self.task, prompt)?;
        let mut answers = Vec::with_capacity(pairs.len());
        for (context, continuation) in &pairs {
            answers.push(self.likelihood(context, continuation)?);
        }
        let scores = scoring::choice_scores(self.task, prompt, &answers);
        Ok((record(number, scores, asked(&pairs, &answers, &prompt.target)), BTreeMap::new()))
    }

    fn continuation(&mut self, number: usize, prompt: &Prompt) -> Result<Weighted, Error> {
        let context = first_context(prompt);
        let target = prompt::plain(&prompt.target)?;
        let answer = self.likelihood(&context, &target)?;
        let scores = scoring::likelihood_scores(self.task, answer);
        let detail = asked(&[(context, target)], &[answer], &prompt.target);
        Ok((record(number, scores, detail), BTreeMap::new()))
    }

    fn whole(&mut self, number: usize, prompt: &Prompt) -> Result<Weighted, Error> {
        let text = prompt::plain(&prompt.target)?;
        let question = Question::Rolling { text: text.clone() };
        let (sum, _) = likelihood_of(self.cache.answer(self.model, &question)?)?;
        let scores = scoring::likelihood_scores(self.task, (sum, false));
        let weigh = |name: &String| (name.clone(), scoring::weight(name, &text));
        let weights: BTreeMap<String, f64> = scores.keys().map(weigh).collect();
        let detail = json!({"text": text, "log_likelihood": sum, "weights": weights});
        Ok((record(number, scores, detail), weights))
    }

    fn generated(&mut self, number: usize, prompt: &Prompt) -> Result<Weighted, Error> {
        let context = first_context(prompt);
        let mut responses = Vec::new();
        for question in questions(self.task, prompt)? {
            match self.cache.answer(self.model, &question)? {
                Answer::Text { text } => responses.push(text),
                other @ Answer::LogLikelihood { .. } => return Err(unfit(&other)),
            }
        }
        let (mut scores, mut answers) = (BTreeMap::new(), BTreeMap::new());
        for pipeline in &self.task.pipelines {
            let found = pipeline.apply(&responses)?;
            let answer = found.first().cloned().unwrap_or_default();
            for (name, score) in scoring::text_scores(self.task, prompt, &answer)? {
                let name = match pipeline.name.as_str() {
                    "none" => name,
                    filter => format!("{name},{filter}"),
                };
                scores.insert(name, score);
            }
            answers.insert(pipeline.name.clone(), answer);
        }
        let detail = json!({
            "context": context, "responses": responses, "answers": answers,
            "target": prompt.target,
        });
        Ok((record(number, scores, detail), BTreeMap::new()))
    }

    fn likelihood(
        &mut self,
        context: &str,
        continuation: &str,
    ) -> Result<scoring::Likelihood, Error> {
        let (context, continuation) = (context.to_owned(), continuation.to_owned());
        let question = Question::LogLikelihood { context, continuation };
        likelihood_of(self.cache.answer(self.model, &question)?)
    }
}

fn likelihood_of(answer: Answer) -> Result<scoring::Likelihood, Error> {
    match answer {
        Answer::LogLikelihood { sum, is_greedy } if sum.is_finite() => Ok((sum, is_greedy)),
        other => Err(unfit(&other)),
    }
}

fn unfit(answer: &Answer) -> Error {
    Error::Task { message: format!("the model answered {answer:?}, which cannot be scored") }
}

fn record(number: usize, scores: BTreeMap<String, f64>, detail: Value) -> ItemRecord {
    let scores = scores.into_iter().map(|(name, score)| (name, Some(score))).collect();
    ItemRecord { id: number.to_string(), scores, detail }
}

fn asked(pairs: &[(String, String)], answers: &[scoring::Likelihood], target: &Value) -> Value {
    let one = |((context, continuation), (sum, is_greedy)): (&(String, String), &(f64, bool))| {
        json!({
            "context": context, "continuation": continuation, "log_likelihood": sum,
            "is_greedy": is_greedy,
        })
    };
    let requests: Vec<Value> = pairs.iter().zip(answers).map(one).collect();
    json!({"requests": requests, "target": target})
}

#[cfg(test)]
mod tests;
