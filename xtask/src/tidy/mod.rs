//! `cargo xtask tidy`: the house rules that a compiler does not see.
//!
//! Plain text scanning, without a parser and without dependencies, so that it
//! takes a moment. Each rule is a function from the files of the repository to
//! findings; a finding names file, line and rule. Exceptions are lines of
//! `xtask/tidy.allow` and `xtask/unsafe.allow`, each with its reason; a line
//! that excuses nothing is a finding too.

mod allow;
mod files;
mod graph;
mod markdown;
mod proofs;
mod rust;
mod source;
mod tree;

use std::fmt;
use std::path::Path;

use crate::steps::say;
use tree::File;

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    /// From 1; 0 where the whole file is meant.
    line: usize,
    rule: &'static str,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, message } = self;
        write!(f, "{path}:{line}: [{rule}] {message}")
    }
}

/// Prints every broken rule and fails if there is one.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let files = tree::read(root).map_err(|error| format!("cannot read the checkout: {error}"))?;
    let findings = check(&files);
    for finding in &findings {
        say(&finding.to_string());
    }
    match findings.len() {
        0 => Ok(()),
        1 => Err("1 house rule is broken".to_owned()),
        broken => Err(format!("{broken} house rules are broken")),
    }
}

fn check(files: &[File]) -> Vec<Finding> {
    let mut findings =
        [files::check(files), graph::check(files), rust::check(files), markdown::check(files)]
            .concat();
    findings.extend(proofs::check(files));
    findings = allow::apply(files, findings);
    findings.sort();
    findings
}

#[cfg(test)]
mod tests;
