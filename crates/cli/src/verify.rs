//! `plumb verify`: an answer held against its sources again, without a model.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use plumb_answer::{Answer, Citation, Finding};
use plumb_index::address::path_of_url;
use plumb_store::Snapshot;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::exit::Exit;
use crate::list::hex;
use crate::project::Project;

/// Check an answer again: its digest, its quotes and every claim
///
/// Needs the JSON of the answer and its sources, and no model. A source is read
/// from its file if that still has the content that the answer names, otherwise
/// from the store of the project. Exits with 4 if the answer does not verify.
#[derive(clap::Args, Debug)]
pub struct VerifyArgs {
    /// Output of `plumb ask --json` or `plumb answer show --json`; `-` for standard input
    answer: PathBuf,

    /// Further files to look for sources in; they are known by their content
    #[arg(long, value_name = "FILE")]
    source: Vec<PathBuf>,
}

/// Where a source was found.
#[derive(Clone, Debug)]
struct Found {
    text: String,
    /// `file` or `store`.
    place: &'static str,
    uri: String,
}

pub fn run(args: &VerifyArgs, context: &Context) -> Result<Exit> {
    let text = read(&args.answer)?;
    let library = Library::new(args, context, &text)?;
    let (answer, findings) = plumb_answer::verify(text.trim(), &|citation| library.text(citation));
    let sources = library.found.into_inner();
    if context.json {
        context.print_json(&object(answer.as_ref(), &findings, &sources))?;
    } else {
        say(answer.as_ref(), &findings, &sources, context)?;
    }
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Unverified })
}

fn read(path: &Path) -> Result<String> {
    if path.as_os_str() != "-" {
        return std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the answer `{}`", path.display()));
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(text)
}

/// Texts of documents by content: of files, and of the store if there is one.
struct Library {
    files: Vec<PathBuf>,
    snapshots: Vec<Snapshot>,
    /// By the hash of the original bytes.
    found: RefCell<BTreeMap<String, Option<Found>>>,
}

impl Library {
    /// Opens what there is: no project is needed for files.
    fn new(args: &VerifyArgs, context: &Context, answer: &str) -> Result<Self> {
        let mut snapshots = Vec::new();
        if let Ok(project) = Project::find(context) {
            let named = serde_json::from_str::<Value>(answer)
                .ok()
                .and_then(|answer| answer["snapshot"].as_str().map(str::to_owned));
            let named = named.and_then(|id| project.snapshot_named(&id).ok());
            snapshots.extend(named);
            snapshots.push(project.reader()?.snapshot());
        }
        Ok(Self { files: args.source.clone(), snapshots, found: RefCell::default() })
    }

    fn text(&self, citation: &Citation) -> Option<String> {
        let known = self.found.borrow().get(&citation.sha256).cloned();
        let found = known.unwrap_or_else(|| {
            let found = self.in_file(citation).or_else(|| self.in_store(citation));
            self.found.borrow_mut().insert(citation.sha256.clone(), found.clone());
            found
        });
        found.map(|found| found.text)
    }

    /// A file with the content that the citation names. Ranges of other than
    /// UTF-8 text count bytes of the extracted text, which only the store has.
    fn in_file(&self, citation: &Citation) -> Option<Found> {
        if !citation.in_original {
            return None;
        }
        let named = path_of_url(&citation.uri);
        named.into_iter().chain(self.files.iter().cloned()).find_map(|path| {
            let bytes = std::fs::read(&path).ok()?;
            let is_same = hex(&Sha256::digest(&bytes)) == citation.sha256;
            let text = is_same.then(|| String::from_utf8(bytes).ok())??;
            Some(Found { text, place: "file", uri: path.display().to_string() })
        })
    }

    fn in_store(&self, citation: &Citation) -> Option<Found> {
        self.snapshots.iter().find_map(|snapshot| {
            snapshot.segments().flat_map(|segment| segment.live_documents()).find_map(|(id, _)| {
                let document = snapshot.document(&id)?;
                let info = document.info().ok()?;
                let is_named = hex(&info.sha256) == citation.sha256
                    && info.is_original == citation.in_original;
                let text = is_named.then(|| document.text().ok())??;
                let is_whole =
                    !info.is_original || hex(&Sha256::digest(text.as_bytes())) == citation.sha256;
                is_whole.then(|| Found { text, place: "store", uri: citation.uri.clone() })
            })
        })
    }
}

fn object(
    answer: Option<&Answer>,
    findings: &[Finding],
    sources: &BTreeMap<String, Option<Found>>,
) -> Value {
    let faults = |claim: Option<usize>| -> Vec<String> {
        let of_claim = findings.iter().filter(|finding| finding.claim == claim);
        of_claim.map(|finding| finding.fault.to_string()).collect()
    };
    let claims = answer.iter().flat_map(|answer| &answer.claims).enumerate();
    let claims = claims.map(|(place, claim)| {
        let faults = faults(Some(place));
        json!({ "text": claim.text, "verified": faults.is_empty(), "faults": faults })
    });
    let sources = sources.iter().map(|(sha256, found)| {
        let (place, uri) = match found {
            Some(found) => (found.place, Some(found.uri.as_str())),
            None => ("nowhere", None),
        };
        json!({ "sha256": sha256, "found_in": place, "uri": uri })
    });
    json!({
        "verified": findings.is_empty(),
        "answer_id": answer.map(|answer| &answer.answer_id),
        "digest": answer.map(|answer| &answer.digest),
        "faults": faults(None),
        "claims": claims.collect::<Vec<_>>(),
        "sources": sources.collect::<Vec<_>>(),
        "not_checked": NOT_CHECKED,
    })
}

/// What no check without the models can tell.
const NOT_CHECKED: &[&str] = &[
    "which passages were found",
    "the support of the question",
    "what the model wrote that was dropped",
    "who made the answer: the digest is no signature",
];

fn say(
    answer: Option<&Answer>,
    findings: &[Finding],
    sources: &BTreeMap<String, Option<Found>>,
    context: &Context,
) -> Result<()> {
    if let (Some(answer), true) = (answer, findings.is_empty()) {
        let quotes: usize = answer.claims.iter().map(|claim| claim.citations.len()).sum();
        context.say(format!(
            "{}: verified: {} and {} from {}",
            answer.answer_id,
            count(answer.claims.len(), "claim"),
            count(quotes, "quote"),
            count(sources.len(), "source"),
        ))?;
        for found in sources.values().flatten() {
            context.say(format!("  {} ({})", found.uri, found.place))?;
        }
        return context.say(format!("not checked: {}", NOT_CHECKED.join("; ")));
    }
    context.say("does not verify:")?;
    for finding in findings {
        let claim = finding.claim.and_then(|place| Some((place, answer?.claims.get(place)?)));
        let place = match claim {
            Some((place, claim)) => format!("claim {} (\"{}\")", place + 1, claim.text),
            None => "the answer".to_owned(),
        };
        context.say(format!("  {place}: {}", finding.fault))?;
    }
    Ok(())
}

fn count(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}
