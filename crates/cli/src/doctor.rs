//! `plumb doctor`: what a report of a problem should say.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::thread;

use anyhow::Result;
use plumb_kernels::Isa;
use plumb_store::Reader;
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::Exit;
use crate::models;
use crate::project::{self, DATA_FOLDER};

/// Runs the verb.
pub fn run(context: &Context) -> Result<Exit> {
    let root = context.folder.ancestors().find(|folder| folder.join(DATA_FOLDER).is_dir());
    let config = project::resolve(context, root.unwrap_or(&context.folder));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (memory, free) = memory_bytes();
    let problem = config.as_ref().err().map(|error| format!("{error:#}"));
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "instructions": Isa::best().name(),
        "cores": cores,
        "threads": config.as_ref().map_or(cores, |config| config.threads.get()),
        "memory_bytes": memory,
        "free_memory_bytes": free,
        "cache": context.models,
        "models": models::names_here(context)?,
        "project": root,
        "settings": problem.clone().map_or(json!("sound"), |problem| json!(problem)),
        "index": index(root),
    });
    if context.json {
        context.print_json(&value)?;
    } else {
        print(&value)?;
    }
    Ok(if problem.is_some() { Exit::Failed } else { Exit::Done })
}

fn print(value: &Value) -> Result<()> {
    let mut out = io::stdout().lock();
    let empty = serde_json::Map::new();
    for (key, value) in value.as_object().unwrap_or(&empty) {
        let text = match value {
            Value::Null => "none".to_owned(),
            Value::String(text) => text.clone(),
            Value::Array(values) if values.is_empty() => "none".to_owned(),
            Value::Array(values) => {
                values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
            }
            Value::Object(object) => object
                .iter()
                .map(|(key, value)| format!("{key} {}", value.to_string().trim_matches('"')))
                .collect::<Vec<_>>()
                .join(", "),
            Value::Number(bytes) if key.ends_with("_bytes") => {
                format!("{} MB", bytes.as_u64().unwrap_or_default() / 1_000_000)
            }
            other => other.to_string(),
        };
        let label = key.trim_end_matches("_bytes").replace('_', " ");
        writeln!(out, "{label:<13} {text}")?;
    }
    Ok(())
}

fn index(root: Option<&Path>) -> Value {
    let Some(root) = root else { return Value::Null };
    match Reader::open(&root.join(DATA_FOLDER).join("index")) {
        Ok(reader) => {
            let info = reader.snapshot().info();
            json!({"documents": info.documents, "passages": info.passages,
                   "bytes": info.bytes, "snapshot": info.id.to_string()})
        }
        Err(plumb_store::Error::NoStore { .. }) => Value::Null,
        Err(error) => json!(error.to_string()),
    }
}

/// All memory and what is free of it, where the system says so.
fn memory_bytes() -> (Option<u64>, Option<u64>) {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let find = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kibibytes * 1024)
    };
    (find("MemTotal:"), find("MemAvailable:"))
}
