//! Prompts put together from pieces that were read before, with a tiny model
//! and, where `PLUMB_TEST_MODELS` names its folder, a real one.

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::fs;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use plumb_infer::{
    ChunkKey, ChunkStore, ChunkType, Engine, EngineSettings, Error, Event, Generation, Kept,
    LanguageModel, Options, PiecedPrompt, Priority, Request, Reuse,
};

const HEAD: Range<u32> = 5..9;
const PIECES: [Range<u32>; 3] = [12..20, 20..34, 15..24];

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny/qwen3")
}

fn load(path: &Path) -> LanguageModel {
    LanguageModel::load(path, NonZeroUsize::MIN).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test command says where the models are")]
fn models() -> Vec<LanguageModel> {
    let real = std::env::var("PLUMB_TEST_MODELS").ok();
    let real = real.map(|folder| PathBuf::from(folder).join("smollm2-135m-instruct"));
    [Some(tiny()), real].into_iter().flatten().map(|path| load(&path)).collect()
}

/// The pieces after a head, each but the first after a token of its own.
fn prompt() -> PiecedPrompt {
    let (mut tokens, mut pieces): (Vec<u32>, Vec<_>) = (HEAD.collect(), Vec::new());
    for (number, piece) in (30..).zip(PIECES) {
        if !pieces.is_empty() {
            tokens.push(number);
        }
        let start = tokens.len();
        tokens.extend(piece);
        pieces.push(start..tokens.len());
    }
    tokens.extend([9, 10, 11]);
    PiecedPrompt { tokens, pieces }
}

fn options() -> Options {
    Options { max_tokens: 12, logprobs: Some(3), ..Options::default() }
}

fn go_on(_: &str) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
}

fn reuse(folder: &Path, stored: ChunkType, fresh: f32) -> Reuse {
    Reuse::new(ChunkStore::new(folder, "m", u64::MAX), (stored, fresh), noon).unwrap()
}

fn stitched(model: &LanguageModel, prompt: &PiecedPrompt, kept: &[Kept]) -> Generation {
    model.generate_stitched((&prompt.tokens, kept), &options(), None, &mut go_on).unwrap()
}

#[test]
fn a_prompt_that_is_read_anew_is_what_it_is_without_reuse() {
    for model in models() {
        let (prompt, folder) = (prompt(), tempfile::tempdir().unwrap());
        let want = model.generate(&prompt.tokens, &options(), None, &mut go_on).unwrap();
        let kept = reuse(folder.path(), ChunkType::Q8, 1.0).kept(&model, &prompt).unwrap();
        assert!(kept.is_empty());
        for fresh in [0.0, 0.3] {
            let kept = reuse(folder.path(), ChunkType::F16, fresh).kept(&model, &prompt).unwrap();
            assert_eq!(kept.len(), 1 + PIECES.len());
            let found = stitched(&model, &prompt, &kept);
            assert_ne!(found.logprobs, want.logprobs, "the test sees no approximation");
            // What was put together is not taken for what was read.
            let again = model.generate(&prompt.tokens, &options(), None, &mut go_on).unwrap();
            assert_eq!(
                (again.tokens, again.logprobs),
                (want.tokens.clone(), want.logprobs.clone())
            );
        }
    }
}

#[test]
fn what_is_written_does_not_depend_on_what_was_kept_before() {
    for model in models() {
        let (prompt, folder) = (prompt(), tempfile::tempdir().unwrap());
        for (stored, fresh) in [(ChunkType::F16, 0.0), (ChunkType::Q8, 0.0), (ChunkType::Q8, 0.3)] {
            let reuse = reuse(folder.path(), stored, fresh);
            let kept = reuse.kept(&model, &prompt).unwrap();
            let want = stitched(&model, &prompt, &kept);
            model.forget();
            let kept = reuse.kept(&model, &prompt).unwrap();
            let mut found = stitched(&model, &prompt, &kept);
            let pieces: usize = prompt.pieces.iter().map(ExactSizeIterator::len).sum();
            let read = if fresh == 0.0 { 0 } else { 3 + 5 + 3 };
            assert_eq!(found.timings.cached_tokens, HEAD.len() + pieces - read);
            found.timings = want.timings;
            assert_eq!(found, want, "{stored:?} {fresh}");
        }
    }
}

#[test]
fn an_engine_puts_together_what_a_model_alone_does() {
    for model in models() {
        let (prompt, folder) = (prompt(), tempfile::tempdir().unwrap());
        let read = model.generate(&prompt.tokens, &options(), None, &mut go_on).unwrap();
        let kept = reuse(folder.path(), ChunkType::Q8, 0.2).kept(&model, &prompt).unwrap();
        let want = stitched(&model, &prompt, &kept);
        let model = Arc::new(model);
        // Steps that end within pieces, and between them.
        let settings = EngineSettings { step_tokens: 3, ..EngineSettings::default() };
        let engine = Engine::start(model.clone(), settings).unwrap();
        for kept in [kept.clone(), Vec::new(), kept] {
            let want = if kept.is_empty() { &read } else { &want };
            let (sender, events) = mpsc::channel();
            let request = Request {
                prompt: prompt.tokens.clone(),
                kept,
                options: options(),
                constraint: None,
                priority: Priority::Interactive,
            };
            let on_event = move |event| {
                if let Event::Done(done) = event {
                    sender.send(done.unwrap()).unwrap();
                }
                ControlFlow::Continue(())
            };
            let _ticket = engine.submit(request, Box::new(on_event)).unwrap();
            let found = events.recv().unwrap();
            assert_eq!((&found.tokens, &found.logprobs), (&want.tokens, &want.logprobs));
        }
    }
}

#[test]
fn what_cannot_stand_in_a_prompt_is_refused() {
    let model = load(&tiny());
    let chunk = Arc::new(model.chunk(&[5], &[1, 2, 3], ChunkType::F16).unwrap());
    let at = |at, skipped| Kept { at, chunk: chunk.clone(), skipped };
    let tokens: Vec<u32> = (1..9).collect();
    let refused = [vec![at(5, 0)], vec![at(3, 3)], vec![at(1, 0), at(3, 0)], vec![at(9, 0)]];
    for kept in refused {
        let found = model.stitched_logits(&tokens, &kept);
        assert!(matches!(found, Err(Error::Misplaced { tokens: 8, .. })), "{kept:?}");
    }
    assert!(model.stitched_logits(&tokens, &[at(1, 0), at(4, 0)]).is_ok());
    let store = || ChunkStore::new(Path::new("nowhere"), "m", 0);
    for fresh in [-0.1, 1.1, f32::NAN] {
        let found = Reuse::new(store(), (ChunkType::Q8, fresh), noon);
        assert!(matches!(found, Err(Error::Setting { field: "fresh", .. })));
    }
    let exact = LanguageModel::load_exact(&tiny(), NonZeroUsize::MIN).unwrap();
    assert!(exact.chunk(&[5], &[1], ChunkType::F16).is_err());
}

#[test]
fn pieces_are_found_in_a_chat_prompt() {
    use plumb_text::Message;

    for model in models() {
        let pieces = [" a house".to_owned(), " b tree".to_owned(), " not there".to_owned()];
        let text = "Evidence:\n1. a house\n2. b tree\n\nAnswer:";
        let messages = [Message::new("user", text)];
        let prompt = model.chat_prompt_in_pieces(&messages, &pieces).unwrap();
        assert_eq!(prompt.tokens, model.chat_prompt(&messages).unwrap());
        let found: Vec<String> = prompt
            .pieces
            .iter()
            .map(|piece| model.tokenizer().decode(&prompt.tokens[piece.clone()]))
            .collect();
        for (found, piece) in found.iter().zip(&pieces) {
            assert!(piece.contains(found.trim()) && !found.trim().is_empty(), "{found:?}");
        }
        assert_eq!(found.len(), 2);
    }
}

/// The one kept file.
fn file(folder: &Path) -> PathBuf {
    fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn kept_chunks_come_back_and_damaged_or_foreign_ones_do_not() {
    let model = load(&tiny());
    let folder = tempfile::tempdir().unwrap();
    let store = ChunkStore::new(folder.path(), "model a", u64::MAX);
    let (head, passage): (Vec<u32>, Vec<u32>) = (HEAD.collect(), PIECES[0].clone().collect());
    let (key, spec) = (ChunkKey { head: &head, passage: &passage }, model.spec());
    let chunk = model.chunk(&head, &passage, ChunkType::Q8).unwrap();
    let get = |store: &ChunkStore, key| store.get(spec, (key, ChunkType::Q8), noon());
    assert!(get(&store, key).is_none());
    store.put(key, &chunk, noon()).unwrap();
    assert_eq!(get(&store, key).as_ref(), Some(&chunk));
    let other = ChunkStore::new(folder.path(), "model b", u64::MAX);
    assert!(get(&other, key).is_none());
    assert!(get(&store, ChunkKey { head: &head[1..], ..key }).is_none());
    assert!(store.get(spec, (key, ChunkType::F16), noon()).is_none());
    let path = file(folder.path());
    let whole = fs::read(&path).unwrap();
    for at in [0, 9, 17, 25, 40, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        fs::write(&path, damaged).unwrap();
        assert!(get(&store, key).is_none(), "byte {at}");
        assert!(!path.exists());
        store.put(key, &chunk, noon()).unwrap();
    }
    for len in [0, 7, 50, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        assert!(get(&store, key).is_none(), "{len} bytes");
    }
}

#[test]
fn a_full_store_forgets_what_was_used_least_recently() {
    let model = load(&tiny());
    let folder = tempfile::tempdir().unwrap();
    let (head, texts) = ([5], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]);
    let keys = [0, 1, 2].map(|i| ChunkKey { head: &head, passage: &texts[i] });
    let chunks = texts.map(|text| model.chunk(&head, &text, ChunkType::F16).unwrap());
    let bytes = (chunks[0].as_bytes().len() + 100) as u64;
    let store = ChunkStore::new(folder.path(), "m", 2 * bytes);
    let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    let get = |key, time| store.get(model.spec(), (key, ChunkType::F16), time).is_some();
    // What a killed process leaves goes once nobody can still be writing it.
    let left = folder.path().join("a.7-0.new");
    fs::write(&left, "half a file").unwrap();
    fs::File::open(&left).unwrap().set_modified(at(1)).unwrap();
    store.put(keys[0], &chunks[0], at(1)).unwrap();
    store.put(keys[1], &chunks[1], at(2)).unwrap();
    assert!(get(keys[0], at(3)) && left.exists());
    store.put(keys[2], &chunks[2], at(1000)).unwrap();
    let kept = keys.map(|key| get(key, at(1001)));
    assert_eq!(kept, [true, false, true]);
    assert!(!left.exists());
}
