//! How far long work has come: a bar on a terminal, a plain line now and then
//! elsewhere, nothing if it should be quiet. Always on standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a plain line is written.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    Bar,
    Lines,
    Nothing,
}

impl Show {
    /// What fits the terminal.
    pub fn new(is_quiet: bool) -> Self {
        match (is_quiet, io::stderr().is_terminal()) {
            (true, _) => Self::Nothing,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }

    /// Progress through `total` bytes.
    pub fn bytes(self, label: &str, total: u64) -> Progress {
        let style = "{msg}  {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
        Progress::new(self, label, total, style)
    }
}

/// One piece of long work.
pub struct Progress {
    bar: ProgressBar,
    label: String,
    is_plain: bool,
    last_line: Mutex<Instant>,
}

impl Progress {
    fn new(show: Show, label: &str, total: u64, style: &str) -> Self {
        let target = match show {
            Show::Bar => ProgressDrawTarget::stderr(),
            Show::Lines | Show::Nothing => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let style = ProgressStyle::with_template(style)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        bar.set_style(style);
        bar.set_message(label.to_owned());
        Self {
            bar,
            label: label.to_owned(),
            is_plain: show == Show::Lines,
            last_line: Mutex::new(Instant::now()),
        }
    }

    /// Sets how much is done.
    pub fn set(&self, done: u64) {
        self.bar.set_position(done);
        self.line_now_and_then();
    }

    /// Says something beside the label.
    pub fn note(&self, note: &str) {
        self.bar.set_message(format!("{}  {note}", self.label));
    }

    /// Ends the bar; what comes next is printed in its place.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn line_now_and_then(&self) {
        if !self.is_plain {
            return;
        }
        let Ok(mut last) = self.last_line.lock() else { return };
        if last.elapsed() < PLAIN_EVERY {
            return;
        }
        *last = Instant::now();
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
        let percent = (100 * done).checked_div(total).unwrap_or_default();
        // Progress that cannot be shown is no reason to stop the work.
        let _ = writeln!(io::stderr(), "{}: {percent} %", self.bar.message());
    }
}
