//! From documents to answers with real models. `cargo xtask e2e` sets
//! `PLUMB_TEST_MODELS` and runs this; without it these tests check nothing and
//! say so.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::run::Place;

const PAGE: &str = "# Retention

Invoices are kept for ten years after the end of the financial year.
Drafts are deleted after 30 days.

## Backups

Backups of the archive are made every night and are stored in Geneva.
";

/// A place whose cache holds the tested models, or `None` if there are none.
#[expect(clippy::disallowed_methods, reason = "the test command says where the models are")]
#[expect(clippy::print_stderr, reason = "a test that checks nothing says so")]
pub(crate) fn place() -> Option<Place> {
    let Ok(models) = std::env::var("PLUMB_TEST_MODELS") else {
        eprintln!("not checked: `cargo xtask e2e` sets PLUMB_TEST_MODELS and runs this");
        return None;
    };
    let place = Place::new();
    let models = PathBuf::from(models);
    fs::create_dir(place.path().join("cache")).unwrap();
    std::os::unix::fs::symlink(models, place.path().join("cache/models")).unwrap();
    fs::create_dir(place.path().join("docs")).unwrap();
    fs::write(place.path().join("docs/retention.md"), PAGE).unwrap();
    fs::write(place.path().join("docs/copy.md"), PAGE).unwrap();
    fs::write(place.path().join("docs/logo.png"), b"\x89PNG\r\n\x1a\n\0\0").unwrap();
    Some(place)
}

/// Runs a verb that prints one JSON object and ends with `code`.
#[track_caller]
pub(crate) fn json(place: &Place, code: i32, arguments: &[&str]) -> Value {
    let output = place.output(&[arguments, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn check_quotes(place: &Place, answer: &Value) {
    let claims = answer["claims"].as_array().unwrap();
    assert!(!claims.is_empty());
    for citation in claims.iter().flat_map(|claim| claim["citations"].as_array().unwrap()) {
        let uri = citation["uri"].as_str().unwrap();
        let path = uri.strip_prefix("file://").unwrap();
        assert!(path.starts_with(place.path().to_str().unwrap()));
        let bytes = fs::read(path).unwrap();
        let at =
            |end: usize| usize::try_from(citation["byte_range"][end].as_u64().unwrap()).unwrap();
        let quote = std::str::from_utf8(&bytes[at(0)..at(1)]).unwrap();
        assert_eq!(citation["quote"].as_str().unwrap(), quote);
    }
}

#[test]
fn documents_are_indexed_once_searched_and_answered_from() {
    let Some(place) = place() else { return };
    let added = json(&place, 0, &["add", "docs"]);
    assert_eq!((added["added"].as_u64(), added["duplicates"].as_u64()), (Some(1), Some(1)));
    assert_eq!(added["skipped"].as_array().unwrap().len(), 1);
    let again = json(&place, 0, &["add", "docs"]);
    assert_eq!((again["added"].as_u64(), again["unchanged"].as_u64()), (Some(0), Some(2)));
    assert_eq!(again["snapshot"], added["snapshot"]);

    let hits = json(&place, 0, &["search", "backups at night"]);
    assert!(hits[0]["text"].as_str().unwrap().contains("Geneva"));

    let question = "For how long are invoices kept?";
    let answer = json(&place, 0, &["ask", "--quote-only", question]);
    assert!(answer["answer"].as_str().unwrap().contains("ten years"), "{}", answer["answer"]);
    check_quotes(&place, &answer);
    json(&place, 3, &["ask", "--quote-only", "Who won the football World Cup in 1998?"]);
}

#[test]
fn a_written_answer_is_checked_and_replays_byte_for_byte() {
    let Some(place) = place() else { return };
    json(&place, 0, &["add", "docs"]);
    let question = "Where are backups of the archive stored?";
    let arguments = ["ask", "--generator", "smollm2-135m-instruct", question];
    let answer = json(&place, 0, &arguments);
    assert!(answer["answer"].as_str().unwrap().contains("Geneva"), "{}", answer["answer"]);
    check_quotes(&place, &answer);
    let id = answer["answer_id"].as_str().unwrap();

    // The documents move on; the answer is replayed from its own snapshot.
    fs::write(place.path().join("docs/retention.md"), "# Empty\n\nNothing is kept any more.\n")
        .unwrap();
    json(&place, 0, &["sync"]);
    let replayed = json(&place, 0, &["answer", "replay", id]);
    assert_eq!(replayed["identical"], Value::Bool(true));
    let shown = json(&place, 0, &["answer", "show", id]);
    assert_eq!(shown["answer"], answer["answer"]);
}

#[test]
fn an_answer_that_reuses_says_so_and_replays_whatever_is_kept() {
    let Some(place) = place() else { return };
    json(&place, 0, &["add", "docs"]);
    let question = "Where are backups of the archive stored?";
    let ask = ["ask", "--generator", "smollm2-135m-instruct", "--chunk-reuse", "0.2", question];
    let answer = json(&place, 0, &ask);
    check_quotes(&place, &answer);
    assert_eq!(answer["chunk_reuse"]["stored"], "q8");
    let kept = place.path().join(".plumb/chunks");
    assert!(fs::read_dir(&kept).unwrap().count() >= 2);
    let id = answer["answer_id"].as_str().unwrap();
    // Kept, damaged and gone.
    for damage in [0, 1, 2] {
        for file in fs::read_dir(&kept).unwrap() {
            let path = file.unwrap().path();
            match damage {
                0 => {}
                1 => fs::write(path, "PLUMBKV").unwrap(),
                _ => fs::remove_file(path).unwrap(),
            }
        }
        let replayed = json(&place, 0, &["answer", "replay", id]);
        assert_eq!(replayed["identical"], Value::Bool(true), "{damage}");
    }
    // Where all is read anew nothing differs but what the answer says of it.
    let read = json(&place, 0, &["ask", "--generator", "smollm2-135m-instruct", question]);
    assert_eq!(read["chunk_reuse"], Value::Null);
    let anew = ["ask", "--generator", "smollm2-135m-instruct", "--chunk-reuse", "1", question];
    assert_eq!(json(&place, 0, &anew)["claims"], read["claims"]);
    fs::write(place.path().join("plumb.toml"), "[models]\nkv_cache = \"q8\"\n").unwrap();
    let refused = place.output(&ask);
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(errors.contains("`models.kv_cache` to be `f16`, and it is `q8`"), "{errors}");
}

#[test]
fn speculation_and_chunks_are_measured() {
    let Some(place) = place() else { return };
    json(&place, 0, &["add", "docs"]);
    let model = "smollm2-135m-instruct";
    let questions = "Where are backups stored?\n{\"question\": \"How long are invoices kept?\"}\n";
    fs::write(place.path().join("q"), questions).unwrap();
    let few = ["bench", "ask", "--generator", model, "--questions", "q", "--threshold", "0"];
    let found = json(&place, 0, &few);
    assert!(found["written"].as_u64().unwrap() >= 1, "{found}");
    assert!(found["warm"]["first_token"]["median"].as_f64().unwrap() > 0.0);
    let few = ["bench", "chunks", model, "--questions", "q", "--passages", "1", "--fresh", "0,1"];
    let found = json(&place, 0, &[&few[..], &["--generate", "8"]].concat());
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let all_read = &rows[2];
    assert_eq!((&all_read["fresh"], &all_read["same_text"]["value"]), (&1.0.into(), &1.0.into()));
    assert_eq!(all_read["divergence"]["value"], 0.0);
    let few = ["bench", "speculation", model, "--prompt", "64", "--generate", "8"];
    let found = json(&place, 0, &[&few[..], &["--rounds", "2"]].concat());
    assert!(found["copies_nothing"]["ratio"].as_f64().unwrap() > 0.0);
}

#[test]
fn what_is_removed_is_no_longer_answered_from() {
    let Some(place) = place() else { return };
    let first = json(&place, 0, &["add", "docs"]);
    json(&place, 0, &["rm", "docs/retention.md", "docs/copy.md"]);
    let question = "For how long are invoices kept?";
    let output = place.output(&["ask", "--quote-only", question]);
    assert_eq!(output.status.code(), Some(1));
    let snapshot = first["snapshot"].as_str().unwrap();
    json(&place, 0, &["ask", "--quote-only", "--as-of", snapshot, question]);
}

#[test]
fn a_model_generates_under_a_schema_in_beams_and_from_standard_input() {
    let Some(place) = place() else { return };
    let schema = r#"{"type": "object", "properties": {"sea": {"type": "boolean"}},
        "required": ["sea"], "additionalProperties": false}"#;
    fs::write(place.path().join("schema.json"), schema).unwrap();
    let model = "smollm2-135m-instruct";
    let generate = |more: &[&str]| {
        json(&place, 0, &[&["generate", model, "Is Geneva at the sea?"], more].concat())
    };

    let held = &generate(&["--json-schema", "schema.json"])["continuations"][0];
    let value: Value = serde_json::from_str(held["text"].as_str().unwrap()).unwrap();
    assert!(value["sea"].is_boolean() && held["finish"] == "end_of_turn", "{held}");
    assert!(held["timings"]["forced_tokens"].as_u64() > Some(2), "{held}");

    let drawn =
        generate(&["--n", "2", "--temperature", "0.8", "--max-tokens", "8", "--logprobs", "1"]);
    let all = drawn["continuations"].as_array().unwrap();
    assert!(all.len() == 2 && all[0]["tokens"] != all[1]["tokens"], "{drawn}");
    assert!(all[0]["logprobs"][0]["top"][0]["logprob"].as_f64() <= Some(0.0), "{drawn}");
    let again = generate(&["--temperature", "0.8", "--max-tokens", "8"]);
    assert_eq!(again["continuations"][0]["tokens"], all[0]["tokens"]);

    let beams = generate(&["--beams", "2", "--max-tokens", "6"]);
    assert_eq!(beams["continuations"].as_array().unwrap().len(), 2);

    let mut raw = place.command(&["generate", model, "-", "--raw", "--max-tokens", "6"]);
    fs::write(place.path().join("prompt.txt"), "Geneva is a city in\n").unwrap();
    let prompt = fs::File::open(place.path().join("prompt.txt")).unwrap();
    let output = raw.stdin(prompt).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.ends_with('\n') && 3 < text.len(), "{text}");
}

#[test]
fn speed_and_logits_are_printed_as_scripts_expect_them() {
    let Some(place) = place() else { return };
    let model = "smollm2-135m-instruct";
    let speed = json(
        &place,
        0,
        &["bench", "generate", model, "--prompt", "8", "--generate", "4", "--runs", "1"],
    );
    assert!(speed["prompt_tok_s"].as_f64() > Some(0.0), "{speed}");
    assert!(speed["generate_tok_s"].as_f64() > Some(0.0), "{speed}");
    let embedder = "all-minilm-l6-v2";
    let speed = json(
        &place,
        0,
        &["bench", "embed", embedder, "--batch", "2", "--length", "8", "--runs", "1"],
    );
    assert!(speed["tok_s"].as_f64() > speed["seq_s"].as_f64(), "{speed}");

    let exact =
        json(&place, 0, &["model", "logits", model, "--prompt", "The capital of France is"]);
    let packed = json(
        &place,
        0,
        &["model", "logits", model, "--prompt", "The capital of France is", "--packed"],
    );
    assert_eq!(exact["tokens"].as_array().unwrap().len(), 5);
    let top = |logits: &Value| logits["top"].as_array().unwrap().clone();
    assert_eq!((top(&exact).len(), top(&packed).len()), (100, 100));
    assert_eq!(top(&exact)[0][0], top(&packed)[0][0]);
    let values: Vec<f64> = top(&exact).iter().map(|pair| pair[1].as_f64().unwrap()).collect();
    assert!(values.is_sorted_by(|a, b| a >= b));
}

#[test]
fn divergence_is_from_the_floats_of_the_file_or_of_another() {
    let Some(place) = place() else { return };
    let model = "smollm2-135m-instruct";
    fs::write(place.path().join("text.txt"), "The sun rises in the east, and sets in the west.")
        .unwrap();
    let perplexity = |more: &[&str]| {
        json(&place, 0, &[&["bench", "perplexity", model, "--text", "text.txt"], more].concat())
    };
    let own = perplexity(&["--exact"]);
    assert!(0.0 < own["exact"]["mean_divergence"].as_f64().unwrap());
    assert_eq!(perplexity(&["--reference", model])["exact"], own["exact"]);
    let both = place
        .command(&[
            "bench",
            "perplexity",
            model,
            "--text",
            "text.txt",
            "--exact",
            "--reference",
            model,
        ])
        .output()
        .unwrap();
    assert_eq!(both.status.code(), Some(2));
}

/// A task over `docs.jsonl`, with its fields.
fn task(place: &Place, name: &str, fields: &str) {
    let head = "dataset_path: json\ndataset_kwargs: {data_files: {test: docs.jsonl}}\n\
        test_split: test\n";
    fs::write(place.path().join(name), format!("{head}{fields}")).unwrap();
}

#[test]
fn likelihoods_of_parts_add_up_and_answers_are_kept() {
    let Some(place) = place() else { return };
    let doc = r#"{"a": "Bees make honey, cows give milk,", "b": " and the sun rises every day",
        "c": " in the east before it sets in the west."}"#;
    fs::write(place.path().join("docs.jsonl"), doc.replace('\n', " ")).unwrap();
    let head = "output_type: loglikelihood\nmetric_list: [{metric: perplexity}]\n";
    for (name, text, target) in [
        ("whole.yaml", "{{a}}", "{{b}}{{c}}"),
        ("first.yaml", "{{a}}", "{{b}}"),
        ("second.yaml", "{{a}}{{b}}", "{{c}}"),
    ] {
        task(&place, name, &format!("{head}doc_to_text: '{text}'\ndoc_to_target: '{target}'\n"));
    }
    let run = |file: &str| {
        json(&place, 0, &["eval", "lm", "smollm2-135m-instruct", "--task", file, "--audit", "1"])
    };
    let surprise = |found: &Value| found["perplexity"]["value"].as_f64().unwrap().ln();
    let (first, second) = (run("first.yaml"), run("second.yaml"));
    let whole = surprise(&run("whole.yaml"));
    let parts = surprise(&first) + surprise(&second);
    // What is long is read at once, what is short token by token.
    assert!((whole - parts).abs() < 1e-6, "{whole} and {parts} nats");
    let again = run("second.yaml");
    assert_eq!(again["perplexity"], second["perplexity"]);
    let used = |name: &str| again["cache"][name].as_u64().unwrap();
    assert_eq!((used("hits"), used("misses"), used("audited")), (1, 0, 1));
}
