//! `cargo xtask test`: everything that must pass, fastest checks first.
//!
//! The first failure stops the run. `cargo nextest` and `cargo deny` are used
//! where they are installed; without them the tests run under `cargo test` and
//! the licence check is left out, and both are said. With `CI` set in the
//! environment a missing tool is a failure.

use std::path::Path;
use std::time::Instant;

use crate::steps::{self, command, say, step, works};
use crate::{e2e, tidy};

/// Runs every step, in order.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let start = Instant::now();
    let cargo = |words: &str| run_words(root, words);
    step("format", || cargo("cargo fmt --all --check"))?;
    step("tidy", || tidy::run(root))?;
    step("clippy", || cargo("cargo clippy --workspace --all-targets --locked -- -D warnings"))?;
    step("tests", || tests(root))?;
    step("doctests", || cargo("cargo test --workspace --doc --locked --quiet"))?;
    step("documentation", || {
        let mut doc = command(root, &split("cargo doc --workspace --no-deps --locked --quiet"));
        steps::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    step("dependencies", || dependencies(root))?;
    step("end to end", || e2e::run(root, e2e::Extent::Small))?;
    say(&format!("== everything passed in {:.0} s", start.elapsed().as_secs_f64()));
    Ok(())
}

fn tests(root: &Path) -> Result<(), String> {
    if has_nextest(root)? {
        return run_words(root, "cargo nextest run --workspace --locked");
    }
    run_words(root, "cargo test --workspace --locked --lib --bins --tests")
}

/// Whether `cargo nextest` is there; in CI it must be.
pub(crate) fn has_nextest(root: &Path) -> Result<bool, String> {
    has(root, "nextest", "the tests run under `cargo test` instead")
}

fn has(root: &Path, tool: &str, otherwise: &str) -> Result<bool, String> {
    if works(&mut command(root, &["cargo", tool, "--version"])) {
        return Ok(true);
    }
    if std::env::var_os("CI").is_some() {
        return Err(format!("`cargo {tool}` is not installed; `.ci/run` installs it"));
    }
    say(&format!("`cargo {tool}` is not installed (`cargo install cargo-{tool}`): {otherwise}"));
    Ok(false)
}

fn dependencies(root: &Path) -> Result<(), String> {
    if !has(root, "deny", "licences and sources of dependencies are not checked")? {
        return Ok(());
    }
    run_words(root, "cargo deny --all-features check bans licenses sources")?;
    if !works(&mut command(root, &split("cargo deny fetch db"))) {
        say("the advisory database cannot be had: advisories are not checked");
        return Ok(());
    }
    run_words(root, "cargo deny --all-features check --disable-fetch advisories")
}

fn run_words(root: &Path, words: &str) -> Result<(), String> {
    steps::run(&mut command(root, &split(words)))
}

fn split(words: &str) -> Vec<&str> {
    words.split(' ').collect()
}
