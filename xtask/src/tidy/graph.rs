//! Rules on the crates: the order of the house, and lints for everyone.

use super::Finding;
use super::tree::File;

/// The crates from the bottom up: each may use only those before it.
const ORDER: [&str; 16] = [
    "metrics", "kernels", "formats", "store", "text", "model", "infer", "train", "ingest", "index",
    "retrieve", "answer", "eval", "watch", "serve", "cli",
];

/// Checks the manifest of every package.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let manifests = files.iter().filter(|file| file.name() == "Cargo.toml");
    manifests.flat_map(check_manifest).collect()
}

fn check_manifest(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add =
        |line, message: String| findings.push(Finding::new(&file.path, line, "graph", message));
    if file.path != "Cargo.toml" && !file.path.starts_with("fuzz/") && !has_workspace_lints(file) {
        add(0, "the workspace's lints are not switched on".to_owned());
    }
    let folder =
        file.path.strip_prefix("crates/").and_then(|path| path.strip_suffix("/Cargo.toml"));
    let Some(folder) = folder else { return findings };
    let Some(place) = ORDER.iter().position(|name| *name == folder) else {
        add(0, format!("`{folder}` has no place in the order of crates"));
        return findings;
    };
    if !file.text.contains(&format!("name = \"plumb-{folder}\"")) {
        add(0, format!("the package is not named `plumb-{folder}`"));
    }
    for (line, used) in used_crates(&file.text) {
        match ORDER.iter().position(|name| *name == used) {
            Some(used_place) if used_place < place => {}
            Some(_) => add(line, format!("`{folder}` may not use `{used}`, which is not below it")),
            None => add(line, format!("`{used}` has no place in the order of crates")),
        }
    }
    findings
}

fn has_workspace_lints(file: &File) -> bool {
    let mut lines = file.text.lines().map(str::trim).skip_while(|line| *line != "[lints]");
    lines.nth(1) == Some("workspace = true") || file.text.contains("lints.workspace = true")
}

/// The crates of the house among the dependencies, each with its line.
fn used_crates(manifest: &str) -> Vec<(usize, String)> {
    let mut used = Vec::new();
    let mut section = "";
    for (number, line) in (1..).zip(manifest.lines().map(str::trim)) {
        let key = if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            // A dependency may also be a section of its own.
            section.rsplit_once("dependencies.").map(|(_, name)| name)
        } else if section.ends_with("dependencies") {
            line.split(['=', '.', ' ']).next()
        } else {
            None
        };
        if let Some(name) = key.and_then(|key| key.trim_matches('"').strip_prefix("plumb-")) {
            used.push((number, name.to_owned()));
        }
    }
    used
}
