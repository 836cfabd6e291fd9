//! Rules on documents: one title, and links that lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::tree::File;

/// Checks every Markdown file that is not the input of a test.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let paths: BTreeSet<&str> = files.iter().flat_map(|file| with_folders(&file.path)).collect();
    let documents: BTreeMap<&str, Document> = files
        .iter()
        .filter(|file| file.extension() == "md" && !file.is_fixture())
        .map(|file| (file.path.as_str(), Document::read(&file.text)))
        .collect();
    let mut findings = Vec::new();
    for (path, document) in &documents {
        if document.titles != 1 {
            let message = format!("{} titles (`# ...`), but a page has one", document.titles);
            findings.push(Finding::new(path, 0, "title", message));
        }
        for (line, target) in &document.links {
            if let Some(message) = broken_link(path, target, &paths, &documents) {
                findings.push(Finding::new(path, *line, "link", message));
            }
        }
    }
    findings
}

/// A path and all folders above it.
fn with_folders(path: &str) -> impl Iterator<Item = &str> {
    let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
    folders.chain([path, ""])
}

/// What the rules need to know of a page.
struct Document {
    titles: usize,
    anchors: BTreeSet<String>,
    links: Vec<(usize, String)>,
}

impl Document {
    fn read(text: &str) -> Self {
        let mut document = Self { titles: 0, anchors: BTreeSet::new(), links: Vec::new() };
        let mut fence: Option<&str> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let start = line.trim_start();
            let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
            match (fence, mark) {
                (Some(open), Some(close)) if open == close => fence = None,
                (None, Some(open)) => fence = Some(open),
                (None, None) => document.read_line(number, line),
                (Some(_), _) => {}
            }
        }
        document
    }

    fn read_line(&mut self, number: usize, line: &str) {
        let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
        if hashes > 0 && line[hashes..].starts_with(' ') {
            self.titles += usize::from(hashes == 1);
            let slug = slug(&line[hashes..]);
            // A heading that is repeated gets a number.
            let again = self.anchors.iter().filter(|known| is_repeat(known, &slug)).count();
            self.anchors.insert(if again == 0 { slug } else { format!("{slug}-{again}") });
        }
        let prose = without_code(line);
        for (at, _) in prose.match_indices("](") {
            let rest = &prose[at + 2..];
            let end = rest.find([')', ' ']).unwrap_or(rest.len());
            self.links.push((number, rest[..end].trim_matches(['<', '>']).to_owned()));
        }
        if let Some((_, target)) = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            let target = target.split_whitespace().next().unwrap_or_default();
            self.links.push((number, target.to_owned()));
        }
    }
}

fn is_repeat(known: &str, slug: &str) -> bool {
    let number = known.strip_prefix(slug).map(|rest| rest.trim_start_matches('-'));
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The anchor of a heading: lower case, words joined by hyphens.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ => character.is_alphanumeric().then_some(character),
    });
    kept.collect::<String>().to_lowercase()
}

/// The line with what stands between backticks blanked out.
fn without_code(line: &str) -> String {
    let parts = (0..).zip(line.split('`'));
    parts.map(|(index, part)| if index % 2 == 0 { part } else { "" }).collect()
}

fn broken_link(
    from: &str,
    target: &str,
    paths: &BTreeSet<&str>,
    documents: &BTreeMap<&str, Document>,
) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let resolved = if path.is_empty() { from.to_owned() } else { resolve(from, path) };
    if !paths.contains(resolved.as_str()) {
        return Some(format!("`{path}` does not exist"));
    }
    let page = documents.get(resolved.as_str())?;
    let is_known = anchor.is_empty() || page.anchors.contains(anchor);
    (!is_known).then(|| format!("`{resolved}` has no heading `#{anchor}`"))
}

/// The path that a relative link means, seen from the file it stands in. A link
/// out of the repository resolves to a path that no file has.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." if !parts.is_empty() => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}
