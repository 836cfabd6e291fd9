//! What stands before the handlers, over real connections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use plumb_serve::auth::gate::Gate;
use plumb_serve::auth::guard::{Guard, Rules};
use plumb_serve::auth::headers::Transport;
use plumb_serve::auth::key::{self, NewKey};
use plumb_serve::auth::origin::Origins;
use plumb_serve::auth::role::{KeyLimits, Principal, Role, Scope};
use plumb_serve::auth::session;
use plumb_serve::data::{Database, Location};
use plumb_serve::limits::{FairQueue, FairSettings, Limiter, Metering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A guarded service with two routes.
struct Place {
    _folder: tempfile::TempDir,
    database: Database,
    address: SocketAddr,
}

/// Says who asks, and what of the request's secrets a handler sees.
async fn whoami(who: Principal, headers: HeaderMap) -> String {
    let seen = headers.contains_key("authorization") || headers.contains_key("x-api-key");
    format!("{} secret={seen}", who.name)
}

impl Place {
    async fn new(allow_open: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("d.db"));
        let database = Database::open(&location).unwrap();
        let origins = Origins::loopback(&[], vec!["https://chat.example".into()]);
        let gate = Gate {
            database: database.clone(),
            origins: Arc::new(origins.into()),
            allow_open,
            clock: || 1_000_000,
        };
        let settings = FairSettings { running: 4, waiting: 8, waiting_per_key: 8, quantum: 100 };
        let guard = Arc::new(Guard {
            gate,
            limiter: Limiter::new(database.clone()),
            queue: FairQueue::new(settings),
            rules: Rules { request: Duration::from_secs(2), roles: BTreeMap::new() }.into(),
            listen: "127.0.0.1:0".parse().unwrap(),
            metering: Metering::default(),
            identity: None,
        });
        let routes = Router::new()
            .route("/", get(async || "page"))
            .route("/v1/chat/completions", post(whoami))
            .route("/api/v1/documents", get(whoami).post(whoami))
            .route(
                "/api/v1/forbidden",
                get(async |who: Principal| {
                    who.require(Role::Admin).map_err(|_| axum::http::StatusCode::FORBIDDEN)
                }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let guarded = guard.before(routes);
        tokio::spawn(async move { axum::serve(listener, guarded).await });
        Self { _folder: folder, database, address }
    }

    fn key(&self, name: &str, limits: KeyLimits) -> String {
        let new = NewKey {
            name: name.into(),
            role: Role::Read,
            scope: Scope::All,
            limits,
            expires_at: None,
        };
        key::create(&self.database, &new, "test", 1).unwrap().1.reveal().to_owned()
    }

    /// Sends a request and gives the whole response.
    async fn send(&self, line: &str, headers: &[&str]) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let has_host = headers.iter().any(|header| header.starts_with("host:"));
        let host = if has_host { String::new() } else { format!("host: {}\r\n", self.address) };
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let text = format!(
            "{line} HTTP/1.1\r\n{host}{headers}connection: close\r\ncontent-length: 0\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[track_caller]
    fn status(answer: &str) -> u16 {
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

const CHAT: &str = "POST /v1/chat/completions";
const DOCUMENTS: &str = "POST /api/v1/documents";

#[tokio::test]
async fn the_first_key_closes_the_door() {
    let place = Place::new(false).await;
    assert!(place.send(CHAT, &[]).await.ends_with("local secret=false"));
    let key = place.key("ci", KeyLimits::default());
    let refused = place.send(CHAT, &[]).await;
    assert_eq!(Place::status(&refused), 401);
    assert!(refused.contains("www-authenticate: Bearer"), "{refused}");
    assert!(refused.contains("\"type\":\"authentication_error\""), "{refused}");
    let bearer = format!("authorization: Bearer {key}");
    let plain = format!("x-api-key: {key}");
    for header in [&bearer, &plain] {
        let answer = place.send(CHAT, &[header]).await;
        assert!(answer.ends_with("ci secret=false"), "{answer}");
    }
    for wrong in ["authorization: Bearer plumb_1", "authorization: Basic eA==", "x-api-key: x"] {
        assert_eq!(Place::status(&place.send(CHAT, &[wrong]).await), 401, "{wrong}");
    }
    assert_eq!(Place::status(&place.send("GET /", &[]).await), 200, "the page is public");
}

#[tokio::test]
async fn a_service_that_is_open_by_order_stays_open() {
    let place = Place::new(true).await;
    place.key("ci", KeyLimits::default());
    assert!(place.send(CHAT, &[]).await.ends_with("local secret=false"));
    assert!(place.send(CHAT, &["x-api-key: x"]).await.ends_with("local secret=false"));
}

#[tokio::test]
async fn where_no_key_was_made_any_that_a_client_sends_is_taken_for_none() {
    let place = Place::new(false).await;
    for header in ["authorization: Bearer none", "x-api-key: none", "cookie: plumb_session=1"] {
        let answer = place.send(CHAT, &[header]).await;
        assert!(answer.ends_with("local secret=false"), "{header}: {answer}");
    }
    place.key("ci", KeyLimits::default());
    assert_eq!(Place::status(&place.send(CHAT, &["x-api-key: none"]).await), 401);
}

#[tokio::test]
async fn foreign_pages_and_rebound_names_are_refused() {
    let place = Place::new(false).await;
    let evil = ["host: evil.example", "origin: http://evil.example"];
    assert_eq!(Place::status(&place.send("GET /", &evil).await), 403);
    assert_eq!(Place::status(&place.send(CHAT, &evil[1..]).await), 403);
    assert_eq!(Place::status(&place.send(CHAT, &["origin: null"]).await), 403);
    let refused = place.send("OPTIONS /v1/chat/completions", &evil[1..]).await;
    assert!(!refused.contains("access-control-allow"), "{refused}");
    let own = format!("origin: http://{}", place.address);
    assert_eq!(Place::status(&place.send(CHAT, &[&own]).await), 200);
    let allowed = ["origin: https://chat.example"];
    let preflight = place.send("OPTIONS /v1/chat/completions", &allowed).await;
    assert_eq!(Place::status(&preflight), 204);
    assert!(preflight.contains("access-control-allow-origin: https://chat.example"));
    assert!(!preflight.contains("access-control-allow-credentials"), "{preflight}");
    assert!(place.send(CHAT, &allowed).await.contains("access-control-allow-origin"));
}

#[tokio::test]
async fn a_cookie_works_for_the_own_page_alone() {
    let place = Place::new(false).await;
    let key = place.key("me", KeyLimits::default());
    let (_, cookie) = session::log_in(&place.database, &key, Transport::Tls, 1_000_000).unwrap();
    let text = cookie.to_str().unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
        assert!(text.contains(attribute), "{text}");
    }
    assert!(!text.contains(&key[15..]), "the cookie is not the key");
    let sent = format!("cookie: a=b; {}", text.split(';').next().unwrap());
    assert_eq!(Place::status(&place.send("GET /api/v1/documents", &[&sent]).await), 200);
    assert_eq!(Place::status(&place.send(DOCUMENTS, &[&sent]).await), 403);
    let marked = [sent.as_str(), "x-plumb-request: 1"];
    assert_eq!(Place::status(&place.send(DOCUMENTS, &marked).await), 200);
    let foreign = [sent.as_str(), "x-plumb-request: 1", "origin: https://chat.example"];
    assert_eq!(Place::status(&place.send(DOCUMENTS, &foreign).await), 403);
}

#[tokio::test]
async fn a_key_over_its_limit_is_told_when_to_come_back() {
    let place = Place::new(false).await;
    let limits = KeyLimits { requests_per_minute: Some(2), ..KeyLimits::default() };
    let header = format!("x-api-key: {}", place.key("ci", limits));
    let first = place.send(CHAT, &[&header]).await;
    assert!(first.contains("x-ratelimit-limit-requests: 2"), "{first}");
    assert!(first.contains("x-ratelimit-remaining-requests: 1"), "{first}");
    place.send(CHAT, &[&header]).await;
    let refused = place.send(CHAT, &[&header]).await;
    assert_eq!(Place::status(&refused), 429);
    assert!(refused.contains("retry-after: 30"), "{refused}");
    assert!(refused.contains("\"rate_limit_error\""), "{refused}");
    let other = format!("x-api-key: {}", place.key("other", KeyLimits::default()));
    assert_eq!(Place::status(&place.send(CHAT, &[&other]).await), 200);
}

#[tokio::test]
async fn every_response_has_the_headers_that_confine_a_page() {
    let place = Place::new(false).await;
    for line in ["GET /", "GET /nothing", CHAT] {
        let answer = place.send(line, &[]).await;
        for header in ["content-security-policy: default-src 'none'", "nosniff", "no-referrer"] {
            assert!(answer.contains(header), "{line}: {answer}");
        }
    }
}

#[tokio::test]
async fn changes_and_what_was_forbidden_are_in_the_audit_log_and_secrets_are_not() {
    let place = Place::new(false).await;
    let key = place.key("ci", KeyLimits::default());
    let header = format!("x-api-key: {key}");
    place.send("GET /api/v1/forbidden", &[&header]).await;
    place.send(DOCUMENTS, &[&header]).await;
    place.send("GET /api/v1/documents", &[&header]).await;
    place.send(CHAT, &[&header]).await;
    let entries = place.database.audit(None, 10).unwrap();
    let seen: Vec<_> =
        entries.iter().map(|entry| (entry.action.as_str(), entry.outcome.as_str())).collect();
    let want =
        [("POST /api/v1/documents", "200"), ("GET /api/v1/forbidden", "403"), ("key.create", "ok")];
    assert_eq!(seen, want);
    assert!(!format!("{entries:?}").contains(&key[15..]));
    assert!(place.database.check_audit().unwrap().is_ok());
}
