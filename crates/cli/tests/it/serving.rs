//! `plumb serve` from outside, with real models where `PLUMB_TEST_MODELS` says
//! that they are there (`cargo xtask e2e`).

use std::fs;

use serde_json::{Value, json};

use crate::run::Place;
use crate::server::Server;

const PAGE: &str = "# Retention

Invoices are kept for ten years after the end of the financial year.
Drafts are deleted after 30 days.
";

fn text_of(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

/// A place with the tested models, or `None` if there are none.
#[expect(clippy::disallowed_methods, reason = "the test command says where the models are")]
#[expect(clippy::print_stderr, reason = "a test that checks nothing says so")]
fn place() -> Option<Place> {
    let Ok(models) = std::env::var("PLUMB_TEST_MODELS") else {
        eprintln!("not checked: `cargo xtask e2e` sets PLUMB_TEST_MODELS and runs this");
        return None;
    };
    let place = Place::new();
    fs::create_dir(place.path().join("cache")).unwrap();
    std::os::unix::fs::symlink(models, place.path().join("cache/models")).unwrap();
    Some(place)
}

const MODEL: &str = "smollm2-135m-instruct";

fn question(content: &str) -> Value {
    json!({
        "model": MODEL,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 12,
        "temperature": 0,
    })
}

#[test]
fn without_a_project_and_a_model_there_is_nothing_to_serve() {
    let place = Place::new();
    let output = place.output(&["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("there is no project"), "{errors}");
}

#[test]
fn a_model_answers_at_once_and_as_it_writes_with_the_same_words() {
    let Some(place) = place() else { return };
    let server = Server::start(&place, &["--model", MODEL]);
    let body = question("Name a colour.");
    let whole = server.chat(&body);
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(whole["usage"]["completion_tokens"], 12);
    assert_eq!(whole["choices"][0]["finish_reason"], "length");
    let mut streamed = body.clone();
    streamed["stream_options"] = json!({"include_usage": true});
    let chunks = server.stream("/v1/chat/completions", &streamed);
    assert_eq!(text_of(&chunks), text);
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!(usage["prompt_tokens"], whole["usage"]["prompt_tokens"]);
    assert_ne!(usage["prompt_tokens_details"]["cached_tokens"], 0);

    let log = server.stop();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
    assert!(log.contains("\"all_finished\":true") && !log.contains("colour"), "{log}");
}

#[test]
fn what_cannot_be_served_is_refused_with_the_reason() {
    let Some(place) = place() else { return };
    let server = Server::start(&place, &["--model", MODEL]);
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut body = question("Hi");
        change(&mut body);
        let (status, reply) = server.post("/v1/chat/completions", &body);
        let error = reply["error"].clone();
        (status, error["param"].clone(), error["message"].as_str().unwrap().to_owned())
    };
    let long = "word ".repeat(9000);
    let (status, _, message) = refused(&|body| body["messages"][0]["content"] = json!(long));
    assert_eq!(status, 400);
    assert!(message.contains("8192") && message.contains("the completion"), "{message}");
    let (status, param, _) = refused(&|body| body["reasoning_effort"] = json!("high"));
    assert_eq!((status, param), (400, json!("reasoning_effort")));
    let (status, param, _) = refused(&|body| body["temperature"] = json!("hot"));
    assert_eq!((status, param), (400, json!("temperature")));
    let (status, param, _) = refused(&|body| body["model"] = json!("gpt-4"));
    assert_eq!((status, param), (404, json!("model")));
    assert_eq!(server.get("/nowhere").0, 404);
    assert_eq!(server.get("/v1/chat/completions").0, 405);
    // None of this did any harm.
    server.chat(&question("Hi"));
    let (_, metrics) = server.get("/metrics");
    assert!(metrics.contains("plumb_time_to_first_token_seconds_bucket"), "{metrics}");
    assert!(metrics.contains("kind=\"too_long\"} 1"), "{metrics}");
}

#[test]
fn json_is_written_where_a_schema_asks_for_it() {
    let Some(place) = place() else { return };
    let server = Server::start(&place, &["--model", MODEL]);
    let mut body = question("Describe a cat.");
    body["max_tokens"] = json!(60);
    body["n"] = json!(2);
    body["logprobs"] = json!(true);
    body["response_format"] = json!({"type": "json_schema", "json_schema": {
        "name": "animal",
        "schema": {
            "type": "object",
            "properties": {"legs": {"type": "integer", "minimum": 0, "maximum": 9}},
            "required": ["legs"],
            "additionalProperties": false,
        },
    }});
    let reply = server.chat(&body);
    for choice in reply["choices"].as_array().unwrap() {
        let text = choice["message"]["content"].as_str().unwrap();
        let animal: Value = serde_json::from_str(text).unwrap();
        assert!(animal["legs"].as_u64().unwrap() <= 9);
        let tokens = choice["logprobs"]["content"].as_array().unwrap();
        let spelt: String = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
        assert_eq!(spelt, text);
    }
    assert_eq!(reply["choices"].as_array().unwrap().len(), 2);
}

#[test]
fn a_collection_answers_as_plumb_ask_does_and_follows_the_index() {
    let Some(place) = place() else { return };
    let settings = format!("name = \"rules\"\n[models]\ngenerator = \"{MODEL}\"\n");
    fs::write(place.path().join("plumb.toml"), settings).unwrap();
    fs::create_dir(place.path().join("docs")).unwrap();
    fs::write(place.path().join("docs/retention.md"), PAGE).unwrap();
    let added = place.output(&["add", "docs"]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let asked = place.output(&["ask", "--json", "For how long are invoices kept?"]);
    let asked: Value = serde_json::from_slice(&asked.stdout).unwrap();

    let server = Server::start(&place, &[]);
    let body = json!({
        "model": "docs/rules",
        "messages": [{"role": "user", "content": "For how long are invoices kept?"}],
    });
    let whole = server.chat(&body);
    let answer = &whole["plumb"];
    assert_eq!(answer["answer_id"], asked["answer_id"], "{answer}");
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.contains("ten years") && text.contains("[1]"), "{text}");
    let cited = &whole["choices"][0]["message"]["annotations"][0]["url_citation"];
    assert!(cited["url"].as_str().unwrap().ends_with("/docs/retention.md"));
    let chunks = server.stream("/v1/chat/completions", &body);
    assert_eq!(text_of(&chunks), text);
    assert_eq!(chunks.last().unwrap()["plumb"]["claims"], answer["claims"]);

    let pets = json!({
        "model": "docs/rules",
        "messages": [{"role": "user", "content": "How many cats live in the office?"}],
    });
    let abstained = server.stream("/v1/chat/completions", &pets);
    assert_eq!(abstained.last().unwrap()["plumb"]["status"], "abstained");
    fs::write(place.path().join("docs/pets.md"), "# Cats\n\nThree cats live in the office.\n")
        .unwrap();
    assert!(place.output(&["add", "docs"]).status.success());
    assert_eq!(server.chat(&pets)["plumb"]["status"], "answered");

    let (_, models) = server.get("/v1/models");
    let models: Value = serde_json::from_str(&models).unwrap();
    assert_eq!(models["data"][0]["id"], "docs/rules");
    assert_eq!(server.get("/v1/models/docs/rules").0, 200);
    // What was answered here can be replayed there.
    server.stop();
    let id = asked["answer_id"].as_str().unwrap();
    assert!(place.output(&["answer", "replay", id]).status.success());
}

#[test]
fn an_exact_request_gets_the_same_reply_and_one_that_differs_or_is_drawn_does_not() {
    let Some(place) = place() else { return };
    let server = Server::start(&place, &["--model", MODEL]);
    let body = question("Name a colour.");
    let first = server.chat(&body);
    assert_eq!(first["plumb"], Value::Null);
    let again = server.chat(&body);
    assert_eq!(again["plumb"], json!({"cache": {"layer": "exact", "similarity": 1.0}}));
    assert_eq!(again["choices"], first["choices"]);
    let usage = &again["usage"];
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"]);
    let chunks = server.stream("/v1/chat/completions", &body);
    assert_eq!(text_of(&chunks), first["choices"][0]["message"]["content"].as_str().unwrap());
    assert_eq!(chunks.last().unwrap()["plumb"]["cache"]["layer"], "exact");

    let differs = |change: &dyn Fn(&mut Value)| {
        let mut body = body.clone();
        change(&mut body);
        for _ in 0..2 {
            let reply = server.chat(&body);
            if reply["plumb"]["cache"]["layer"] == "exact" {
                return false;
            }
            // The beginning of the prompt is kept all the same.
            let cached = &reply["usage"]["prompt_tokens_details"]["cached_tokens"];
            assert_ne!(cached, &json!(0), "{reply}");
        }
        true
    };
    assert!(differs(&|body| body["plumb"] = json!({"cache": false})));
    assert!(differs(&|body| body["temperature"] = json!(0.9)), "it is drawn anew");
    let is_new = |change: &dyn Fn(&mut Value)| {
        let mut body = body.clone();
        change(&mut body);
        server.chat(&body)["plumb"].is_null()
    };
    assert!(is_new(&|body| body["max_tokens"] = json!(11)));
    assert!(is_new(&|body| body["stop"] = json!("xyz")));
    assert!(is_new(&|body| body["logprobs"] = json!(true)));
    let seeded = |body: &mut Value| {
        (body["temperature"], body["seed"]) = (json!(0.9), json!(7));
    };
    assert!(is_new(&seeded) && !is_new(&seeded));
    let (_, metrics) = server.get("/metrics");
    assert!(metrics.contains("plumb_cache_hits_total{layer=\"prefix\"}"), "{metrics}");
    let held = metrics.lines().find(|l| l.starts_with("plumb_cache_bytes{layer=\"exact\"}"));
    assert!(held.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
}
