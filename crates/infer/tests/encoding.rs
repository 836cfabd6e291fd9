//! Texts that are embedded and scored by an engine, beside one another and
//! beside sequences that are written: each gets what it gets alone.
//!
//! The models are tiny ones with random weights, and real ones too where
//! `PLUMB_TEST_MODELS` names their folder (see `golden.rs`).

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plumb_infer::{
    EmbedRequest, Embedder, Encoded, Engine, EngineSettings, Error, Event, Generation,
    LanguageModel, Options, Priority, Request, RerankRequest, Reranker, TextRole, Ticket,
};

const WORDS: [&str; 8] =
    ["invoices", "are", "kept", "for", "ten", "years", "after", "the end of the year."];

fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny").join(name)
}

#[expect(clippy::disallowed_methods, reason = "the test command says where the models are")]
fn real(name: &str) -> Option<PathBuf> {
    std::env::var("PLUMB_TEST_MODELS").ok().map(|folder| PathBuf::from(folder).join(name))
}

fn threads() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap()
}

fn embedder() -> Arc<Embedder> {
    Arc::new(Embedder::load(&tiny("bert-classifier"), threads()).unwrap())
}

fn reranker(name: &str) -> Arc<Reranker> {
    Arc::new(Reranker::load(&tiny(name), threads()).unwrap())
}

/// Texts of 1 to 20 words, different for every `seed`.
fn texts(count: usize, seed: usize) -> Vec<String> {
    let text = |i: usize| {
        let words = (0..=(seed + 7 * i) % 20).map(|j| WORDS[(seed + i * 3 + j * 5) % 8]);
        words.collect::<Vec<_>>().join(" ")
    };
    (0..count).map(text).collect()
}

fn as_strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

type Outcome<T> = (Ticket, Receiver<Result<Encoded<T>, Error>>);

fn embed(engine: &Engine, model: &Arc<Embedder>, texts: Vec<String>) -> Outcome<Vec<f32>> {
    let (sender, receiver) = channel();
    let (embedder, role, priority) = (model.clone(), TextRole::Document, Priority::Interactive);
    let request = EmbedRequest { embedder, role, texts, priority };
    // Nobody may listen any more.
    let ticket = engine.embed(request, Box::new(move |done| drop(sender.send(done)))).unwrap();
    (ticket, receiver)
}

fn rerank(engine: &Engine, model: &Arc<Reranker>, passages: Vec<String>) -> Outcome<f32> {
    let (sender, receiver) = channel();
    let (reranker, query) = (model.clone(), "how long are invoices kept".to_owned());
    let request = RerankRequest { reranker, query, passages, priority: Priority::Background };
    let ticket = engine.rerank(request, Box::new(move |done| drop(sender.send(done)))).unwrap();
    (ticket, receiver)
}

fn write(engine: &Engine, prompt: Vec<u32>) -> (Ticket, Receiver<Generation>) {
    let (sender, receiver) = channel();
    let on_event = move |event| {
        if let Event::Done(done) = event {
            drop(sender.send(done.unwrap()));
        }
        ControlFlow::Continue(())
    };
    let request = Request {
        prompt,
        kept: Vec::new(),
        options: options(),
        constraint: None,
        priority: Priority::Interactive,
    };
    (engine.submit(request, Box::new(on_event)).unwrap(), receiver)
}

fn options() -> Options {
    Options { max_tokens: 24, logprobs: Some(4), ..Options::default() }
}

fn bits(vectors: &[Vec<f32>]) -> Vec<Vec<u32>> {
    vectors.iter().map(|vector| vector.iter().map(|x| x.to_bits()).collect()).collect()
}

/// Everything at once, at several budgets, against direct calls.
fn check(generator: &Path, embedder: &Path, prompt: &[u32]) {
    let model = Arc::new(LanguageModel::load(generator, threads()).unwrap());
    let embedder = Arc::new(Embedder::load(embedder, threads()).unwrap());
    let rerankers = ["bert-classifier", "xlm-roberta-classifier"].map(reranker);
    let go_on = &mut |_: &str| ControlFlow::Continue(());
    let mut alone = model.generate(prompt, &options(), None, go_on).unwrap();
    for (encode_tokens, encode_tokens_beside) in [(2048, 128), (100, 1), (1, 64)] {
        let settings =
            EngineSettings { encode_tokens, encode_tokens_beside, ..EngineSettings::default() };
        let engine = Engine::start(model.clone(), settings).unwrap();
        let (_ticket, written) = write(&engine, prompt.to_vec());
        let embedded: Vec<_> =
            (0..4).map(|i| (i, embed(&engine, &embedder, texts(3 * i, i)))).collect();
        let ranked = [(0, 9), (1, 5), (0, 1)].map(|(which, count)| {
            (which, count, rerank(&engine, &rerankers[which], texts(count, count)))
        });
        for (i, (_ticket, done)) in embedded {
            let texts = texts(3 * i, i);
            let done = done.recv().unwrap().unwrap();
            let want = embedder.embed_documents(&as_strs(&texts)).unwrap();
            assert_eq!(bits(&done.results), bits(&want));
            assert!(texts.len() <= done.tokens);
        }
        for (which, count, (_ticket, done)) in ranked {
            let passages = texts(count, count);
            let done = done.recv().unwrap().unwrap();
            let query = "how long are invoices kept";
            let want = rerankers[which].scores(query, &as_strs(&passages)).unwrap();
            assert_eq!(bits(&[done.results]), bits(&[want]));
        }
        let written = written.recv().unwrap();
        alone.timings = written.timings;
        assert_eq!(written, alone);
    }
}

#[test]
fn what_shares_batches_and_time_has_the_bits_of_what_runs_alone() {
    check(&tiny("qwen3"), &tiny("bert-classifier"), &[5, 6, 7, 5, 6, 7, 8]);
}

#[test]
fn real_models_that_share_batches_and_time_give_the_bits_of_what_runs_alone() {
    let names = ["smollm2-135m-instruct", "all-minilm-l6-v2"];
    let [Some(generator), Some(embedder)] = names.map(real) else { return };
    let prompt: Vec<u32> = (0..300).map(|i| 1000 + i % 17 * 31).collect();
    check(&generator, &embedder, &prompt);
}

#[test]
fn a_dropped_ticket_ends_a_long_request_within_a_step() {
    let settings = EngineSettings { encode_tokens: 16, ..EngineSettings::default() };
    let (engine, model) = (Engine::start(None, settings).unwrap(), embedder());
    let engine = Arc::new(engine);
    let (sender, done) = channel();
    // The step in which it ends is the engine's to say: this thread may sleep.
    let steps = Arc::downgrade(&engine);
    let request = EmbedRequest {
        embedder: model.clone(),
        role: TextRole::Document,
        texts: texts(10_000, 1),
        priority: Priority::Interactive,
    };
    let on_done = move |done| drop(sender.send((done, steps.upgrade().unwrap().status().steps)));
    let ticket = engine.embed(request, Box::new(on_done)).unwrap();
    let (_other, other_done) = embed(&engine, &model, texts(200, 2));
    while engine.status().steps < 10 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(ticket);
    let before = engine.status().steps;
    let (done, at) = done.recv().unwrap();
    assert!(matches!(done, Err(Error::Cancelled)));
    assert!(at <= before + 2, "{at} is long after {before}");
    assert_eq!(other_done.recv().unwrap().unwrap().results.len(), 200);
}

#[test]
fn a_short_request_does_not_wait_for_a_long_one_nor_an_interactive_one_for_the_background() {
    let settings = EngineSettings { encode_tokens: 64, ..EngineSettings::default() };
    let (engine, model) = (Engine::start(None, settings).unwrap(), embedder());
    let order = Arc::new(Mutex::new(Vec::new()));
    let start = |name: &'static str, texts, priority| {
        let (order, (sender, receiver)) = (order.clone(), channel());
        let (embedder, role) = (model.clone(), TextRole::Plain);
        let on_done = move |_: Result<Encoded<Vec<f32>>, Error>| {
            order.lock().unwrap().push(name);
            let _ = sender.send(());
        };
        let request = EmbedRequest { embedder, role, texts, priority };
        (engine.embed(request, Box::new(on_done)).unwrap(), receiver)
    };
    let all = [
        start("background", texts(3000, 1), Priority::Background),
        start("long", texts(2000, 2), Priority::Interactive),
        start("short", texts(2, 3), Priority::Interactive),
    ];
    for (_ticket, done) in &all {
        done.recv().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), ["short", "long", "background"]);
}

#[test]
fn too_much_is_refused_and_room_is_made_when_work_is_done() {
    let settings =
        EngineSettings { max_waiting: 2, encode_tokens: 16, ..EngineSettings::default() };
    let (engine, model) = (Engine::start(None, settings).unwrap(), embedder());
    let long = [1, 2].map(|seed| embed(&engine, &model, texts(10_000, seed)));
    let more = || {
        let (embedder, role, priority) = (model.clone(), TextRole::Query, Priority::Interactive);
        let request = EmbedRequest { embedder, role, texts: texts(1, 1), priority };
        engine.embed(request, Box::new(|_| {}))
    };
    assert!(matches!(more(), Err(Error::EngineBusy { waiting: 2 })));
    assert_eq!(engine.status().encoding, 2);
    drop(long);
    while 0 < engine.status().encoding {
        std::thread::sleep(Duration::from_millis(1));
    }
    more().unwrap().detach();
}

#[test]
fn an_engine_without_a_generator_refuses_to_write_and_one_that_stops_cancels() {
    let (engine, model) = (Engine::start(None, EngineSettings::default()).unwrap(), embedder());
    let request = Request {
        prompt: vec![1],
        kept: Vec::new(),
        options: options(),
        constraint: None,
        priority: Priority::Interactive,
    };
    let refused = engine.submit(request, Box::new(|_| ControlFlow::Continue(())));
    assert!(matches!(refused, Err(Error::NoGenerator)));
    let (_ticket, done) = embed(&engine, &model, texts(10_000, 1));
    drop(engine);
    assert!(matches!(done.recv().unwrap(), Err(Error::Cancelled)));
}
