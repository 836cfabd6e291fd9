//! `plumb eval lm`: a language model on a task.

mod report;
mod variants;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use plumb_eval::lm::{Asked, Cache, Evaluated, Overrides, Settings, Task, evaluate, hash};
use plumb_eval::run::{Input, ItemRecord, Manifest, RunWriter};
use plumb_infer::LanguageModel;
use serde_json::{Value, json};

use super::scores::{self, SamplingArgs};
use crate::config::KvCacheName;
use crate::context::Context;
use crate::exit::Exit;
use crate::models::{Located, locate};
use crate::project;

/// Run a language model on a task
///
/// A task is a YAML file with the fields of lm-evaluation-harness, and prompts and
/// scores are the harness's. Documents come from local files: `dataset_path: json`
/// with `dataset_kwargs: {data_files: {test: FILE}}`, relative to the task's folder.
/// Answers are kept by the hash of everything that decides them, so that a run that
/// was interrupted goes on where it stopped.
#[derive(clap::Args, Debug)]
pub struct LmArgs {
    /// A name of `plumb model list`, or a path
    model: String,

    /// The task
    #[arg(long, value_name = "FILE")]
    task: PathBuf,

    /// Examples before each document [default: the task's]
    #[arg(long, value_name = "N")]
    num_fewshot: Option<usize>,

    /// Start of the random numbers that draw examples
    #[arg(long, value_name = "N", default_value_t = 1234)]
    fewshot_seed: u64,

    /// Score the first documents only
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Also run these prompts: a YAML file of names, each with fields of the task that it changes
    #[arg(long, value_name = "FILE")]
    variants: Option<PathBuf>,

    /// Documents that are answered together; scores do not depend on it
    #[arg(long, value_name = "N", default_value = "8")]
    batch_size: NonZeroUsize,

    /// Tokens that the model reads at once [default: all that it can]
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,

    /// Compute in 32-bit floats throughout
    #[arg(long, conflicts_with = "kv_cache")]
    exact: bool,

    /// How keys and values are kept [default: `models.kv_cache` of plumb.toml, or f16]
    #[arg(long, value_enum, value_name = "TYPE")]
    kv_cache: Option<KvCacheName>,

    /// Write the run, with every item, into this folder
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,

    /// Also print the score of each item
    #[arg(long)]
    per_item: bool,

    #[command(flatten)]
    caching: CachingArgs,

    #[command(flatten)]
    sampling: SamplingArgs,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Cache of answers")]
struct CachingArgs {
    /// Compute every answer, and keep none
    #[arg(long)]
    no_cache: bool,

    /// Share of the answers from before to compute again and compare
    #[arg(long, value_name = "SHARE", default_value_t = 0.02)]
    audit: f64,
}

/// One evaluation of several: a prompt and what came of it.
struct Outcome {
    name: String,
    task: Task,
    found: Evaluated,
}

/// Runs the command.
pub(super) fn run(args: &LmArgs, context: &Context) -> Result<Exit> {
    if !(0.0..=1.0).contains(&args.caching.audit) {
        bail!("--audit is {}, which is not a share between 0 and 1", args.caching.audit);
    }
    let prompts = variants::read(args.variants.as_deref())?;
    let base = Overrides { shots: args.num_fewshot, limit: args.limit, ..Overrides::default() };
    let mut tasks = Vec::new();
    for (name, fields) in prompts {
        let overrides = Overrides { fields, ..base.clone() };
        let in_file = || format!("in the task `{}`", args.task.display());
        tasks.push((name, Task::load(&args.task, &overrides).with_context(in_file)?));
    }
    let config = project::resolve(context, &context.folder)?;
    let located = locate(context, &args.model)?;
    let failed = || format!("cannot load the generator `{}`", located.name);
    let stored = match args.kv_cache {
        _ if args.exact => KvCacheName::F32,
        Some(stored) => stored,
        None => config.kv_cache,
    };
    let mut model = if args.exact {
        LanguageModel::load_exact(&located.path, config.threads).with_context(failed)?
    } else {
        located.generator(config.threads, stored.into()).with_context(failed)?
    };
    model.set_cache_type(stored.into());
    let asked = Asked::new(Arc::new(model), identity(args, &located, stored)?, args.max_length);
    let folder = context.models.parent().map(|cache| cache.join("eval"));
    let folder = folder.filter(|_| !args.caching.no_cache);
    let model_identity = plumb_eval::lm::Model::identity(&asked);
    let mut cache = Cache::open(folder.as_deref(), &model_identity, args.caching.audit)?;
    let mut outcomes = Vec::new();
    for (name, task) in tasks {
        let mut running = Running { args, context, asked: &asked, cache: &mut cache };
        let Some(found) = running.evaluate(&name, &task, &located)? else {
            context.note("interrupted; what was answered is kept");
            return Ok(Exit::Interrupted);
        };
        outcomes.push(Outcome { name, task, found });
    }
    report::print(args, context, &outcomes, &cache)?;
    Ok(Exit::Done)
}

/// Everything beside the question that may change an answer.
fn identity(args: &LmArgs, located: &Located, stored: KvCacheName) -> Result<Value> {
    Ok(json!({
        "weights": located.sha256,
        "files": settings_hash(&located.path)?,
        "engine": env!("CARGO_PKG_VERSION"),
        "build": build_hash()?,
        "exact": args.exact,
        "kv_cache": stored.name(),
    }))
}

/// Hash of this program: a version that was built again may compute otherwise.
fn build_hash() -> Result<String> {
    let program = std::env::current_exe().context("cannot find the running program")?;
    Ok(scores::input("program", &program, &scores::read(&program)?).sha256)
}

/// Hash of the small files beside the weights (tokenizer, configuration), of a
/// model that is a folder.
fn settings_hash(path: &Path) -> Result<Option<String>> {
    if !path.is_dir() {
        return Ok(None);
    }
    let mut names: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.path());
    }
    names.retain(|name| name.extension().is_some_and(|ending| ending == "json" || ending == "txt"));
    names.sort();
    let mut all = String::new();
    for name in names {
        all += &format!("{}\n", name.file_name().unwrap_or_default().to_string_lossy());
        all += &String::from_utf8_lossy(&scores::read(&name)?);
    }
    Ok(Some(hash(&all)))
}

/// What one evaluation needs.
struct Running<'a> {
    args: &'a LmArgs,
    context: &'a Context,
    asked: &'a Asked,
    cache: &'a mut Cache,
}

impl Running<'_> {
    /// Runs a task; `None` if the user broke off.
    fn evaluate(
        &mut self,
        name: &str,
        task: &Task,
        located: &Located,
    ) -> Result<Option<Evaluated>> {
        let settings = Settings {
            fewshot_seed: self.args.fewshot_seed,
            how: self.args.sampling.resampling(),
            at_once: self.args.batch_size,
        };
        let mut writer = match &self.args.save {
            Some(folder) => {
                Some(self.writer(&folder.join(variants::folder(name)), task, located)?)
            }
            None => None,
        };
        let template = "{spinner} {msg} {bar:32} {pos}/{len} {eta}";
        let bar = self.context.progress(task.docs.len() as u64, template);
        bar.set_message(format!("{} {name}", task.name));
        let stop = &self.context.stop;
        let mut on_item = |item: &ItemRecord| -> Result<(), plumb_eval::Error> {
            bar.inc(1);
            if let Some((writer, known)) = &mut writer
                && !known.contains(&item.id)
            {
                writer.item(item)?;
            }
            if stop.is_set() { Err(plumb_eval::Error::Stopped) } else { Ok(()) }
        };
        let found = match evaluate(task, self.asked, self.cache, &settings, &mut on_item) {
            Ok(found) => found,
            Err(plumb_eval::Error::Stopped) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        bar.finish_and_clear();
        if let Some((writer, _)) = writer {
            writer.finish(&report::results(&found, task, self.args, self.cache))?;
        }
        Ok(Some(found))
    }

    /// The file of the run, and the items that it has.
    fn writer(
        &self,
        folder: &Path,
        task: &Task,
        located: &Located,
    ) -> Result<(RunWriter, Vec<String>)> {
        let mut manifest = Manifest::new("lm", &scores::engine(), scores::now());
        manifest.inputs.push(Input {
            role: "model".to_owned(),
            name: located.name.clone(),
            sha256: located.sha256.clone(),
        });
        for (role, path, bytes) in &task.sources {
            manifest.inputs.push(scores::input(role, path, bytes));
        }
        manifest.settings = json!({
            "task": task.resolved,
            "fewshot_seed": self.args.fewshot_seed,
            "limit": self.args.limit,
            "resampling": scores::describe(&self.args.sampling.resampling()),
            "model": plumb_eval::lm::Model::identity(self.asked),
        });
        let (writer, items) = RunWriter::open(folder, &manifest)?;
        Ok((writer, items.into_iter().map(|item| item.id).collect()))
    }
}
