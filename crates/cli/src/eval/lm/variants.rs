//! Several prompts for one task.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use plumb_eval::lm::parse_yaml;
use serde_json::{Map, Value};

use crate::eval::scores;

/// What the prompt of the task itself is called.
pub(super) const BASE: &str = "task";

/// The prompts by name: first the task's own, then those of the file.
pub(super) fn read(path: Option<&Path>) -> Result<Vec<(String, Map<String, Value>)>> {
    let mut prompts = vec![(BASE.to_owned(), Map::new())];
    let Some(path) = path else { return Ok(prompts) };
    let in_file = || format!("in `{}`", path.display());
    let bytes = scores::read(path)?;
    let text = str::from_utf8(&bytes).with_context(in_file)?;
    let named = parse_yaml(text).map_err(anyhow::Error::msg).with_context(in_file)?;
    for (name, fields) in named {
        let Value::Object(fields) = fields else {
            bail!("in `{}`: `{name}` has no fields", path.display());
        };
        if name == BASE || name.contains(['/', '\\']) || name.starts_with('.') {
            bail!("in `{}`: a variant cannot be called `{name}`", path.display());
        }
        prompts.push((name, fields));
    }
    Ok(prompts)
}

/// The folder of a variant below that of the run.
pub(super) fn folder(name: &str) -> &Path {
    Path::new(if name == BASE { "" } else { name })
}
