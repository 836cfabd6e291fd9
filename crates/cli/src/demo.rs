//! `plumb demo`: the whole way on the handbook, from the models to answers.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use include_dir::{Dir, include_dir};
use plumb_answer::{Answer, Status};
use serde_json::json;

use crate::add::{Source, Work, index};
use crate::answers;
use crate::ask::{ask_on_terminal, go_on};
use crate::context::Context;
use crate::exit::Exit;
use crate::models;
use crate::project::{DATA_FOLDER, Project};
use crate::render::sources;
use crate::session::{self, Session};

/// The handbook, so that a binary alone can show what it does.
static HANDBOOK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../docs/handbook");
/// The guide to the program itself.
static GUIDE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../docs/guide");

/// Five that the handbook answers, and one that it does not.
const QUESTIONS: [&str; 6] = [
    "What is dropout, and how does it help in training neural networks?",
    "What is tokenization? Give me a difference between lemmatization and stemming?",
    "What is Retrieval-Augmented Generation (RAG)?",
    "What is quantization in the context of embeddings?",
    "What are vector databases, and how do they differ from traditional relational databases?",
    "How much does the Pinecone standard plan cost per month?",
];

/// See the whole way: pull the default models, index the handbook, ask it questions
#[derive(clap::Args, Debug)]
pub struct DemoArgs {
    /// Folder for the handbook and its index
    #[arg(long, value_name = "FOLDER", default_value = "plumb-demo")]
    folder: PathBuf,
}

pub fn run(args: &DemoArgs, context: &Context) -> Result<Exit> {
    let started = Instant::now();
    let root = crate::paths::absolute(&args.folder)?;
    check_folder(&root)?;
    for name in [crate::config::DEFAULT_EMBEDDER, crate::config::DEFAULT_GENERATOR] {
        models::pull(context, name)?;
    }
    let pulled = started.elapsed().as_secs_f64();
    let pages = root.join("docs");
    write_if_changed(&HANDBOOK, &pages.join("handbook"))?;
    write_if_changed(&GUIDE, &pages.join("guide"))?;
    let context = Context { folder: root.clone(), ..context.clone() };
    name_collection(&root)?;
    let project = Project::init(&context)?;
    let indexing = Instant::now();
    let files = plumb_ingest::walk(&pages).files;
    let sources: Vec<Source> = files.into_iter().map(Source::File).collect();
    let name = Some("handbook".to_owned());
    let work = Work { sources, name, ..Work::default() };
    let report = index(&project, &context, &project.store()?, &work)?;
    if report.interrupted {
        return Ok(Exit::Interrupted);
    }
    let indexed = indexing.elapsed().as_secs_f64();
    if !context.json {
        context.say(format!("models ready in {pulled:.1} s"))?;
        context.say(format!(
            "handbook of {} pages indexed in {indexed:.1} s: {} new passages\n",
            work.sources.len(),
            report.passages
        ))?;
    }
    let answers = ask_all(&project, &context)?;
    let total = started.elapsed().as_secs_f64();
    let as_expected = is_as_expected(&answers);
    if context.json {
        context.print_json(&json!({
            "models_seconds": pulled,
            "index_seconds": indexed,
            "total_seconds": total,
            "as_expected": as_expected,
            "answers": answers,
        }))?;
    } else {
        context.say(format!("all of it took {total:.1} s"))?;
        context.say(format!("go on: cd {} && plumb ask \"...\"", root.display()))?;
    }
    Ok(if as_expected { Exit::Done } else { Exit::Failed })
}

/// The text of all pages of the handbook, in the order of their names.
pub fn handbook() -> String {
    let mut pages: Vec<_> = HANDBOOK.files().collect();
    pages.sort_by_key(|page| page.path());
    pages.into_iter().filter_map(|page| page.contents_utf8()).collect()
}

/// Names the collection of a new demo after what is in it, not after its folder.
fn name_collection(root: &Path) -> Result<()> {
    let path = root.join("plumb.toml");
    if path.exists() {
        return Ok(());
    }
    let named = crate::config::TEMPLATE.replacen("# name =", "name =", 1);
    std::fs::create_dir_all(root)
        .and_then(|()| std::fs::write(&path, named))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

/// The demo writes only into a folder that is new, empty or its own.
fn check_folder(root: &Path) -> Result<()> {
    let is_foreign = root.exists()
        && !root.join(DATA_FOLDER).exists()
        && std::fs::read_dir(root)
            .with_context(|| format!("cannot read the folder `{}`", root.display()))?
            .next()
            .is_some();
    if is_foreign {
        bail!("`{}` has other files in it: give an empty folder with --folder", root.display());
    }
    Ok(())
}

/// Leaves files that are there already alone, so that they need no indexing.
fn write_if_changed(pages: &Dir<'_>, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    for page in pages.files() {
        let path = folder.join(page.path());
        if std::fs::read(&path).is_ok_and(|bytes| bytes == page.contents()) {
            continue;
        }
        std::fs::write(&path, page.contents())
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

fn ask_all(project: &Project, context: &Context) -> Result<Vec<Answer>> {
    let settings = session::settings(&project.config, None);
    let mut session = Session::open(project, context, project.snapshot()?, settings)?;
    let mut all = Vec::new();
    for question in QUESTIONS {
        let answer = if context.json {
            session.ask(question, &[], &mut |_| go_on(context))?
        } else {
            context.say(format!("> {question}"))?;
            let answer = ask_on_terminal(&mut session, question, &[], context)?;
            let mut out = std::io::stdout().lock();
            sources(&answer, &mut out)?;
            let seconds = answer.timings_ms.get("total").copied().unwrap_or_default() / 1e3;
            writeln!(out, "({seconds:.1} s)\n")?;
            answer
        };
        answers::keep(project, &session, &answer, &[])?;
        all.push(answer);
    }
    Ok(all)
}

/// All but the last answered, and the last refused.
fn is_as_expected(answers: &[Answer]) -> bool {
    answers.split_last().is_some_and(|(last, rest)| {
        last.status == Status::Abstained && rest.iter().all(|a| a.status == Status::Answered)
    })
}
