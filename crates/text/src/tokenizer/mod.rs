//! Text to token ids and back.
//!
//! A tokenizer comes from a Hugging Face `tokenizer.json` or from the metadata
//! of a GGUF file; its ids are those of the reference implementation for that
//! file (Hugging Face tokenizers, and llama.cpp for GGUF). [`mod@gguf`] and
//! [`json`] read the two, [`fragments`] finds special tokens inside text,
//! [`spm`] merges SentencePiece vocabularies, [`pieces`] knows the bytes that
//! an id stands for, [`spellings`] how it is spelt, and [`stream`] turns ids into text as they arrive.

mod fragments;
mod gguf;
mod json;
mod pieces;
mod pre;
mod spellings;
mod spm;
mod stream;
#[cfg(test)]
mod tests;

use std::ops::Range;

use self::fragments::{Fragment, Fragments};
use self::json::JsonEngine;
use self::pieces::Pieces;
use self::spm::Spm;
use crate::Error;

pub use stream::Decoder;

/// What to do about special tokens when encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// Nothing is added, and a control token spelt out in the text is text.
    Plain,
    /// Nothing is added; control tokens spelt out in the text become ids. For
    /// rendered chat templates.
    Parse,
    /// The tokens that the model wants around a text (BOS, EOS, CLS, SEP) are
    /// added; a control token spelt out in the text is text.
    Add,
    /// Both, which is what reference encoders of embeddings do.
    AddAndParse,
}

impl Special {
    fn adds(self) -> bool {
        matches!(self, Self::Add | Self::AddAndParse)
    }

    fn parses(self) -> bool {
        matches!(self, Self::Parse | Self::AddAndParse)
    }
}

/// A tokenizer with its vocabulary and its special tokens.
pub struct Tokenizer {
    engine: Engine,
    pieces: Pieces,
    special: SpecialIds,
    /// Spellings of control tokens, for [`Tokenizer::defuse`].
    control: Fragments,
    chat_template: Option<String>,
}

enum Engine {
    /// From `tokenizer.json`: the library does everything.
    Json(JsonEngine),
    /// From GGUF: special tokens are found first, then each fragment between
    /// them is encoded.
    Fragments { special: Fragments, fragment: FragmentEngine },
}

enum FragmentEngine {
    Library(Box<tokenizers::Tokenizer>),
    Spm(Spm),
}

/// Ids with a meaning of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SpecialIds {
    bos: Option<u32>,
    eos: Option<u32>,
    /// Every id after which generation is over, `eos` included; sorted.
    stop: Vec<u32>,
    /// Added before and after a text. Empty for `tokenizer.json`, where the
    /// library adds them.
    prefix: Vec<u32>,
    suffix: Vec<u32>,
}

/// Two texts as one sequence of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Special tokens among them.
    pub ids: Vec<u32>,
    /// Of each token, how the tokenizer marks the text that it belongs to.
    pub types: Vec<u32>,
}

/// A token and the bytes of the text that it stands for.
type Placed = (u32, Range<usize>);

impl Tokenizer {
    /// Reads a Hugging Face `tokenizer.json`. Its truncation and padding are
    /// ignored: they belong to whoever fills a batch.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        json::load(bytes, None)
    }

    /// Reads `tokenizer.json` together with `tokenizer_config.json`, which
    /// names BOS and EOS and may carry the chat template.
    pub fn from_json_with_config(bytes: &[u8], config: &[u8]) -> Result<Self, Error> {
        json::load(bytes, Some(config))
    }

    /// Builds the tokenizer that the metadata of a GGUF file describes.
    pub fn from_gguf(file: &plumb_formats::Gguf) -> Result<Self, Error> {
        gguf::load(file)
    }

    /// The ids of `text`.
    pub fn encode(&self, text: &str, special: Special) -> Result<Vec<u32>, Error> {
        Ok(self.place(text, special)?.into_iter().map(|(id, _)| id).collect())
    }

    /// `first` and `second` as one sequence of at most `max_tokens`, as models
    /// want it that judge pairs ([`Special::AddAndParse`]). If they are too
    /// long the longer one is cut at its end, then both alike.
    ///
    /// Fails for a tokenizer of a GGUF file, which knows no pairs.
    pub fn encode_pair(&self, first: &str, second: &str, max_tokens: usize) -> Result<Pair, Error> {
        match &self.engine {
            Engine::Json(engine) => json::encode_pair(engine, [first, second], max_tokens),
            Engine::Fragments { .. } => Err(Error::NoPairs),
        }
    }

    /// The ids of `text`, each with the bytes of `text` that it stands for. A
    /// token that holds part of a character has the range of the whole
    /// character.
    pub fn encode_with_offsets(
        &self,
        text: &str,
        special: Special,
    ) -> Result<Vec<(u32, Range<usize>)>, Error> {
        self.place(text, special)
    }

    /// How many tokens plain `text` has, without added special tokens.
    pub fn count(&self, text: &str) -> Result<usize, Error> {
        Ok(self.place(text, Special::Plain)?.len())
    }

    fn place(&self, text: &str, special: Special) -> Result<Vec<Placed>, Error> {
        let (splitter, engine) = match &self.engine {
            Engine::Json(engine) => return engine.encode(text, special),
            Engine::Fragments { special, fragment } => (special, fragment),
        };
        let added = |ids: &[u32], at: usize| -> Vec<Placed> {
            let ids = if special.adds() { ids } else { &[] };
            ids.iter().map(|&id| (id, at..at)).collect()
        };
        let mut tokens = added(&self.special.prefix, 0);
        let mut after_special = true;
        for fragment in splitter.split(text, special.parses()) {
            match fragment {
                Fragment::Special { id, range } => {
                    tokens.push((id, range));
                    after_special = true;
                }
                Fragment::Text(range) => {
                    let start = range.start;
                    let part = engine.encode(&text[range], after_special)?;
                    let moved =
                        part.into_iter().map(|(id, r)| (id, r.start + start..r.end + start));
                    tokens.extend(moved);
                    after_special = false;
                }
            }
        }
        tokens.extend(added(&self.special.suffix, text.len()));
        Ok(tokens)
    }

    /// The text of `ids`. Control tokens have no text; bytes that are not
    /// UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut decoder = self.decoder();
        let mut text: String = ids.iter().map(|&id| decoder.push(id)).collect();
        text.push_str(&decoder.finish());
        text
    }

    /// Turns ids into text as they are generated.
    pub fn decoder(&self) -> Decoder<'_> {
        Decoder::new(&self.pieces)
    }

    /// The bytes that `id` stands for inside a text: possibly part of a
    /// character, empty for an unknown id. A control token gives its spelling.
    pub fn piece_bytes(&self, id: u32) -> Vec<u8> {
        self.pieces.bytes(id).to_vec()
    }

    /// Whether `id` is a control token, which stands for no text.
    pub fn is_control(&self, id: u32) -> bool {
        self.pieces.is_control(id)
    }

    /// The id of the token with exactly this spelling, such as `<|im_end|>`.
    pub fn token_id(&self, spelling: &str) -> Option<u32> {
        self.pieces.find(spelling)
    }

    /// The token at the beginning of a sequence, if the model has one.
    pub fn bos(&self) -> Option<u32> {
        self.special.bos
    }

    /// The token at the end of a sequence, if the model has one.
    pub fn eos(&self) -> Option<u32> {
        self.special.eos
    }

    /// Every id that ends a generation: end of sequence, end of turn.
    pub fn stop_ids(&self) -> &[u32] {
        &self.special.stop
    }

    /// One more than the highest id.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// The chat template that came with the tokenizer.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// Replaces the chat template by one that came in a file of its own.
    pub fn set_chat_template(&mut self, source: String) {
        self.chat_template = Some(source);
    }

    /// Adds ids that end a generation.
    pub fn add_stop_ids(&mut self, ids: &[u32]) {
        self.special.stop.extend_from_slice(ids);
        self.special.stop.sort_unstable();
        self.special.stop.dedup();
    }

    /// The same text, with the spelling of every control token broken up by a
    /// zero-width space, so that text from outside can be put into a prompt
    /// and never begins or ends a turn.
    pub fn defuse(&self, text: &str) -> String {
        self.control.break_up(text)
    }
}

impl FragmentEngine {
    fn encode(&self, text: &str, after_special: bool) -> Result<Vec<Placed>, Error> {
        match self {
            Self::Library(library) => json::encode(library, text, Special::Plain),
            Self::Spm(spm) => Ok(spm.encode(text, after_special)),
        }
    }
}

/// Spellings that end a turn or a document in the models that are about. A
/// file names one of them as its EOS; models emit the others, too.
const STOP_SPELLINGS: &[&str] = &[
    "</s>",
    "<EOT>",
    "<end_of_turn>",
    "<eos>",
    "<|end_of_text|>",
    "<|end|>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|im_end|>",
];

/// All ids that end a generation: `eos`, `more`, and the control tokens that
/// are spelt like one. (Ordinary text may be spelt so, too: HTML has `</s>`.)
fn stop_ids(pieces: &Pieces, eos: Option<u32>, more: &[u32]) -> Vec<u32> {
    let spelt = STOP_SPELLINGS.iter().filter_map(|spelling| pieces.find(spelling));
    let spelt = spelt.filter(|&id| pieces.is_control(id));
    let mut ids: Vec<u32> = spelt.chain(eos).chain(more.iter().copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Finds the spellings that text from outside must not carry.
fn control_spellings(pieces: &Pieces, special: &SpecialIds) -> Result<Fragments, Error> {
    let named = [special.bos, special.eos].into_iter().flatten().chain(special.stop.clone());
    let mut ids: Vec<u32> = pieces.control_ids().chain(named).collect();
    ids.sort_unstable();
    ids.dedup();
    let spelt = |id| Some((id, std::str::from_utf8(pieces.bytes(id)).ok()?.to_owned()));
    Fragments::new(ids.into_iter().filter_map(spelt).map(|(id, text)| (id, text, true)))
}
