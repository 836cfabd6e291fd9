//! A pool over several small servers of this process: one good, one slow, one
//! that dies in the middle of a stream, and one that lies about its health.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use plumb_serve::upstream::{
    Check, EndpointSettings, Pool, PoolSettings, Reply, Tuning, UpstreamRequest, watch,
};
use serde_json::{Value, json};

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Good,
    /// Answers, after a second.
    Slow,
    /// Sends half an answer and closes the connection.
    Dying,
    /// Says that it is well, and answers everything with an empty success.
    Lying,
    /// Says that it is well, and is too busy.
    Busy,
}

#[derive(Clone)]
struct Fake {
    manner: Manner,
    asked: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Server {
    url: String,
    fake: Fake,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let count = || Arc::new(AtomicUsize::new(0));
        let fake = Fake { manner, asked: count(), running: count(), most: count() };
        let routes = Router::new()
            .route("/v1/models", get(async || Json(json!({"data": []}))))
            .route("/v1/chat/completions", post(chat))
            .with_state(fake.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, fake }
    }

    fn asked(&self) -> usize {
        self.fake.asked.load(Ordering::SeqCst)
    }
}

async fn chat(State(fake): State<Fake>, Json(body): Json<Value>) -> Response {
    fake.asked.fetch_add(1, Ordering::SeqCst);
    let running = fake.running.fetch_add(1, Ordering::SeqCst) + 1;
    fake.most.fetch_max(running, Ordering::SeqCst);
    let pause = if fake.manner == Manner::Slow { 1000 } else { 10 };
    tokio::time::sleep(Duration::from_millis(pause)).await;
    fake.running.fetch_sub(1, Ordering::SeqCst);
    let is_stream = body["stream"] == true;
    match fake.manner {
        Manner::Lying => Json(json!({})).into_response(),
        Manner::Busy => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")]).into_response(),
        manner if is_stream => events(manner == Manner::Dying),
        Manner::Dying => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => Json(json!({"model": body["model"], "choices": [{"message": {"content": "yes"}}]}))
            .into_response(),
    }
}

fn events(dies: bool) -> Response {
    let piece = |text: &str| {
        let event = json!({"choices": [{"delta": {"content": text}}]});
        Ok(Bytes::from(format!("data: {event}\n\n")))
    };
    let end = if dies {
        Err(std::io::Error::other("gone"))
    } else {
        Ok(Bytes::from_static(b"data: [DONE]\n\n"))
    };
    let pieces = vec![piece("ye"), piece("s"), end];
    // A moment between pieces, so that each goes out by itself.
    let paced = stream::iter(pieces).then(async |piece| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        piece
    });
    ([("content-type", "text/event-stream")], Body::from_stream(paced)).into_response()
}

fn tuning() -> Tuning {
    Tuning {
        attempts: 3,
        failures: 2,
        rest: Duration::from_secs(30),
        wait: Duration::from_secs(2),
        prefix_affine: false,
        probe_every: Duration::from_millis(50),
        ..Tuning::default()
    }
}

fn pool(servers: &[&Server], tuning: Tuning) -> Pool {
    Pool::new(settings(servers, tuning)).unwrap()
}

fn settings(servers: &[&Server], tuning: Tuning) -> PoolSettings {
    let endpoint = |server: &&Server| EndpointSettings {
        url: server.url.clone(),
        model: None,
        api_key: None,
        concurrency: 4,
    };
    let endpoints = servers.iter().map(endpoint).collect();
    PoolSettings { name: "big".into(), endpoints, tuning }
}

fn question(text: &str, stream: bool) -> UpstreamRequest {
    let body = json!({"messages": [{"role": "user", "content": text}], "stream": stream});
    UpstreamRequest { path: "/chat/completions", body, check: None }
}

async fn ask(pool: &Pool, text: &str) -> bool {
    matches!(pool.send(&question(text, false)).await, Ok(Reply::Whole { status: 200, .. }))
}

async fn read(pool: &Pool, text: &str) -> String {
    let Ok(Reply::Stream(stream)) = pool.send(&question(text, true)).await else {
        return "no stream".to_owned();
    };
    let pieces: Vec<Bytes> = stream.collect().await;
    String::from_utf8(pieces.concat()).unwrap()
}

#[tokio::test]
async fn a_server_that_lies_about_its_health_is_left_out_by_its_answers() {
    let (good, lying) = (Server::start(Manner::Good).await, Server::start(Manner::Lying).await);
    let pool = pool(&[&lying, &good], tuning());
    let watching = tokio::spawn(watch(pool.clone()));
    for number in 0..30 {
        assert!(ask(&pool, &number.to_string()).await, "request {number} was lost");
    }
    let view = pool.view();
    assert!(view[0].is_up, "its health check says that it is well");
    assert_eq!((view[0].breaker, view[1].breaker), ("open", "closed"));
    assert_eq!((lying.asked(), good.asked()), (2, 30));
    watching.abort();
}

#[tokio::test]
async fn a_slow_server_is_hedged() {
    let (slow, good) = (Server::start(Manner::Slow).await, Server::start(Manner::Good).await);
    let hedged = Tuning { hedge: Some(Duration::from_millis(100)), ..tuning() };
    let pool = pool(&[&slow, &good], hedged);
    for number in 0..4 {
        let start = Instant::now();
        assert!(ask(&pool, &number.to_string()).await);
        assert!(start.elapsed() < Duration::from_millis(800), "waited for the slow one");
    }
    // Who was too slow has not failed.
    assert_eq!(pool.view()[0].failures, 0);
}

#[tokio::test]
async fn a_server_that_dies_in_a_stream_leaves_an_error_and_no_end_mark() {
    let dying = Server::start(Manner::Dying).await;
    let text = read(&pool(&[&dying], tuning()), "x").await;
    assert!(text.contains("\"ye\""), "what came is passed on: {text}");
    assert!(text.contains("upstream_broken"), "{text}");
    assert!(!text.contains("[DONE]"), "half an answer that looks whole: {text}");
}

#[tokio::test]
async fn a_dying_server_is_left_out_after_it_died_often_enough() {
    let (dying, good) = (Server::start(Manner::Dying).await, Server::start(Manner::Good).await);
    let pool = pool(&[&dying, &good], tuning());
    let mut whole = 0;
    // Requests that begin alike would all go to the same server.
    for number in 0..24 {
        let text = read(&pool, &number.to_string()).await;
        whole += usize::from(text.ends_with("data: [DONE]\n\n"));
    }
    assert_eq!((whole, pool.view()[0].failures), (22, 2), "{:?}", pool.view());
}

#[tokio::test]
async fn a_server_that_is_gone_costs_no_request() {
    let (gone, good) = (Server::start(Manner::Good).await, Server::start(Manner::Good).await);
    let nobody = Server { url: "http://127.0.0.1:1/v1".into(), fake: gone.fake.clone() };
    let pool = pool(&[&nobody, &good], tuning());
    for number in 0..10 {
        assert!(ask(&pool, &number.to_string()).await);
    }
    assert_eq!(good.asked(), 10);
}

#[tokio::test]
async fn where_all_fail_the_error_names_the_last_and_the_servers_are_not_flooded() {
    let (one, two) = (Server::start(Manner::Lying).await, Server::start(Manner::Lying).await);
    let pool = pool(&[&one, &two], tuning());
    let mut said = String::new();
    for _ in 0..50 {
        said = pool.send(&question("x", false)).await.unwrap_err().to_string();
    }
    assert!(said.contains("big"), "{said}");
    assert!(one.asked() + two.asked() < 25, "{} and {}", one.asked(), two.asked());
}

#[tokio::test]
async fn a_busy_server_is_given_the_time_it_asks_for_and_has_not_failed() {
    let (busy, good) = (Server::start(Manner::Busy).await, Server::start(Manner::Good).await);
    let pool = pool(&[&busy, &good], tuning());
    for number in 0..10 {
        assert!(ask(&pool, &number.to_string()).await);
    }
    assert_eq!((busy.asked(), pool.view()[0].failures), (1, 0));
}

#[tokio::test]
async fn no_endpoint_gets_more_than_it_takes_at_once() {
    let good = Server::start(Manner::Good).await;
    let pool = pool(&[&good], tuning());
    let all = (0..40).map(|number| {
        let pool = pool.clone();
        tokio::spawn(async move { ask(&pool, &number.to_string()).await })
    });
    for one in all.collect::<Vec<_>>() {
        assert!(one.await.unwrap());
    }
    assert_eq!(good.fake.most.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_client_that_goes_gives_its_place_back() {
    let slow = Server::start(Manner::Slow).await;
    let pool = pool(&[&slow], tuning());
    for _ in 0..8 {
        let gone = tokio::time::timeout(Duration::from_millis(30), ask(&pool, "x")).await;
        assert!(gone.is_err());
    }
    let view = &pool.view()[0];
    assert_eq!((view.outstanding, view.failures, view.breaker), (0, 0, "closed"));
}

#[tokio::test]
async fn one_conversation_stays_with_one_server() {
    let (one, two) = (Server::start(Manner::Good).await, Server::start(Manner::Good).await);
    let pool = pool(&[&one, &two], Tuning { prefix_affine: true, ..tuning() });
    for _ in 0..10 {
        assert!(ask(&pool, "the same beginning").await);
    }
    assert_eq!(one.asked().max(two.asked()), 10);
    for number in 0..40 {
        assert!(ask(&pool, &format!("another beginning {number}")).await);
    }
    assert!(one.asked().min(two.asked()) >= 8, "{} and {}", one.asked(), two.asked());
}

#[tokio::test]
async fn a_server_whose_reply_fails_the_check_is_taken_for_one_that_failed() {
    let (first, second) = (Server::start(Manner::Good).await, Server::start(Manner::Good).await);
    let second_url = second.url.clone();
    let check = Check::new(|reply: &Value| match reply["model"].as_str() {
        Some("big") => Ok(()),
        other => Err(format!("it serves {other:?}")),
    });
    let mut settings = settings(&[&first, &second], tuning());
    settings.endpoints[0].model = Some("another".to_owned());
    let pool = Pool::new(settings.clone()).unwrap();
    let checked =
        |text: &str| UpstreamRequest { check: Some(check.clone()), ..question(text, false) };
    // What a request says decides whom it prefers.
    for number in 0..40 {
        let request = checked(&number.to_string());
        assert!(matches!(pool.send(&request).await, Ok(Reply::Whole { status: 200, .. })));
    }
    let view = pool.view();
    assert_eq!((view[0].breaker, view[1].failures), ("open", 0), "{view:?}");
    settings.endpoints.retain(|endpoint| endpoint.url != second_url);
    let error = Pool::new(settings).unwrap().send(&checked("x")).await.unwrap_err().to_string();
    let reason = format!("`{}` cannot be used here: it serves Some(\"another\")", first.url);
    assert!(error.contains(&reason), "{error}");
}
