//! A process that writes messages is killed at random instants; every message
//! that it reported is there, once, and whole.
//!
//! Fault planted by hand that makes this fail: a transaction for each message,
//! which leaves a question without its answer.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use plumb_serve::data::{Database, Location, NewMessage};

use crate::data::server::Server;

const DATABASE: &str = "PLUMB_SERVE_KILL_DATABASE";
const CONVERSATION: &str = "PLUMB_SERVE_KILL_CONVERSATION";

/// The process that is killed: this test does nothing when it is run as one.
#[test]
#[expect(clippy::disallowed_methods, reason = "the parent test says where to write")]
fn a_process_that_writes_messages_until_it_is_killed() {
    let (Ok(place), Ok(id)) = (std::env::var(DATABASE), std::env::var(CONVERSATION)) else {
        return;
    };
    let database = Database::open(&Location::parse(&place)).unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "\nstarted").unwrap();
    loop {
        let written = database.add_messages("k", &id, &pair(), 1);
        // A server that was killed first ends this process.
        let Ok(written) = written else { return };
        writeln!(out, "\nwrote {}", written[1].position).unwrap();
    }
}

/// A question and its answer, which are written together.
fn pair() -> [NewMessage; 2] {
    let new = |role: &str| NewMessage {
        role: role.to_owned(),
        content: "\u{e9} ".repeat(2000),
        answer: None,
    };
    [new("user"), new("assistant")]
}

#[test]
fn a_killed_process_loses_no_message_that_sqlite_took() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("data.db").to_str().unwrap().to_owned();
    check(&location, 25, &mut || ());
}

#[test]
fn a_killed_server_loses_no_message_that_postgres_took() {
    let Some(mut server) = Server::start() else { return };
    let location = server.new_database("killed");
    check(&location, 5, &mut || server.kill_and_restart());
}

/// Kills the writer, runs `after`, and looks at what is there, several times.
fn check(location: &str, kills: u64, after: &mut dyn FnMut()) {
    let open = || Database::open(&Location::parse(location)).unwrap();
    let id = open().create_conversation("k", "docs", "", 0).unwrap().id;
    let mut total = 0;
    for kill in 0..kills {
        let acknowledged = run_and_kill(location, &id, Duration::from_millis(kill * 7 % 40));
        after();
        let database = open();
        let messages = database.messages("k", &id, 0).unwrap();
        let positions: Vec<i64> = messages.iter().map(|message| message.position).collect();
        let all = i64::try_from(positions.len()).unwrap();
        assert_eq!(positions, (1..=all).collect::<Vec<_>>(), "a gap or a message twice");
        assert!(acknowledged <= all, "{acknowledged} were reported and {all} are there");
        assert_eq!(all % 2, 0, "a question without its answer");
        let counted = database.conversation("k", &id).unwrap().unwrap().messages;
        assert_eq!(counted, all);
        assert!(messages.iter().all(|message| message.content == pair()[0].content));
        total = acknowledged.max(total);
    }
    assert!(total > i64::try_from(kills).unwrap(), "the process was killed before it did anything");
}

/// Kills the process a moment after its first report, and gives the last
/// position that it reported.
fn run_and_kill(location: &str, conversation: &str, delay: Duration) -> i64 {
    let test = "data::kill::a_process_that_writes_messages_until_it_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DATABASE, location)
        .env(CONVERSATION, conversation)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let reported = |line: &str| line.strip_prefix("wrote ").and_then(|n| n.parse::<i64>().ok());
    let mut last = 0;
    while last == 0 {
        last = reported(&output.next().unwrap().unwrap()).unwrap_or(0);
    }
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    for line in output.map_while(Result::ok) {
        last = reported(&line).unwrap_or(last);
    }
    last
}
