//! Models in Hugging Face folders, from text to text and from texts to scores,
//! against transformers. `tests/golden/make_tiny.py` made models and values.

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use plumb_infer::{Embedder, Error, LanguageModel, Options, Reranker};
use plumb_text::Message;
use serde::Deserialize;

/// Of scores in floats.
const EXACT: f32 = 1e-4;

/// Of scores in integers: sums of 32 products with random weights average
/// little of the rounding out.
const ROUNDED: f32 = 0.05;

#[derive(Deserialize)]
struct Chat {
    message: String,
    prompt: Vec<u32>,
    answer: Vec<u32>,
}

#[derive(Deserialize)]
struct Pairs {
    query: String,
    passages: Vec<String>,
    labels: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Expected {
    chat: Option<Chat>,
    pairs: Option<Pairs>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny").join(name)
}

fn expected(name: &str) -> Expected {
    serde_json::from_slice(&fs::read(folder(name).join("expected.json")).unwrap()).unwrap()
}

#[test]
fn a_model_in_a_folder_answers_through_its_chat_template() {
    let model = LanguageModel::load(&folder("qwen3"), NonZeroUsize::MIN).unwrap();
    let chat = expected("qwen3").chat.unwrap();
    let prompt = model.chat_prompt(&[Message::new("user", &chat.message)]).unwrap();
    assert_eq!(prompt, chat.prompt);
    let options = Options { max_tokens: chat.answer.len(), ..Options::default() };
    let go_on = &mut |_: &str| ControlFlow::Continue(());
    let found = model.generate(&prompt, &options, None, go_on).unwrap();
    assert_eq!(found.tokens, chat.answer);
}

#[track_caller]
fn check_reranker(name: &str) {
    let pairs = expected(name).pairs.unwrap();
    let passages: Vec<&str> = pairs.passages.iter().map(String::as_str).collect();
    let wanted: Vec<f32> = pairs
        .labels
        .iter()
        .map(|labels| if let [no, yes] = labels.as_slice() { yes - no } else { labels[0] })
        .collect();
    let exact = Reranker::load_exact(&folder(name), NonZeroUsize::MIN).unwrap();
    let scores = exact.scores(&pairs.query, &passages).unwrap();
    for (found, wanted) in scores.iter().zip(&wanted) {
        assert!((found - wanted).abs() <= EXACT, "{name}: {scores:?}, not {wanted:?}");
    }
    for (passage, score) in passages.iter().zip(&scores) {
        let alone = exact.scores(&pairs.query, &[passage]).unwrap();
        assert_eq!(alone[0].to_bits(), score.to_bits(), "{name} depends on the batch");
    }
    let packed = Reranker::load(&folder(name), NonZeroUsize::MIN).unwrap();
    let scores = packed.scores(&pairs.query, &passages).unwrap();
    for (found, wanted) in scores.iter().zip(&wanted) {
        assert!((found - wanted).abs() <= ROUNDED, "{name}: {scores:?}, not {wanted:?}");
    }
}

#[test]
fn a_bert_scores_passages() {
    check_reranker("bert-classifier");
}

#[test]
fn an_xlm_roberta_of_two_labels_scores_passages() {
    check_reranker("xlm-roberta-classifier");
}

#[test]
fn what_is_no_reranker_is_refused() {
    let found = Reranker::load(&folder("bert"), NonZeroUsize::MIN).err();
    assert!(matches!(found, Some(Error::NotAReranker { labels: 0, .. })));
}

#[test]
fn a_folder_without_a_tokenizer_is_refused() {
    let found = Embedder::load(&folder("bert"), NonZeroUsize::MIN).err();
    assert!(matches!(found, Some(Error::NoTokenizer { .. })));
}
