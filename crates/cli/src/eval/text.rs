//! `plumb eval text`: texts against references.

mod bert;
mod flags;
mod lines;
mod measures;
mod names;
mod pair;
mod report;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use self::bert::BertFlags;
use self::flags::{MeasureFlags, ResamplingFlags};
use self::lines::Lines;
use self::measures::{Inputs, Measures, Settings};
use self::names::{Metric, Named};
use self::pair::PairFlags;
use crate::context::Context;
use crate::exit::Exit;

/// Compare texts with references
///
/// A text is a line, and line N of each file of references is a reference for
/// line N of the texts. Values have the scale of the usual libraries: bleu, chrf,
/// ter and self-bleu are percentages, the grades of readability are years of
/// school, and the others lie between 0 and 1 (density and compression above 0).
#[derive(clap::Args, Debug)]
pub struct TextArgs {
    /// The texts to judge
    #[arg(long, value_name = "FILE")]
    hyp: PathBuf,

    /// References, a file each
    #[arg(long = "ref", value_name = "FILE")]
    refs: Vec<PathBuf>,

    /// What was summarised, for coverage, density and compression
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,

    /// What to measure, with commas between; a wrong name lists all [default:
    /// bleu,chrf,rouge1,rouge2,rougeL, or distinct1,distinct2,repetition without references]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    metrics: Vec<Named>,

    /// Also print the value of each text
    #[arg(long)]
    per_segment: bool,

    /// What stands for a line break inside a text, such as `<n>`
    #[arg(long, value_name = "MARK")]
    newline: Option<String>,

    #[command(flatten)]
    how: MeasureFlags,

    #[command(flatten)]
    bert: BertFlags,

    #[command(flatten)]
    resampling: ResamplingFlags,

    #[command(flatten)]
    pair: PairFlags,
}

pub(super) fn run(args: &TextArgs, context: &Context) -> Result<Exit> {
    let mut metrics = names::distinct(&args.metrics);
    if metrics.is_empty() {
        metrics = names::defaults(!args.refs.is_empty());
    }
    check(args, &metrics)?;
    let settings = args.how.settings(&args.resampling, metrics.contains(&Metric::Meteor))?;
    let mark = args.newline.as_deref();
    let texts = Lines::read(&args.hyp, mark)?;
    let read = |path: &PathBuf| {
        let other = Lines::read(path, mark)?;
        texts.check_as_long(&other)?;
        anyhow::Ok(other)
    };
    let references = args.refs.iter().map(read).collect::<Result<Vec<_>>>()?;
    let sources = args.source.as_ref().map(read).transpose()?;
    let inputs = Inputs {
        texts: texts.lines(),
        references: references.iter().map(Lines::lines).collect(),
        sources: sources.as_ref().map(Lines::lines).unwrap_or_default(),
    };
    let measures = measures(args, &inputs, &settings, &metrics, context)?;
    if settings.wordnet.is_none() && metrics.contains(&Metric::Meteor) {
        context.note(
            "meteor is by form and stem alone: no WordNet is installed (Debian: wordnet-base)",
        );
    }
    if let Some(path) = &args.pair.hyp_b {
        let others = read(path)?;
        let inputs = Inputs { texts: others.lines(), ..inputs.clone() };
        let others = self::measures(args, &inputs, &settings, &metrics, context)?;
        return compare(args, (&measures, &others), &settings, &metrics, context);
    }
    let mut results = Vec::new();
    for metric in metrics {
        stop_if_asked(context)?;
        let measured =
            measures.measure(metric).with_context(|| format!("cannot compute `{metric}`"))?;
        results.push((metric, measured));
    }
    report::print(context, &results, args.per_segment)?;
    Ok(Exit::Done)
}

fn measures<'a>(
    args: &TextArgs,
    inputs: &'a Inputs<'a>,
    settings: &'a Settings,
    metrics: &[Metric],
    context: &Context,
) -> Result<Measures<'a>> {
    let is_asked = metrics.iter().any(|metric| matches!(metric, Metric::Bert(_)));
    let bert = is_asked.then(|| bert::compute(&args.bert, inputs, context)).transpose();
    let bert = bert.context("cannot compute `bertscore`")?;
    Ok(Measures::new(inputs, settings, metrics, bert))
}

/// Prints the second system beside the first.
fn compare(
    args: &TextArgs,
    systems: (&Measures<'_>, &Measures<'_>),
    settings: &Settings,
    metrics: &[Metric],
    context: &Context,
) -> Result<Exit> {
    let how = (settings.resampling.resamples, settings.resampling.level);
    let mut found = Vec::new();
    for metric in metrics {
        stop_if_asked(context)?;
        let one = pair::pair(&args.pair, systems, *metric, how);
        found.push(one.with_context(|| format!("cannot compare by `{metric}`"))?);
    }
    let name = |path: Option<&PathBuf>| path.map(|path| path.display().to_string());
    let (a, b) = (name(Some(&args.hyp)), name(args.pair.hyp_b.as_ref()));
    let names = (a.as_deref().unwrap_or("A"), b.as_deref().unwrap_or("B"));
    pair::print(context, &args.pair, &found, names, how.0)?;
    Ok(Exit::Done)
}

fn stop_if_asked(context: &Context) -> Result<()> {
    if context.stop.is_set() {
        bail!("interrupted");
    }
    Ok(())
}

/// Fails if a measure lacks what it compares with.
fn check(args: &TextArgs, metrics: &[Metric]) -> Result<()> {
    for metric in metrics {
        if metric.needs_reference() && args.refs.is_empty() {
            bail!("`{metric}` compares with references: name a file of them with --ref");
        }
        if metric.needs_source() && args.source.is_none() {
            bail!("`{metric}` compares with what was summarised: name the file with --source");
        }
    }
    Ok(())
}
