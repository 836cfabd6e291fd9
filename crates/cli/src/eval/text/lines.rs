//! Files with a text a line.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The lines of a file, at least one.
pub(super) struct Lines {
    path: PathBuf,
    text: String,
    /// The lines with their own breaks, if a mark stands for those.
    broken: Option<Vec<String>>,
}

impl Lines {
    /// Reads a file, in which `newline` stands for a line break inside a text.
    /// Fails if it is empty or not UTF-8.
    pub(super) fn read(path: &Path, newline: Option<&str>) -> Result<Self> {
        let name = path.display();
        let bytes = fs::read(path).with_context(|| format!("cannot read `{name}`"))?;
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = valid.split(|byte| *byte == b'\n').count();
                bail!("`{name}` is not UTF-8: the first bad byte is in line {line}");
            }
        };
        if text.is_empty() {
            bail!("`{name}` is empty: there is nothing to score");
        }
        let broken = newline
            .filter(|mark| !mark.is_empty())
            .map(|mark| text.lines().map(|line| line.replace(mark, "\n")).collect());
        Ok(Self { path: path.to_owned(), text, broken })
    }

    /// Each line, without what ends it.
    pub(super) fn lines(&self) -> Vec<&str> {
        match &self.broken {
            Some(lines) => lines.iter().map(String::as_str).collect(),
            None => self.text.lines().collect(),
        }
    }

    /// Fails unless `other` has as many lines.
    pub(super) fn check_as_long(&self, other: &Self) -> Result<()> {
        let (own, others) = (self.text.lines().count(), other.text.lines().count());
        if own != others {
            bail!(
                "`{}` has {own} lines and `{}` has {others}: line N of both belong together",
                self.path.display(),
                other.path.display()
            );
        }
        Ok(())
    }
}
