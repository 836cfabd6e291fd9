//! Questions to a project's documents, for measuring.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use plumb_infer::{ChunkStore, LanguageModel, PiecedPrompt};
use plumb_retrieve::Hit;
use plumb_store::Snapshot;
use plumb_text::Message;
use serde_json::Value;

use crate::eval::make;

/// Which questions are asked.
#[derive(clap::Args, Clone, Debug)]
pub struct QuestionArgs {
    /// Questions, one a line, or JSON objects with a `question` [default: made from headings]
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,

    /// Questions, at most
    #[arg(long, value_name = "N", default_value_t = 40)]
    count: usize,

    /// Seed of the draw of headings
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl QuestionArgs {
    /// The questions, at least one.
    pub(super) fn questions(&self, snapshot: &Snapshot) -> Result<Vec<String>> {
        let questions = match &self.questions {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read `{}`", path.display()))?;
                parse(&text).with_context(|| format!("`{}` is not valid", path.display()))?
            }
            None => make::heading_questions(snapshot, self.seed)?,
        };
        if questions.is_empty() {
            bail!("there is no question: give some with --questions FILE");
        }
        Ok(questions.into_iter().take(self.count.max(1)).collect())
    }
}

/// A question a line, plain or as the `question` of a JSON object.
fn parse(text: &str) -> Result<Vec<String>> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let question = |(number, line): (usize, &str)| {
        if !line.trim_start().starts_with('{') {
            return Ok(line.trim().to_owned());
        }
        let object: Value = serde_json::from_str(line).with_context(|| format!("line {number}"))?;
        let text = object["question"].as_str();
        Ok(text.with_context(|| format!("line {number} has no `question`"))?.to_owned())
    };
    lines.map(question).collect()
}

/// Whole passages as pieces of evidence: those of the first `count` hits.
pub(super) fn passages(snapshot: &Snapshot, hits: &[Hit], count: usize) -> Result<Vec<String>> {
    let text = |hit: &Hit| {
        let text = snapshot.passage(hit.passage)?.text;
        Ok(format!(" {}", text.split_whitespace().collect::<Vec<_>>().join(" ")))
    };
    hits.iter().take(count).map(text).collect()
}

/// What a model is asked: `question`, from `pieces`.
pub(super) fn prompt(
    model: &LanguageModel,
    question: &str,
    pieces: &[String],
) -> Result<PiecedPrompt> {
    let defused = |text: &str| model.tokenizer().defuse(text);
    let pieces: Vec<String> = pieces.iter().map(|piece| defused(piece)).collect();
    let messages: Vec<Message> = plumb_answer::answer_messages(&defused(question), &pieces);
    Ok(model.chat_prompt_in_pieces(&messages, &pieces)?)
}

/// A folder for what is measured with, which goes when it is dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("plumb-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder `{}`", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What is read with the model of a hash, without a limit.
    pub(super) fn store(&self, sha256: &str) -> ChunkStore {
        ChunkStore::new(&self.0, sha256, u64::MAX)
    }

    /// Bytes of the files in it.
    pub(super) fn bytes(&self) -> u64 {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The system clears its folder for such files itself.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_line_or_a_field() {
        let found = parse("Why?\n\n{\"id\": 1, \"question\": \"How so?\"}\n").unwrap();
        assert_eq!(found, ["Why?", "How so?"]);
        assert!(parse("{\"id\": 1}").is_err());
        assert!(parse("{").is_err());
    }

    #[test]
    fn a_scratch_folder_goes() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        std::fs::write(path.join("a"), "abc").unwrap();
        assert_eq!(scratch.bytes(), 3);
        drop(scratch);
        assert!(!path.exists());
    }
}
