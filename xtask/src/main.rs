//! The project's chores, run as `cargo xtask CHORE`.
//!
//! - `tidy` checks the house rules that a compiler does not see;
//! - `test` is everything that must pass before a change lands;
//! - `e2e` is its last step alone: the tests that run real models; with `--all`
//!   also those of the larger ones;
//! - `memcheck` runs the kernels' tests under Miri, valgrind and `AddressSanitizer`.

mod e2e;
mod memcheck;
mod postgres;
mod steps;
mod test;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use crate::e2e::Extent;

const USAGE: &str = "usage: cargo xtask tidy | test | e2e [--all] | memcheck";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let chore = arguments.next().unwrap_or_default();
    let root = root();
    let outcome = match (chore.as_str(), arguments.next().as_deref()) {
        ("tidy", None) => tidy::run(root),
        ("test", None) => test::run(root),
        ("e2e", None) => e2e::run(root, Extent::Small),
        ("e2e", Some("--all")) => e2e::run(root, Extent::All),
        ("memcheck", None) => memcheck::run(root),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            steps::say(&format!("error: {message}"));
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository: this package lies in a folder of it.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package folder has a parent")
}
