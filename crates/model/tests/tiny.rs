//! Every family of models against transformers, on tiny models with random
//! weights. `tests/golden/make_tiny.py` made models and values.

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use plumb_kernels::{Isa, Pool};
use plumb_model::{CacheType, Decoder, Encoder, Input, Logits};
use serde::Deserialize;
use serde::de::DeserializeOwned;

const TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
struct Expected<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
struct DecoderCase {
    ids: Vec<u32>,
    /// The tokens after which there are logits.
    after: Vec<usize>,
    logits: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct EncoderCase {
    ids: Vec<u32>,
    after: Vec<usize>,
    states: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct ClassifierCase {
    ids: Vec<u32>,
    second: usize,
    scores: Vec<f32>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny").join(name)
}

fn cases<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let bytes = fs::read(folder(name).join("expected.json")).unwrap();
    serde_json::from_slice::<Expected<T>>(&bytes).unwrap().cases
}

fn pool(threads: usize) -> Pool {
    Pool::new(NonZeroUsize::new(threads).unwrap())
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0.0, f32::max);
    assert!(largest <= TOLERANCE, "{what} differ by {largest}");
}

/// All logits at once, and again in pieces, with the same bits.
#[track_caller]
fn check_decoder(name: &str) {
    let (decoder, pool) = (Decoder::load(&folder(name)).unwrap(), pool(2));
    for DecoderCase { ids, after, logits } in cases(name) {
        let mut cache = decoder.new_cache();
        let tail = Logits::Tail(ids.len());
        let all = decoder.forward(&pool, &ids, &mut cache, tail).unwrap();
        let rows: Vec<&[f32]> = all.chunks_exact(decoder.spec().vocab).collect();
        for (token, expected) in after.iter().zip(&logits) {
            assert_near(rows[*token], expected, &format!("{name}, logits after token {token}"));
        }

        let mut cache = decoder.new_cache();
        let (first, rest) = ids.split_at(ids.len().min(7));
        let mut last = decoder.forward(&pool, first, &mut cache, Logits::Last).unwrap();
        for &token in rest {
            last = decoder.forward(&pool, &[token], &mut cache, Logits::Last).unwrap();
        }
        assert!(last == rows[rows.len() - 1], "{name} reads {} tokens otherwise", ids.len());
    }
}

/// How far logits, which are up to ten, may be from those with floats in the
/// cache.
const ROUNDED: [(CacheType, f32); 2] = [(CacheType::F16, 0.01), (CacheType::Q8, 0.2)];

#[test]
fn what_a_cache_keeps_changes_little_and_no_bit_by_batches_threads_or_instructions() {
    for name in ["mistral", "gemma3"] {
        let mut decoder = Decoder::load(&folder(name)).unwrap();
        let ids = cases::<DecoderCase>(name).pop().unwrap().ids;
        let all = |decoder: &Decoder, pool: &Pool, batch: usize| -> Vec<f32> {
            let mut cache = decoder.new_cache();
            let parts = ids.chunks(batch);
            parts
                .flat_map(|ids| {
                    decoder.forward(pool, ids, &mut cache, Logits::Tail(batch)).unwrap()
                })
                .collect()
        };
        let exact = all(&decoder, &pool(1), ids.len());
        for (stored, tolerance) in ROUNDED {
            decoder.set_cache_type(stored);
            let whole = all(&decoder, &pool(1), ids.len());
            assert!(whole != exact, "{name} keeps floats");
            let differences = whole.iter().zip(&exact).map(|(a, b)| (a - b).abs());
            let largest = differences.fold(0.0, f32::max);
            assert!(largest <= tolerance, "{name} {stored:?}: {largest}");
            for isa in Isa::available() {
                let pool = Pool::with_isa(NonZeroUsize::new(3).unwrap(), isa);
                assert!(all(&decoder, &pool, 1) == whole, "{name} {stored:?} {isa:?}");
            }
        }
    }
}

#[track_caller]
fn check_encoder(name: &str) {
    let (encoder, pool) = (Encoder::load(&folder(name)).unwrap(), pool(2));
    for EncoderCase { ids, after, states } in cases(name) {
        let all = encoder.hidden_states(&pool, &[&ids]).unwrap();
        let rows: Vec<&[f32]> = all.chunks_exact(encoder.spec().width).collect();
        for (token, expected) in after.iter().zip(&states) {
            assert_near(rows[*token], expected, &format!("{name}, state of token {token}"));
        }
    }
}

/// The scores of all texts in one batch.
#[track_caller]
fn check_classifier(name: &str) {
    let (encoder, pool) = (Encoder::load(&folder(name)).unwrap(), pool(2));
    let cases: Vec<ClassifierCase> = cases(name);
    let batch: Vec<Input> =
        cases.iter().map(|case| Input { tokens: &case.ids, second: case.second }).collect();
    let scores = encoder.classify(&pool, &batch).unwrap();
    for (case, found) in cases.iter().zip(scores) {
        assert_near(&found, &case.scores, &format!("{name}, scores"));
    }
}

#[test]
fn llama_with_its_own_scaling() {
    check_decoder("llama3");
}

#[test]
fn llama_with_linear_scaling_and_biases() {
    check_decoder("llama-linear");
}

#[test]
fn mistral_with_a_window_in_several_files() {
    check_decoder("mistral");
}

#[test]
fn qwen_2_with_yarn() {
    check_decoder("qwen2-yarn");
}

#[test]
fn qwen_3() {
    check_decoder("qwen3");
}

#[test]
fn gemma_2() {
    check_decoder("gemma2");
}

#[test]
fn gemma_3() {
    check_decoder("gemma3");
}

#[test]
fn phi_3_with_longrope() {
    check_decoder("phi3-longrope");
}

#[test]
fn gpt_2() {
    check_decoder("gpt2");
}

#[test]
fn bert() {
    check_encoder("bert");
}

#[test]
fn roberta() {
    check_encoder("roberta");
}

#[test]
fn distilbert() {
    check_encoder("distilbert");
}

#[test]
fn bert_classifier() {
    check_classifier("bert-classifier");
}

#[test]
fn xlm_roberta_classifier() {
    check_classifier("xlm-roberta-classifier");
}

#[test]
fn distilbert_classifier() {
    check_classifier("distilbert-classifier");
}
