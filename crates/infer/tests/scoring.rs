//! Texts that are read together are as likely as alone, to the bit. On the tiny model
//! that `tests/golden/make_tiny.py` made.

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::num::NonZeroUsize;
use std::path::Path;

use plumb_infer::{Continued, LanguageModel};

type Found = Vec<Vec<(usize, Vec<f32>)>>;

fn model() -> LanguageModel {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny/qwen3");
    LanguageModel::load(&folder, NonZeroUsize::new(2).unwrap()).unwrap()
}

fn alone(model: &LanguageModel, texts: &[Continued<'_>]) -> Found {
    let one = |text: &Continued<'_>| {
        let mut found = Vec::new();
        let mut add = |next: usize, logits: &[f32]| {
            if text.from <= next {
                found.push((next, logits.to_vec()));
            }
        };
        model.for_each_logits(text.tokens, &mut add).unwrap();
        found
    };
    texts.iter().map(one).collect()
}

fn together(model: &LanguageModel, texts: &[Continued<'_>]) -> Found {
    let mut found: Found = vec![Vec::new(); texts.len()];
    let mut add = |text: usize, next: usize, logits: &[f32]| {
        found[text].push((next, logits.to_vec()));
    };
    model.for_each_logits_of(texts, &mut add).unwrap();
    found
}

#[test]
fn texts_have_the_same_logits_together_and_alone() {
    let model = model();
    let vocab = u32::try_from(model.tokenizer().vocab_size()).unwrap();
    let draw = |seed: u32, count: usize| -> Vec<u32> {
        (0..).map(|i: u32| (i * i * 7 + seed * 131 + i) % vocab).take(count).collect()
    };
    let shared = draw(1, 20);
    let after = |seed: u32, count: usize| [shared.clone(), draw(seed, count)].concat();
    let (a, b, c) = (after(2, 1), after(3, 9), after(4, 30));
    let (long, short) = (draw(5, 60), draw(6, 2));
    let texts = [
        Continued { tokens: &short, from: 1 },
        Continued { tokens: &a, from: 20 },
        Continued { tokens: &b, from: 20 },
        Continued { tokens: &c, from: 20 },
        // More logits than one pass has, and some that nobody asked for.
        Continued { tokens: &long, from: 3 },
        Continued { tokens: &long, from: 59 },
    ];
    assert_eq!(together(&model, &texts), alone(&model, &texts));
    assert!(together(&model, &[]).is_empty());
}

#[test]
fn a_text_beyond_the_context_is_refused() {
    let model = model();
    let tokens = vec![1; model.context() + 2];
    let text = [Continued { tokens: &tokens, from: 1 }];
    assert!(model.for_each_logits_of(&text, &mut |_, _, _| {}).is_err());
}
