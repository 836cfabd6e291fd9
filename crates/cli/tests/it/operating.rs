//! What whoever runs `plumb serve` does while it runs.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::run::Place;
use crate::server::Server;

/// A project with two pages that is answered from in quotes.
fn place() -> Place {
    let place = Place::with_documents();
    place.json(&["add", "docs"]);
    place
}

/// Settings of the place with `answer` and `serve` in them.
fn settings(place: &Place, answer: &str, serve: &str) {
    let path = place.path().join("plumb.toml");
    let text = fs::read_to_string(&path).unwrap();
    let models = text.split("\n[answer]").next().unwrap();
    let more = format!("{models}\n[answer]\nwording = \"quote\"\n{answer}\n[serve]\n{serve}\n");
    fs::write(path, more).unwrap();
}

#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Server {
    fn status_of(&self, question: &str) -> String {
        let body = json!({"question": question, "stream": false});
        let (status, reply) = self.post("/api/v1/ask", &body);
        assert_eq!(status, 200, "{reply}");
        reply["answer"]["status"].as_str().unwrap().to_owned()
    }

    /// The value of a line of `/metrics`.
    fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    /// Whether a page of another origin may use it.
    fn lets_in(&self, origin: &str) -> bool {
        let request = self.agent.get(format!("{}/healthz", self.url)).header("origin", origin);
        request.call().unwrap().status() == 200
    }
}

fn lines(log: &str, event: &str) -> Vec<Value> {
    let all = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|line| line["event"] == *event).collect()
}

const QUESTION: &str = "For how long are invoices kept?";
const REFUSED: &str = "plumb_reloads_total{outcome=\"refused\"}";
const APPLIED: &str = "plumb_reloads_total{outcome=\"applied\"}";

#[test]
fn settings_are_taken_over_while_the_server_runs_and_bad_ones_change_nothing() {
    let place = place();
    settings(&place, "threshold = 0.0", "");
    let server = Server::start(&place, &[]);
    assert_eq!(server.status_of(QUESTION), "answered");
    let page = "https://chat.example";
    assert!(!server.lets_in(page));

    settings(&place, "threshold = 1.0", &format!("cors_origins = [\"{page}\"]"));
    wait_for("a higher threshold", || server.status_of(QUESTION) == "abstained");
    assert!(server.lets_in(page));

    settings(&place, "threshold = 1.0\nthreshhold = 0.0", "cors_origins = []");
    wait_for("a refusal", || server.metric(REFUSED) == Some(1.0));
    assert_eq!(server.status_of(QUESTION), "abstained");
    assert!(server.lets_in(page), "half of bad settings was taken over");

    let serve = "listen = \"127.0.0.1:1\"\nlog = \"warn\"\nmax_upload_mb = 7";
    settings(&place, "threshold = 0.0", serve);
    server.signal("HUP");
    wait_for("the answer to a signal", || server.metric(APPLIED) == Some(2.0));
    assert_eq!(server.status_of(QUESTION), "answered");
    assert!(!server.lets_in(page));
    let (_, limits) = server.get("/api/v1/limits");
    assert!(limits.contains("\"upload_bytes\":7000000"), "{limits}");

    let log = server.stop();
    let reloaded = lines(&log, "settings_reloaded");
    let threshold = &reloaded[0]["changed"][0];
    assert_eq!(threshold["key"], "answer.threshold", "{log}");
    assert_eq!((&threshold["from"], &threshold["to"]), (&json!(0.0), &json!(1.0)), "{log}");
    assert_eq!(reloaded.len(), 1, "the second came with `log = warn`: {log}");
    let refused = lines(&log, "settings_refused");
    let reason = refused[0]["error"].as_str().unwrap();
    assert!(reason.contains("plumb.toml") && reason.contains("`answer.threshhold`"), "{reason}");
    assert!(lines(&log, "stopping").is_empty(), "`log = warn` leaves it out: {log}");
}

#[test]
fn what_needs_a_restart_is_named() {
    let place = place();
    settings(&place, "threshold = 0.0", "");
    let server = Server::start(&place, &[]);
    settings(&place, "threshold = 0.0\nvector_budget_mib = 3", "listen = \"127.0.0.1:1\"");
    server.signal("HUP");
    wait_for("the answer to a signal", || server.metric(APPLIED) == Some(1.0));
    let reloaded = lines(&server.stop(), "settings_reloaded");
    assert_eq!(reloaded[0]["needs_restart"], json!(["answer.vector_budget_mib", "serve.listen"]));
    assert_eq!(reloaded[0]["changed"], json!([]));
}
