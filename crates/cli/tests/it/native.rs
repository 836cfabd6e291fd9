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

#[test]
fn a_conversation_is_kept_continued_judged_and_for_its_owner_alone() {
    let (place, server) = served();
    let made = server.post("/api/v1/conversations", &json!({}));
    assert_eq!((made.0, &made.1["collection"]), (201, &json!("house")), "{}", made.1);
    let id = made.1["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/conversations/{id}");
    let ask = |question: &str| {
        let body = json!({"question": question, "conversation": id, "stream": false});
        let (status, reply) = server.post("/api/v1/ask", &body);
        assert_eq!(status, 200, "{reply}");
        reply
    };
    let first = ask("Where is the wine?");
    assert_eq!(first["messages"][0]["position"], 1, "{first}");
    ask("And the books?");
    let whole = server.json(&path);
    assert_eq!((&whole["title"], &whole["messages"]), (&json!("Where is the wine?"), &json!(4)));
    let items = whole["items"].as_array().unwrap();
    let roles: Vec<&str> = items.iter().map(|item| item["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user", "assistant"]);
    let answer = first["answer"]["answer_id"].as_str().unwrap();
    assert_eq!(items[1]["answer"], answer);
    for body in [
        json!({"question": "a", "conversation": id, "collection": "house"}),
        json!({"question": "a", "conversation": id, "history": [{"question": "a", "answer": "b"}]}),
    ] {
        assert_eq!(server.post("/api/v1/ask", &body).0, 400, "{body}");
    }
    assert_eq!(
        server.post("/api/v1/ask", &json!({"question": "a", "conversation": "conv_0"})).0,
        404
    );

    let kept = server.json(&format!("/api/v1/answers/{answer}"));
    assert_eq!((&kept["answer"], &kept["feedback"]), (&first["answer"], &Value::Null));
    assert_eq!(server.json("/api/v1/answers?limit=1")["answers"].as_array().unwrap().len(), 1);
    for rating in ["up", "down"] {
        let body = json!({"answer": answer, "rating": rating, "comment": "so"});
        let (status, given) = server.post("/api/v1/feedback", &body);
        assert_eq!((status, &given["rating"]), (200, &json!(rating)), "{given}");
    }
    let kept = server.json(&format!("/api/v1/answers/{answer}"));
    assert_eq!(kept["feedback"]["rating"], "down");
    let all = server.json("/api/v1/feedback");
    assert_eq!(all["feedback"][0]["question"], "Where is the wine?", "{all}");
    let wrong = json!({"answer": answer, "rating": "sideways"});
    assert_eq!(server.post("/api/v1/feedback", &wrong).0, 400);

    let made = place.json(&["key", "create", "--name", "you", "--role", "write"]);
    let key = made["secret"].as_str().unwrap();
    let other = |method: &str, path: &str, body: &str| {
        server.as_key(key, (method, path), body.as_bytes()).0
    };
    let question = json!({"question": "a", "conversation": id}).to_string();
    assert_eq!(other("GET", &path, ""), 404, "another's conversation");
    assert_eq!(other("PATCH", &path, "{\"title\": \"mine\"}"), 404);
    assert_eq!(other("DELETE", &path, ""), 404);
    assert_eq!(other("POST", "/api/v1/ask", &question), 404);
    assert_eq!(other("GET", &format!("/api/v1/answers/{answer}"), ""), 404);
    let judged = json!({"answer": answer, "rating": "up"}).to_string();
    assert_eq!(other("POST", "/api/v1/feedback", &judged), 404);
    assert_eq!(other("DELETE", &format!("/api/v1/feedback/{answer}"), ""), 404);
    assert_eq!(other("GET", "/api/v1/feedback", ""), 403);
}

#[test]
fn a_conversation_is_renamed_and_removed() {
    let (_place, server) = served();
    let (_, made) = server.post("/api/v1/conversations", &json!({"title": " Cellar "}));
    assert_eq!(made["title"], "Cellar");
    let path = format!("/api/v1/conversations/{}", made["id"].as_str().unwrap());
    let patch = |body: &str| server.as_key("none", ("PATCH", &path), body.as_bytes());
    assert_eq!(patch("{\"title\": \"Attic\"}").1["title"], "Attic");
    assert_eq!(patch("{\"title\": \" \"}").0, 400);
    assert_eq!(patch(&json!({"title": "a".repeat(300)}).to_string()).0, 400);
    let list = server.json("/api/v1/conversations");
    assert_eq!(list["conversations"][0]["title"], "Attic", "{list}");
    assert_eq!(server.delete(&path).0, 204);
    assert_eq!((server.delete(&path).0, server.get(&path).0), (404, 404));
}

#[test]
fn responses_answer_from_documents_and_follow_one_another() {
    let (place, server) = served();
    let ask = |body: Value| server.post("/v1/responses", &body);
    let (status, first) =
        ask(json!({"model": "docs/house", "input": "Where is the wine?", "temperature": 0}));
    assert_eq!((status, &first["status"]), (200, &json!("completed")), "{first}");
    let text = first["output"][0]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("The wine is in the cellar. ["), "{text}");
    let cited = first["output"][0]["content"][0]["annotations"].as_array().unwrap();
    let is_cellar = |cited: &Value| cited["url"].as_str().unwrap().ends_with("cellar.md");
    assert!(cited.iter().any(is_cellar), "{cited:?}");
    assert_eq!(first["plumb"]["status"], "answered");

    let id = first["id"].as_str().unwrap();
    let body = json!({
        "model": "docs/house",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "And the books?"}]}],
        "previous_response_id": id,
        "stream": true,
    });
    let mut response =
        server.agent.post(format!("{}/v1/responses", server.url)).send_json(&body).unwrap();
    let stream = events(&response.body_mut().read_to_string().unwrap());
    for (number, event) in stream.iter().enumerate() {
        assert_eq!(
            (&event.data["type"], &event.data["sequence_number"]),
            (&json!(event.name), &json!(number))
        );
    }
    let names: Vec<&str> = stream.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(
        names[..4],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
        ]
    );
    let last = stream.last().unwrap();
    assert_eq!(last.name, "response.completed");
    let told: String = stream.iter().filter_map(|event| event.data["delta"].as_str()).collect();
    assert_eq!(last.data["response"]["output"][0]["content"][0]["text"], told);
    assert_eq!(last.data["response"]["previous_response_id"], id);

    let path = format!("/v1/responses/{id}");
    assert_eq!(server.json(&path)["output"], first["output"]);
    let made = place.json(&["key", "create", "--name", "you", "--role", "read"]);
    let key = made["secret"].as_str().unwrap();
    let body = json!({"model": "docs/house", "input": "a", "previous_response_id": id}).to_string();
    assert_eq!(server.as_key(key, ("GET", &path), b"").0, 404, "another's response");
    assert_eq!(server.as_key(key, ("POST", "/v1/responses"), body.as_bytes()).0, 404);
    assert_eq!(server.as_key(key, ("DELETE", &path), b"").0, 404);
}

#[test]
fn a_reply_from_documents_has_the_tokens_it_may_have_and_no_half_sentence() {
    let (_place, server) = served();
    let ask = |tokens: usize| {
        let messages = json!([{"role": "user", "content": "Where is the wine?"}]);
        let (status, reply) = server.post(
            "/v1/chat/completions",
            &json!({"model": "docs/house", "messages": messages, "max_tokens": tokens}),
        );
        assert_eq!(status, 200, "{reply}");
        reply
    };
    let whole = ask(10_000);
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    let all = whole["usage"]["completion_tokens"].as_u64().unwrap();
    let cut = ask(1);
    assert_eq!(cut["choices"][0]["finish_reason"], "length", "{cut}");
    assert_eq!(
        (&cut["choices"][0]["message"]["content"], &cut["usage"]["completion_tokens"]),
        (&json!(""), &json!(0))
    );
    let just = ask(usize::try_from(all).unwrap());
    assert_eq!(just["choices"][0]["message"]["content"], whole["choices"][0]["message"]["content"]);
    for body in [
        json!({"model": "docs/house", "input": []}),
        json!({"model": "docs/house", "input": "a", "truncation": "auto"}),
        json!({"model": "docs/house", "input": "a", "background": true}),
        json!({"model": "docs/house", "input": [{"type": "item_reference", "id": "x"}]}),
        json!({"model": "docs/house", "input": "a", "reasoning": {"effort": "high"}}),
    ] {
        let (status, refused) = server.post("/v1/responses", &body);
        assert_eq!(status, 400, "{body}: {refused}");
        assert!(refused["error"]["param"].is_string(), "{refused}");
    }
    let unknown = json!({"model": "docs/house", "input": "a", "previous_response_id": "resp_0"});
    assert_eq!(server.post("/v1/responses", &unknown).0, 404);
}

#[test]
fn snapshots_models_and_evaluations_are_listed_and_what_cannot_be_had_is_not_pulled() {
    let (place, server) = served();
    let (_, taken) = server.upload(&[("a.md", b"# A\n\nAnts crawl.\n")]);
    server.ended(&taken["job"]);
    let list = server.json("/api/v1/snapshots");
    let snapshots = list["snapshots"].as_array().unwrap();
    let last = snapshots.last().unwrap();
    assert_eq!(last["id"], server.json("/api/v1/documents")["snapshot"], "{list}");
    assert_eq!((&last["documents"], &last["sequence"]), (&json!(3), &json!(snapshots.len())));

    let list = server.json("/api/v1/models");
    let models = list["models"].as_array().unwrap();
    assert_eq!((&models[0]["state"], &models[0]["kind"]), (&json!("loaded"), &json!("embedder")));
    let other = models.iter().find(|model| model["name"] == "all-minilm-l6-v2").unwrap();
    assert_eq!((&other["state"], &other["can_pull"]), (&json!("available"), &json!(true)));
    let pull = |name: &str| server.post("/api/v1/models/pull", &json!({"model": name}));
    assert_eq!(pull("no-such-model").0, 404);
    // Nothing is reached from a test: the job fails and says what was tried.
    let (status, pulled) = pull("all-minilm-l6-v2");
    assert_eq!((status, &pulled["job"]["kind"]), (202, &json!("pull")), "{pulled}");
    let job = server.ended(&pulled["job"]);
    assert_eq!((&job["state"], &job["subject"]), (&json!("failed"), &json!("all-minilm-l6-v2")));
    assert!(job["error"].as_str().unwrap().contains("all-minilm-l6-v2"), "{job}");

    let evals = server.json("/api/v1/evals");
    assert_eq!((&evals["runs"], &evals["calibrations"]), (&json!([]), &json!([])));
    assert_eq!(server.get("/api/v1/evals/run_0").0, 404);
    let made = place.json(&["key", "create", "--name", "you", "--role", "write"]);
    let body = json!({"model": "all-minilm-l6-v2"}).to_string();
    let key = made["secret"].as_str().unwrap();
    assert_eq!(server.as_key(key, ("POST", "/api/v1/models/pull"), body.as_bytes()).0, 403);
}

#[test]
fn a_collection_is_called_after_the_folder_that_was_added_first() {
    let place = Place::with_documents();
    let path = place.path().join("plumb.toml");
    let settings = fs::read_to_string(&path).unwrap() + "\n[answer]\nwording = \"quote\"\n";
    fs::write(&path, settings).unwrap();
    fs::rename(place.path().join("docs"), place.path().join("handbook")).unwrap();
    fs::create_dir(place.path().join("more")).unwrap();
    place.write("more/garden.md", "# Garden\n\nRoses are red.\n");
    for arguments in [&["add", "handbook"][..], &["add", "more"], &["add", "--rebuild"]] {
        place.json(arguments);
        let server = Server::start(&place, &[]);
        assert_eq!(server.json("/api/v1/collections")["collections"][0]["model"], "docs/handbook");
    }
}

#[test]
fn an_answer_of_the_other_apis_is_kept_for_the_key_that_asked_and_takes_feedback() {
    let (place, server) = served();
    let messages = json!([{"role": "user", "content": "Where is the wine?"}]);
    let chat = json!({"model": "docs/house", "messages": messages});
    let (status, whole) = server.post("/v1/chat/completions", &chat);
    assert_eq!(status, 200, "{whole}");
    let id = whole["plumb"]["answer_id"].as_str().unwrap();
    let kept = server.json(&format!("/api/v1/answers/{id}"));
    assert_eq!((&kept["answer"], &kept["collection"]), (&whole["plumb"], &json!("house")));
    let judgement = json!({"answer": id, "rating": "up"});
    assert_eq!(server.post("/api/v1/feedback", &judgement).0, 200);
    // To another key it was not given.
    let made = place.json(&["key", "create", "--name", "you", "--role", "read"]);
    let key = made["secret"].as_str().unwrap();
    let body = judgement.to_string();
    assert_eq!(server.as_key(key, ("POST", "/api/v1/feedback"), body.as_bytes()).0, 404);
    let claude = json!({"model": "docs/house", "max_tokens": 100, "messages": messages});
    let claude = claude.to_string();
    assert_eq!(server.as_key(key, ("POST", "/v1/messages"), claude.as_bytes()).0, 200);
    assert_eq!(server.as_key(key, ("POST", "/api/v1/feedback"), body.as_bytes()).0, 200);
}
