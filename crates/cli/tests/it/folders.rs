//! Models in Hugging Face folders, used through the command line.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use crate::run::Place;

fn tiny(name: &str) -> String {
    let tiny = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny").join(name);
    tiny.to_str().unwrap().to_owned()
}

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path().join("plumb.toml"), "").unwrap();
    place
}

/// What `rerank` prints for passages, a line each.
fn rerank(place: &Place, passages: &str, more: &[&str]) -> String {
    let model = tiny("bert-classifier");
    let arguments = [&["rerank", "what is the answer?", "--model", &model], more].concat();
    let mut command = place.command(&arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(passages.as_bytes()).unwrap();
    place.show(&child.wait_with_output().unwrap())
}

#[test]
fn passages_are_sorted_by_their_scores() {
    let found = rerank(&place(), "a short passage\n\nz\n", &[]);
    let lines: Vec<&str> = found.lines().skip(2).take(3).collect();
    let texts: Vec<&str> = lines.iter().map(|line| line.get(10..).unwrap_or("")).collect();
    assert_eq!(texts, ["", "z", "a short passage"], "{found}");
    let json = rerank(&place(), "a short passage\n\nz\n", &["--json", "--top", "1"]);
    assert!(json.contains("\"index\":1"), "{json}");
    assert!(rerank(&place(), "", &[]).starts_with("exit: 0\n"));
}

#[test]
fn an_imported_folder_is_what_its_config_says() {
    let place = place();
    for (name, kind) in
        [("qwen3", "generator"), ("bert-classifier", "reranker"), ("mistral", "generator")]
    {
        let imported = place.seen(&["model", "import", &tiny(name)]);
        assert!(imported.starts_with("exit: 0\n"), "{imported}");
        let shown = place.seen(&["model", "show", name, "--json"]);
        assert!(shown.contains(&format!("\"kind\":\"{kind}\"")), "{shown}");
    }
    let listed = place.seen(&["model", "list"]);
    assert!(listed.contains("rerankers:"), "{listed}");
}

#[test]
fn a_generator_in_a_folder_answers() {
    let place = place();
    let model = tiny("qwen3");
    let run = || place.seen(&["generate", &model, "what is the answer?"]);
    let found = run();
    assert!(found.starts_with("exit: 0\n"), "{found}");
    // The second run finds packed weights, if there are any.
    assert_eq!(run(), found);
}

#[test]
fn a_model_of_the_wrong_kind_is_refused() {
    let place = place();
    let model = tiny("bert-classifier");
    let found = place.seen(&["generate", &model, "what?"]);
    assert!(found.starts_with("exit: 1\n") && found.contains("architecture `bert`"), "{found}");
    let model = tiny("bert");
    let found = place.seen(&["rerank", "what?", "--model", &model]);
    assert!(found.starts_with("exit: 1\n") && found.contains("a reranker gives"), "{found}");
}
