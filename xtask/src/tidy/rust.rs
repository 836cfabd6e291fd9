//! Rules on Rust sources: docs, sizes, unsafe code, error messages, modules.

use std::collections::BTreeSet;

use super::Finding;
use super::files::has_word;
use super::source::{Line, item_end, lines};
use super::tree::File;

/// Names of the rules that the lists of exceptions may excuse.
pub(crate) const FILE_SIZE: &str = "file-size";
pub(crate) const FUNCTION_SIZE: &str = "function-size";
pub(crate) const UNSAFE: &str = "unsafe";

/// Lines of code that a file may have, its tests not counted.
const MAX_FILE_LINES: usize = 600;
/// Lines of code that a function may have between its braces.
const MAX_FUNCTION_LINES: usize = 70;

/// Checks every Rust source that is not the input of a test.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let sources = || files.iter().filter(|file| file.extension() == "rs" && !file.is_fixture());
    // What a program makes public, no other crate can use.
    let is_library = |file: &File| {
        let package = file.path.split_once("/src/").map_or("", |(package, _)| package);
        files.iter().any(|file| file.path == format!("{package}/src/lib.rs"))
    };
    let check_file = |file: &File| check_file(file, is_library(file));
    let mut findings: Vec<Finding> = sources().flat_map(check_file).collect();
    findings.extend(unreachable_files(&sources().collect::<Vec<_>>()));
    findings
}

fn check_file(file: &File, is_library: bool) -> Vec<Finding> {
    let lines = lines(&file.text);
    let mut found = Vec::new();
    module_docs(file, &lines, &mut found);
    if is_library {
        item_docs(&lines, &mut found);
    }
    sizes(&lines, &mut found);
    for (number, line) in (1..).zip(&lines) {
        if has_word(&line.code, "unsafe") {
            found.push((number, UNSAFE, "not a file for unsafe code".to_owned()));
        }
        if let Some(character) = line.code.chars().find(|character| !character.is_ascii()) {
            found.push((number, "ascii", format!("`{character}` outside text and comments")));
        }
    }
    error_messages(&file.text, &mut found);
    let finding = |(line, rule, message)| Finding::new(&file.path, line, rule, message);
    found.into_iter().map(finding).collect()
}

/// Line, rule and message of what is wrong in one file.
type Found = Vec<(usize, &'static str, String)>;

/// A module says what it is for. A file of tests alone says it by its name.
fn module_docs(file: &File, lines: &[Line], found: &mut Found) {
    let first = lines.iter().map(|line| line.raw.trim()).find(|line| !line.is_empty());
    let is_said = first.is_some_and(|line| line.starts_with("//!") || line.starts_with("#!["));
    let has_docs = lines.iter().any(|line| line.raw.starts_with("//!"));
    if file.name() != "tests.rs" && !(is_said && has_docs) {
        found.push((1, "docs", "the module does not say what it is for (`//!`)".to_owned()));
    }
}

fn item_docs(lines: &[Line], found: &mut Found) {
    let mut is_documented = false;
    // Brackets still open of an attribute that goes over several lines.
    let mut open = 0;
    for (number, line) in (1..).zip(lines) {
        let (raw, code) = (line.raw.trim_start(), line.code.trim());
        if raw.starts_with("///") || raw.starts_with("#[doc") {
            is_documented = true;
        } else if open > 0 || code.starts_with("#[") {
            open += code.matches('[').count();
            open = open.saturating_sub(code.matches(']').count());
        } else if !code.is_empty() {
            if let Some(item) = public_item(code).filter(|_| !is_documented && !line.is_test) {
                found.push((number, "docs", format!("`{item}` is public and says nothing")));
            }
            is_documented = false;
        }
    }
}

/// The start of a line that makes something public, apart from fields,
/// re-exports, and modules in files of their own.
fn public_item(code: &str) -> Option<&str> {
    const KINDS: [&str; 10] =
        ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "async", "unsafe"];
    let rest = code.strip_prefix("pub ")?;
    let kind = rest.split_whitespace().next()?;
    let is_inline_module = kind == "mod" && !code.ends_with(';');
    let end = code.find(['(', '{', '=', ';', '<', ':']).unwrap_or(code.len());
    (KINDS.contains(&kind) || is_inline_module).then(|| code[..end].trim())
}

fn sizes(lines: &[Line], found: &mut Found) {
    let size = lines.iter().filter(|line| line.has_code() && !line.is_test).count();
    if size > MAX_FILE_LINES {
        let message = format!("{size} lines of code, but {MAX_FILE_LINES} are the most");
        found.push((1, FILE_SIZE, message));
    }
    for (index, line) in lines.iter().enumerate() {
        if has_word(&line.code, "fn") && !line.code.contains("fn(") {
            let end = item_end(lines, index);
            let body = lines[index..end].iter().skip_while(|line| !line.code.contains('{')).skip(1);
            let size = body.filter(|line| line.has_code()).count();
            if size > MAX_FUNCTION_LINES {
                let message =
                    format!("{size} lines of code, but {MAX_FUNCTION_LINES} are the most");
                found.push((index + 1, FUNCTION_SIZE, message));
            }
        }
    }
}

/// A message is a fragment that others are chained to: lower case at its start,
/// no full stop at its end.
fn error_messages(text: &str, found: &mut Found) {
    const START: &str = concat!("#[err", "or(");
    for (at, _) in text.match_indices(START) {
        let number = text[..at].matches('\n').count() + 1;
        let rest = text[at + START.len()..].trim_start();
        let Some(message) = rest.strip_prefix('"').and_then(literal) else { continue };
        let mut letters = message.chars();
        let (first, second) = (letters.next(), letters.next());
        // Two capitals are an abbreviation, which keeps them.
        let is_capital = |letter: Option<char>| letter.is_some_and(char::is_uppercase);
        if is_capital(first) && !is_capital(second) {
            found.push((number, "error-message", format!("`{message}` starts with a capital")));
        }
        if message.ends_with('.') {
            found.push((number, "error-message", format!("`{message}` ends with a full stop")));
        }
    }
}

/// What stands before the closing quote.
fn literal(rest: &str) -> Option<&str> {
    let mut is_escaped = false;
    let end = rest.find(|character| {
        let is_end = character == '"' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        is_end
    })?;
    Some(&rest[..end])
}

/// A source below `src` that no `mod` line names is not compiled at all.
fn unreachable_files(sources: &[&File]) -> Vec<Finding> {
    let mut named = BTreeSet::new();
    for file in sources {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let stem = name.trim_end_matches(".rs");
        let owns_folder = matches!(stem, "lib" | "main" | "mod") || folder.ends_with("/bin");
        let below = if owns_folder { folder.to_owned() } else { format!("{folder}/{stem}") };
        for module in lines(&file.text).iter().filter_map(|line| module_name(&line.code)) {
            named.insert(format!("{below}/{module}.rs"));
            named.insert(format!("{below}/{module}/mod.rs"));
        }
    }
    let is_root = |path: &str| {
        let below = path.split_once("/src/").map_or("", |(_, below)| below);
        matches!(below, "" | "lib.rs" | "main.rs") || below.starts_with("bin/")
    };
    let lost = sources.iter().filter(|file| !is_root(&file.path) && !named.contains(&file.path));
    lost.map(|file| Finding::new(&file.path, 0, "unreachable", "no `mod` line names this file"))
        .collect()
}

/// The name in `mod name;` or `pub(crate) mod name;`.
fn module_name(code: &str) -> Option<&str> {
    let (visibility, name) = code.trim().strip_suffix(';')?.split_once("mod ")?;
    (visibility.is_empty() || visibility.starts_with("pub")).then_some(name.trim())
}
