//! Constrained output: text that a JSON schema, a regular expression, a grammar
//! or a set of sources allows, and no other.
//!
//! A [`Grammar`] is compiled once against a model's tokenizer
//! ([`GrammarVocabulary`]) and gives a new [`GrammarConstraint`] for each
//! generation. The parser is the crate `llguidance`: it walks the tokens of the
//! vocabulary as a tree of bytes beside an Earley parser over lazily built
//! regular expressions, so that a token may end anywhere in the grammar.
//!
//! Grammars come from outside. A text that is too long or too deeply nested is
//! refused before it is read, the parser's own limits bound what is built from
//! it, and a panic in it is an error.

mod constraint;
mod limits;
#[cfg(test)]
mod tests;
mod vocabulary;

use llguidance::api::TopLevelGrammar;
use llguidance::substring::chunk_into_words;
use llguidance::{JsonCompileOptions, Matcher};
use serde_json::Value;

use crate::Error;

pub use constraint::GrammarConstraint;
pub use vocabulary::GrammarVocabulary;

/// What may be written, compiled for one vocabulary.
pub struct Grammar {
    /// At the beginning; never advanced itself.
    matcher: Matcher,
    /// Comes when nothing else may.
    end: u32,
}

impl Grammar {
    /// JSON that `schema`, itself JSON text, describes.
    ///
    /// Members are separated by `, ` and names from values by `: `, as Python's
    /// `json.dumps` does, and members come in the order of the schema: a small
    /// model can then not fill its output with spaces. The key `x-guidance` of
    /// the schema may say otherwise; `llguidance` documents it, and which
    /// keywords are understood. Those that are not are an error.
    ///
    /// A string without `maxLength`, a number or an array may be so long that
    /// generation ends within it, and the output is then no JSON.
    pub fn json_schema(vocabulary: &GrammarVocabulary, schema: &str) -> Result<Self, Error> {
        const KIND: &str = "JSON schema";
        limits::check_size(KIND, schema.len(), limits::MAX_SOURCE)?;
        let mut schema: Value =
            serde_json::from_str(schema).map_err(|error| invalid(KIND, &error.to_string()))?;
        let is_plain = schema.as_object().is_some_and(|object| !object.contains_key("x-guidance"));
        if is_plain {
            let options = JsonCompileOptions {
                item_separator: ", ".to_owned(),
                key_separator: ": ".to_owned(),
                whitespace_flexible: false,
                ..JsonCompileOptions::default()
            };
            options.apply_to(&mut schema);
        }
        Self::compile(vocabulary, KIND, TopLevelGrammar::from_json_schema(schema))
    }

    /// Text that `pattern` matches from beginning to end; the syntax is that of
    /// the crate `regex`, without look-around.
    pub fn regex(vocabulary: &GrammarVocabulary, pattern: &str) -> Result<Self, Error> {
        const KIND: &str = "regular expression";
        limits::check_size(KIND, pattern.len(), limits::MAX_SOURCE)?;
        limits::check_nesting(KIND, pattern)?;
        if pattern.chars().rev().take_while(|&c| c == '\\').count() % 2 == 1 {
            return Err(invalid(KIND, "it ends in the middle of an escape"));
        }
        Self::compile(vocabulary, KIND, TopLevelGrammar::from_regex(pattern))
    }

    /// Text of the context-free grammar `source`, in the variant of the Lark
    /// syntax that `llguidance` documents; it begins with the rule `start`.
    pub fn lark(vocabulary: &GrammarVocabulary, source: &str) -> Result<Self, Error> {
        const KIND: &str = "grammar";
        limits::check_size(KIND, source.len(), limits::MAX_SOURCE)?;
        limits::check_nesting(KIND, source)?;
        Self::compile(vocabulary, KIND, TopLevelGrammar::from_lark(source.to_owned()))
    }

    /// A stretch of one of `texts`, byte for byte, that is not empty and begins
    /// and ends at the border of a word: what a quotation may be.
    pub fn substring_of(vocabulary: &GrammarVocabulary, texts: &[&str]) -> Result<Self, Error> {
        const KIND: &str = "text to quote from";
        let texts: Vec<&str> = texts.iter().copied().filter(|text| !text.is_empty()).collect();
        if texts.is_empty() {
            return Err(invalid(KIND, "there is none"));
        }
        let bytes = texts.iter().map(|text| text.len()).sum();
        limits::check_size(KIND, bytes, limits::MAX_TEXTS)?;
        // One automaton for all texts, in which none goes on into the next.
        let border = (0xe000_u32..0xf900)
            .filter_map(char::from_u32)
            .find(|&border| !texts.iter().any(|text| text.contains(border)))
            .ok_or_else(|| invalid(KIND, "it uses every private character"))?;
        let border = border.to_string();
        let mut words = Vec::new();
        for text in texts {
            words.extend(chunk_into_words(text));
            words.push(&border);
        }
        let words = Value::from(words);
        let source = format!(
            "WORDS: %regex {{\"substring_chunks\": {words}}}\nstart: QUOTE\nQUOTE: WORDS & /[^{border}]+/\n"
        );
        Self::compile(vocabulary, KIND, TopLevelGrammar::from_lark(source))
    }

    fn compile(
        vocabulary: &GrammarVocabulary,
        kind: &'static str,
        grammar: TopLevelGrammar,
    ) -> Result<Self, Error> {
        let compiled = limits::deep(|| {
            let matcher = Matcher::new(vocabulary.factory().create_parser(grammar));
            // The first mask finds what is wrong only there: text that cannot
            // be spelt with the vocabulary, rules that match nothing.
            matcher.deep_clone().compute_mask_or_eos().map(|_| matcher)
        });
        let matcher = compiled.map_err(|message| invalid(kind, &message))?;
        Ok(Self { matcher, end: vocabulary.end() })
    }

    /// Holds one generation to the grammar.
    pub fn constraint(&self) -> GrammarConstraint {
        // With caches of its own: what one generation costs, and so where a
        // limit ends it, does not depend on others.
        GrammarConstraint::new(self.matcher.deep_clone(), self.end)
    }
}

fn invalid(kind: &'static str, message: &str) -> Error {
    Error::Grammar { kind, message: limits::shortened(message) }
}
