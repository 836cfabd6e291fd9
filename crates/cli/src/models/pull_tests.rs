//! Pulling, against a server on this machine and a pip that is a script.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use sha2::{Digest, Sha256};

use super::catalogue::{Catalogue, Kind, Model, Source};
use super::{Error, ModelFile, Models, Pull};
use crate::context::Stop;
use crate::progress::Show;

/// How the server treats a request.
#[derive(Clone, Copy)]
enum Answer {
    /// The bytes asked for.
    Whole,
    /// So many of them, and then the connection ends.
    Cut(usize),
    /// All of them, whatever the range asked for.
    IgnoreRange,
    /// Other bytes, as many.
    Wrong,
    Redirect,
    Status(u16),
}

struct Server {
    endpoint: String,
    /// The first byte that each request asked for.
    starts: Arc<Mutex<Vec<usize>>>,
}

/// Serves `body` at every path, each connection as the next answer says.
fn serve(body: &'static [u8], answers: Vec<Answer>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let starts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&starts);
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let start = range_start(&mut stream);
            seen.lock().unwrap().push(start.unwrap_or(0));
            // The client may have hung up.
            let _ = stream.write_all(&response(body, start, answer));
        }
    });
    Server { endpoint, starts }
}

fn range_start(stream: &mut TcpStream) -> Option<usize> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        request.extend_from_slice(&buffer[..count]);
    }
    let text = String::from_utf8(request).unwrap().to_lowercase();
    let start = text.split("bytes=").nth(1)?.split('-').next()?;
    start.parse().ok()
}

fn response(body: &[u8], start: Option<usize>, answer: Answer) -> Vec<u8> {
    let close = "Connection: close\r\n\r\n";
    let (from, status) = match (answer, start) {
        (Answer::Redirect, _) => {
            return format!("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n{close}")
                .into_bytes();
        }
        (Answer::Status(status), _) => {
            return format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n{close}").into_bytes();
        }
        (Answer::IgnoreRange, _) | (_, None) => (0, "200 OK".to_owned()),
        (_, Some(start)) => {
            let last = body.len() - 1;
            let range = format!("Content-Range: bytes {start}-{last}/{}", body.len());
            (start, format!("206 Partial Content\r\n{range}"))
        }
    };
    let rest = &body[from..];
    let mut bytes =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{close}", rest.len()).into_bytes();
    match answer {
        Answer::Cut(count) => bytes.extend_from_slice(&rest[..count.min(rest.len())]),
        Answer::Wrong => bytes.extend(rest.iter().map(|byte| byte ^ 1)),
        _ => bytes.extend_from_slice(rest),
    }
    bytes
}

const BODY: &[u8] = b"GGUF and then some more bytes";

fn model(sources: Vec<Source>) -> Model {
    let sha256 = Sha256::digest(BODY).iter().map(|byte| format!("{byte:02x}")).collect();
    Model {
        name: "tiny".to_owned(),
        kind: Kind::Generator,
        default: true,
        summary: String::new(),
        architecture: "llama".to_owned(),
        parameters: 1,
        context: 1,
        dimension: None,
        licence: "MIT".to_owned(),
        files: vec![ModelFile { name: "w/tiny.gguf".to_owned(), bytes: BODY.len() as u64, sha256 }],
        sources,
    }
}

fn repository() -> Source {
    Source::HuggingFace { repository: "a/b".to_owned(), revision: "main".to_owned() }
}

fn pull(cache: &Path, sources: Vec<Source>, endpoint: &str) -> Result<bool, Error> {
    let model = model(sources);
    let models = Models::with(cache, Catalogue { models: vec![model.clone()] });
    let stop = Stop::default();
    let how = Pull { endpoint, show: Show::Nothing, stop: &stop, on_bytes: None };
    let result = models.pull(&model, &how);
    if result.is_ok() {
        assert_eq!(fs::read(models.resolve("tiny").unwrap().weights).unwrap(), BODY);
        assert!(!cache.join("partial/tiny").exists());
    }
    result
}

/// Pulls from a server alone; gives the first bytes asked for.
#[track_caller]
fn check(answers: Vec<Answer>, want: &[usize]) {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(BODY, answers);
    assert!(pull(cache.path(), vec![repository()], &server.endpoint).unwrap());
    assert_eq!(*server.starts.lock().unwrap(), want);
}

/// Pulls from a server alone, which does not work for a reason.
#[track_caller]
fn check_fails(answers: Vec<Answer>, reason: &str) {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(BODY, answers);
    let error = pull(cache.path(), vec![repository()], &server.endpoint).unwrap_err();
    assert!(matches!(error, Error::NoSource { .. }), "{error}");
    assert!(error.to_string().contains(reason), "{error}");
    assert!(!cache.path().join("tiny").exists());
}

#[test]
fn a_whole_file_takes_one_request() {
    check(vec![Answer::Whole], &[0]);
}

#[test]
fn a_cut_file_goes_on_where_it_stopped() {
    check(vec![Answer::Cut(10), Answer::Cut(5), Answer::Whole], &[0, 10, 15]);
}

#[test]
fn a_server_that_cannot_resume_sends_it_all_again() {
    check(vec![Answer::Cut(10), Answer::IgnoreRange], &[0, 10]);
}

#[test]
fn a_later_pull_goes_on_where_an_earlier_one_stopped() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(BODY, vec![Answer::Cut(7), Answer::Cut(0), Answer::Whole]);
    pull(cache.path(), vec![repository()], &server.endpoint).unwrap_err();
    assert!(pull(cache.path(), vec![repository()], &server.endpoint).unwrap());
    assert_eq!(*server.starts.lock().unwrap(), [0, 7, 7]);
}

#[test]
fn wrong_bytes_are_never_placed() {
    check_fails(vec![Answer::Wrong], "SHA-256");
}

#[test]
fn a_redirect_loop_ends() {
    check_fails(vec![Answer::Redirect; 8], "redirect");
}

#[test]
fn a_missing_file_is_reported_with_its_status() {
    check_fails(vec![Answer::Status(404)], "status 404");
}

#[test]
fn a_model_that_is_there_is_not_pulled_again() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(BODY, vec![Answer::Whole]);
    assert!(pull(cache.path(), vec![repository()], &server.endpoint).unwrap());
    assert!(!pull(cache.path(), vec![repository()], &server.endpoint).unwrap());
}

#[test]
fn a_damaged_model_is_found_and_repaired() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(BODY, vec![Answer::Whole, Answer::Whole]);
    assert!(pull(cache.path(), vec![repository()], &server.endpoint).unwrap());
    let path = cache.path().join("tiny/w/tiny.gguf");
    let other: Vec<u8> = BODY.iter().map(|byte| byte ^ 1).collect();
    fs::write(&path, other).unwrap();
    let models = Models::with(cache.path(), Catalogue { models: vec![model(vec![])] });
    assert!(matches!(models.resolve("tiny"), Err(Error::Damaged { .. })));
    fs::write(&path, b"short").unwrap();
    assert!(matches!(models.resolve("tiny"), Err(Error::Damaged { .. })));
    assert!(pull(cache.path(), vec![repository()], &server.endpoint).unwrap());
}

#[test]
fn two_pulls_at_once_are_kept_apart() {
    let cache = tempfile::tempdir().unwrap();
    let models = Models::with(cache.path(), Catalogue { models: vec![] });
    let _lock = models.lock("tiny").unwrap();
    let error = pull(cache.path(), vec![], "http://127.0.0.1:1").unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
}

#[test]
fn an_interrupted_pull_says_so_and_keeps_what_it_has() {
    let cache = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("w")).unwrap();
    fs::write(folder.path().join("w/tiny.gguf"), BODY).unwrap();
    let model = model(vec![Source::Local { path: folder.path().to_owned() }]);
    let models = Models::with(cache.path(), Catalogue { models: vec![model.clone()] });
    let stop = Stop::default();
    stop.set();
    let how = Pull { endpoint: "", show: Show::Nothing, stop: &stop, on_bytes: None };
    assert!(matches!(models.pull(&model, &how), Err(Error::Interrupted)));
}

#[test]
fn sources_are_tried_in_order_and_all_named_when_they_fail() {
    let cache = tempfile::tempdir().unwrap();
    let missing = Source::Local { path: "/no/such/folder".into() };
    let error = pull(cache.path(), vec![repository(), missing], "http://127.0.0.1:1").unwrap_err();
    let Error::NoSource { attempts, .. } = &error else { panic!("{error}") };
    let places: Vec<&str> = attempts.iter().map(|attempt| attempt.place.as_str()).collect();
    assert_eq!(places, ["http://127.0.0.1:1/a/b", "/no/such/folder"]);
}

#[test]
fn a_second_source_helps_when_the_first_cannot_be_reached() {
    let cache = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("w")).unwrap();
    fs::write(folder.path().join("w/tiny.gguf"), BODY).unwrap();
    let local = Source::Local { path: folder.path().to_owned() };
    assert!(pull(cache.path(), vec![repository(), local], "http://127.0.0.1:1").unwrap());
}
