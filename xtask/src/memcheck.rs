//! `cargo xtask memcheck`: no kernel reads or writes where it may not.
//!
//! Runs the tests of the kernels three times: in Miri, which takes the scalar
//! forms, at sizes that it can bear; under valgrind, which takes every instruction
//! set up to AVX2; and with `AddressSanitizer`, which takes all that the machine
//! has. The first and the last need a nightly compiler.

use std::path::Path;
use std::process::Command;

use crate::steps::{self, command, step, works};

/// Random cases of a property, where its test does not say how many.
const CASES: &str = "8";

/// Runs all, and fails if one of them cannot be run.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    step("kernels in Miri", || miri(root))?;
    step("kernels under valgrind", || valgrind(root))?;
    step("kernels with AddressSanitizer", || address_sanitizer(root))
}

fn miri(root: &Path) -> Result<(), String> {
    if !works(&mut command(root, &["cargo", "+nightly", "miri", "--version"])) {
        let remedy = "rustup toolchain install nightly --component miri,rust-src";
        return Err(format!("there is no nightly compiler with Miri: `{remedy}`"));
    }
    let mut tests = kernels(root, &["cargo", "+nightly", "miri", "test"]);
    tests.env("PROPTEST_CASES", "1").env("CARGO_TARGET_DIR", "target/miri");
    // Properties read the clock, and tests make the same inputs twice.
    tests.env("MIRIFLAGS", "-Zmiri-disable-isolation -Zmiri-deterministic-floats");
    steps::run(&mut tests)
}

fn valgrind(root: &Path) -> Result<(), String> {
    if !works(command(root, &["valgrind", "--version"]).env_remove("VALGRIND_OPTS")) {
        return Err("`valgrind` is not installed".to_owned());
    }
    let mut tests = kernels(root, &["cargo", "test"]);
    tests.args(["--", "--test-threads=1"]);
    let runner = "valgrind --quiet --error-exitcode=1 --exit-on-first-error=yes";
    steps::run(tests.env(format!("CARGO_TARGET_{}_RUNNER", upper(host())), runner))
}

fn address_sanitizer(root: &Path) -> Result<(), String> {
    if !works(&mut command(root, &["cargo", "+nightly", "--version"])) {
        return Err("there is no nightly compiler: `rustup toolchain install nightly`".to_owned());
    }
    // A target of its own keeps build scripts free of the sanitizer.
    let mut tests = kernels(root, &["cargo", "+nightly", "test"]);
    tests.args(["--target", host(), "--target-dir", "target/memcheck"]);
    steps::run(tests.env("RUSTFLAGS", "-Zsanitizer=address"))
}

fn kernels(root: &Path, words: &[&str]) -> Command {
    let mut tests = command(root, words);
    tests.args(["-p", "plumb-kernels", "--lib", "--locked"]).env("PROPTEST_CASES", CASES);
    tests
}

/// The target that this program was built for.
const fn host() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "aarch64-unknown-linux-gnu"
    } else {
        "x86_64-unknown-linux-gnu"
    }
}

fn upper(target: &str) -> String {
    target.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_that_names_a_runner_has_the_form_that_cargo_reads() {
        assert_eq!(upper("x86_64-unknown-linux-gnu"), "X86_64_UNKNOWN_LINUX_GNU");
    }
}
