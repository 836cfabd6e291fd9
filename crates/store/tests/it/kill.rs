//! A process that commits is killed at hundreds of random instants, and what
//! it leaves behind is checked each time.
//!
//! Faults planted by hand that make this test fail: an acknowledgement before
//! the commit; the root written before the data. (That a new file gets its name
//! after its bytes is watched in `behaviour`: the instant is too short to hit.)

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use plumb_store::{Reader, Store};

use crate::support::{add, document, uri};

const FOLDER: &str = "PLUMB_STORE_KILL_FOLDER";
const KILLS: u64 = 300;
/// A new folder now and then, so that a check stays short.
const KILLS_PER_FOLDER: u64 = 15;

/// The process that is killed: this test does nothing when it is run as one.
#[test]
fn a_process_that_commits_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut out = std::io::stdout();
    writeln!(out, "\nstarted").unwrap();
    let store = Store::open(Path::new(&folder)).unwrap();
    for number in store.snapshot().info().sequence.. {
        store.commit(&add(number)).unwrap();
        writeln!(out, "\ncommitted {number}").unwrap();
    }
}

#[test]
fn a_killed_process_loses_at_most_what_it_had_not_committed() {
    // A fixed sequence of delays; the instants differ with the machine.
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut commits_seen = 0;
    for _ in 0..KILLS / KILLS_PER_FOLDER {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("index");
        for _ in 0..KILLS_PER_FOLDER {
            let acknowledged =
                run_and_kill(&folder, next() % 5, Duration::from_micros(next() % 3000));
            commits_seen += check(&folder, acknowledged);
        }
    }
    assert!(commits_seen > KILLS, "the process was killed before it did anything");
}

#[test]
fn a_killed_process_leaves_no_half_made_store() {
    for kill in 0..KILLS / 6 {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("index");
        let acknowledged = run_and_kill(&folder, 1, Duration::from_micros(kill * 30));
        check(&folder, acknowledged);
    }
}

/// Kills the process a moment after `lines` of its output, and gives the last
/// number whose commit it reported.
fn run_and_kill(folder: &Path, lines: u64, delay: Duration) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::a_process_that_commits_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = None;
    let mut note = |line: &str| match line.split_once(' ') {
        Some(("committed", number)) => {
            last = Some(number.parse().unwrap());
            true
        }
        _ => line == "started",
    };
    let mut seen = 0;
    while seen < lines {
        seen += u64::from(note(&output.next().unwrap().unwrap()));
    }
    let start = Instant::now();
    while start.elapsed() < delay {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for line in output.map_while(Result::ok) {
        note(&line);
    }
    last
}

/// How many commits the folder holds, all of them whole.
fn check(folder: &Path, acknowledged: Option<u64>) -> u64 {
    if acknowledged.is_some() {
        // A reader must see it before any writer has mended anything.
        Reader::open(folder).unwrap().snapshot().verify().unwrap();
    }
    let store = Store::open(folder).unwrap();
    let snapshot = store.snapshot();
    snapshot.verify().unwrap();
    let commits = snapshot.info().sequence;
    assert!(acknowledged.is_none_or(|number| number < commits), "{acknowledged:?} of {commits}");
    assert_eq!(snapshot.bindings().count() as u64, commits);
    for number in 0..commits {
        let binding = snapshot.binding(&uri(number)).unwrap();
        let text = snapshot.document(&binding.document).unwrap().text().unwrap();
        assert_eq!(text, document(number).text);
    }
    commits
}
