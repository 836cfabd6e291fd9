//! `cargo xtask e2e`: the tests that run real models.
//!
//! Builds what the tests build, so that nothing is compiled twice; pulls two
//! small models with the binary itself, through the user's own `pip` where the
//! first source cannot be reached; installs a PostgreSQL beside what is built;
//! then runs the tests that are otherwise silent, with `PLUMB_TEST_MODELS`
//! naming the folder that holds the models and `PLUMB_TEST_POSTGRES` the one
//! that holds the server.

use std::path::{Path, PathBuf};

use crate::postgres;
use crate::steps::{self, command, output, say};
use crate::test;

/// The models of the automated tests: a generator and an embedder.
/// Small enough to be pulled for every run of the tests.
const MODELS: &[&str] = &["smollm2-135m-instruct", "all-minilm-l6-v2"];

/// What `--all` adds: another 1.5 GB.
const MORE_MODELS: &[&str] =
    &["qwen2.5-coder-0.5b-instruct", "gemma-3-270m", "all-mpnet-base-v2", "nomic-embed-text-v1.5"];

/// Tests of one model begin with its name.
const WITHOUT_MORE: &str = " and not test(/^(qwen|gemma|mpnet|nomic)_/)";

/// Which models are pulled and tested.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Small,
    All,
}

/// What `cargo nextest` runs: reference values of the models, whole runs of the
/// binary, and the service's data in PostgreSQL.
const FILTER: &str = "(package(plumb-infer) and kind(test)) \
    or (package(plumb-cli) and kind(test) and test(/(^|::)e2e/)) \
    or (package(plumb-serve) and kind(test) and test(/postgres/))";

/// Builds, pulls the models and runs the tests.
pub(crate) fn run(root: &Path, extent: Extent) -> Result<(), String> {
    steps::run(&mut command(
        root,
        &["cargo", "build", "--workspace", "--bins", "--tests", "--locked"],
    ))?;
    let binary = target_folder(root)?.join("debug").join("plumb");
    let mut folder = None;
    let more = if extent == Extent::All { MORE_MODELS } else { &[] };
    for model in MODELS.iter().chain(more) {
        say(&format!("pulling {model}"));
        let binary = binary.to_string_lossy();
        steps::run(&mut command(root, &[&binary, "model", "pull", model]))?;
        let shown = output(&mut command(root, &[&binary, "model", "show", model, "--json"]))?;
        folder = Some(models_folder(&shown, model)?);
    }
    let folder = folder.expect("the list of models is not empty");
    say(&format!("models are in `{}`", folder.display()));
    let postgres = postgres::install(root, &target_folder(root)?)?;
    tests(root, (&folder, &postgres), extent)
}

/// Runs the tests with the folders of the models and of PostgreSQL.
fn tests(root: &Path, (models, postgres): (&Path, &Path), extent: Extent) -> Result<(), String> {
    let with_models = |words: &[&str]| {
        let mut command = command(root, words);
        steps::run(command.env("PLUMB_TEST_MODELS", models).env("PLUMB_TEST_POSTGRES", postgres))
    };
    if test::has_nextest(root)? {
        let nextest = ["cargo", "nextest", "run", "--workspace", "--locked", "--profile", "models"];
        let filter = match extent {
            Extent::Small => format!("({FILTER}){WITHOUT_MORE}"),
            Extent::All => FILTER.to_owned(),
        };
        return with_models(&[&nextest[..], &["-E", &filter]].concat());
    }
    let mut infer = vec!["cargo", "test", "--locked", "-p", "plumb-infer", "--test", "*", "--"];
    if extent == Extent::Small {
        for name in ["qwen_", "gemma_", "mpnet_", "nomic_"] {
            infer.extend(["--skip", name]);
        }
    }
    with_models(&infer)?;
    with_models(&["cargo", "test", "--locked", "-p", "plumb-cli", "--test", "*", "e2e"])?;
    with_models(&["cargo", "test", "--locked", "-p", "plumb-serve", "--test", "*", "postgres"])
}

/// Where cargo puts what it builds for this checkout.
fn target_folder(root: &Path) -> Result<PathBuf, String> {
    let words = ["cargo", "metadata", "--format-version=1", "--no-deps", "--locked"];
    let metadata = output(&mut command(root, &words))?;
    let folder = string_field(&metadata, "target_directory");
    folder.map(PathBuf::from).ok_or_else(|| "cargo did not name its target folder".to_owned())
}

/// The folder above the model's own, from the path of its weights.
fn models_folder(shown: &str, model: &str) -> Result<PathBuf, String> {
    let path = string_field(shown, "path")
        .ok_or_else(|| format!("`plumb model show {model} --json` names no path"))?;
    let own = Path::new(&path).ancestors().find(|folder| folder.ends_with(model));
    let folder = own.and_then(Path::parent).map(Path::to_path_buf);
    folder.ok_or_else(|| format!("`{path}` does not lie in a folder named `{model}`"))
}

/// The value of the first string field of that name in one JSON object.
fn string_field(json: &str, name: &str) -> Option<String> {
    let rest = json.split_once(&format!("\"{name}\""))?.1.trim_start();
    let rest = rest.strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let mut value = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_folder_holds_the_model_by_name() {
        let shown = r#"{"name":"m", "path" : "\/cache/models/m/weights.gguf"}"#;
        assert_eq!(models_folder(shown, "m"), Ok(PathBuf::from("/cache/models")));
        assert!(models_folder(shown, "other").is_err());
        assert!(models_folder("{}", "m").is_err());
    }
}
