//! `plumb serve` as a process, and ways to talk to it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::run::Place;

/// A server that runs, killed if a test fails before it has stopped it.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) agent: ureq::Agent,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts `plumb serve` on a free port and waits until it is ready.
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> Self {
        let all = [&["serve", "--json", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut child =
            place.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut errors = String::new();
            child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            panic!("{errors}")
        });
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let url = said["url"].as_str().unwrap().to_owned();
        let server = Self { child, url, agent };
        let started = Instant::now();
        // `/ready` asks for no key.
        while server.get("/ready").0 != 200 {
            assert!(started.elapsed() < Duration::from_mins(5), "it does not become ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut response = self.agent.get(format!("{}{path}", self.url)).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut response = self.agent.post(format!("{}{path}", self.url)).send_json(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    #[track_caller]
    pub(crate) fn chat(&self, body: &Value) -> Value {
        let (status, reply) = self.post("/v1/chat/completions", body);
        assert_eq!(status, 200, "{reply}");
        reply
    }

    /// The data of a stream's events, without the end mark, which must be there.
    #[track_caller]
    pub(crate) fn stream(&self, path: &str, body: &Value) -> Vec<Value> {
        let mut body = body.clone();
        body["stream"] = true.into();
        let mut response = self.agent.post(format!("{}{path}", self.url)).send_json(&body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        assert_eq!(response.status(), 200, "{text}");
        let mut data: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data.pop(), Some("[DONE]"), "{text}");
        data.into_iter().map(|event| serde_json::from_str(event).unwrap()).collect()
    }

    /// Sends it a signal, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-s", name, &id]).status().unwrap().success());
    }

    /// Asks it to stop, and gives what it logged.
    pub(crate) fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        log
    }
}
