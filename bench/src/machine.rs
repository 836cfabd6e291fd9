//! Where and when a result was taken.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// The machine, the commit and the date, as far as they can be found.
pub(crate) struct Setting {
    pub(crate) cpu: String,
    pub(crate) threads: usize,
    pub(crate) commit: String,
    pub(crate) date: String,
}

impl Setting {
    /// Looks at the machine now.
    pub(crate) fn now() -> Self {
        Self {
            cpu: cpu(),
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            commit: commit(),
            date: today(),
        }
    }

    /// One line for a reader.
    pub(crate) fn line(&self) -> String {
        let Self { cpu, threads, commit, date } = self;
        format!("{date}, commit {commit}, {cpu}, {threads} threads")
    }

    /// The same for a program.
    pub(crate) fn json(&self) -> Value {
        let Self { cpu, threads, commit, date } = self;
        json!({ "cpu": cpu, "threads": threads, "commit": commit, "date": date })
    }
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|rest| rest.split_once(':')).map(|(_, name)| name.trim());
    model.unwrap_or(std::env::consts::ARCH).to_owned()
}

/// Short name of the commit, with a plus if the checkout differs from it.
fn commit() -> String {
    let git = |words: &[&str]| {
        let output = Command::new("git").args(words).current_dir(crate::home()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(name) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]).unwrap_or_default();
    if changes.is_empty() { name } else { format!("{name}+") }
}

#[expect(clippy::disallowed_methods, reason = "a result says on which day it was taken")]
fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    date(since.as_secs() / 86_400)
}

/// The date that many days after 1970-01-01.
fn date(mut days: u64) -> String {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        let pairs =
            [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_088, "2024-12-31")];
        for (days, want) in pairs {
            assert_eq!(date(days), want);
        }
    }
}
