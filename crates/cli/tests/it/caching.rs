//! The cache of answers from documents: it is given again what would be said
//! anew, and nothing else. A generator on another machine counts what it writes.

use std::fs;

use serde_json::{Value, json};

use crate::run::Place;
use crate::server::Server;
use crate::writer::RemoteWriter;

/// A project whose answers `writer` words, and a server of it.
fn served(writer: &RemoteWriter, more: &str) -> (Place, Server) {
    let place = Place::with_documents();
    let path = place.path().join("plumb.toml");
    let settings = fs::read_to_string(&path).unwrap();
    let settings = format!(
        "name = \"house\"\n{settings}\ngenerator = \"remote\"\nendpoint = \"{}\"\n\
         [answer]\nthreshold = 0.0\nmax_sentences = 1\n{more}",
        writer.url
    );
    fs::write(&path, settings).unwrap();
    place.json(&["add", "docs"]);
    let server = Server::start(&place, &[]);
    (place, server)
}

/// What is answered, and the header that says whence.
fn asked(server: &Server, headers: &[(&str, &str)], body: &Value) -> (Value, Option<String>) {
    let mut request = server.agent.post(format!("{}/api/v1/ask", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.send_json(body).unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    assert_eq!(response.status(), 200, "{text}");
    let layer = response.headers().get("x-plumb-cache").map(|v| v.to_str().unwrap().to_owned());
    let whole: Value = serde_json::from_str(&text).unwrap();
    (whole["answer"].clone(), layer)
}

fn ask(server: &Server, question: &str) -> (Value, Option<String>) {
    asked(server, &[], &json!({"question": question, "stream": false}))
}

/// The first citation's quote, and the end of its address.
fn cited(answer: &Value) -> (&str, &str) {
    let citation = &answer["claims"][0]["citations"][0];
    let (quote, uri) = (citation["quote"].as_str().unwrap(), citation["uri"].as_str().unwrap());
    (quote, uri.rsplit('/').next().unwrap())
}

const WINE: &str = "Where is the wine?";

#[test]
fn a_question_is_worded_once_and_the_answer_says_so_verifies_and_replays() {
    let writer = RemoteWriter::start();
    let (place, server) = served(&writer, "");
    let (first, none) = ask(&server, WINE);
    assert_eq!((first["claims"][0]["wording"].as_str(), none), (Some("quoted"), None), "{first}");
    assert_eq!(first["cache"], Value::Null);
    let (second, layer) = ask(&server, WINE);
    assert_eq!((layer.as_deref(), writer.written()), (Some("answer"), 1), "{second}");
    assert_eq!(second["cache"], json!({"layer": "answer", "similarity": 1.0}));
    for same in ["claims", "answer", "answer_id", "snapshot", "models", "support"] {
        assert_eq!(first[same], second[same]);
    }
    // By whichever API it is asked.
    let messages = json!([{"role": "user", "content": WINE}]);
    let chat = server.chat(&json!({"model": "docs/house", "messages": messages}));
    assert_eq!((&chat["plumb"]["cache"], writer.written()), (&second["cache"], 1), "{chat}");

    let (_, metrics) = server.get("/metrics");
    for line in ["hits_total{layer=\"answer\"} 2", "misses_total{layer=\"answer\"} 1"] {
        assert!(metrics.contains(&format!("plumb_cache_{line}\n")), "{metrics}");
    }
    server.stop();
    place.write("answer.json", &second.to_string());
    let verified = place.seen(&["verify", "answer.json"]);
    assert!(verified.starts_with("exit: 0\n"), "{verified}");
    let id = second["answer_id"].as_str().unwrap();
    let replayed = place.seen(&["answer", "replay", id]);
    assert!(replayed.contains("identical, byte for byte"), "{replayed}");
}

#[test]
fn a_request_declines_what_was_kept() {
    let writer = RemoteWriter::start();
    let (_place, server) = served(&writer, "");
    ask(&server, WINE);
    let body = json!({"question": WINE, "stream": false});
    let (_, layer) = asked(&server, &[("cache-control", "no-cache")], &body);
    assert_eq!((layer, writer.written()), (None, 2));
    let declined = json!({"question": WINE, "stream": false, "cache": false});
    assert_eq!((asked(&server, &[], &declined).1, writer.written()), (None, 3));
    let messages = json!([{"role": "user", "content": WINE}]);
    let mut chat = json!({"model": "docs/house", "messages": messages, "plumb": {"cache": false}});
    assert_eq!(server.chat(&chat)["plumb"]["cache"], Value::Null);
    assert_eq!(writer.written(), 4);
    chat["plumb"] = json!({"cash": false});
    assert_eq!(server.post("/v1/chat/completions", &chat).0, 400);
}

#[test]
fn a_cache_that_is_off_keeps_nothing() {
    let writer = RemoteWriter::start();
    let (_place, server) = served(&writer, "[serve.cache]\nanswer_mib = 0\n");
    for number in 1..3 {
        assert_eq!((ask(&server, WINE).1, writer.written()), (None, number));
    }
}

#[test]
fn what_a_document_said_before_it_changed_or_went_is_never_said_again() {
    let writer = RemoteWriter::start();
    let (place, server) = served(&writer, "");
    let (first, _) = ask(&server, WINE);
    assert_eq!(cited(&first), ("The wine is in the cellar.", "cellar.md"));
    // Another document came: the evidence is the same, and so are the words.
    place.write("docs/shed.md", "# Shed\n\nThe tools are in the shed.\n");
    place.json(&["add", "docs"]);
    let (other, layer) = ask(&server, WINE);
    assert_eq!((layer.as_deref(), cited(&other)), (Some("answer"), cited(&first)));
    assert_ne!(other["snapshot"], first["snapshot"], "it is of the present");
    // The document changed: by what it says, and by a byte elsewhere.
    for (text, quote) in [
        (
            "# Cellar\n\nThe wine is in the cellar of a neighbour.\n",
            "The wine is in the cellar of a neighbour.",
        ),
        ("# Cellar\n\nThe wine is in the cellar.\nIt is cold.\n", "The wine is in the cellar."),
    ] {
        place.write("docs/cellar.md", text);
        place.json(&["add", "docs"]);
        let (answer, layer) = ask(&server, WINE);
        assert_eq!((layer, cited(&answer)), (None, (quote, "cellar.md")), "{answer}");
    }
    // It went.
    fs::remove_file(place.path().join("docs/cellar.md")).unwrap();
    place.json(&["sync"]);
    let (gone, layer) = ask(&server, WINE);
    assert_eq!(layer, None, "{gone}");
    let said = gone.to_string();
    assert!(!said.contains("cellar") && !said.contains("wine is"), "{said}");
}

#[test]
fn a_key_without_access_gets_nothing_of_what_another_was_told() {
    let writer = RemoteWriter::start();
    let (place, server) = served(&writer, "");
    ask(&server, WINE);
    let key = |collection: &str| {
        let made = ["key", "create", "--name", "you", "--role", "read", "--collection", collection];
        let made = place.json(&made);
        (made["secret"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
    };
    let (stranger, _) = key("garden");
    let (reader, reader_id) = key("house");
    let as_key = |secret: &str| {
        let request = server.agent.post(format!("{}/api/v1/ask", server.url));
        let request = request.header("authorization", format!("Bearer {secret}"));
        let body = json!({"collection": "house", "question": WINE, "stream": false});
        let mut response = request.send_json(body).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    };
    let (status, said) = as_key(&stranger);
    assert_eq!(status, 404, "{said}");
    assert!(!said.contains("cellar"), "{said}");
    let (status, said) = as_key(&reader);
    assert!(status == 200 && said.contains("\"layer\":\"answer\""), "{status} {said}");
    place.json(&["key", "revoke", &reader_id]);
    let (status, said) = as_key(&reader);
    assert!(status == 401 && !said.contains("cellar"), "{status} {said}");
    assert_eq!(writer.written(), 1);
}

#[test]
fn a_question_put_in_another_way_is_near_where_that_is_set_and_another_question_is_not() {
    let writer = RemoteWriter::start();
    let (place, server) = served(&writer, "[serve.cache]\nnear_questions = true\n");
    place.write("docs/leave.md", "# Leave\n\nIn 2019 the leave in Berlin was 24 days.\n");
    place.json(&["add", "docs"]);
    let question = "What was the leave in Berlin in 2019?";
    assert_eq!(ask(&server, question).1, None);
    for other in [
        "What was the leave in Berlin in 2020?",
        "What was the leave in Munich in 2019?",
        "what was the leave in hamburg in 2019?",
        "What was not the leave in Berlin in 2019?",
        "What was the leave in 2019 in Berlin?",
        "Who set the leave in Berlin in 2019?",
        "What is the leave in Berlin in 2019?",
    ] {
        let (answer, layer) = ask(&server, other);
        assert_eq!(layer, None, "{other}: {answer}");
    }
    let written = writer.written();
    let (again, layer) = ask(&server, "Please tell me what was the leave in Berlin in 2019");
    assert_eq!((layer.as_deref(), writer.written()), (Some("answer"), written), "{again}");
    let similarity = again["cache"]["similarity"].as_f64().unwrap();
    assert!((0.9..1.0).contains(&similarity), "{again}");
    server.stop();
    let id = again["answer_id"].as_str().unwrap();
    let replayed = place.seen(&["answer", "replay", id]);
    assert!(replayed.contains("identical, byte for byte"), "{replayed}");
}
