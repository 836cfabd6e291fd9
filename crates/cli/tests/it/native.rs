//! `/api/v1` of a running server, with an embedder that is small enough for
//! every test and answers made of quotes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::run::Place;
use crate::server::Server;

const MORE: &str = "
name = \"house\"
[answer]
wording = \"quote\"
threshold = 0.0
[serve]
max_upload_mb = 1
";

/// A project with two pages, and a server of it.
fn served() -> (Place, Server) {
    let place = Place::with_documents();
    let path = place.path().join("plumb.toml");
    let settings = fs::read_to_string(&path).unwrap();
    let (first, rest) = MORE.split_once("[answer]").unwrap();
    fs::write(&path, format!("{first}\n{settings}\n[answer]{rest}")).unwrap();
    place.json(&["add", "docs"]);
    let server = Server::start(&place, &[]);
    (place, server)
}

/// A form with files: their names and what is in them.
fn form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in files {
        let head = format!(
            "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XX--\r\n");
    body
}

impl Server {
    fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Sends a body as it is.
    fn send(&self, path: &str, kind: &str, body: &[u8]) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.url)).header("content-type", kind);
        let mut response = request.send(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn upload(&self, files: &[(&str, &[u8])]) -> (u16, Value) {
        self.send("/api/v1/documents", "multipart/form-data; boundary=XX", &form(files))
    }

    /// Sends a request with a key: a form, or JSON.
    fn as_key(&self, key: &str, (method, path): (&str, &str), body: &[u8]) -> (u16, Value) {
        let is_form = body.starts_with(b"--XX");
        let kind = if is_form { "multipart/form-data; boundary=XX" } else { "application/json" };
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", kind);
        let mut response = self.agent.run(request.body(body.to_vec()).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
    }

    fn delete(&self, path: &str) -> (u16, Value) {
        let mut response = self.agent.delete(format!("{}{path}", self.url)).call().unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Waits for the end of a job, and gives it.
    fn ended(&self, job: &Value) -> Value {
        let id = job["id"].as_str().unwrap();
        let (status, text) = self.get(&format!("/api/v1/jobs/{id}/events"));
        assert_eq!(status, 200, "{text}");
        let events = events(&text);
        assert_eq!(events.last().unwrap().name, "done", "{text}");
        events.into_iter().next_back().unwrap().data
    }

    /// The id of the document at an address that ends so.
    fn id_of(&self, end: &str) -> String {
        let list = self.json("/api/v1/documents?limit=500");
        let all = list["documents"].as_array().unwrap();
        let found = all.iter().find(|d| d["uri"].as_str().unwrap().ends_with(end));
        found.unwrap_or_else(|| panic!("{list}"))["id"].as_str().unwrap().to_owned()
    }
}

struct Event {
    id: Option<String>,
    name: String,
    data: Value,
}

/// The events of a stream.
fn events(text: &str) -> Vec<Event> {
    let parse = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let data = serde_json::from_str(field("data: ")?).unwrap();
        Some(Event { id: field("id: ").map(str::to_owned), name: field("event: ")?.into(), data })
    };
    text.split("\n\n").filter_map(parse).collect()
}

#[test]
fn a_file_that_is_sent_is_indexed_found_asked_read_and_removed() {
    let (place, server) = served();
    let note = b"# Garden\n\nThe roses are in the garden behind the house.\n";
    let (status, taken) = server.upload(&[("my garden.md", note), ("x.png", b"\x89PNG\r\n\x1a\n")]);
    assert_eq!(status, 202, "{taken}");
    assert_eq!(taken["files"][0]["replaces"], false);
    let job = server.ended(&taken["job"]);
    assert_eq!((&job["state"], &job["kind"]), (&json!("done"), &json!("index")), "{job}");
    assert_eq!((&job["result"]["added"], &job["done"]), (&json!(1), &job["total"]), "{job}");
    assert_eq!(job["subject"], "my garden.md, x.png");

    let list = server.json("/api/v1/documents?containing=GARDEN");
    assert_eq!(list["total"], 1, "{list}");
    let document = &list["documents"][0];
    assert_eq!(document["name"], "my garden.md");
    assert_eq!((&document["state"], &document["uploaded"]), (&json!("indexed"), &json!(true)));
    // What could not be read is named, by whichever way it came, and its file is gone.
    let unread = list["unread"].as_array().unwrap();
    assert_eq!((unread.len(), &unread[0]["reason"]), (1, &json!("image")), "{list}");
    let uploads = place.path().join(".plumb/uploads");
    assert!(uploads.join("my garden.md").is_file() && !uploads.join("x.png").exists());

    let id = document["id"].as_str().unwrap();
    let text = server.json(&format!("/api/v1/documents/{id}/text?start=2&length=6"));
    assert_eq!((&text["text"], &text["byte_range"]), (&json!("Garden"), &json!([2, 8])));
    let passages = server.json(&format!("/api/v1/documents/{id}/passages"));
    assert_eq!(passages["passages"][0]["heading_path"], json!(["Garden"]));
    let (status, original) = server.get(&format!("/api/v1/documents/{id}/original"));
    assert_eq!((status, original.as_bytes()), (200, &note[..]));

    let search = json!({"query": "roses in the garden", "top_k": 2});
    let (status, hits) = server.post("/api/v1/search", &search);
    assert_eq!(status, 200, "{hits}");
    let first = &hits["hits"][0];
    assert_eq!((&first["document"], &first["rank"]), (&json!(id), &json!(1)), "{hits}");
    assert_eq!((&first["lexical"]["rank"], &first["reranked"]), (&json!(1), &Value::Null));
    assert!(first["dense"]["score"].is_number() && first["fused"]["score"].is_number());

    let asked = json!({"question": "Where are the roses?", "stream": false});
    let (status, whole) = server.post("/api/v1/ask", &asked);
    assert_eq!(status, 200, "{whole}");
    assert_eq!(whole["answer"]["status"], "answered", "{whole}");
    assert!(whole["answer"]["answer"].as_str().unwrap().contains("behind the house"), "{whole}");

    let (status, removed) = server.delete(&format!("/api/v1/documents/{id}"));
    assert_eq!((status, removed["removed"].as_array().unwrap().len()), (200, 1), "{removed}");
    assert!(!uploads.join("my garden.md").exists());
    assert_eq!(server.get(&format!("/api/v1/documents/{id}")).0, 404);
    // As of then it is there still.
    let then = hits["snapshot"].as_str().unwrap();
    let text = server.json(&format!("/api/v1/documents/{id}/text?snapshot={then}"));
    assert_eq!(text["bytes"], note.len());
    assert_eq!(server.delete(&format!("/api/v1/documents/{id}")).0, 404);
}

#[test]
fn the_events_of_a_question_come_in_order_and_can_be_read_again() {
    let (_place, server) = served();
    let body = json!({"question": "Where is the wine?", "resumable": true});
    let mut response =
        server.agent.post(format!("{}/api/v1/ask", server.url)).send_json(&body).unwrap();
    let header = response.headers()["x-plumb-ask"].to_str().unwrap().to_owned();
    let text = response.body_mut().read_to_string().unwrap();
    let all = events(&text);
    let names: Vec<&str> = all.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names[..5], ["search", "passages", "delta", "citation", "verified"], "{text}");
    assert_eq!(*names.last().unwrap(), "done");
    for (number, event) in (1..).zip(&all) {
        assert_eq!(event.id, Some(format!("{header}:{number}")));
    }
    let told: String = all
        .iter()
        .filter_map(|event| event.data["text"].as_str().filter(|_| event.name == "delta"))
        .collect();
    let done = &all.last().unwrap().data;
    assert_eq!((&done["answer"]["answer"], &done["status"]), (&json!(told), &json!("answered")));
    let cited = &all[3].data;
    let place = server.json(&format!(
        "/api/v1/documents/{}/text?start={}&length={}",
        cited["document"].as_str().unwrap(),
        cited["byte_range"][0],
        cited["byte_range"][1].as_u64().unwrap() - cited["byte_range"][0].as_u64().unwrap(),
    ));
    assert_eq!(place["text"], cited["quote"], "a citation opens at its bytes");

    let (status, again) = server.get(&format!("/api/v1/ask/{header}/events?after=3"));
    let again = events(&again);
    assert_eq!((status, again.len()), (200, all.len() - 3));
    assert_eq!(again[0].data, all[3].data);
    assert_eq!(server.get("/api/v1/ask/ask_00/events").0, 404);
    assert_eq!(server.delete(&format!("/api/v1/ask/{header}")).0, 204);
}

#[test]
fn what_cannot_be_taken_is_refused_with_the_reason() {
    let (place, server) = served();
    for name in ["../a.md", "..\\a.md", "/etc/a.md", ".hidden.md", "..", ""] {
        let (status, refused) = server.upload(&[(name, b"# A\n")]);
        assert_eq!(status, 400, "{name}: {refused}");
    }
    // A part that is fine is taken beside one that is not.
    let (status, taken) = server.upload(&[("../a.md", b"x"), ("b.md", b"# B\n\nBees hum.\n")]);
    assert_eq!((status, &taken["files"][0]["name"]), (202, &json!("b.md")), "{taken}");
    assert_eq!(taken["refused"][0]["name"], "../a.md");
    server.ended(&taken["job"]);
    assert!(!place.path().join(".plumb/a.md").exists());

    let form_of = "multipart/form-data; boundary=XX";
    let path = "/api/v1/documents";
    for (kind, body, want) in [
        ("text/plain", &b"x"[..], 415),
        ("multipart/form-data", b"--XX--", 415),
        (form_of, b"", 400),
        (form_of, b"--XX\r\n", 400),
        (
            form_of,
            b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.md\"\r\n\r\n# A",
            400,
        ),
        (
            form_of,
            b"--XX\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--XX--\r\n",
            400,
        ),
        (form_of, &[0xff; 4096], 400),
    ] {
        let (status, refused) = server.send(path, kind, body);
        assert_eq!(status, want, "{kind} {refused}");
        assert!(refused["error"]["message"].is_string(), "{refused}");
    }
    let (status, refused) = server.upload(&[("big.txt", &vec![b'a'; 1_100_000])]);
    assert_eq!((status, &refused["error"]["kind"]), (413, &json!("too_large")), "{refused}");
    let (status, refused) =
        server.send("/api/v1/documents?collection=other", form_of, &form(&[("a.md", b"x")]));
    assert_eq!(status, 404, "{refused}");
    // Nothing is left of any of it.
    let incoming = place.path().join(".plumb/uploads/.incoming");
    assert_eq!(fs::read_dir(incoming).unwrap().count(), 0);
}

#[test]
fn questions_and_addresses_that_mean_nothing_are_refused_with_the_reason() {
    let (_place, server) = served();
    for (path, body) in [
        ("/api/v1/ask", json!({"question": " "})),
        ("/api/v1/ask", json!({"question": "a", "top_k": 0})),
        ("/api/v1/ask", json!({"question": "a", "where": "path ~"})),
        ("/api/v1/ask", json!({"question": "a", "colour": "red"})),
        ("/api/v1/ask", json!({"question": "a".repeat(20_000)})),
        ("/api/v1/search", json!({"query": ""})),
        ("/api/v1/search", json!({"query": "a", "top_k": 1000})),
        ("/api/v1/search", json!({"query": "a", "dense_weight": 2})),
        ("/api/v1/search", json!({"query": "a", "where": "nothing"})),
    ] {
        let (status, refused) = server.post(path, &body);
        assert_eq!(status, 400, "{body}: {refused}");
        assert!(refused["error"]["param"].is_string(), "{body}: {refused}");
    }
    for path in [
        "/api/v1/documents?limit=many",
        "/api/v1/documents?colour=red",
        "/api/v1/documents?state=odd",
        "/api/v1/jobs?limit=-1",
    ] {
        let (status, refused) = server.get(path);
        assert_eq!(status, 400, "{path}: {refused}");
        assert!(refused.contains("\"kind\":\"invalid\""), "{refused}");
    }
    let id = "0".repeat(64);
    for path in [
        format!("/api/v1/documents/{id}"),
        "/api/v1/documents/x/text".to_owned(),
        format!("/api/v1/documents/{id}/original"),
        "/api/v1/jobs/job_0".to_owned(),
        "/api/v1/documents?snapshot=abcdef".to_owned(),
        "/api/v1/jobs/job_0/events".to_owned(),
        "/api/v1/documents?collection=other".to_owned(),
        "/api/v1/documents/%2e%2e%2f%2e%2e%2fetc/text".to_owned(),
    ] {
        assert_eq!(server.get(&path).0, 404, "{path}");
    }
}

#[test]
fn a_changed_file_is_told_and_not_given_as_the_original() {
    let (place, server) = served();
    let id = server.id_of("docs/cellar.md");
    assert_eq!(server.get(&format!("/api/v1/documents/{id}/original")).0, 200);
    place.write("docs/cellar.md", "secret = 1\n");
    let list = server.json("/api/v1/documents?state=changed");
    assert_eq!((&list["total"], &list["documents"][0]["id"]), (&json!(1), &json!(id)), "{list}");
    let (status, text) = server.get(&format!("/api/v1/documents/{id}/original"));
    assert!(status == 409 && !text.contains("secret"), "{text}");
    fs::remove_file(place.path().join("docs/cellar.md")).unwrap();
    assert_eq!(server.get(&format!("/api/v1/documents/{id}/original")).0, 404);
    assert_eq!(server.json("/api/v1/documents?state=missing")["total"], 1);
    // A new version of an upload takes the place of the one before.
    for text in [&b"# A\n\nAnts crawl.\n"[..], b"# A\n\nAnts run.\n"] {
        let (_, taken) = server.upload(&[("a.md", text)]);
        server.ended(&taken["job"]);
    }
    let list = server.json("/api/v1/documents?containing=uploads/a.md");
    assert_eq!(list["total"], 1, "{list}");
}

#[test]
fn a_collection_is_for_those_alone_who_may_see_it() {
    let (place, server) = served();
    let key = |role: &str, collection: &str| {
        let made = place.json(&[
            "key",
            "create",
            "--name",
            role,
            "--role",
            role,
            "--collection",
            collection,
        ]);
        made["secret"].as_str().unwrap().to_owned()
    };
    let (reader, writer, other) =
        (key("read", "house"), key("write", "house"), key("write", "attic"));
    let as_key =
        |key: &str, method: &str, path: &str, body: &[u8]| server.as_key(key, (method, path), body);
    let file = form(&[("a.md", b"# A\n\nAnts crawl.\n")]);
    assert_eq!(server.get("/api/v1/collections").0, 401);
    let (_, seen) = as_key(&reader, "GET", "/api/v1/collections", b"");
    assert_eq!(
        (&seen["collections"][0]["name"], &seen["collections"][0]["can_write"]),
        (&json!("house"), &json!(false))
    );
    assert_eq!(as_key(&other, "GET", "/api/v1/collections", b"").1["collections"], json!([]));
    for path in ["/api/v1/documents", "/api/v1/documents?collection=house"] {
        assert_eq!(as_key(&other, "GET", path, b"").0, 404, "{path}");
        assert_eq!(as_key(&other, "POST", path, &file).0, 404, "{path}");
        assert_eq!(as_key(&reader, "POST", path, &file).0, 403, "{path}");
    }
    let ask = br#"{"question": "Where is the wine?", "collection": "house", "stream": false}"#;
    assert_eq!(as_key(&other, "POST", "/api/v1/ask", ask).0, 404);
    assert_eq!(
        as_key(&other, "POST", "/api/v1/search", br#"{"query": "wine", "collection": "house"}"#).0,
        404
    );
    assert_eq!(as_key(&reader, "POST", "/api/v1/ask", ask).0, 200);

    let (status, taken) = as_key(&writer, "POST", "/api/v1/documents", &file);
    assert_eq!(status, 202, "{taken}");
    let job = format!("/api/v1/jobs/{}", taken["job"]["id"].as_str().unwrap());
    assert_eq!(as_key(&writer, "GET", &job, b"").0, 200);
    for key in [&reader, &other] {
        assert_eq!(as_key(key, "GET", &job, b"").0, 404, "another's job");
        assert_eq!(as_key(key, "DELETE", &job, b"").0, 404);
        assert_eq!(as_key(key, "GET", "/api/v1/jobs", b"").1["jobs"], json!([]));
    }
    let started = Instant::now();
    while as_key(&writer, "GET", &job, b"").1["state"] != "done" {
        assert!(started.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(20));
    }
    let (_, list) = as_key(&reader, "GET", "/api/v1/documents?containing=a.md", b"");
    let id = list["documents"][0]["id"].as_str().unwrap();
    assert_eq!(as_key(&reader, "DELETE", &format!("/api/v1/documents/{id}"), b"").0, 403);
    assert_eq!(
        as_key(&other, "GET", &format!("/api/v1/documents/{id}?collection=house"), b"").0,
        404
    );
}

#[test]
fn a_job_goes_on_after_a_restart_and_can_be_called_off() {
    let (place, server) = served();
    // While another process writes to the index, jobs wait.
    let lock = place.path().join(".plumb/index/store.lock");
    let held = fs::OpenOptions::new().read(true).write(true).open(&lock).unwrap();
    held.lock().unwrap();
    let (_, first) = server.upload(&[("a.md", b"# A\n\nAnts crawl.\n")]);
    let (_, second) = server.upload(&[("b.md", b"# B\n\nBees hum.\n")]);
    let id = |job: &Value| job["job"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/jobs/{}", id(&second));
    let (status, job) = server.delete(&path);
    assert_eq!((status, &job["state"]), (200, &json!("cancelled")), "{job}");
    assert_eq!(server.delete(&path).0, 409);
    let document = server.id_of("docs/attic.md");
    let (status, refused) = server.delete(&format!("/api/v1/documents/{document}"));
    assert_eq!(status, 409, "{refused}");
    server.stop();
    drop(held);
    let server = Server::start(&place, &[]);
    let job = server.ended(&json!({"id": id(&first)}));
    assert_eq!((&job["state"], &job["result"]["added"]), (&json!("done"), &json!(1)), "{job}");
    let list = server.json("/api/v1/documents?containing=uploads");
    assert_eq!(list["total"], 1, "{list}");
}

#[test]
fn a_question_ends_when_its_client_goes() {
    let (_place, server) = served();
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let body = r#"{"question": "Where is the wine?"}"#;
    for _ in 0..8 {
        let mut stream = TcpStream::connect(&address).unwrap();
        let head = format!(
            "POST /api/v1/ask HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        assert!(line.contains("200"), "{line}");
        // Gone before the end.
        drop(stream);
    }
    // The server has nothing left to do and stops at once.
    let started = Instant::now();
    let log = server.stop();
    assert!(log.contains("\"all_finished\":true"), "{log}");
    assert!(started.elapsed() < Duration::from_secs(20));
}
