//! `plumb sync`: what changed, what is new in the folders, what went.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use plumb_index::address::{file_facts, file_url, path_of_url};
use plumb_store::Snapshot;
use serde::Serialize;

use crate::add::{Source, address, documents_under, index, print_report, shown, source_of};
use crate::context::Context;
use crate::exit::Exit;
use crate::project::Project;

/// Bring the index up to date with the files it came from
///
/// Looks at every indexed file for changes, and forgets files that are gone.
/// Web pages are fetched again with --urls.
#[derive(clap::Args, Debug)]
pub struct SyncArgs {
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Fetch web pages again
    #[arg(long)]
    urls: bool,

    /// Take in files that are new in folders with indexed files
    #[arg(long)]
    new: bool,
}

/// What differs between the store and the files.
#[derive(Debug, Default, Serialize)]
struct Difference {
    changed: Vec<String>,
    new: Vec<String>,
    gone: Vec<String>,
}

pub fn run(args: &SyncArgs, context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    let store = project.store()?;
    let snapshot = store.snapshot();
    let (difference, sources, gone) = compare(&snapshot, args);
    if args.dry_run {
        print_difference(&difference, context)?;
        return Ok(Exit::Done);
    }
    let mut report = index(&project, context, &store, &sources, &gone)?;
    let mut unread = project.unread()?;
    unread.forget(&gone)?;
    unread.note(&report, context.now_millis())?;
    report.unchanged = snapshot.bindings().count().saturating_sub(gone.len() + report.added);
    if !context.json {
        print_difference(&difference, context)?;
    }
    print_report(&report, context)
}

fn compare(snapshot: &Snapshot, args: &SyncArgs) -> (Difference, Vec<Source>, Vec<String>) {
    let mut difference = Difference::default();
    let mut sources = Vec::new();
    let mut gone = Vec::new();
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    for binding in snapshot.bindings() {
        let Some(path) = path_of_url(&binding.uri) else {
            let source = source_of(binding).filter(|_| args.urls);
            if let Some(source) = source.filter(|source| !sources.contains(source)) {
                difference.changed.push(address(&source));
                sources.push(source);
            }
            continue;
        };
        match file_facts(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                difference.gone.push(binding.uri.clone());
                gone.push(binding.uri.clone());
            }
            Ok((mtime, size)) if mtime == binding.mtime && size == binding.size => {}
            // A file that cannot be looked at is reported when it is read.
            Ok(_) | Err(_) => {
                let source = Source::File(path.clone());
                if !sources.contains(&source) {
                    difference.changed.push(address(&source));
                    sources.push(source);
                }
            }
        }
        files.insert(path);
    }
    if args.new {
        for path in new_files(&files) {
            difference.new.push(file_url(&path));
            sources.push(Source::File(path));
        }
    }
    (difference, sources, gone)
}

/// Files beside indexed ones, or in folders below theirs, that are not indexed.
fn new_files(known: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let folders: BTreeSet<&Path> = known.iter().filter_map(|path| path.parent()).collect();
    let is_below =
        |folder: &Path| folder.ancestors().skip(1).any(|ancestor| folders.contains(ancestor));
    folders
        .iter()
        .filter(|folder| !is_below(folder))
        .flat_map(|folder| documents_under(folder).files)
        .filter(|path| !known.contains(path))
        .collect()
}

fn print_difference(difference: &Difference, context: &Context) -> Result<()> {
    if context.json {
        return context.print_json(difference);
    }
    let kinds =
        [("changed", &difference.changed), ("new", &difference.new), ("gone", &difference.gone)];
    for (kind, uris) in kinds {
        for uri in uris {
            context.say(format!("{kind:8} {}", shown(uri)))?;
        }
    }
    if kinds.iter().all(|(_, uris)| uris.is_empty()) {
        context.say("nothing changed")?;
    }
    Ok(())
}
