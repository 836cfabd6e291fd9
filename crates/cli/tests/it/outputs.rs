//! What the program prints, whole.

use std::fs;

use insta::assert_snapshot;

use crate::run::Place;

#[test]
fn help() {
    assert_snapshot!(Place::new().seen(&["--help"]));
}

#[test]
fn help_of_model_pull() {
    assert_snapshot!(Place::new().seen(&["model", "pull", "--help"]));
}

#[test]
fn help_of_model_import() {
    assert_snapshot!(Place::new().seen(&["model", "import", "--help"]));
}

#[test]
fn help_of_generate() {
    assert_snapshot!(Place::new().seen(&["generate", "--help"]));
}

#[test]
fn what_generate_cannot_do_is_said_before_a_model_is_loaded() {
    let place = Place::new();
    let said = |arguments: &[&str]| {
        let seen = place.seen(&[&["generate", "none", "Hello"], arguments].concat());
        seen.lines().find(|line| line.starts_with("error")).unwrap_or_default().to_owned()
    };
    let errors = [
        said(&["--top-p", "1.5"]),
        said(&["--dry-multiplier", "nan"]),
        said(&["--logit-bias", "cat"]),
        said(&["--logit-bias", "7=200"]),
        said(&["--beams", "2", "--top-k", "3"]),
        said(&["--regex", "a", "--grammar", "b"]),
        said(&["--dry-base", "2"]),
        said(&["--json-schema", "none.json"]),
    ];
    assert_snapshot!(errors.join("\n"));
}

#[test]
fn an_unknown_verb() {
    assert_snapshot!(Place::new().seen(&["adn"]));
}

#[test]
fn a_verb_outside_of_any_project() {
    assert_snapshot!(Place::new().seen(&["list"]));
}

#[test]
fn doctor_says_what_a_report_needs() {
    let output = Place::new().output(&["doctor", "--json"]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["version", "instructions", "cores", "memory_bytes", "cache", "models", "index"] {
        assert!(said.get(key).is_some(), "{key}");
    }
}

#[test]
fn status_says_what_the_project_holds() {
    let place = Place::with_documents();
    place.json(&["add", "docs"]);
    let status = place.json(&["status"]);
    assert_eq!((&status["documents"], &status["passages"]), (&2.into(), &2.into()), "{status}");
    assert_eq!(status["kinds"], serde_json::json!({"markdown": 2}));
    assert_eq!((&status["snapshots"], &status["answers"]), (&1.into(), &0.into()), "{status}");
    assert!(status["embedder"]["bytes"].as_u64() > Some(0), "{status}");
    assert!(status["generator"]["bytes"].is_null(), "{status}");
    place.set_embedder("two");
    let said = place.seen(&["status"]);
    assert!(said.contains("documents  2 (markdown 2), 2 passages\n"), "{said}");
    assert!(said.contains("two, 0.") && said.contains("embedded with [DIR]/one\n"), "{said}");
    assert!(said.contains(", not on this machine\n"), "{said}");
}

#[test]
fn model_list() {
    assert_snapshot!(Place::new().seen(&["model", "list"]));
}

#[test]
fn model_show() {
    assert_snapshot!(Place::new().seen(&["model", "show", "smollm2-135m-instruct"]));
}

#[test]
fn model_show_json() {
    assert_snapshot!(Place::new().seen(&["model", "show", "smollm2-135m-instruct", "--json"]));
}

#[test]
fn model_show_of_an_unknown_name() {
    assert_snapshot!(Place::new().seen(&["model", "show", "gpt-5"]));
}

#[test]
fn model_rm_of_what_is_not_there() {
    assert_snapshot!(Place::new().seen(&["model", "rm", "gemma-3-270m"]));
}

#[test]
fn model_import_of_what_is_no_model() {
    let place = Place::new();
    fs::write(place.path().join("notes.gguf"), "not a model").unwrap();
    assert_snapshot!(place.seen(&["model", "import", "notes.gguf"]));
}

#[test]
fn model_pull_without_any_source() {
    assert_snapshot!(Place::new().seen(&["model", "pull", "smollm2-135m-instruct"]));
}

#[test]
fn init_twice() {
    let place = Place::new();
    assert_snapshot!(format!("{}\n{}", place.seen(&["init"]), place.seen(&["init"])));
    assert_snapshot!(fs::read_to_string(place.path().join("plumb.toml")).unwrap());
}

#[track_caller]
fn config_error(text: &str) -> String {
    let place = Place::new();
    fs::create_dir(place.path().join(".plumb")).unwrap();
    fs::write(place.path().join("plumb.toml"), text).unwrap();
    place.seen(&["list"])
}

#[test]
fn a_misspelt_key() {
    assert_snapshot!(config_error("[retrieval]\ntopk = 3\n"));
}

#[test]
fn a_value_of_the_wrong_type() {
    assert_snapshot!(config_error("[chunks]\nmax_tokens = \"many\"\n"));
}

#[test]
fn a_value_out_of_range() {
    assert_snapshot!(config_error("[retrieval]\ndense_weight = 2.0\n"));
}

#[test]
fn a_file_that_is_no_toml() {
    assert_snapshot!(config_error("[retrieval\n"));
}

#[test]
fn a_settings_file_that_is_not_there() {
    assert_snapshot!({
        let place = Place::new();
        fs::create_dir(place.path().join(".plumb")).unwrap();
        place.seen(&["--config", "none.toml", "list"])
    });
}

#[test]
fn completions_name_every_verb() {
    let output = Place::new().output(&["completions", "bash"]);
    let script = String::from_utf8(output.stdout).unwrap();
    for verb in ["init", "model", "doctor", "search", "snapshots"] {
        assert!(script.contains(&format!("plumb__subcmd__{verb}")), "{verb}");
    }
}
