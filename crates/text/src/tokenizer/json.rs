//! Tokenizers from a Hugging Face `tokenizer.json`.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use tokenizers::utils::truncation::truncate_encodings;
use tokenizers::{PostProcessor, TruncationParams};

use super::pieces::{Pieces, Role, Spelling};
use super::spellings::Spellings;
use super::{Engine, Pair, Placed, Special, SpecialIds, Tokenizer, control_spellings, stop_ids};
use crate::Error;

/// The library's tokenizer. Whether it parses special tokens in text is a
/// state of the whole tokenizer, so a second one is made when it is needed.
pub(super) struct JsonEngine {
    parsing: Box<tokenizers::Tokenizer>,
    plain: OnceLock<Box<tokenizers::Tokenizer>>,
}

impl JsonEngine {
    pub(super) fn encode(&self, text: &str, special: Special) -> Result<Vec<Placed>, Error> {
        if special.parses() {
            return encode(&self.parsing, text, special);
        }
        let plain = self.plain.get_or_init(|| {
            let mut plain = self.parsing.clone();
            plain.set_encode_special_tokens(true);
            plain
        });
        encode(plain, text, special)
    }
}

/// See [`Tokenizer::encode_pair`].
pub(super) fn encode_pair(
    engine: &JsonEngine,
    [first, second]: [&str; 2],
    max_tokens: usize,
) -> Result<Pair, Error> {
    let failed = |error: tokenizers::Error| Error::Encode { message: error.to_string() };
    let library = &engine.parsing;
    let first = library.encode(first, false).map_err(failed)?;
    let mut second = library.encode(second, false).map_err(failed)?;
    second.set_type_ids(vec![1; second.len()]);
    let added = library.get_post_processor().map_or(0, |processor| processor.added_tokens(true));
    let limit =
        TruncationParams { max_length: max_tokens.saturating_sub(added), ..Default::default() };
    let (first, second) = truncate_encodings(first, Some(second), &limit).map_err(failed)?;
    let whole = library.post_process(first, second, true).map_err(failed)?;
    Ok(Pair { ids: whole.get_ids().to_vec(), types: whole.get_type_ids().to_vec() })
}

/// Encodes with the library; whether it parses special tokens is its state.
pub(super) fn encode(
    library: &tokenizers::Tokenizer,
    text: &str,
    special: Special,
) -> Result<Vec<Placed>, Error> {
    let encoding = library
        .encode(text, special.adds())
        .map_err(|error| Error::Encode { message: error.to_string() })?;
    let offsets = encoding.get_offsets().iter().map(|&(start, end)| start..end);
    Ok(encoding.get_ids().iter().copied().zip(offsets).collect())
}

/// Reads `tokenizer.json` and, if there is one, `tokenizer_config.json`.
pub(super) fn load(bytes: &[u8], config: Option<&[u8]>) -> Result<Tokenizer, Error> {
    const FILE: &str = "tokenizer.json";
    let bad = |message: String| Error::BadJson { file: FILE, message };
    let raw: Value = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
    let mut library =
        tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| bad(error.to_string()))?;
    library.with_padding(None);
    library.with_truncation(None).map_err(|error| bad(error.to_string()))?;

    let pieces = pieces(&library, spelling(&raw["decoder"]))?;
    let config = config.map(parse_config).transpose()?.unwrap_or_default();
    let named = |spelling: &Option<String>, usual: &[&str]| match spelling {
        Some(spelling) => pieces.find(spelling),
        None => usual.iter().find_map(|spelling| pieces.find(spelling)),
    };
    let bos = named(&config.bos, &["<s>", "<bos>", "<|begin_of_text|>", "[CLS]"]);
    let eos = named(&config.eos, &["</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>", "[SEP]"]);
    let special =
        SpecialIds { bos, eos, stop: stop_ids(&pieces, eos, &[]), ..SpecialIds::default() };
    Ok(Tokenizer {
        control: control_spellings(&pieces, &special)?,
        engine: Engine::Json(JsonEngine { parsing: Box::new(library), plain: OnceLock::new() }),
        pieces,
        special,
        chat_template: config.chat_template,
    })
}

/// The vocabulary in the order of ids. Ids that the file skips are empty.
fn pieces(library: &tokenizers::Tokenizer, spelling: Spelling) -> Result<Pieces, Error> {
    let vocab = library.get_vocab(true);
    let highest = vocab.values().max().map_or(0, |&id| id as usize + 1);
    // A hostile id must not size the table.
    if highest > 2 * vocab.len() + 1024 {
        let message = format!("token id {} in a vocabulary of {}", highest - 1, vocab.len());
        return Err(Error::BadJson { file: "tokenizer.json", message });
    }
    let mut tokens = vec![(String::new(), Role::Normal); highest];
    for (token, id) in vocab {
        tokens[id as usize].0 = token;
    }
    for (id, token) in library.get_added_tokens_decoder() {
        let role = if token.special { Role::Control } else { Role::Added };
        if let Some(entry) = tokens.get_mut(id as usize) {
            *entry = (token.content, role);
        }
    }
    let spellings = Spellings::new(tokens.iter().map(|(token, _)| token).collect());
    let roles = tokens.into_iter().map(|(_, role)| role).collect();
    Ok(Pieces::new(Arc::new(spellings), roles, spelling))
}

/// How the vocabulary is spelt, by the decoder that the file asks for.
fn spelling(decoder: &Value) -> Spelling {
    let steps = match decoder["decoders"].as_array() {
        Some(steps) => steps.as_slice(),
        None => std::slice::from_ref(decoder),
    };
    let has = |kind: &str| steps.iter().any(|step| step["type"] == kind);
    if has("ByteLevel") {
        Spelling::ByteLevel
    } else if has("WordPiece") {
        Spelling::WordPiece
    } else if has("ByteFallback") || has("Metaspace") {
        let drops_first_space = has("Strip")
            || steps
                .iter()
                .any(|step| step["type"] == "Metaspace" && step["prepend_scheme"] != "never");
        Spelling::SentencePiece { drops_first_space }
    } else {
        Spelling::Literal
    }
}

/// What `tokenizer_config.json` says beyond `tokenizer.json`.
#[derive(Default)]
struct Config {
    bos: Option<String>,
    eos: Option<String>,
    chat_template: Option<String>,
}

fn parse_config(bytes: &[u8]) -> Result<Config, Error> {
    let config: Value = serde_json::from_slice(bytes).map_err(|error| Error::BadJson {
        file: "tokenizer_config.json",
        message: error.to_string(),
    })?;
    // A token is its spelling or an object with the spelling in `content`.
    let token = |key: &str| {
        let value = &config[key];
        value.as_str().or_else(|| value["content"].as_str()).map(ToOwned::to_owned)
    };
    Ok(Config {
        bos: token("bos_token").or_else(|| token("cls_token")),
        eos: token("eos_token").or_else(|| token("sep_token")),
        chat_template: chat_template(&config["chat_template"]),
    })
}

/// One template, or the one called `default` among several.
fn chat_template(value: &Value) -> Option<String> {
    let named = || value.as_array()?.iter().find(|entry| entry["name"] == "default");
    let template = value.as_str().or_else(|| named()?["template"].as_str());
    template.map(ToOwned::to_owned)
}
