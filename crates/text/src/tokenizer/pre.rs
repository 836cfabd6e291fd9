//! Pre-tokenizers: how a text is cut into words before bytes are merged.
//!
//! GGUF names them in `tokenizer.ggml.pre`; each name stands for a list of
//! patterns that are applied one after the other, matches and the text
//! between them becoming words.

use crate::Error;

/// A named pre-tokenizer.
#[derive(Debug)]
pub(super) struct PreTokenizer {
    pub(super) patterns: &'static [&'static str],
    /// Whether a word that is in the vocabulary is one token, whatever the
    /// merges say.
    pub(super) ignore_merges: bool,
    /// Whether BOS is added when the file does not say.
    pub(super) adds_bos: bool,
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

const LLAMA3: &str = concat!(
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

const QWEN2: &str = concat!(
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

/// The pre-tokenizer that GGUF calls `name`; a file without a name means
/// `default`.
pub(super) fn named(name: &str) -> Result<PreTokenizer, Error> {
    let (patterns, ignore_merges, adds_bos): (&[&str], bool, bool) = match name {
        "default" => (&[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"], false, false),
        "gpt-2" | "phi-2" => (&[GPT2], false, false),
        "smollm" | "starcoder" | "refact" | "command-r" => (&[r"\p{N}", GPT2], false, false),
        "qwen2" | "deepseek-r1-qwen" => (&[QWEN2], false, false),
        "llama-bpe" | "llama3" | "llama-v3" => (&[LLAMA3], true, true),
        "dbrx" | "smaug-bpe" => (&[LLAMA3], false, false),
        found => return Err(Error::UnknownPreTokenizer { found: found.to_owned() }),
    };
    Ok(PreTokenizer { patterns, ignore_merges, adds_bos })
}
