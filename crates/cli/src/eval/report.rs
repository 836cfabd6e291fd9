//! `plumb eval report`: a run as one page.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use plumb_eval::report::Report;
use plumb_eval::run::{parse_run, run_path};
use serde_json::{Map, Value, json};

use super::scores;
use crate::context::Context;
use crate::exit::Exit;

/// Make a page of a run
///
/// RUN is a folder that an evaluation wrote with --save, or what it printed with
/// --json. The page is one HTML file that needs nothing else: it can be mailed,
/// printed and archived.
#[derive(clap::Args, Debug)]
pub struct ReportArgs {
    /// Folder of a run, or file of results
    run: PathBuf,

    /// File to write [default: report.html beside the run]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write Markdown
    #[arg(long)]
    markdown: bool,

    /// Heading of the page
    #[arg(long)]
    title: Option<String>,
}

/// Runs the command.
pub(super) fn run(args: &ReportArgs, context: &Context) -> Result<Exit> {
    let report = gather(args)?;
    let (name, page) = if args.markdown {
        ("report.md", report.to_markdown())
    } else {
        ("report.html", report.to_html())
    };
    let beside = if args.run.is_dir() { args.run.clone() } else { parent(&args.run) };
    let output = args.output.clone().unwrap_or_else(|| beside.join(name));
    fs::write(&output, &page).with_context(|| format!("cannot write `{}`", output.display()))?;
    if context.json {
        let measures: Map<String, Value> = report
            .measures
            .iter()
            .map(|measure| {
                let value = json!({
                    "value": measure.value,
                    "interval": measure.interval.map(|(low, high)| [low, high]),
                    "n": measure.n,
                    "unscored": measure.unscored,
                    "signature": measure.signature,
                });
                (measure.name.clone(), value)
            })
            .collect();
        context.print_json(&json!({
            "title": report.title,
            "output": output,
            "bytes": page.len(),
            "measures": measures,
            "facts": report.facts,
            "notes": report.notes,
        }))?;
    } else {
        context.say(format!("{} ({} bytes)", output.display(), page.len()))?;
    }
    Ok(Exit::Done)
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn gather(args: &ReportArgs) -> Result<Report> {
    let name = args.run.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let title = args.title.clone().unwrap_or_else(|| format!("Evaluation: {name}"));
    let path = if args.run.is_dir() { run_path(&args.run) } else { args.run.clone() };
    let in_file = || format!("in `{}`", path.display());
    let bytes = scores::read(&path)?;
    let text = str::from_utf8(&bytes).with_context(in_file)?;
    if args.run.is_dir() || text.starts_with("{\"run\"") {
        let run = parse_run(text).with_context(in_file)?;
        return Ok(Report::new(&title, &run.results_by_item(), Some(&run.manifest))?);
    }
    let results: Value = serde_json::from_str(text).with_context(in_file)?;
    let Value::Object(results) = results else {
        bail!("`{}` holds no results: it is not a JSON object", path.display());
    };
    Report::new(&title, &results, None).with_context(in_file)
}
