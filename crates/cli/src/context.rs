//! What every verb is given: where things are, how to print, whether to stop.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::args::Global;

/// The surroundings of one run of the program.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where to look for a project, and where `init` makes one.
    pub folder: PathBuf,
    pub config_path: Option<PathBuf>,
    pub threads: Option<usize>,
    pub json: bool,
    pub quiet: bool,
    pub stop: Stop,
    /// Folder of the models.
    pub models: PathBuf,
    pub api_key: Option<String>,
    /// Base address of the Hugging Face hub, or of a mirror of it.
    pub hub: String,
}

/// Set by Ctrl-C. Long work looks at it between steps.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for Ctrl-C. A second one ends the process at once.
    pub fn on_ctrl_c() -> Result<Self> {
        let stop = Self::default();
        let flag = stop.clone();
        ctrlc::set_handler(move || {
            if flag.0.swap(true, Ordering::SeqCst) {
                exit_now();
            }
        })?;
        Ok(stop)
    }

    /// Asks to stop, as Ctrl-C would.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

#[expect(clippy::exit, reason = "a second Ctrl-C asks for exactly this; commits are atomic")]
fn exit_now() {
    std::process::exit(130);
}

impl Context {
    /// Gathers flags and environment.
    pub fn new(global: &Global, stop: Stop) -> Result<Self> {
        let folder = match &global.project {
            Some(folder) => folder.clone(),
            None => std::env::current_dir()?,
        };
        Ok(Self {
            folder: crate::paths::absolute(folder)?,
            config_path: global.config.clone(),
            threads: global.threads,
            json: global.json,
            quiet: global.quiet,
            stop,
            models: crate::paths::models(global.cache.as_deref())?,
            api_key: global.api_key.clone(),
            hub: global.hub.trim_end_matches('/').to_owned(),
        })
    }

    /// Milliseconds since 1970 in UTC.
    #[expect(clippy::unused_self, reason = "what time it is is the context's to know")]
    pub fn now_millis(&self) -> i64 {
        let passed = now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
    }

    /// Prints one JSON object on a line.
    #[expect(clippy::unused_self, reason = "where results go is the context's to know")]
    pub fn print_json(&self, value: &impl Serialize) -> Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, value)?;
        writeln!(out)?;
        Ok(())
    }

    /// Prints a line of result.
    #[expect(clippy::unused_self, reason = "where results go is the context's to know")]
    pub fn say(&self, line: impl AsRef<str>) -> Result<()> {
        writeln!(io::stdout().lock(), "{}", line.as_ref())?;
        Ok(())
    }

    /// Prints a line about what goes on, on standard error.
    pub fn note(&self, line: impl AsRef<str>) {
        if !self.quiet {
            // Nothing can be done about a closed standard error.
            let _ = writeln!(io::stderr().lock(), "{}", line.as_ref());
        }
    }

    /// A progress bar, hidden where nobody watches.
    pub fn progress(&self, length: u64, template: &str) -> ProgressBar {
        let bar = ProgressBar::new(length);
        if self.quiet || !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        } else {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        bar.with_style(style)
    }
}
