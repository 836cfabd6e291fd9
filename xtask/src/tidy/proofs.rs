//! Rule on the page of complaints: the tests that it names exist.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::File;

/// The page: in the last column of its tables stand paths, each with the tests
/// in that file that cover the complaint, all as code.
const PAGE: &str = "docs/guide/complaints.md";

/// Checks the page, if there is one.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let Some(page) = files.iter().find(|file| file.path == PAGE) else { return Vec::new() };
    let texts: BTreeMap<&str, &str> =
        files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(page.text.lines()) {
        let Some(cell) = line.trim().strip_prefix('|').and_then(last_cell) else { continue };
        let mut source: Option<&str> = None;
        for word in code(cell) {
            let message = match (texts.get(word), source) {
                (Some(text), _) => {
                    source = Some(text);
                    continue;
                }
                (None, _) if word.contains('/') => format!("there is no file `{word}`"),
                (None, Some(text)) if has_test(text, word) => continue,
                (None, Some(_)) => format!("no test of that file is called `{word}`"),
                (None, None) => format!("`{word}` stands before any file"),
            };
            findings.push(Finding::new(PAGE, number, "proof", message));
        }
    }
    findings
}

fn last_cell(row: &str) -> Option<&str> {
    row.trim_end_matches('|').rsplit('|').next()
}

/// What stands between backticks.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether a test of Rust, Python or JavaScript has this name.
fn has_test(source: &str, name: &str) -> bool {
    let is_there = |before: &str, after: &str| source.contains(&format!("{before}{name}{after}"));
    is_there("fn ", "(") || is_there("def ", "(") || is_there("test(\"", "\"")
}
