//! `plumb embed`: texts in, vectors out.

use std::io::{self, BufRead, Write};

use anyhow::{Context as _, Result, bail};
use plumb_infer::Embedder;

use crate::context::Context;
use crate::exit::Exit;
use crate::models::locate;
use crate::project;

/// Lines that are embedded together.
const BATCH: usize = 64;
/// Bytes of a line: more than any model reads.
const MAX_LINE: u64 = 16 << 20;

/// Turn texts into vectors
#[derive(clap::Args, Debug)]
pub struct EmbedArgs {
    /// A name of `plumb model list`, or a path [default: the project's embedder]
    #[arg(long)]
    model: Option<String>,

    /// Put before each text what the model wants before a question
    #[arg(long, conflicts_with = "document")]
    query: bool,

    /// Put before each text what the model wants before a document
    #[arg(long)]
    document: bool,
}

/// Runs the command: reads lines, prints a JSON array for each.
pub fn run(args: &EmbedArgs, context: &Context) -> Result<Exit> {
    let settings = project::resolve(context, &context.folder)?;
    let name = args.model.as_deref().unwrap_or(&settings.embedder);
    let located = locate(context, name)?;
    let embedder = Embedder::load(&located.path, settings.threads)
        .with_context(|| format!("cannot load the embedder `{}`", located.name))?;
    let (mut input, mut out) = (io::stdin().lock(), io::BufWriter::new(io::stdout().lock()));
    loop {
        if context.stop.is_set() {
            bail!("interrupted");
        }
        let batch = next_lines(&mut input)?;
        if batch.is_empty() {
            return Ok(Exit::Done);
        }
        let texts: Vec<&str> = batch.iter().map(String::as_str).collect();
        let vectors = match (args.query, args.document) {
            (true, _) => {
                texts.iter().map(|text| embedder.embed_query(text)).collect::<Result<_, _>>()?
            }
            (_, true) => embedder.embed_documents(&texts)?,
            _ => embedder.embed_plain(&texts)?,
        };
        for vector in vectors {
            serde_json::to_writer(&mut out, &vector)?;
            writeln!(out)?;
        }
        out.flush()?;
    }
}

/// The next lines, at most [`BATCH`]; none at the end of the input.
fn next_lines(input: &mut impl BufRead) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    while lines.len() < BATCH {
        let mut line = Vec::new();
        io::Read::take(&mut *input, MAX_LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        if line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE {
            bail!("a line of standard input is longer than {MAX_LINE} bytes");
        }
        let text = String::from_utf8(line).context("standard input is not UTF-8")?;
        lines.push(text.trim_end_matches(['\n', '\r']).to_owned());
    }
    Ok(lines)
}
