//! `plumb list`, `show` and `rm`.

use std::io::{self, Write};

use anyhow::{Result, bail};
use plumb_index::address::file_url;
use plumb_store::{Batch, Binding, Snapshot};
use serde_json::json;

use crate::add::shown;
use crate::context::Context;
use crate::exit::Exit;
use crate::paths::absolute;
use crate::project::Project;

/// List the documents
#[derive(clap::Args, Debug)]
pub struct ListArgs {
    /// Only addresses that contain this
    #[arg(value_name = "TEXT")]
    containing: Option<String>,
}

/// Show a document: its facts and passages, or its text
#[derive(clap::Args, Debug)]
pub struct ShowArgs {
    /// Path, address, the end of one, or the beginning of a document id
    document: String,

    /// Print the text that byte ranges count, and nothing else
    #[arg(long)]
    text: bool,
}

/// Remove documents from the index
///
/// The files stay. Earlier snapshots keep what they had.
#[derive(clap::Args, Debug)]
pub struct RmArgs {
    /// Path, address, or a folder with everything under it
    #[arg(required = true)]
    documents: Vec<String>,
}

pub fn list(args: &ListArgs, context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    let snapshot = project.reader()?.snapshot();
    let wanted =
        |binding: &&Binding| args.containing.as_ref().is_none_or(|text| binding.uri.contains(text));
    let mut rows = Vec::new();
    for binding in snapshot.bindings().filter(wanted) {
        let Some(document) = snapshot.document(&binding.document) else { continue };
        let info = document.info()?;
        rows.push((binding, info, document.passages().count()));
    }
    if context.json {
        let list: Vec<_> = rows
            .iter()
            .map(|(binding, info, passages)| {
                json!({
                    "uri": binding.uri,
                    "id": binding.document.to_string(),
                    "title": info.title,
                    "kind": info.kind,
                    "bytes": binding.size,
                    "passages": passages,
                    "sha256": hex(&info.sha256),
                })
            })
            .collect();
        context.print_json(&list)?;
        return Ok(Exit::Done);
    }
    let mut out = io::stdout().lock();
    for (binding, info, passages) in &rows {
        writeln!(out, "{:9} {passages:5}  {}  ({})", info.kind, shown(&binding.uri), info.title)?;
    }
    let passages: usize = rows.iter().map(|(_, _, passages)| passages).sum();
    writeln!(out, "{} documents, {passages} passages", rows.len())?;
    Ok(Exit::Done)
}

pub fn show(args: &ShowArgs, context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    let snapshot = project.reader()?.snapshot();
    let binding = find(&snapshot, &args.document)?;
    let Some(document) = snapshot.document(&binding.document) else {
        bail!("the store has no document behind `{}`", binding.uri);
    };
    if args.text {
        io::stdout().lock().write_all(document.text()?.as_bytes())?;
        return Ok(Exit::Done);
    }
    let info = document.info()?;
    let mut passages = Vec::new();
    for at in document.passages() {
        passages.push(snapshot.passage(at)?);
    }
    if context.json {
        let passages: Vec<_> = passages
            .iter()
            .map(|passage| {
                json!({
                    "byte_range": [passage.range.start, passage.range.end],
                    "heading_path": passage.heading_path,
                    "page": passage.page,
                    "part": passage.part,
                    "text": passage.text,
                })
            })
            .collect();
        context.print_json(&json!({
            "uri": binding.uri,
            "id": binding.document.to_string(),
            "title": info.title,
            "kind": info.kind,
            "sha256": hex(&info.sha256),
            "bytes": binding.size,
            "byte_ranges_count": if info.is_original { "the file" } else { "the extracted text" },
            "metadata": info.metadata,
            "passages": passages,
        }))?;
        return Ok(Exit::Done);
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{}\n{}", info.title, binding.uri)?;
    writeln!(out, "{}, {} bytes, sha256 {}", info.kind, binding.size, hex(&info.sha256))?;
    for (key, value) in &info.metadata {
        writeln!(out, "{key}: {value}")?;
    }
    for passage in &passages {
        let page = passage.page.map(|page| format!(", page {page}")).unwrap_or_default();
        let part = passage.part.as_ref().map(|part| format!(", {part}")).unwrap_or_default();
        let heading = passage.heading_path.join(" > ");
        writeln!(out, "\nbytes {:?}{page}{part}  {heading}\n{}", passage.range, passage.text)?;
    }
    Ok(Exit::Done)
}

pub fn rm(args: &RmArgs, context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    let store = project.store()?;
    let snapshot = store.snapshot();
    let mut batch = Batch::new();
    let mut removed = Vec::new();
    for name in &args.documents {
        let folder = absolute(name).map(|path| file_url(&path)).unwrap_or_default();
        let below = format!("{}/", folder.trim_end_matches('/'));
        let mut uris: Vec<String> = snapshot
            .bindings()
            .filter(|binding| binding.uri.starts_with(&below))
            .map(|binding| binding.uri.clone())
            .collect();
        if uris.is_empty() {
            uris.push(find(&snapshot, name)?.uri.clone());
        }
        for uri in uris {
            batch.unbind(&uri);
            removed.push(uri);
        }
    }
    let id = store.commit(&batch)?;
    project.unread()?.forget(&removed)?;
    if context.json {
        context.print_json(&json!({"removed": removed, "snapshot": id.to_string()}))?;
    } else {
        context.say(format!(
            "{} documents removed; snapshot {:.12}",
            removed.len(),
            id.to_string()
        ))?;
    }
    Ok(Exit::Done)
}

/// The one document that `name` means.
pub fn find<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Binding> {
    let url = absolute(name).map(|path| file_url(&path)).unwrap_or_default();
    if let Some(binding) = snapshot.binding(name).or_else(|| snapshot.binding(&url)) {
        return Ok(binding);
    }
    let is_id = name.len() >= 6 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let matches: Vec<&Binding> = snapshot
        .bindings()
        .filter(|binding| {
            binding.uri.ends_with(name) || (is_id && binding.document.to_string().starts_with(name))
        })
        .collect();
    match matches.as_slice() {
        [binding] => Ok(binding),
        [] => bail!("there is no document `{name}`: `plumb list` shows what there is"),
        several => {
            let few: Vec<&str> = several.iter().take(3).map(|b| shown(&b.uri)).collect();
            bail!("`{name}` means {} documents, such as {}", several.len(), few.join(", "))
        }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
