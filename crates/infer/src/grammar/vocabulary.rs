//! A tokenizer as the parser of grammars sees it.

use std::sync::Arc;

use llguidance::ParserFactory;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{
    InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv,
};
use plumb_text::{Special, Tokenizer};

use super::limits;
use crate::Error;

/// Bytes of a piece beyond which the tree of all pieces cannot hold it.
const MAX_PIECE: usize = 1000;

/// A character that no merge of a tokenizer joins with others.
const SENTINEL: &str = "\u{2}";

/// The pieces of a tokenizer as a tree of bytes. Made once for a model.
pub struct GrammarVocabulary {
    factory: ParserFactory,
    end: u32,
}

impl GrammarVocabulary {
    /// Of all tokens that stand for text.
    pub fn new(tokenizer: Arc<Tokenizer>) -> Result<Self, Error> {
        let stop = tokenizer.stop_ids().to_vec();
        let Some(&end) = stop.first() else { return Err(Error::NoEndToken) };
        // No grammar can spell a control token, and the end of a text is not
        // part of it. 0xff begins no text, and the tree marks with it what is
        // none.
        let is_text = |id: u32, piece: &[u8]| {
            let is_plain = !tokenizer.is_control(id) && !stop.contains(&id);
            is_plain && piece.first() != Some(&TokTrie::SPECIAL_TOKEN_MARKER)
        };
        let mut pieces = Vec::new();
        for id in (0_u32..).take(tokenizer.vocab_size()) {
            let piece = tokenizer.piece_bytes(id);
            let piece = if is_text(id, &piece) { piece } else { Vec::new() };
            if MAX_PIECE < piece.len() {
                return Err(Error::PieceTooLong { token: id, bytes: piece.len() });
            }
            pieces.push(piece);
        }
        let vocabulary = |message: String| Error::Grammar {
            kind: "vocabulary",
            message: limits::shortened(&message),
        };
        let size = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let factory = limits::guarded(|| {
            let trie = TokTrie::from(&TokRxInfo::new(size, end), &pieces).with_eos_tokens(&stop);
            let tokens: TokEnv = Arc::new(Tokens { trie, tokenizer });
            let caps = InferenceCapabilities { ff_tokens: true, ..Default::default() };
            ParserFactory::new(&tokens, caps, &SlicedBiasComputer::general_slices())
        });
        let mut factory = factory.map_err(vocabulary)?;
        factory.quiet();
        *factory.limits_mut() = limits::parser_limits();
        Ok(Self { factory, end })
    }

    pub(super) fn factory(&self) -> &ParserFactory {
        &self.factory
    }

    /// A token that ends the turn.
    pub(super) fn end(&self) -> u32 {
        self.end
    }
}

struct Tokens {
    trie: TokTrie,
    tokenizer: Arc<Tokenizer>,
}

impl TokenizerEnv for Tokens {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| self.encode(text))
    }
}

impl Tokens {
    /// The usual tokens of `text`, which stand for exactly its bytes.
    ///
    /// A tokenizer may put a space before a text, which would not be what the
    /// grammar asked for: then the text is encoded behind another character,
    /// and if that does not help, by the longest pieces.
    fn encode(&self, text: &str) -> Vec<TokenId> {
        let spells = |tokens: &[TokenId]| {
            let bytes: Vec<u8> =
                tokens.iter().flat_map(|&token| self.trie.token(token).to_vec()).collect();
            bytes == text.as_bytes()
        };
        let encode = |text: &str| self.tokenizer.encode(text, Special::Plain).unwrap_or_default();
        let tokens = encode(text);
        if spells(&tokens) {
            return tokens;
        }
        let behind = encode(&format!("{SENTINEL}{text}"));
        for start in 1..=behind.len().min(3) {
            if spells(&behind[start..]) {
                return behind[start..].to_vec();
            }
        }
        self.trie.greedy_tokenize(text.as_bytes())
    }
}
