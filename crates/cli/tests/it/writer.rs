//! A generator on another machine that needs no model: an OpenAI-compatible
//! server of a few lines, whose answers are the first sentence of the evidence.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

/// The server, for as long as the test runs.
pub(crate) struct RemoteWriter {
    pub(crate) url: String,
    written: Arc<AtomicUsize>,
}

impl RemoteWriter {
    /// Listens on a free port.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let written = Arc::new(AtomicUsize::new(0));
        let count = written.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let count = count.clone();
                std::thread::spawn(move || serve(&connection, &count));
            }
        });
        Self { url, written }
    }

    /// How many texts it has written.
    pub(crate) fn written(&self) -> usize {
        self.written.load(Ordering::SeqCst)
    }
}

/// Answers one request. What cannot be read is no request of these tests.
fn serve(mut connection: &TcpStream, count: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (kind, body) = if first.starts_with("GET") {
        ("application/json", "{\"data\": [{\"id\": \"remote\"}]}".to_owned())
    } else {
        count.fetch_add(1, Ordering::SeqCst);
        let request: Value = serde_json::from_slice(&body).ok()?;
        let event = json!({"choices": [{"delta": {"content": text(&request)}}]});
        ("text/event-stream", format!("data: {event}\n\ndata: [DONE]\n\n"))
    };
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}");
    write!(connection, "{head}\r\nConnection: close\r\n\r\n{body}").ok()
}

/// The first piece of evidence in the last message.
fn text(request: &Value) -> String {
    let messages = request["messages"].as_array().unwrap();
    let content = messages.last().unwrap()["content"].as_str().unwrap();
    let first = content.lines().find_map(|line| line.strip_prefix("1. "));
    first.unwrap_or("Nothing.").to_owned()
}
