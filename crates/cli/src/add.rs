//! `plumb init` and `plumb add`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;
use plumb_index::address::{file_facts, file_url, path_of_url, source_address};
use plumb_index::{
    Indexer, Item, META_COLLECTION, Made, Progress, Report, SkippedItem, Tools, Watch, is_whole,
};
use plumb_ingest::{Limits, Walk};
use plumb_store::{Batch, Binding, Snapshot, Store};

use crate::context::{Context, Stop};
use crate::exit::Exit;
use crate::fetch::{Fetcher, Policy};
use crate::models::{Located, locate};
use crate::paths::absolute;
use crate::project::{LoadedEmbedder, Project, analyzer};
use crate::rebuild::rebuild;

/// Index files, folders, web pages or standard input
///
/// What has not changed since it was added is left alone. A file that cannot
/// be read is reported with the reason and does not stop the rest.
#[derive(clap::Args, Debug)]
pub struct AddArgs {
    /// Files, folders, http(s) addresses, or - for standard input
    #[arg(required_unless_present = "rebuild", value_name = "PATH|URL|-")]
    targets: Vec<String>,

    /// Name of what comes from standard input; its ending says what it is
    #[arg(long, default_value = "stdin.md", value_name = "NAME")]
    name: String,

    /// Fetch addresses of this machine and of private networks too
    #[arg(long)]
    allow_private: bool,

    /// Index everything in the project again, with the present settings, in one
    /// step; what cannot be read again is taken from the index
    #[arg(long)]
    rebuild: bool,
}

/// Makes a project, or says that there is one.
pub fn init(context: &Context) -> Result<Exit> {
    let existed = context.folder.join(crate::project::DATA_FOLDER).is_dir();
    let project = Project::init(context)?;
    let root = project.root.display().to_string();
    if context.json {
        context.print_json(&serde_json::json!({"project": root, "created": !existed}))?;
    } else if existed {
        context.say(format!("there is a project in {root} already"))?;
    } else {
        context.say(format!("made a project in {root}\nnext: plumb add PATH"))?;
    }
    Ok(Exit::Done)
}

pub fn run(args: &AddArgs, context: &Context) -> Result<Exit> {
    let project = if args.targets.is_empty() {
        Project::find(context)?
    } else {
        Project::find_or_init(context)?
    };
    let mut sources = Vec::new();
    let mut skipped = Vec::new();
    for target in &args.targets {
        collect(target, args, &mut sources, &mut skipped)?;
    }
    let store = project.store()?;
    let mut report = if args.rebuild {
        rebuild(&project, context, &store, sources, policy(args))?
    } else {
        let name = common_name(&args.targets);
        index(&project, context, &store, &Work { sources, name, ..Work::default() })?
    };
    report.skipped.splice(0..0, skipped);
    project.unread()?.note(&report, context.now_millis())?;
    print_report(&report, context)
}

/// Remembered with the address of a page that `--allow-private` was given for,
/// so that it can be fetched again.
const ALLOW_PRIVATE: &str = "allow_private";

/// Something to be read and indexed.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    File(PathBuf),
    Url { url: String, policy: Policy },
    Bytes { name: String, bytes: Vec<u8> },
}

fn collect(
    target: &str,
    args: &AddArgs,
    sources: &mut Vec<Source>,
    skipped: &mut Vec<SkippedItem>,
) -> Result<()> {
    if target == "-" {
        let mut bytes = Vec::new();
        let limit = Limits::default().file_bytes;
        std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            bail!("standard input has more than {limit} bytes");
        }
        sources.push(Source::Bytes { name: args.name.clone(), bytes });
        return Ok(());
    }
    if target.starts_with("http://") || target.starts_with("https://") {
        // A part of the page is not asked for: addresses of members end so.
        let url = source_address(target).to_owned();
        sources.push(Source::Url { url, policy: policy(args) });
        return Ok(());
    }
    let path = absolute(target)?;
    if !path.exists() {
        bail!("there is no file or folder `{}`", path.display());
    }
    let walk = documents_under(&path);
    sources.extend(walk.files.into_iter().map(Source::File));
    skipped.extend(
        walk.skipped.into_iter().map(|(path, reason)| SkippedItem { uri: file_url(&path), reason }),
    );
    Ok(())
}

/// The files under `folder`, without the settings of a project in it.
pub fn documents_under(folder: &Path) -> Walk {
    let mut walk = plumb_ingest::walk(folder);
    let is_settings = |file: &Path| {
        file != folder
            && file.file_name().is_some_and(|name| name == "plumb.toml")
            && file.with_file_name(".plumb").is_dir()
    };
    walk.files.retain(|file| !is_settings(file));
    walk
}

fn policy(args: &AddArgs) -> Policy {
    if args.allow_private { Policy::Anywhere } else { Policy::PublicOnly }
}

/// Where the document of `binding` can be read again; `None` for standard input.
pub fn source_of(binding: &Binding) -> Option<Source> {
    if let Some(path) = path_of_url(&binding.uri) {
        return Some(Source::File(absolute(&path).unwrap_or(path)));
    }
    let url = source_address(&binding.uri);
    let is_private = binding.metadata.contains_key(ALLOW_PRIVATE);
    let policy = if is_private { Policy::Anywhere } else { Policy::PublicOnly };
    url.starts_with("http").then(|| Source::Url { url: url.to_owned(), policy })
}

/// What is to be done to an index.
#[derive(Debug, Default)]
pub struct Work {
    /// To be indexed.
    pub sources: Vec<Source>,
    /// Addresses to be forgotten.
    pub gone: Vec<String>,
    /// What the documents are called together, if these are the first.
    pub name: Option<String>,
}

/// The name of the folder, if one folder is all that is added.
fn common_name(targets: &[String]) -> Option<String> {
    let [target] = targets else { return None };
    let folder = absolute(target).ok().filter(|path| path.is_dir())?;
    Some(folder.file_name()?.to_string_lossy().into_owned())
}

/// Does `work` on `store`.
///
/// Everything that can be checked is checked before anything is committed.
pub fn index(project: &Project, context: &Context, store: &Store, work: &Work) -> Result<Report> {
    let Work { sources, gone, name } = work;
    let located = locate(context, &project.config.embedder)?;
    let snapshot = store.snapshot();
    let made = made(project, &located);
    made.check(&snapshot)?;
    let mut batch = Batch::new();
    made.write(&mut batch);
    let is_first = snapshot.bindings().next().is_none();
    if let Some(name) = name.as_ref().filter(|_| is_first) {
        name_documents(&mut batch, &snapshot, name);
    }
    for uri in gone {
        batch.unbind(uri);
    }
    let known = by_source(&snapshot);
    let (mut fresh, mut unchanged) = (Vec::new(), 0);
    for source in sources {
        match unchanged_documents(source, &known) {
            Some(count) => unchanged += count,
            None => fresh.push(source),
        }
    }
    if fresh.is_empty() {
        let id = if gone.is_empty() { snapshot.id() } else { store.commit(&batch)? };
        let (removed, snapshot) = (gone.len(), id.to_string());
        return Ok(Report { unchanged, removed, snapshot, ..Report::default() });
    }
    let loaded = LoadedEmbedder::load(&located, project.config.threads)?;
    let analyzer = analyzer();
    let tools = Tools {
        embedder: &loaded.embedder,
        vectors: &loaded.embedder,
        analyzer: &analyzer,
        chunking: project.config.chunking,
        limits: Limits::default(),
    };
    let bar =
        context.progress(fresh.len() as u64, "{pos}/{len} files [{bar:24}] {msg}, {eta} left");
    let watch = OnTerminal { stop: &context.stop, bar: &bar };
    let mut indexer = Indexer::new(store, &tools, &watch, batch);
    indexer.report.removed = gone.len();
    let fetcher = Fetcher::new();
    for source in fresh {
        if context.stop.is_set() {
            break;
        }
        match read(source, &fetcher) {
            Ok(item) => indexer.add(&item)?,
            Err(error) => {
                let reason = format!("{error:#}");
                indexer.report.skipped.push(SkippedItem { uri: address(source), reason });
            }
        }
        bar.inc(1);
    }
    let mut report = indexer.finish()?;
    bar.finish_and_clear();
    report.unchanged += unchanged;
    Ok(report)
}

/// Calls the documents of a store by a name, unless they have one.
pub fn name_documents(batch: &mut Batch, before: &Snapshot, name: &str) {
    let name = before.meta().get(META_COLLECTION).map_or(name, String::as_str);
    batch.set_meta(META_COLLECTION, name);
}

/// What the passages of `project` are to be made with.
pub fn made(project: &Project, located: &Located) -> Made {
    Made {
        embedder: located.name.clone(),
        embedder_sha256: located.sha256.clone(),
        chunking: project.config.chunking,
    }
}

/// Follows indexing with a bar, and ends it at Ctrl-C.
pub struct OnTerminal<'a> {
    pub stop: &'a Stop,
    pub bar: &'a ProgressBar,
}

impl Watch for OnTerminal<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.is_set()
    }

    fn embedded(&self, progress: &Progress) {
        let Progress { passages, seconds, .. } = *progress;
        let rate = passages as f64 / seconds.max(1e-3);
        self.bar.set_message(format!("{passages} passages, {rate:.0}/s"));
    }
}

/// What is bound to each address of a source: several for an archive.
fn by_source(snapshot: &Snapshot) -> BTreeMap<&str, Vec<&Binding>> {
    let mut known: BTreeMap<&str, Vec<&Binding>> = BTreeMap::new();
    for binding in snapshot.bindings() {
        known.entry(source_address(&binding.uri)).or_default().push(binding);
    }
    known
}

/// How many documents the index has of a file, if all of them are there and the
/// file has the size and time that it had then.
fn unchanged_documents(source: &Source, known: &BTreeMap<&str, Vec<&Binding>>) -> Option<usize> {
    let Source::File(path) = source else { return None };
    let bindings = known.get(file_url(path).as_str())?;
    let facts = file_facts(path).ok()?;
    is_whole(bindings, facts).then_some(bindings.len())
}

/// The address that the documents of `source` get.
pub fn address(source: &Source) -> String {
    match source {
        Source::File(path) => file_url(path),
        Source::Url { url, .. } => url.clone(),
        Source::Bytes { name, .. } => format!("stdin:{name}"),
    }
}

/// Reads a source whole.
pub fn read(source: &Source, fetcher: &Fetcher) -> Result<Item> {
    let limit = Limits::default().file_bytes;
    let uri = address(source);
    let mut metadata = BTreeMap::new();
    match source {
        Source::File(path) => {
            let (mtime, size) = file_facts(path).context("cannot read the file")?;
            if size > limit {
                bail!("the file has {size} bytes, more than the limit of {limit}");
            }
            let bytes = std::fs::read(path).context("cannot read the file")?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok(Item { uri, name, bytes, mtime, metadata })
        }
        Source::Url { url, policy } => {
            let page = fetcher.get(url, *policy, limit)?;
            if *policy == Policy::Anywhere {
                metadata.insert(ALLOW_PRIVATE.to_owned(), "yes".to_owned());
            }
            Ok(Item { uri, name: page.name, bytes: page.bytes, mtime: 0, metadata })
        }
        Source::Bytes { name, bytes } => {
            Ok(Item { uri, name: name.clone(), bytes: bytes.clone(), mtime: 0, metadata })
        }
    }
}

/// Prints what came of it, and turns it into an exit code.
pub fn print_report(report: &Report, context: &Context) -> Result<Exit> {
    let changed = report.added + report.duplicates + report.removed + report.kept.len();
    let taken = changed + report.unchanged;
    let exit = match (report.interrupted, taken) {
        (true, _) => Exit::Interrupted,
        (false, 0) if !report.skipped.is_empty() => Exit::Failed,
        (false, _) => Exit::Done,
    };
    if context.json {
        context.print_json(report)?;
        return Ok(exit);
    }
    for warning in &report.warnings {
        context.note(format!("warning: {}: {}", shown(&warning.uri), warning.reason));
    }
    for skipped in &report.skipped {
        context.note(format!("skipped: {}: {}", shown(&skipped.uri), skipped.reason));
    }
    for kept in &report.kept {
        context.note(format!("kept as indexed before: {}: {}", shown(&kept.uri), kept.reason));
    }
    if report.interrupted && changed == 0 {
        context.note("interrupted: the index is as it was");
    } else if report.interrupted {
        context.note("interrupted: what is counted below is kept; the same command goes on");
    }
    let rate = report.passages as f64 / report.seconds.max(1e-3);
    let documents = if report.added == 1 { "document" } else { "documents" };
    let mut line = format!("{} {documents} added", report.added);
    let counts = [
        (report.unchanged, "unchanged"),
        (report.duplicates, "stored already"),
        (report.removed, "removed"),
        (report.kept.len(), "kept as before"),
        (report.skipped.len(), "skipped"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        line.push_str(&format!(", {count} {what}"));
    }
    line.push_str(&format!("; {} passages", report.passages));
    if report.passages > 0 {
        line.push_str(&format!(" in {:.1} s ({rate:.0}/s)", report.seconds));
    }
    line.push_str(&format!("; snapshot {}", &report.snapshot[..12.min(report.snapshot.len())]));
    context.say(line)?;
    Ok(exit)
}

/// A path where the address is one.
pub fn shown(uri: &str) -> &str {
    uri.strip_prefix("file://").unwrap_or(uri)
}
