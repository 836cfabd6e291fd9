//! Many requests at once, with a real model: what each gets is what it gets
//! alone, and none waits for what it need not.
//!
//! As in `golden.rs`, `PLUMB_TEST_MODELS` names the folder of the models, and
//! without it these tests check nothing and say so.

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plumb_infer::{
    Engine, EngineSettings, Error, Event, Finish, Generation, LanguageModel, Options, Priority,
    Request, Sampling, Ticket,
};
use plumb_text::Message;

const SHARED: &str = "Answer in one sentence. Invoices are kept for ten years after the end of \
    the financial year. Drafts are deleted after 30 days. Backups of the archive are made every \
    night and are stored in Geneva. The archive is read once a year by the auditors.";

const QUESTIONS: [&str; 8] = [
    "How long are invoices kept?",
    "Where are backups stored?",
    "Repeat what is said of drafts.",
    "Who reads the archive?",
    "How long are invoices kept? Quote.",
    "When are backups made?",
    "Name three colours.",
    "What is deleted?",
];

#[expect(clippy::disallowed_methods, reason = "the test command says where the models are")]
#[expect(clippy::print_stderr, reason = "a test that checks nothing says so")]
fn model(threads: usize) -> Option<Arc<LanguageModel>> {
    let Ok(folder) = std::env::var("PLUMB_TEST_MODELS") else {
        eprintln!("not checked: `cargo xtask e2e` sets PLUMB_TEST_MODELS and runs this");
        return None;
    };
    let path = PathBuf::from(folder).join("smollm2-135m-instruct");
    Some(Arc::new(LanguageModel::load(&path, NonZeroUsize::new(threads).unwrap()).unwrap()))
}

fn prompt(model: &LanguageModel, question: &str) -> Vec<u32> {
    model.chat_prompt(&[Message::new("user", &format!("{SHARED} {question}"))]).unwrap()
}

/// Request `i`: every third draws its tokens.
fn options(i: usize, speculation: bool) -> Options {
    let sampling = Sampling { temperature: 0.8, seed: i as u64, ..Sampling::GREEDY };
    let sampling = if i % 3 == 2 { sampling } else { Sampling::GREEDY };
    // The log-probabilities of several tokens show every change of the logits.
    Options { max_tokens: 10 + i, sampling, logprobs: Some(8), speculation, ..Options::default() }
}

fn request(prompt: Vec<u32>, options: Options) -> Request {
    let kept = Vec::new();
    Request { prompt, kept, options, constraint: None, priority: Priority::Interactive }
}

/// Submits, and returns what the last event will be.
fn submit(engine: &Engine, request: Request) -> (Ticket, Receiver<Result<Generation, Error>>) {
    let (sender, receiver) = channel();
    let mut text = String::new();
    let ticket = engine.submit(
        request,
        Box::new(move |event| {
            match event {
                Event::Text(piece) => text.push_str(&piece),
                Event::Done(done) => {
                    assert!(done.as_ref().is_ok_and(|done| done.text == text));
                    // Nobody may listen any more.
                    let _ = sender.send(done);
                }
            }
            ControlFlow::Continue(())
        }),
    );
    (ticket.unwrap(), receiver)
}

fn hash(done: &Generation) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&done.tokens, &done.text).hash(&mut hasher);
    for found in done.logprobs.as_ref().unwrap() {
        found.logprob.to_bits().hash(&mut hasher);
        found.top.iter().for_each(|(token, p)| (token, p.to_bits()).hash(&mut hasher));
    }
    hasher.finish()
}

#[test]
fn what_a_request_gets_depends_on_nothing_else() {
    let Some(one) = model(1) else { return };
    let two = model(2).unwrap();
    let want: Vec<u64> = QUESTIONS
        .iter()
        .enumerate()
        .map(|(i, question)| {
            let go_on = &mut |_: &str| ControlFlow::Continue(());
            let done = one.generate(&prompt(&one, question), &options(i, false), None, go_on);
            hash(&done.unwrap())
        })
        .collect();
    assert_eq!(want.iter().collect::<HashSet<_>>().len(), QUESTIONS.len());
    for (model, batches) in [(&one, vec![1, 4]), (&two, (1..=8).collect())] {
        for speculation in [false, true] {
            for batch in &batches {
                let settings =
                    EngineSettings { max_running: *batch, step_tokens: 64, ..Default::default() };
                let engine = Engine::start(model.clone(), settings).unwrap();
                // The second time, the prompts are known.
                for is_known in [false, true] {
                    let all: Vec<_> = (0..QUESTIONS.len())
                        .map(|i| {
                            let prompt = prompt(model, QUESTIONS[i]);
                            submit(&engine, request(prompt, options(i, speculation)))
                        })
                        .collect();
                    for (i, (_ticket, done)) in all.iter().enumerate() {
                        let done = done.recv().unwrap().unwrap();
                        assert_eq!(hash(&done), want[i], "{i} of {batch}, {}", done.text);
                        let (known, prompt) =
                            (done.timings.cached_tokens, done.timings.prompt_tokens);
                        assert!(!is_known || known == prompt - 1, "{known} of {prompt}");
                    }
                }
            }
        }
    }
}

#[test]
fn requests_that_run_at_the_same_time_share_what_their_prompts_begin_with() {
    let Some(model) = model(2) else { return };
    let engine = Engine::start(model.clone(), EngineSettings::default()).unwrap();
    let all: Vec<_> = QUESTIONS
        .iter()
        .map(|question| submit(&engine, request(prompt(&model, question), options(0, true))))
        .collect();
    let cached: Vec<usize> =
        all.iter().map(|(_, done)| done.recv().unwrap().unwrap().timings.cached_tokens).collect();
    let shared = prompt(&model, "").len() - 10;
    assert!(cached[1..].iter().all(|&cached| shared < cached), "{cached:?} of {shared}");
}

#[test]
fn too_many_requests_are_refused_and_bad_ones_too() {
    let Some(model) = model(2) else { return };
    let settings = EngineSettings { max_running: 1, max_waiting: 2, ..Default::default() };
    let engine = Engine::start(model.clone(), settings).unwrap();
    let prompt = prompt(&model, QUESTIONS[0]);
    let long = || request(prompt.clone(), Options { max_tokens: 4000, ..Options::default() });
    let ignore = || Box::new(|_: Event| ControlFlow::Continue(()));
    let mut tickets = Vec::new();
    let refused = loop {
        match engine.submit(long(), ignore()) {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::EngineBusy { waiting: 2 }), "{refused}");
    assert!((2..=3).contains(&tickets.len()));
    drop(tickets);
    let bad = |prompt: Vec<u32>| engine.submit(request(prompt, options(0, true)), ignore());
    assert!(matches!(bad(Vec::new()), Err(Error::EmptyPrompt)));
    assert!(matches!(bad(vec![u32::MAX]), Err(Error::Model(_))));
    assert!(matches!(bad(vec![1; 100_000]), Err(Error::PromptTooLong { .. })));
}

#[test]
fn a_dropped_ticket_frees_its_sequence_and_what_was_written_is_reported() {
    let Some(model) = model(2) else { return };
    let engine = Engine::start(model.clone(), EngineSettings::default()).unwrap();
    let endless = Options {
        max_tokens: 100_000,
        sampling: Sampling { logit_bias: vec![(2, -100.0)], ..Sampling::GREEDY },
        ..Options::default()
    };
    let (first, done) = submit(&engine, request(prompt(&model, QUESTIONS[0]), endless));
    let (other, other_done) =
        submit(&engine, request(prompt(&model, QUESTIONS[1]), options(1, true)));
    while engine.status().steps < 12 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(first);
    let before = engine.status().steps;
    let done = done.recv().unwrap().unwrap();
    assert_eq!(done.finish, Finish::Cancelled);
    assert!(!done.tokens.is_empty() && done.tokens.len() < 1000);
    assert!(engine.status().steps <= before + 2);
    assert_ne!(other_done.recv().unwrap().unwrap().finish, Finish::Cancelled);
    drop(other);
    while 0 < engine.status().running {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn interactive_requests_overtake_background_ones_that_run() {
    let Some(model) = model(2) else { return };
    let settings = EngineSettings { max_running: 1, ..Default::default() };
    let engine = Engine::start(model.clone(), settings).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let start = |name: &'static str, priority, max_tokens| {
        let (order, (sender, receiver)) = (order.clone(), channel());
        let options = Options { max_tokens, ..Options::default() };
        let request = Request { priority, ..request(prompt(&model, QUESTIONS[6]), options) };
        let on_event = move |event| {
            if let Event::Done(done) = event {
                order.lock().unwrap().push(name);
                sender.send(done.unwrap()).unwrap();
            }
            ControlFlow::Continue(())
        };
        (engine.submit(request, Box::new(on_event)).unwrap(), receiver)
    };
    let slow = start("background", Priority::Background, 60);
    while engine.status().steps < 5 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let waits = start("background, later", Priority::Background, 2);
    let fast = start("interactive", Priority::Interactive, 2);
    for (_ticket, done) in &[slow, waits, fast] {
        done.recv().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), ["interactive", "background", "background, later"]);
}

#[test]
fn a_long_prompt_does_not_freeze_who_is_written_for() {
    let Some(model) = model(2) else { return };
    let settings = EngineSettings { step_tokens: 32, ..Default::default() };
    let engine = Engine::start(model.clone(), settings).unwrap();
    let (sender, texts) = channel();
    let running = Options {
        max_tokens: 2000,
        speculation: false,
        ignore_stop_tokens: true,
        ..Options::default()
    };
    let on_event = move |event| match event {
        Event::Text(_) if sender.send(()).is_err() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let story = request(prompt(&model, QUESTIONS[6]), running);
    let ticket = engine.submit(story, Box::new(on_event)).unwrap();
    texts.recv().unwrap();
    let long = model.chat_prompt(&[Message::new("user", &"word ".repeat(1200))]).unwrap();
    let tokens = long.len();
    let options = Options { max_tokens: 1, ..Options::default() };
    let (_ticket, done) = submit(&engine, request(long, options));
    done.recv().unwrap().unwrap();
    // Each step reads a part of the prompt and writes a token for the other.
    let written = texts.try_iter().count();
    assert!(tokens / 32 / 2 < written, "{written} texts while {tokens} tokens were read");
    drop(ticket);
}

#[test]
fn other_work_has_a_part_of_the_time() {
    let Some(model) = model(2) else { return };
    let engine = Engine::start(model.clone(), EngineSettings::default()).unwrap();
    let (sender, receiver) = channel();
    let mut left = 3;
    let slice = move || {
        left -= 1;
        sender.send(left).unwrap();
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let (_ticket, done) = submit(&engine, request(prompt(&model, QUESTIONS[0]), options(0, true)));
    engine.interleave(Box::new(slice), Priority::Interactive).unwrap();
    assert_eq!(receiver.iter().collect::<Vec<i32>>(), [2, 1, 0]);
    done.recv().unwrap().unwrap();
}

#[test]
fn an_engine_that_stops_cancels_everything() {
    let Some(model) = model(2) else { return };
    let engine = Engine::start(model.clone(), EngineSettings::default()).unwrap();
    let long = Options { max_tokens: 4000, ..Options::default() };
    let all: Vec<_> = (0..12)
        .map(|i| submit(&engine, request(prompt(&model, QUESTIONS[i % 8]), long.clone())))
        .collect();
    drop(engine);
    for (_ticket, done) in all {
        assert_eq!(done.recv().unwrap().unwrap().finish, Finish::Cancelled);
    }
}

#[test]
fn a_receiver_that_panics_closes_the_engine_and_hangs_nobody() {
    let Some(model) = model(2) else { return };
    let engine = Engine::start(model.clone(), EngineSettings::default()).unwrap();
    let prompt = prompt(&model, QUESTIONS[0]);
    let (_ticket, done) = submit(&engine, request(prompt.clone(), options(7, true)));
    let panics = Box::new(|_: Event| panic!("a test of what a panic does"));
    let ticket = engine.submit(request(prompt.clone(), options(0, true)), panics).unwrap();
    assert!(done.recv().is_err());
    let refused = || {
        let ignore = Box::new(|_: Event| ControlFlow::Continue(()));
        engine.submit(request(prompt.clone(), options(0, true)), ignore)
    };
    while !matches!(refused(), Err(Error::EngineClosed)) {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(ticket);
}
