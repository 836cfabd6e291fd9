//! Questions to an index whose embedder is small enough for every test.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::run::Place;

impl Place {
    /// Runs `plumb chat --quote-only --json` with one question; gives the answer.
    #[track_caller]
    fn chat(&self, arguments: &[&str], question: &str) -> Value {
        let all = [&["chat", "--quote-only", "--json"], arguments].concat();
        let mut child = self
            .command(&all)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(question.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", self.show(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn no_sentences_are_too_few() {
    let place = Place::with_documents();
    place.json(&["init"]);
    let said = place.fails(&["ask", "--max-sentences", "0", "why?"]);
    assert!(said.contains("error: --max-sentences is 0; it must be at least 1\n"), "{said}");
}

#[test]
fn a_weight_without_a_fusion_is_an_error() {
    let place = Place::with_documents();
    place.json(&["init"]);
    for mode in ["dense", "lexical"] {
        let said = place.fails(&["search", "--mode", mode, "--dense-weight", "0.3", "wine"]);
        let reason = format!("--dense-weight is 0.3, but --mode {mode} fuses nothing");
        assert!(said.contains(&reason), "{said}");
    }
    place.json(&["add", "docs"]);
    place.json(&["search", "--mode", "fused", "--dense-weight", "0.3", "wine"]);
    place.json(&["search", "--mode", "lexical", "wine"]);
}

#[test]
fn a_conversation_is_resumed_where_it_ended_or_where_it_is_told_to() {
    let place = Place::with_documents();
    place.json(&["init"]);
    assert!(place.fails(&["chat", "--resume"]).contains("there is no conversation to go on with"));
    place.json(&["add", "docs"]);
    let wine = place.chat(&[], "Where is the wine?");
    place.chat(&[], "Where are the books?");
    let standalone = |answer: Value| answer["standalone_question"].as_str().unwrap().to_owned();
    let follow_up = "Why is it there?";
    let last = standalone(place.chat(&["--resume"], follow_up));
    assert!(last.contains("books") && !last.contains("wine"), "{last}");
    let id = wine["answer_id"].as_str().unwrap();
    let named = standalone(place.chat(&["--resume", &id[..12]], follow_up));
    assert!(named.contains("wine") && !named.contains("books"), "{named}");
    let said = place.fails(&["chat", "--resume", "a_none"]);
    assert!(said.contains("there is no conversation with the answer `a_none`"), "{said}");
}

#[test]
fn an_abstention_loads_no_generator() {
    let place = Place::with_documents();
    place.json(&["add", "docs"]);
    place.write("broken.gguf", "not a model");
    let ask = ["ask", "--generator", "broken.gguf", "Where is the wine?"];
    let output = place.output(&[&ask[..], &["--where", "path ~ \"nowhere/\""]].concat());
    assert_eq!(output.status.code(), Some(3), "{}", place.show(&output));
    let said = place.fails(&ask);
    assert!(said.contains("the model `broken.gguf` could not write an answer"), "{said}");
}
