//! Generation with a real model: grammars, forced tokens, several
//! continuations, beams, log-probabilities.
//!
//! As in `golden.rs`, `PLUMB_TEST_MODELS` names the folder of the models, and
//! without it these tests check nothing and say so.

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;

use plumb_infer::{
    BeamSearch, Choices, Constraint, EarlyStopping, Finish, Generation, Grammar, GrammarConstraint,
    LanguageModel, Options, Sampling, mean_logprob,
};
use plumb_text::Message;
use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "the test command says where the models are")]
#[expect(clippy::print_stderr, reason = "a test that checks nothing says so")]
fn model() -> Option<LanguageModel> {
    let Ok(folder) = std::env::var("PLUMB_TEST_MODELS") else {
        eprintln!("not checked: `cargo xtask e2e` sets PLUMB_TEST_MODELS and runs this");
        return None;
    };
    let path = Path::new(&folder).join("smollm2-135m-instruct");
    Some(LanguageModel::load(&path, NonZeroUsize::new(2).unwrap()).unwrap())
}

fn prompt(model: &LanguageModel, question: &str) -> Vec<u32> {
    model.chat_prompt(&[Message::new("user", question)]).unwrap()
}

fn drawn(seed: u64) -> Sampling {
    Sampling { temperature: 0.9, seed, ..Sampling::GREEDY }
}

fn generate(
    model: &LanguageModel,
    prompt: &[u32],
    options: &Options,
    constraint: &mut dyn Constraint,
) -> Generation {
    let mut streamed = String::new();
    let done = model.generate(prompt, options, Some(constraint), &mut |piece| {
        streamed.push_str(piece);
        ControlFlow::Continue(())
    });
    let done = done.unwrap();
    assert_eq!(done.text, streamed);
    done
}

/// The same constraint without the short cut.
struct OneByOne(GrammarConstraint);

impl Constraint for OneByOne {
    fn mask(&mut self, generated: &[u32], logits: &mut [f32]) {
        self.0.mask(generated, logits);
    }
}

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "temperature_in_degrees": {"type": "integer", "minimum": -99, "maximum": 999},
        "colours": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "maxItems": 3},
        "is_large": {"type": "boolean"}
    },
    "required": ["name", "temperature_in_degrees", "colours", "is_large"],
    "additionalProperties": false
}"#;

const QUESTIONS: [&str; 3] =
    ["Describe an apple.", "Write a poem about the sea.", "What is 2 + 2? Answer in one word."];

#[test]
fn output_under_a_schema_is_always_json_that_it_describes() {
    let Some(model) = model() else { return };
    let grammar = Grammar::json_schema(model.grammar_vocabulary().unwrap(), SCHEMA).unwrap();
    for question in QUESTIONS {
        let prompt = prompt(&model, question);
        for seed in 0..4 {
            let sampling = if seed == 0 { Sampling::GREEDY } else { drawn(seed) };
            let options = Options { max_tokens: 200, sampling, ..Options::default() };
            let done = generate(&model, &prompt, &options, &mut grammar.constraint());
            assert_eq!(done.finish, Finish::EndOfTurn, "{}", done.text);
            let value: Value = serde_json::from_str(&done.text).unwrap();
            assert!(value["name"].as_str().unwrap().chars().count() <= 20);
            assert!((-99..=999).contains(&value["temperature_in_degrees"].as_i64().unwrap()));
            let colours = value["colours"].as_array().unwrap();
            assert!(colours.len() <= 3 && value["is_large"].is_boolean());
            assert!(
                colours.iter().all(|c| ["red", "green", "blue"].contains(&c.as_str().unwrap()))
            );
        }
    }
}

#[test]
fn forced_tokens_give_the_output_of_asking_for_each() {
    let Some(model) = model() else { return };
    let vocabulary = model.grammar_vocabulary().unwrap();
    let grammars = [
        Grammar::json_schema(vocabulary, SCHEMA).unwrap(),
        Grammar::regex(vocabulary, r"(Yes|No), because the answer is known to be \d{1,3}\.")
            .unwrap(),
    ];
    for grammar in &grammars {
        let mut forced = 0;
        for (seed, question) in (0..).zip(QUESTIONS) {
            let prompt = prompt(&model, question);
            for sampling in [Sampling::GREEDY, drawn(seed)] {
                // Once where it ends by itself, once where it is cut off.
                for max_tokens in [200, 17] {
                    let options =
                        Options { max_tokens, sampling: sampling.clone(), ..Options::default() };
                    let fast = generate(&model, &prompt, &options, &mut grammar.constraint());
                    let mut slow = OneByOne(grammar.constraint());
                    let slow = generate(&model, &prompt, &options, &mut slow);
                    assert_eq!(
                        (&fast.tokens, &fast.text, fast.finish),
                        (&slow.tokens, &slow.text, slow.finish)
                    );
                    assert_eq!(slow.timings.forced_tokens, 0);
                    forced += fast.timings.forced_tokens;
                }
            }
        }
        assert!(0 < forced);
    }
}

#[test]
fn a_quotation_is_a_stretch_of_the_sources() {
    let Some(model) = model() else { return };
    let sources = [
        "Invoices are kept for ten years after the end of the financial year.",
        "Drafts are deleted after 30 days. \u{201e}Backups\u{201c} are made every night, in Z\u{fc}rich.",
    ];
    let grammar = Grammar::substring_of(model.grammar_vocabulary().unwrap(), &sources).unwrap();
    for question in ["How long are invoices kept?", "Where are backups made?"] {
        let prompt = prompt(&model, question);
        for seed in 0..4 {
            let options = Options { max_tokens: 60, sampling: drawn(seed), ..Options::default() };
            let done = generate(&model, &prompt, &options, &mut grammar.constraint());
            assert!(!done.text.is_empty() && sources.iter().any(|s| s.contains(&done.text)));
        }
    }
}

#[test]
fn log_probabilities_are_those_of_the_raw_logits() {
    let Some(model) = model() else { return };
    let prompt = prompt(&model, "Name a colour.");
    let sampling = Sampling { repetition_penalty: 1.3, top_k: 20, ..drawn(3) };
    let options = Options { max_tokens: 8, sampling, logprobs: Some(3), ..Options::default() };
    let go_on = &mut |_: &str| ControlFlow::Continue(());
    let done = model.generate(&prompt, &options, None, go_on).unwrap();
    let logprobs = done.logprobs.unwrap();
    assert_eq!(logprobs.iter().map(|l| l.token).collect::<Vec<_>>(), done.tokens);
    let mut read = prompt.clone();
    for found in &logprobs {
        let logits = model.logits(&read).unwrap();
        let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let total: f64 = logits.iter().map(|&l| (f64::from(l) - max).exp()).sum();
        let logprob = |token: u32| f64::from(logits[token as usize]) - max - total.ln();
        assert!((f64::from(found.logprob) - logprob(found.token)).abs() < 1e-4);
        assert_eq!(found.top.len(), 3);
        assert!((f64::from(found.top[0].1) - (-total.ln())).abs() < 1e-4);
        assert!(found.top.windows(2).all(|pair| pair[1].1 <= pair[0].1));
        read.push(found.token);
    }
}

#[test]
fn several_continuations_have_seeds_of_their_own_and_the_best_come_first() {
    let Some(model) = model() else { return };
    let prompt = prompt(&model, "Invent the name of a town.");
    let options = Options { max_tokens: 12, sampling: drawn(5), ..Options::default() };
    let many = |n, best_of, logprobs| {
        let options = Options { logprobs, ..options.clone() };
        let choices = Choices { options, n, best_of };
        let go_on = &mut |_, _: &str| ControlFlow::Continue(());
        model.generate_many(&prompt, &choices, &mut || None, go_on).unwrap()
    };
    let all = many(4, 4, Some(0));
    let go_on = &mut |_: &str| ControlFlow::Continue(());
    assert_eq!(model.generate(&prompt, &options, None, go_on).unwrap().tokens, all[0].tokens);
    assert!(all.windows(2).any(|pair| pair[0].tokens != pair[1].tokens));
    // The prompt is read once, but for the token whose logits are needed.
    assert!(all[1..].iter().all(|g| g.timings.cached_tokens == prompt.len() - 1));

    let mean = |done: &Generation| mean_logprob(done.logprobs.as_ref().unwrap());
    let mut ranked: Vec<&Generation> = all.iter().collect();
    ranked.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    let best = many(2, 4, None);
    assert_eq!(best.len(), 2);
    assert!(best.iter().zip(&ranked).all(|(best, ranked)| best.tokens == ranked.tokens));
    assert!(best.iter().all(|done| done.logprobs.is_none()));
}

#[test]
fn one_beam_is_greedy_and_more_find_what_is_as_likely() {
    let Some(model) = model() else { return };
    let prompt = prompt(&model, "Name a colour.");
    let search = |beams| {
        let settings = BeamSearch {
            beams,
            max_tokens: 12,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::Never,
        };
        model.generate_beams(&prompt, &settings, &mut || ControlFlow::Continue(())).unwrap()
    };
    let options = Options { max_tokens: 12, ..Options::default() };
    let go_on = &mut |_: &str| ControlFlow::Continue(());
    let greedy = model.generate(&prompt, &options, None, go_on).unwrap();
    let (one, four) = (search(1), search(4));
    assert_eq!((&one[0].0.tokens, &one[0].1), (&greedy.tokens, &greedy.text));
    assert_eq!(four.len(), 4);
    assert!(one[0].0.score <= four[0].0.score + 1e-6);
}

#[test]
fn speculation_changes_the_time_and_nothing_else() {
    let Some(model) = model() else { return };
    let passage = "Invoices are kept for ten years after the end of the financial year. \
        Drafts are deleted after 30 days, backups are made every night in Geneva.";
    let grammar = Grammar::json_schema(model.grammar_vocabulary().unwrap(), SCHEMA).unwrap();
    let (mut accepted, mut rejected) = (0, 0);
    for (seed, question) in (0..).zip(QUESTIONS) {
        let prompt = prompt(&model, &format!("Repeat this twice: {passage} {question}"));
        for sampling in [Sampling::GREEDY, drawn(seed)] {
            for (logprobs, max_tokens) in [(None, 90), (Some(2), 33)] {
                for is_held in [false, true] {
                    let run = |speculation| {
                        let sampling = sampling.clone();
                        let stop = vec!["night in".to_owned()];
                        let mut options = Options { max_tokens, sampling, ..Options::default() };
                        (options.stop, options.logprobs) = (stop, logprobs);
                        options.speculation = speculation;
                        let mut held = grammar.constraint();
                        let constraint = is_held.then_some(&mut held as &mut dyn Constraint);
                        let go_on = &mut |_: &str| ControlFlow::Continue(());
                        model.generate(&prompt, &options, constraint, go_on).unwrap()
                    };
                    let (fast, slow) = (run(true), run(false));
                    assert_eq!(
                        (&fast.tokens, &fast.text, &fast.logprobs, fast.finish),
                        (&slow.tokens, &slow.text, &slow.logprobs, slow.finish)
                    );
                    assert_eq!((slow.timings.drafted_tokens, slow.timings.accepted_tokens), (0, 0));
                    accepted += fast.timings.accepted_tokens;
                    rejected += fast.timings.drafted_tokens - fast.timings.accepted_tokens;
                }
            }
        }
    }
    assert!(0 < accepted && 0 < rejected, "{accepted} accepted, {rejected} rejected");
}

#[test]
fn a_text_goes_on_after_its_end_where_that_is_asked_for() {
    let Some(model) = model() else { return };
    let prompt = prompt(&model, "Say hello.");
    let generate = |ignore_stop_tokens| {
        let options = Options { max_tokens: 120, ignore_stop_tokens, ..Options::default() };
        let go_on = &mut |_: &str| ControlFlow::Continue(());
        model.generate(&prompt, &options, None, go_on).unwrap()
    };
    let (ended, whole) = (generate(false), generate(true));
    assert_eq!((ended.finish, whole.finish), (Finish::EndOfTurn, Finish::Length));
    assert_eq!(whole.tokens.len(), 120);
    assert!(whole.tokens.starts_with(&ended.tokens));
}
