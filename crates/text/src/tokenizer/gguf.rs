//! Tokenizers from the metadata of a GGUF file.

use std::sync::Arc;

use ahash::AHashMap;
use plumb_formats::{Gguf, Strings};
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{ModelWrapper, SplitDelimiterBehavior};

use super::fragments::Fragments;
use super::pieces::{Pieces, Role, Spelling};
use super::spellings::Spellings;
use super::spm::Spm;
use super::{
    Engine, FragmentEngine, STOP_SPELLINGS, SpecialIds, Tokenizer, control_spellings, pre, stop_ids,
};
use crate::Error;

const TOKENS: &str = "tokenizer.ggml.tokens";
const SCORES: &str = "tokenizer.ggml.scores";
const MERGES: &str = "tokenizer.ggml.merges";
const TOKEN_TYPE: &str = "tokenizer.ggml.token_type";
const BOS: &str = "tokenizer.ggml.bos_token_id";
const EOS: &str = "tokenizer.ggml.eos_token_id";
const UNKNOWN: &str = "tokenizer.ggml.unknown_token_id";
/// The format's own misspelling.
const SEP: &str = "tokenizer.ggml.seperator_token_id";
const END_OF_TURN: &str = "tokenizer.ggml.eot_token_id";
const END_OF_MESSAGE: &str = "tokenizer.ggml.eom_token_id";

/// Numbers of `tokenizer.ggml.token_type`.
const TYPE_UNKNOWN: i64 = 2;
const TYPE_CONTROL: i64 = 3;
const TYPE_USER_DEFINED: i64 = 4;

/// What the three kinds of vocabulary differ in.
struct Parts {
    engine: FragmentEngine,
    spelling: Spelling,
    /// The vocabulary as [`Pieces`] reads it.
    spellings: Arc<Spellings>,
    adds_bos: bool,
    adds_eos: bool,
}

/// Builds the tokenizer that `file` describes.
pub(super) fn load(file: &Gguf) -> Result<Tokenizer, Error> {
    let tokens = file.strings(TOKENS)?;
    let roles = roles(file, tokens.len())?;
    let parts = match file.string("tokenizer.ggml.model")? {
        "gpt2" => byte_pairs(file, tokens)?,
        "llama" => sentence_piece(file, tokens)?,
        "bert" => word_piece(file, tokens)?,
        found => return Err(Error::UnknownModel { found: found.to_owned() }),
    };
    // llama.cpp looks for these spellings as it does for control tokens,
    // whatever the file calls them.
    let is_stop = |token| STOP_SPELLINGS.contains(&token);
    let special = (0_u32..)
        .zip(parts.spellings.iter().zip(&roles))
        .filter(|(_, (token, role))| **role != Role::Normal || is_stop(token));
    let special = Fragments::new(special.map(|(id, (token, role))| {
        (id, token.to_owned(), *role == Role::Control || is_stop(token))
    }))?;
    let pieces = Pieces::new(Arc::clone(&parts.spellings), roles, parts.spelling);
    let ids = special_ids(file, &pieces, &parts)?;
    Ok(Tokenizer {
        control: control_spellings(&pieces, &ids)?,
        engine: Engine::Fragments { special, fragment: parts.engine },
        pieces,
        special: ids,
        chat_template: file
            .optional("tokenizer.chat_template", Gguf::string)?
            .map(ToOwned::to_owned),
    })
}

fn roles(file: &Gguf, expected: usize) -> Result<Vec<Role>, Error> {
    let Some(types) = file.optional(TOKEN_TYPE, Gguf::integers)? else {
        return Ok(vec![Role::Normal; expected]);
    };
    check_len(TOKEN_TYPE, types.len(), expected)?;
    let role = |number| match number {
        TYPE_UNKNOWN | TYPE_CONTROL => Role::Control,
        TYPE_USER_DEFINED => Role::Added,
        _ => Role::Normal,
    };
    Ok(types.into_iter().map(role).collect())
}

fn check_len(key: &'static str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::WrongLength { key, found, expected }) }
}

fn id(file: &Gguf, key: &'static str, size: usize) -> Result<Option<u32>, Error> {
    let Some(id) = file.optional(key, Gguf::u64)? else { return Ok(None) };
    match u32::try_from(id) {
        Ok(small) if id < size as u64 => Ok(Some(small)),
        _ => Err(Error::NoSuchToken { key, id, size }),
    }
}

fn special_ids(file: &Gguf, pieces: &Pieces, parts: &Parts) -> Result<SpecialIds, Error> {
    let size = pieces.len();
    let (bos, eos) = (id(file, BOS, size)?, id(file, EOS, size)?);
    let flag =
        |key: &str, default| Ok::<_, Error>(file.optional(key, Gguf::bool)?.unwrap_or(default));
    let is_bert = parts.spelling == Spelling::WordPiece;
    let adds_bos = flag("tokenizer.ggml.add_bos_token", parts.adds_bos)?;
    let (suffix, adds_suffix) = if is_bert {
        (id(file, SEP, size)?.or(eos), flag("tokenizer.ggml.add_sep_token", parts.adds_eos)?)
    } else {
        (eos, flag("tokenizer.ggml.add_eos_token", parts.adds_eos)?)
    };
    let more = [id(file, END_OF_TURN, size)?, id(file, END_OF_MESSAGE, size)?];
    let more: Vec<u32> = more.into_iter().flatten().collect();
    Ok(SpecialIds {
        bos,
        eos,
        stop: stop_ids(pieces, eos, &more),
        prefix: bos.filter(|_| adds_bos).into_iter().collect(),
        suffix: suffix.filter(|_| adds_suffix).into_iter().collect(),
    })
}

fn library(model: impl Into<ModelWrapper>) -> tokenizers::Tokenizer {
    tokenizers::Tokenizer::new(model)
}

fn build_error(error: &tokenizers::Error) -> Error {
    Error::Build { message: error.to_string() }
}

/// Byte-level byte-pair encoding, as GPT-2 introduced it.
fn byte_pairs(file: &Gguf, tokens: &Strings) -> Result<Parts, Error> {
    let name = file.optional("tokenizer.ggml.pre", Gguf::string)?.unwrap_or("default");
    let pre = pre::named(name)?;
    let vocab: AHashMap<String, u32> = tokens.iter().map(ToOwned::to_owned).zip(0..).collect();
    let merges = file.strings(MERGES)?.iter().enumerate().map(|(index, merge)| {
        // A piece is never empty, but it may begin with a space.
        let at = merge.char_indices().skip(1).find(|(_, c)| *c == ' ').map(|(at, _)| at);
        match at {
            Some(at) => Ok((merge[..at].to_owned(), merge[at + 1..].to_owned())),
            None => Err(Error::BadMerge { index, found: merge.to_owned() }),
        }
    });
    let merges = merges.collect::<Result<Vec<_>, _>>()?;
    let model = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .ignore_merges(pre.ignore_merges)
        .build()
        .map_err(|error| build_error(&error))?;

    let mut steps = Vec::new();
    for pattern in pre.patterns {
        let pattern = SplitPattern::Regex((*pattern).to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
        steps.push(PreTokenizerWrapper::Split(split.map_err(|error| build_error(&error))?));
    }
    steps.push(PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, false)));
    let mut tokenizer = library(model);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    Ok(Parts {
        engine: FragmentEngine::Library(Box::new(tokenizer)),
        spelling: Spelling::ByteLevel,
        spellings: Arc::new(Spellings::new(tokens.clone())),
        adds_bos: pre.adds_bos,
        adds_eos: false,
    })
}

fn sentence_piece(file: &Gguf, tokens: &Strings) -> Result<Parts, Error> {
    let scores = file.f32s(SCORES)?;
    check_len(SCORES, scores.len(), tokens.len())?;
    let unknown = id(file, UNKNOWN, tokens.len())?;
    let add_space_prefix =
        file.optional("tokenizer.ggml.add_space_prefix", Gguf::bool)?.unwrap_or(true);
    let spellings = Arc::new(Spellings::new(tokens.clone()));
    let spm = Spm::new(Arc::clone(&spellings), scores, unknown, add_space_prefix)?;
    Ok(Parts {
        engine: FragmentEngine::Spm(spm),
        spelling: Spelling::SentencePiece { drops_first_space: add_space_prefix },
        spellings,
        adds_bos: true,
        adds_eos: false,
    })
}

/// WordPiece, lower-cased, as uncased BERT models use it. Accents, control
/// characters and words of more than 100 characters are treated as the models
/// were trained (Hugging Face), where llama.cpp differs. GGUF
/// marks the tokens that begin a word with U+2581, the original the others.
fn word_piece(file: &Gguf, tokens: &Strings) -> Result<Parts, Error> {
    let unknown = id(file, UNKNOWN, tokens.len())?.ok_or(Error::NoUnknownToken)?;
    let spellings = Spellings::new(tokens.iter().map(original_spelling).collect());
    let vocab: AHashMap<String, u32> = spellings.iter().map(ToOwned::to_owned).zip(0..).collect();
    let model = WordPiece::builder()
        .vocab(vocab)
        .unk_token(spellings.get(unknown).unwrap_or_default().to_owned())
        .build()
        .map_err(|error| build_error(&error))?;
    let mut tokenizer = library(model);
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(true, true, None, true)))
        .with_pre_tokenizer(Some(BertPreTokenizer));
    Ok(Parts {
        engine: FragmentEngine::Library(Box::new(tokenizer)),
        spelling: Spelling::WordPiece,
        spellings: Arc::new(spellings),
        adds_bos: true,
        adds_eos: true,
    })
}

fn original_spelling(token: &str) -> String {
    match token.strip_prefix('\u{2581}') {
        Some(word) => word.to_owned(),
        None if token.starts_with('[') && token.ends_with(']') => token.to_owned(),
        None => format!("##{token}"),
    }
}
