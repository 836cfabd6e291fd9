//! Hugging Face folders that are damaged or hostile: an error that says what
//! is wrong, and never a panic.

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use plumb_kernels::Pool;
use plumb_model::{Decoder, Encoder, Error, Logits};
use serde_json::{Value, json};
use tempfile::TempDir;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny")
}

/// A copy of the tiny model `name`.
fn copy(name: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in fs::read_dir(tiny().join(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn config(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
}

fn set(folder: &Path, config: &Value) {
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// The message for a copy of `name` with `key` set to `value`.
fn message(name: &str, key: &str, value: Value) -> String {
    let folder = copy(name);
    let mut changed = config(folder.path());
    changed[key] = value;
    set(folder.path(), &changed);
    let error = Decoder::load(folder.path()).unwrap_err();
    told(&error, folder.path())
}

fn told(error: &Error, folder: &Path) -> String {
    use std::error::Error as _;
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}").replace(folder.to_str().unwrap(), "DIR")
}

#[test]
fn messages_name_the_file_the_key_and_the_value() {
    let check = |name: &str, key: &str, value: Value, want: &str| {
        assert_eq!(message(name, key, value), want);
    };
    check(
        "qwen3",
        "model_type",
        json!("mamba"),
        "`DIR/config.json` is of architecture `mamba`, which is not one of: llama, mistral, qwen2, \
         qwen3, gemma2, gemma3_text, phi3, gpt2",
    );
    check(
        "qwen3",
        "rope_parameters",
        json!({"rope_type": "dynamic", "factor": 2.0}),
        "`DIR/config.json` sets `rope_type` to `dynamic`, which is not one of: default, linear, \
         llama3, yarn, longrope",
    );
    check(
        "qwen3",
        "rope_parameters",
        json!({"rope_type": "linear"}),
        "`DIR/config.json` has no `factor`, which its `linear` needs",
    );
    check(
        "qwen3",
        "hidden_act",
        json!("relu6"),
        "`DIR/config.json` sets `hidden_act` to `relu6`, which is not one of: silu, gelu, gelu_new, \
         gelu_pytorch_tanh",
    );
    check(
        "qwen3",
        "num_key_value_heads",
        json!(3),
        "`DIR/config.json` sets `num_key_value_heads` to 3, which is not supported",
    );
    check(
        "qwen3",
        "hidden_size",
        json!(48),
        "tensor `model.embed_tokens.weight` of `DIR/model.safetensors` has shape [96, 32], not \
         [96, 48]",
    );
    check(
        "qwen3",
        "tie_word_embeddings",
        json!(false),
        "`DIR/model.safetensors` has no tensor `lm_head.weight` of shape [96, 32], which its \
         architecture needs",
    );
    check(
        "mistral",
        "quantization_config",
        json!({"bits": 4}),
        "`DIR/config.json` sets `quantization_config` to a value other than its default, which is \
         not supported",
    );
}

#[test]
fn a_file_of_several_that_is_not_there_is_named() {
    let folder = copy("mistral");
    fs::remove_file(folder.path().join("model-00002-of-00004.safetensors")).unwrap();
    let error = Decoder::load(folder.path()).unwrap_err();
    assert_eq!(
        told(&error, folder.path()),
        "`DIR/model.safetensors.index.json` lists the file `model-00002-of-00004.safetensors`, \
         which is not in its folder"
    );
}

#[test]
fn an_index_cannot_lead_out_of_the_folder() {
    let folder = copy("mistral");
    let index = json!({"weight_map": {"model.norm.weight": "../qwen3/model.safetensors"}});
    fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    assert!(matches!(Decoder::load(folder.path()), Err(Error::MissingShard { .. })));
}

/// Every value of every key replaced by what nobody would write: if the model
/// still loads it still computes.
#[test]
fn no_config_makes_it_panic() {
    let hostile = [
        json!(null),
        json!(0),
        json!(1),
        json!(-1),
        json!(3),
        json!(1_u64 << 40),
        json!(u64::MAX),
        json!(1e-30),
        json!(1e300),
        json!(-0.5),
        json!("x"),
        json!([]),
        json!({}),
        json!([0, "sliding_attention", null]),
        json!(true),
    ];
    let pool = Pool::new(NonZeroUsize::MIN);
    let (mut refused, mut read) = (0, 0);
    for name in ["gemma2", "gpt2", "phi3-longrope", "qwen2-yarn", "xlm-roberta-classifier"] {
        let folder = copy(name);
        let config = config(folder.path());
        for place in places(&config) {
            for value in &hostile {
                let mut changed = config.clone();
                *changed.pointer_mut(&place).unwrap() = value.clone();
                set(folder.path(), &changed);
                let outcome = run(folder.path(), &pool);
                *(if outcome.is_ok() { &mut read } else { &mut refused }) += 1;
            }
        }
    }
    assert!(100 < refused && 100 < read, "{refused} refused, {read} read");
}

/// Reads two tokens with whatever is in the folder.
fn run(folder: &Path, pool: &Pool) -> Result<(), Error> {
    match Decoder::load(folder) {
        Ok(decoder) => {
            let mut cache = decoder.new_cache();
            decoder.forward(pool, &[3, 4], &mut cache, Logits::Last).map(|_| ())
        }
        Err(Error::UnknownArchitecture { .. }) => {
            Encoder::load(folder)?.embed(pool, &[&[3, 4]]).map(|_| ())
        }
        Err(error) => Err(error),
    }
}

/// JSON pointers of all values inside objects.
fn places(config: &Value) -> Vec<String> {
    let Some(object) = config.as_object() else { return Vec::new() };
    let below = |(key, value): (&String, &Value)| -> Vec<String> {
        let inner = places(value).into_iter().map(|place| format!("/{key}{place}"));
        std::iter::once(format!("/{key}")).chain(inner).collect()
    };
    object.iter().flat_map(below).collect()
}
