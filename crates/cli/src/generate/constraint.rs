//! What `plumb generate` holds its output to.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use plumb_infer::{Grammar, GrammarVocabulary};

use super::flags::GrammarFlags;

/// The text of a grammar, read before a model is.
pub enum Source<'a> {
    Free,
    JsonSchema(&'a Path, String),
    Regex(&'a str),
    Lark(&'a Path, String),
    QuoteFrom(Vec<String>),
}

impl<'a> Source<'a> {
    /// Reads the files that `flags` name.
    pub fn read(flags: &'a GrammarFlags) -> Result<Self> {
        if let Some(path) = &flags.json_schema {
            return Ok(Self::JsonSchema(path, read(path)?));
        }
        if let Some(path) = &flags.grammar {
            return Ok(Self::Lark(path, read(path)?));
        }
        if let Some(pattern) = &flags.regex {
            return Ok(Self::Regex(pattern));
        }
        if flags.quote_from.is_empty() {
            return Ok(Self::Free);
        }
        let texts = flags.quote_from.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
        if texts.iter().all(String::is_empty) {
            bail!("the files of --quote-from are empty");
        }
        Ok(Self::QuoteFrom(texts))
    }

    /// The grammar, if there is one; `vocabulary` makes what it is compiled
    /// against.
    pub fn compile<'v>(
        &self,
        vocabulary: impl Fn() -> Result<&'v GrammarVocabulary, plumb_infer::Error>,
    ) -> Result<Option<Grammar>> {
        let at = |path: &Path| format!("in `{}`", path.display());
        Ok(Some(match self {
            Self::Free => return Ok(None),
            Self::JsonSchema(path, text) => {
                Grammar::json_schema(vocabulary()?, text).with_context(|| at(path))?
            }
            Self::Lark(path, text) => {
                Grammar::lark(vocabulary()?, text).with_context(|| at(path))?
            }
            Self::Regex(pattern) => Grammar::regex(vocabulary()?, pattern)?,
            Self::QuoteFrom(texts) => {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                Grammar::substring_of(vocabulary()?, &texts)?
            }
        }))
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}
