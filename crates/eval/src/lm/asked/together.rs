//! Several questions at once: likelihoods in common passes, texts by the engine.
//!
//! A token has the same logits alone and in a batch, so that every answer is the one
//! that its question gets alone.

use std::ops::ControlFlow;
use std::sync::mpsc::channel;

use plumb_infer::{Continued, Engine, EngineSettings, Event, Priority, Request};

use super::{Answer, Asked, Question, add, failed, options, until_end, windows};
use crate::Error;
use crate::lm::scoring::Likelihood;

/// Texts that are written at once.
const WRITING: usize = 8;

/// A stretch of tokens that is predicted, and the question that it belongs to.
struct Stretch {
    question: usize,
    tokens: Vec<u32>,
    from: usize,
}

pub(super) fn answers(asked: &Asked, questions: &[Question]) -> Result<Vec<Answer>, Error> {
    let likelihoods = likelihoods(asked, questions)?;
    let mut texts = texts(asked, questions)?.into_iter();
    let each = questions.iter().zip(likelihoods);
    each.map(|(question, (sum, is_greedy))| match question {
        Question::LogLikelihood { .. } => Ok(Answer::LogLikelihood { sum, is_greedy }),
        Question::Rolling { .. } => Ok(Answer::LogLikelihood { sum, is_greedy: false }),
        Question::Generate { .. } => {
            let missing = || Error::Task { message: "a text was not written".to_owned() };
            Ok(Answer::Text { text: texts.next().ok_or_else(missing)? })
        }
    })
    .collect()
}

/// Of every question that asks for one; `(0.0, true)` for the others.
fn likelihoods(asked: &Asked, questions: &[Question]) -> Result<Vec<Likelihood>, Error> {
    let mut stretches = Vec::new();
    for (question, asking) in questions.iter().enumerate() {
        let pairs = match asking {
            Question::LogLikelihood { context, continuation } => {
                vec![asked.encode_pair(context, continuation)?]
            }
            Question::Rolling { text } => {
                let tokens = asked.tokens(text)?;
                let windows = windows(&tokens, asked.prefix()?, asked.window);
                windows.into_iter().map(|(context, part)| (context, part.to_vec())).collect()
            }
            Question::Generate { .. } => Vec::new(),
        };
        for (context, continuation) in pairs {
            let (tokens, from) = asked.joined(&context, &continuation)?;
            stretches.push(Stretch { question, tokens, from });
        }
    }
    let texts: Vec<Continued<'_>> =
        stretches.iter().map(|one| Continued { tokens: &one.tokens, from: one.from }).collect();
    // Sums are made stretch by stretch, as of one alone: floats do not add in any order.
    let mut of_stretch = vec![(0.0, true); stretches.len()];
    let mut each = |text: usize, next: usize, logits: &[f32]| {
        add(&mut of_stretch[text], texts[text].tokens[next], logits);
    };
    asked.model.for_each_logits_of(&texts, &mut each).map_err(failed)?;
    let mut found = vec![(0.0, true); questions.len()];
    for (stretch, (sum, is_greedy)) in stretches.iter().zip(of_stretch) {
        let of: &mut Likelihood = &mut found[stretch.question];
        *of = (of.0 + sum, of.1 && is_greedy);
    }
    Ok(found)
}

/// The texts that are asked for, in order.
fn texts(asked: &Asked, questions: &[Question]) -> Result<Vec<String>, Error> {
    let mut requests = Vec::new();
    for question in questions {
        let Question::Generate { context, until, .. } = question else { continue };
        let options = options(question);
        let prompt = asked.prompt(context, options.max_tokens)?;
        requests.push((until, prompt, options));
    }
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let engine = engine(asked)?;
    let mut texts = Vec::with_capacity(requests.len());
    for requests in requests.chunks(WRITING) {
        let (sender, receiver) = channel();
        let mut tickets = Vec::new();
        for (number, (_, prompt, options)) in requests.iter().enumerate() {
            let sender = sender.clone();
            let on_event = move |event: Event| {
                if let Event::Done(done) = event {
                    // Nobody waits any more where another request failed.
                    let _ = sender.send((number, done));
                }
                ControlFlow::Continue(())
            };
            let request = Request {
                prompt: prompt.clone(),
                kept: Vec::new(),
                options: options.clone(),
                constraint: None,
                priority: Priority::default(),
            };
            tickets.push(engine.submit(request, Box::new(on_event)).map_err(failed)?);
        }
        drop(sender);
        let mut written = vec![None; requests.len()];
        for (number, done) in receiver {
            written[number] = Some(until_end(&done.map_err(failed)?.text, requests[number].0));
        }
        let written: Option<Vec<String>> = written.into_iter().collect();
        let closed = || failed(plumb_infer::Error::EngineClosed);
        texts.extend(written.ok_or_else(closed)?);
    }
    Ok(texts)
}

/// Started once, with room for the longest text.
fn engine(asked: &Asked) -> Result<&Engine, Error> {
    if let Some(engine) = asked.engine.get() {
        return Ok(engine);
    }
    let usual = EngineSettings::default();
    let settings = EngineSettings {
        max_running: WRITING,
        cache_tokens: usual.cache_tokens.max(asked.model.context()),
        ..usual
    };
    let engine = Engine::start(asked.model.clone(), settings).map_err(failed)?;
    Ok(asked.engine.get_or_init(|| engine))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::path::Path;
    use std::sync::Arc;

    use plumb_infer::LanguageModel;
    use serde_json::json;

    use super::*;
    use crate::lm::Model as _;

    fn pair(context: &str, continuation: &str) -> Question {
        let (context, continuation) = (context.to_owned(), continuation.to_owned());
        Question::LogLikelihood { context, continuation }
    }

    fn text(context: &str, seed: u64, max_tokens: usize) -> Question {
        let (context, until) = (context.to_owned(), vec!["e".to_owned()]);
        let temperature = if seed == 0 { 0.0 } else { 0.9 };
        Question::Generate { context, until, max_tokens, temperature, seed }
    }

    #[test]
    fn every_question_gets_the_answer_that_it_gets_alone() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny/qwen3");
        let model = LanguageModel::load(&folder, NonZeroUsize::new(2).unwrap()).unwrap();
        let asked = Asked::new(Arc::new(model), json!({}), Some(24));
        let long = "the invoices are kept for ten years ".repeat(6);
        let mut questions = vec![
            pair("The invoices are kept for ", "ten years"),
            pair("The invoices are kept for ", "one"),
            pair("", "ten years"),
            pair(&long, " and no longer"),
            Question::Rolling { text: long.clone() },
            Question::Rolling { text: String::new() },
        ];
        questions.extend((0..11_usize).map(|n| text("The invoices", n as u64, 5 + n)));
        questions.push(text(&long, 0, 4));
        let alone: Vec<Answer> = questions.iter().map(|one| asked.answer(one).unwrap()).collect();
        assert_eq!(asked.answers(&questions).unwrap(), alone);
        assert_eq!(asked.answers(&[]).unwrap(), []);
        assert!(asked.answers(&[pair("a", "")]).is_err());
    }
}
