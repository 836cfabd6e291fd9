//! Prompts put together from passages that were read before, with a tiny model
//! and, where `PLUMB_TEST_MODELS` names its folder, a real one.

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use plumb_infer::{ChunkKey, ChunkStore, Error, LanguageModel, Options, Passage, StitchedPrompt};

const HEAD: &[u32] = &[5, 6, 7, 8];
const TAIL: &[u32] = &[9, 10, 11];

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny/qwen3")
}

#[expect(clippy::disallowed_methods, reason = "the test command says where the models are")]
fn models() -> Vec<LanguageModel> {
    let real = std::env::var("PLUMB_TEST_MODELS").ok();
    let real = real.map(|folder| PathBuf::from(folder).join("smollm2-135m-instruct"));
    let load = |path: PathBuf| LanguageModel::load(&path, NonZeroUsize::MIN).unwrap();
    [Some(tiny()), real].into_iter().flatten().map(load).collect()
}

fn passages() -> [Vec<u32>; 3] {
    [(12, 20), (20, 34), (15, 34)].map(|(from, to)| (from..to).collect())
}

fn options() -> Options {
    Options { max_tokens: 12, logprobs: Some(3), ..Options::default() }
}

fn go_on(_: &str) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_prompt_whose_passages_are_all_read_is_what_it_is_when_it_is_read() {
    for model in models() {
        let texts = passages();
        let chunks = texts.clone().map(|text| model.chunk(HEAD, &text).unwrap());
        let labels = [[30_u32, 31], [32, 33], [34, 35]];
        let passages: Vec<Passage<'_>> = (0..3)
            .map(|i| Passage { label: &labels[i], tokens: &texts[i], chunk: Some(&chunks[i]) })
            .collect();
        let prompt = StitchedPrompt { head: HEAD, passages: &passages, tail: TAIL, fresh: 1.0 };
        let tokens = prompt.tokens();
        let found = model.stitched_logits(&prompt).unwrap();
        let parts = StitchedPrompt { fresh: 0.3, ..prompt };
        let approximate = model.stitched_logits(&parts).unwrap();
        assert!(approximate.iter().all(|logit| logit.is_finite()));
        let stitched = model.generate_stitched(&prompt, &options(), None, &mut go_on).unwrap();
        assert_eq!(stitched.timings.cached_tokens, HEAD.len());
        let want = model.logits(&tokens).unwrap();
        assert_eq!(found, want);
        assert_ne!(approximate, want, "the test sees no approximation");
        let mut read = model.generate(&tokens, &options(), None, &mut go_on).unwrap();
        read.timings = stitched.timings;
        assert_eq!(stitched, read);
    }
}

#[test]
fn what_was_put_together_is_not_taken_for_what_was_read() {
    for model in models() {
        let texts = passages();
        let chunk = model.chunk(HEAD, &texts[1]).unwrap();
        let passages = [
            Passage { label: &[], tokens: &texts[0], chunk: None },
            Passage { label: &[], tokens: &texts[1], chunk: Some(&chunk) },
        ];
        let prompt = StitchedPrompt { head: HEAD, passages: &passages, tail: TAIL, fresh: 0.0 };
        let tokens = prompt.tokens();
        let want = model.generate(&tokens, &options(), None, &mut go_on).unwrap();
        let stitched = model.generate_stitched(&prompt, &options(), None, &mut go_on).unwrap();
        assert_eq!(stitched.timings.cached_tokens, HEAD.len() + texts[1].len());
        let again = model.generate(&tokens, &options(), None, &mut go_on).unwrap();
        assert_eq!(again.logprobs, want.logprobs);
        assert_ne!(stitched.logprobs, want.logprobs, "the test sees no approximation");
    }
}

#[test]
fn prompts_that_make_no_sense_are_refused() {
    let model = LanguageModel::load(&tiny(), NonZeroUsize::MIN).unwrap();
    let chunk = model.chunk(HEAD, &[1, 2, 3]).unwrap();
    let passages = [Passage { label: &[], tokens: &[1, 2], chunk: Some(&chunk) }];
    let prompt = StitchedPrompt { head: HEAD, passages: &passages, tail: TAIL, fresh: 0.0 };
    let found = model.stitched_logits(&prompt);
    assert!(matches!(found, Err(Error::OtherChunk { tokens: 2, chunk: 3 })));
    let found = model.stitched_logits(&StitchedPrompt { passages: &[], tail: &[], ..prompt });
    assert!(matches!(found, Err(Error::EmptyPrompt)));
    let found = model.stitched_logits(&StitchedPrompt { fresh: f32::NAN, ..prompt });
    assert!(matches!(found, Err(Error::Setting { field: "fresh", .. })));
    let exact = LanguageModel::load_exact(&tiny(), NonZeroUsize::MIN).unwrap();
    assert!(exact.chunk(HEAD, &[1]).is_err());
}

#[test]
fn kept_chunks_come_back_and_damaged_or_foreign_ones_do_not() {
    let model = LanguageModel::load(&tiny(), NonZeroUsize::MIN).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = ChunkStore::new(folder.path(), "model a", u64::MAX);
    let texts = passages();
    let key = ChunkKey { head: HEAD, passage: &texts[0] };
    let chunk = model.chunk(HEAD, &texts[0]).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let spec = model.spec();
    assert!(store.get(spec, key, now).is_none());
    store.put(key, &chunk, now).unwrap();
    assert_eq!(store.get(spec, key, now).as_ref(), Some(&chunk));
    let other = ChunkStore::new(folder.path(), "model b", u64::MAX);
    assert!(other.get(spec, key, now).is_none());
    assert!(store.get(spec, ChunkKey { head: &HEAD[1..], ..key }, now).is_none());
    let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();
    for at in [0, 9, 17, 30, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        fs::write(&path, damaged).unwrap();
        assert!(store.get(spec, key, now).is_none(), "byte {at}");
        assert!(!path.exists());
        store.put(key, &chunk, now).unwrap();
    }
    for len in [0, 7, 40, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        assert!(store.get(spec, key, now).is_none(), "{len} bytes");
    }
}

#[test]
fn a_full_store_forgets_what_was_used_least_recently() {
    let model = LanguageModel::load(&tiny(), NonZeroUsize::MIN).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let texts = [[1, 2, 3], [4, 5, 6], [7, 8, 9]];
    let keys = [0, 1, 2].map(|i| ChunkKey { head: HEAD, passage: &texts[i] });
    let chunks = texts.map(|text| model.chunk(HEAD, &text).unwrap());
    let bytes = (chunks[0].as_bytes().len() + 100) as u64;
    let store = ChunkStore::new(folder.path(), "m", 2 * bytes);
    let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    store.put(keys[0], &chunks[0], at(1)).unwrap();
    store.put(keys[1], &chunks[1], at(2)).unwrap();
    assert!(store.get(model.spec(), keys[0], at(3)).is_some());
    store.put(keys[2], &chunks[2], at(4)).unwrap();
    let kept = keys.map(|key| store.get(model.spec(), key, at(5)).is_some());
    assert_eq!(kept, [true, false, true]);
}
