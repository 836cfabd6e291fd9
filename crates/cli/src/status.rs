//! `plumb status`: what the project holds and what it answers with.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use plumb_index::META_EMBEDDER;
use plumb_store::Snapshot;
use serde::Serialize;

use crate::config::WordingName;
use crate::context::Context;
use crate::exit::Exit;
use crate::models::bytes_here;
use crate::project::Project;

/// What there is to say. Nothing of it is checked: `plumb doctor` looks closer.
#[derive(Debug, Serialize)]
struct Status {
    project: String,
    documents: u64,
    /// Documents of each kind.
    kinds: BTreeMap<String, usize>,
    passages: u64,
    /// Bytes of the index, earlier snapshots included.
    bytes: u64,
    snapshot: String,
    snapshots: usize,
    answers: usize,
    embedder: ModelStatus,
    /// What the documents were embedded with, if there are some.
    embedded_with: Option<String>,
    /// `None` if answers are made of quotes alone.
    generator: Option<ModelStatus>,
}

#[derive(Debug, Serialize)]
struct ModelStatus {
    name: String,
    endpoint: Option<String>,
    /// `None` if it is not on this machine.
    bytes: Option<u64>,
}

pub fn run(context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    let reader = project.reader()?;
    let snapshot = reader.snapshot();
    let (info, config) = (snapshot.info(), &project.config);
    let generator = match (&config.wording, &config.endpoint) {
        (WordingName::Quote, _) => None,
        (WordingName::Write, endpoint) => {
            Some(model(context, &config.generator, endpoint.clone())?)
        }
    };
    let status = Status {
        project: project.root.display().to_string(),
        documents: info.documents,
        kinds: kinds(&snapshot)?,
        passages: info.passages,
        bytes: info.bytes,
        snapshot: info.id.to_string(),
        snapshots: reader.snapshots().len(),
        answers: project.answers()?.iter().count(),
        embedder: model(context, &config.embedder, None)?,
        embedded_with: snapshot.meta().get(META_EMBEDDER).cloned(),
        generator,
    };
    if context.json {
        context.print_json(&status)?;
    } else {
        print(&status, context)?;
    }
    Ok(Exit::Done)
}

fn model(context: &Context, name: &str, endpoint: Option<String>) -> Result<ModelStatus> {
    let bytes = if endpoint.is_none() { bytes_here(context, name)? } else { None };
    Ok(ModelStatus { name: name.to_owned(), endpoint, bytes })
}

fn kinds(snapshot: &Snapshot) -> Result<BTreeMap<String, usize>> {
    let mut kinds = BTreeMap::new();
    let ids: HashSet<_> = snapshot.bindings().map(|binding| binding.document).collect();
    for document in ids.iter().filter_map(|id| snapshot.document(id)) {
        *kinds.entry(document.info()?.kind.clone()).or_default() += 1;
    }
    Ok(kinds)
}

fn print(status: &Status, context: &Context) -> Result<()> {
    let kinds: Vec<String> =
        status.kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let described = |model: &ModelStatus| match (&model.endpoint, model.bytes) {
        (Some(url), _) => format!("{} on {url}", model.name),
        (None, Some(bytes)) => format!("{}, {}", model.name, megabytes(bytes)),
        (None, None) => format!("{}, not on this machine", model.name),
    };
    let mut embedder = described(&status.embedder);
    if let Some(name) = status.embedded_with.as_ref().filter(|name| **name != status.embedder.name)
    {
        embedder.push_str(&format!("; the documents were embedded with {name}"));
    }
    let (snapshot, count) = (&status.snapshot, status.snapshots);
    for (what, text) in [
        ("project", status.project.clone()),
        ("documents", format!("{}{kinds}, {} passages", status.documents, status.passages)),
        ("index", format!("{}; snapshot {snapshot:.12} of {count}", megabytes(status.bytes))),
        ("answers", status.answers.to_string()),
        ("embedder", embedder),
        ("generator", status.generator.as_ref().map_or("none: quotes only".to_owned(), described)),
    ] {
        context.say(format!("{what:<10} {text}"))?;
    }
    Ok(())
}
