//! What whoever runs `plumb serve` does while it runs.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fake::Fake;
use crate::run::Place;
use crate::server::Server;

/// A project with two pages that is answered from in quotes.
pub(crate) fn place() -> Place {
    let place = Place::with_documents();
    place.json(&["add", "docs"]);
    place
}

/// Settings of the place with `answer` and `serve` in them.
pub(crate) fn settings(place: &Place, answer: &str, serve: &str) {
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

    /// Below which support it abstains.
    fn threshold(&self) -> String {
        let (_, reply) = self.post("/api/v1/ask", &json!({"question": QUESTION, "stream": false}));
        reply["answer"]["support"]["threshold"].to_string()
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

const QUESTION: &str = "Where is the wine?";
const REPLY: &str = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Yes."},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}"#;
const REFUSED: &str = "plumb_reloads_total{outcome=\"refused\"}";
const APPLIED: &str = "plumb_reloads_total{outcome=\"applied\"}";

#[test]
fn settings_are_taken_over_while_the_server_runs_and_bad_ones_change_nothing() {
    let place = place();
    settings(&place, "threshold = 0.0", "");
    let server = Server::start(&place, &[]);
    assert_eq!(server.threshold(), "0.0");
    let page = "https://chat.example";
    assert!(!server.lets_in(page));

    settings(&place, "threshold = 1.0", &format!("cors_origins = [\"{page}\"]"));
    wait_for("a higher threshold", || server.threshold() == "1.0");
    assert!(server.lets_in(page));

    settings(&place, "threshold = 1.0\nthreshhold = 0.0", "cors_origins = []");
    wait_for("a refusal", || server.metric(REFUSED) == Some(1.0));
    assert_eq!(server.threshold(), "1.0");
    assert!(server.lets_in(page), "half of bad settings was taken over");

    let serve = "listen = \"127.0.0.1:1\"\nlog = \"warn\"\nmax_upload_mb = 7";
    settings(&place, "threshold = 0.0", serve);
    server.signal("HUP");
    wait_for("the answer to a signal", || server.metric(APPLIED) == Some(2.0));
    assert_eq!(server.threshold(), "0.0");
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

/// Makes a key, and gives its id and its secret.
fn key(place: &Place, limits: &[&str]) -> (String, String) {
    let made = place.json(&[&["key", "create", "--name", "k"], limits].concat());
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

impl Server {
    fn post_as(&self, secret: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("authorization", format!("Bearer {secret}"));
        let mut response = request.send_json(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    fn metric_as(&self, secret: &str, name: &str) -> f64 {
        let request = self.agent.get(format!("{}/metrics", self.url));
        let mut response =
            request.header("authorization", format!("Bearer {secret}")).call().unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

#[test]
fn numbers_of_all_collections_are_not_for_a_key_of_one() {
    let place = place();
    let (_, secret) = key(&place, &[]);
    let (_, narrow) = key(&place, &["--collection", "docs"]);
    settings(&place, "", "");
    let server = Server::start(&place, &[]);
    let status = |path: &str, secret: &str| {
        let request = server.agent.get(format!("{}{path}", server.url));
        let request = request.header("authorization", format!("Bearer {secret}"));
        let mut response = request.call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    };
    assert_eq!(status("/metrics", &secret).0, 200);
    let (refused, why) = status("/metrics", &narrow);
    assert_eq!(refused, 403, "{why}");
    assert!(why.contains("--collection"), "{why}");
    assert_eq!(server.get("/ready"), (200, "{\"status\":\"ready\"}".to_owned()));
}

#[test]
fn tokens_are_counted_by_key_as_replies_say_them_and_a_quota_of_them_holds() {
    let upstream = Fake::start(REPLY, Duration::ZERO);
    let place = place();
    let (id, secret) = key(&place, &["--tokens-per-day", "200"]);
    let (_, other) = key(&place, &[]);
    let pool = format!("[[serve.pools.far.endpoints]]\nurl = \"{}/v1\"", upstream.url);
    settings(&place, "threshold = 0.0", &pool);
    let server = Server::start(&place, &[]);
    let counted = |direction: &str| {
        let name = format!("plumb_key_tokens_total{{key=\"{id}\",direction=\"{direction}\"}}");
        server.metric_as(&other, &name)
    };
    let model = place.path().join("one");
    let text = json!({"model": model, "input": ["wine", "books and wine"]});
    let (status, reply) = server.post_as(&secret, "/v1/embeddings", &text);
    assert_eq!(status, 200, "{reply}");
    let embedded = reply["usage"]["prompt_tokens"].as_f64().unwrap();
    wait_for("the tokens of an embedding", || (counted("input") - embedded).abs() < 0.5);

    let chat = json!({"model": "far", "messages": [{"role": "user", "content": "Well?"}]});
    assert_eq!(server.post_as(&secret, "/v1/chat/completions", &chat).0, 200);
    wait_for("what the endpoint said", || {
        (counted("input"), counted("output")) == (embedded + 11.0, 7.0)
    });

    let ask = json!({"question": "Where is the wine?", "stream": false});
    assert_eq!(server.post_as(&secret, "/api/v1/ask", &ask).0, 200);
    wait_for("the tokens of a question", || counted("output") > 7.0);
    // A request that is refused for what it says takes nothing.
    let before = counted("input");
    assert_eq!(server.post_as(&secret, "/v1/embeddings", &json!({"model": model})).0, 400);
    let mut refused = (0, Value::Null);
    wait_for("the end of the quota", || {
        refused = server.post_as(&secret, "/v1/chat/completions", &chat);
        refused.0 == 429
    });
    assert!(refused.1["error"]["message"].as_str().unwrap().contains("200 tokens a day"));
    assert!(counted("input") >= before);
    let name = format!("plumb_key_refused_total{{key=\"{id}\",limit=\"tokens a day\"}}");
    assert!(server.metric_as(&other, &name) >= 1.0);
    // Others have quotas of their own.
    assert_eq!(server.post_as(&other, "/v1/chat/completions", &chat).0, 200);
}

#[test]
fn a_request_ends_at_the_deadline_of_its_key_or_of_its_role() {
    let upstream = Fake::start(REPLY, Duration::from_hours(1));
    let place = place();
    let (_, hasty) = key(&place, &["--deadline", "1"]);
    let (_, plain) = key(&place, &[]);
    let pool = format!("[[serve.pools.far.endpoints]]\nurl = \"{}/v1\"", upstream.url);
    settings(&place, "threshold = 0.0", &format!("limits.read.deadline_seconds = 2\n{pool}"));
    let server = Server::start(&place, &[]);
    let chat = json!({"model": "far", "messages": [{"role": "user", "content": "Well?"}]});
    for (secret, seconds) in [(&hasty, 1), (&plain, 2)] {
        let started = Instant::now();
        let (status, reply) = server.post_as(secret, "/v1/chat/completions", &chat);
        assert_eq!(status, 504, "{reply}");
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("more than {seconds} s")), "{message}");
        assert!(started.elapsed() >= Duration::from_secs(seconds));
    }
}

#[test]
fn a_sample_of_a_server_is_printed_for_scripts() {
    let place = place();
    settings(&place, "threshold = 0.0", "");
    let server = Server::start(&place, &[]);
    server.status_of(QUESTION);
    let sample = place.json(&["top", "--url", &server.url]);
    assert_eq!(sample["ready"], true, "{sample}");
    assert!(sample["requests"]["total"].as_u64().unwrap() >= 1, "{sample}");
    assert!(sample["latency_seconds"]["p95"].as_f64().unwrap() > 0.0, "{sample}");
    assert_eq!(sample["keys"][0]["key"], "local", "{sample}");
    let text = place.output(&["top", "--once", "--url", &server.url]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("ready") && text.contains("tokens by key   local"), "{text}");
}

#[test]
fn a_server_that_is_not_there_or_wants_a_key_is_said() {
    let place = place();
    let failed = |arguments: &[&str]| {
        let output = place.output(&[&["top", "--once"], arguments].concat());
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let error = failed(&["--url", "http://127.0.0.1:1"]);
    assert!(error.contains("nothing answers at `http://127.0.0.1:1`"), "{error}");
    let (_, secret) = key(&place, &[]);
    settings(&place, "threshold = 0.0", "");
    let server = Server::start(&place, &[]);
    let error = failed(&["--url", &server.url]);
    assert!(error.contains("asks for a key") && error.contains("--key"), "{error}");
    let sample = place.json(&["top", "--url", &server.url, "--key", &secret]);
    assert_eq!(sample["ready"], true);
}

/// Names that an expression of Prometheus has, as `/metrics` declares them.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let own = words.filter(|word| word.starts_with("plumb_") || word.starts_with("process_"));
    own.map(|word| {
        let parts = ["_bucket", "_sum", "_count"];
        parts.iter().find_map(|part| word.strip_suffix(part)).unwrap_or(word)
    })
}

#[test]
fn every_metric_of_the_dashboard_is_one_that_the_server_has() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/grafana/plumb.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(root).unwrap()).unwrap();
    let place = place();
    settings(&place, "threshold = 0.0", "");
    let (_, metrics) = Server::start(&place, &[]).get("/metrics");
    let declared: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let mut checked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            for name in names(expression) {
                assert!(declared.contains(&name), "{}: no {name}", panel["title"]);
                checked += 1;
            }
        }
    }
    assert!(checked >= 30, "{checked}");
}
