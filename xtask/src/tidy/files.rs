//! Rules on any file: its name, its size, and what must not be written in it.

use super::Finding;
use super::tree::{File, MAX_BYTES};

/// Names that say nothing about what is inside.
const NAMES: [&str; 8] = ["common", "helper", "helpers", "manager", "misc", "util", "utils", "v2"];

/// Marks of unfinished work, split so that this file does not hold them.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("todo", "!("),
    concat!("unimpl", "emented!("),
];

/// Where developers' own folders start.
const HOMES: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!(":\\Us", "ers\\"),
];

/// Hosts of package registries: which one is used is the user's own setting.
const HOSTS: [&str; 8] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("deb.debian", ".org"),
    concat!("rubygems", ".org"),
    concat!("proxy.golang", ".org"),
];

/// Checks every file of the repository.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    files.iter().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |line: usize, rule: &'static str, message: String| {
        findings.push(Finding::new(&file.path, line, rule, message));
    };
    if file.bytes > MAX_BYTES {
        add(0, "big-file", format!("{} bytes, but {MAX_BYTES} are the most", file.bytes));
    }
    let stem = file.name().split('.').next().unwrap_or_default();
    if file.extension() == "rs" && (NAMES.contains(&stem) || stem.starts_with("new_")) {
        add(0, "file-name", format!("`{stem}` names no concept"));
    }
    if file.name() == "Cargo.lock" {
        return findings;
    }
    let is_code = matches!(file.extension(), "rs" | "toml" | "py" | "sh") || is_script(file);
    for (number, line) in (1..).zip(file.text.lines()) {
        if let Some(mark) = UNFINISHED.iter().find(|mark| is_code && has_word(line, mark)) {
            add(number, "unfinished", format!("`{mark}`: what is not done is an issue"));
        }
        if let Some(home) = HOMES.iter().find(|home| starts_a_path(line, home)) {
            add(number, "place", format!("a path below `{home}` exists on one machine only"));
        }
        if let Some(host) = HOSTS.iter().find(|host| line.contains(*host)) {
            add(number, "place", format!("`{host}`: the registry is the user's setting"));
        }
    }
    findings
}

fn is_script(file: &File) -> bool {
    file.text.starts_with("#!")
}

/// Whether `word` stands in `line` and is not part of a longer word.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let ends = !word.ends_with(is_word) || !after.is_some_and(is_word);
        ends && !before.is_some_and(is_word)
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether an absolute path starts with `home` somewhere in `line`.
fn starts_a_path(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + home.len()..].chars().next();
        // Inside a relative path such as `docs/home/x` a word stands before it.
        let relative = home.starts_with('/')
            && before.is_some_and(|c| is_word(c) || matches!(c, '.' | '-' | '}' | '>' | '~'));
        !relative && after.is_some_and(|c| is_word(c) || c == '.')
    })
}
