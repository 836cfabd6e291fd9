//! The two lists of exceptions, and whether each line is still needed.
//!
//! A line is a path and the reason for the exception. `tidy.allow` excuses a
//! file from the rules on size; `unsafe.allow` lists the files that may hold
//! unsafe code.

use super::tree::File;
use super::{Finding, rust};

const LISTS: [(&str, &[&str]); 2] = [
    ("xtask/tidy.allow", &[rust::FILE_SIZE, rust::FUNCTION_SIZE]),
    ("xtask/unsafe.allow", &[rust::UNSAFE]),
];

/// Takes out what the lists excuse, and adds what is wrong with the lists.
pub(crate) fn apply(files: &[File], mut findings: Vec<Finding>) -> Vec<Finding> {
    let mut broken = Vec::new();
    for (list, rules) in LISTS {
        let text = files.iter().find(|file| file.path == list).map_or("", |file| &file.text);
        for (line, entry) in (1..).zip(text.lines()).filter(|(_, entry)| !is_comment(entry)) {
            let Some((path, _reason)) = entry.trim().split_once(char::is_whitespace) else {
                broken.push(Finding::new(list, line, "allow", "an exception needs a reason"));
                continue;
            };
            let before = findings.len();
            findings.retain(|finding| finding.path != path || !rules.contains(&finding.rule));
            if findings.len() == before {
                let message = format!("`{path}` needs no exception: take the line out");
                broken.push(Finding::new(list, line, "allow", message));
            }
        }
    }
    findings.extend(broken);
    findings
}

fn is_comment(entry: &str) -> bool {
    entry.trim().is_empty() || entry.starts_with('#')
}
