//! An embedder small enough for every test: one layer of a BERT that knows
//! letters, with weights that look random.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

const WIDTH: usize = 32;
const INNER: usize = 64;
const POSITIONS: usize = 256;

/// Writes the embedder as a Hugging Face folder. Each `seed` gives another one.
pub(crate) fn write(folder: &Path, seed: u64) {
    fs::create_dir_all(folder).unwrap();
    let pieces = pieces();
    let config = json!({
        "model_type": "bert", "num_hidden_layers": 1, "hidden_size": WIDTH,
        "num_attention_heads": 2, "intermediate_size": INNER, "vocab_size": pieces.len(),
        "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer(&pieces).to_string()).unwrap();
    fs::write(folder.join("model.safetensors"), weights(pieces.len(), seed)).unwrap();
}

fn pieces() -> Vec<String> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(str::to_owned);
    let letters = || ('a'..='z').chain('0'..='9').map(String::from);
    let within = letters().map(|letter| format!("##{letter}"));
    special.into_iter().chain(letters()).chain(within).collect()
}

fn tokenizer(pieces: &[String]) -> Value {
    let vocab: Map<String, Value> =
        pieces.iter().enumerate().map(|(id, piece)| (piece.clone(), json!(id))).collect();
    let special = |id: usize| {
        json!({
            "id": id, "content": pieces[id], "special": true, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false,
        })
    };
    let token = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    json!({
        "version": "1.0",
        "added_tokens": (0..4).map(special).collect::<Vec<_>>(),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [token("[CLS]"), text("A"), token("[SEP]")],
            "pair": [token("[CLS]"), text("A"), token("[SEP]"), text("B"), token("[SEP]")],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab,
        },
    })
}

fn weights(vocab: usize, seed: u64) -> Vec<u8> {
    let mut tensors = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![vocab, WIDTH]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, WIDTH]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![POSITIONS, WIDTH]),
    ];
    let layer = "encoder.layer.0";
    for norm in ["embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"] {
        tensors.push((format!("{norm}.LayerNorm.weight"), vec![WIDTH]));
        tensors.push((format!("{norm}.LayerNorm.bias"), vec![WIDTH]));
    }
    for (name, rows, columns) in [
        ("attention.self.query", WIDTH, WIDTH),
        ("attention.self.key", WIDTH, WIDTH),
        ("attention.self.value", WIDTH, WIDTH),
        ("attention.output.dense", WIDTH, WIDTH),
        ("intermediate.dense", INNER, WIDTH),
        ("output.dense", WIDTH, INNER),
    ] {
        tensors.push((format!("{layer}.{name}.weight"), vec![rows, columns]));
        tensors.push((format!("{layer}.{name}.bias"), vec![rows]));
    }
    let mut header = Map::new();
    let mut data = Vec::new();
    let mut state = seed;
    for (name, shape) in tensors {
        let start = data.len();
        for _ in 0..shape.iter().product::<usize>() {
            // Knuth's linear congruential generator.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = f32::from((state >> 48) as u16) / 65_536.0 - 0.5;
            data.extend_from_slice(&number.to_le_bytes());
        }
        let offsets = [start, data.len()];
        header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": offsets}));
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&data);
    file
}
