//! Runs the binary in a folder of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A folder with a cache, and nothing of the user's environment.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with these files in it.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let place = Self::new();
        for (name, text) in files {
            fs::write(place.path().join(name), text).unwrap();
        }
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The program with arguments, ready to run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plumb"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            // No pip of this machine.
            .env("PATH", self.path())
            .env("PLUMB_CACHE", self.path().join("cache"))
            // Nothing listens there: no test leaves this machine.
            .env("HF_ENDPOINT", "http://127.0.0.1:1");
        command
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Everything that a user sees of a run, with this folder as `[DIR]`.
    pub(crate) fn seen(&self, arguments: &[&str]) -> String {
        self.show(&self.output(arguments))
    }

    pub(crate) fn show(&self, output: &Output) -> String {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let real = self.path().canonicalize().unwrap();
            text.replace(real.to_str().unwrap(), "[DIR]")
                .replace(self.path().to_str().unwrap(), "[DIR]")
        };
        format!(
            "exit: {}\n----- stdout -----\n{}----- stderr -----\n{}",
            output.status.code().unwrap_or(-1),
            text(&output.stdout),
            text(&output.stderr)
        )
    }
}
