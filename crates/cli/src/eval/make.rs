//! `plumb eval make`: a test set from the project's own documents.
//!
//! A question comes from what a document says about itself, and with `--write` also
//! from the generator. A
//! heading that asks is a question as it stands; a sentence `X is a ...` answers
//! what X is; any other heading can be asked for. Paraphrases ask the same in other
//! words, near misses ask for a thing whose name the documents do not contain, and
//! hidden questions are asked while their page is left out. Made questions use the
//! documents' words and are easier than users' questions: compare runs with them,
//! and do not read them as scores.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plumb_metrics::SplitMix64;
use plumb_store::Snapshot;
use plumb_text::sentences;
use serde_json::json;

use super::written::{self, Tried, Wish};
use crate::context::Context;
use crate::exit::Exit;
use crate::labelled::Labelled;
use crate::project::Project;

/// Make a test set from the project's own documents
///
/// Writes questions that the documents answer, paraphrases of them, questions
/// for things that the documents do not know, and questions whose page is left
/// out when they are asked. `plumb eval rag` and `plumb calibrate` read it.
#[derive(clap::Args, Debug)]
pub struct MakeArgs {
    /// Questions with an answer, at most; there are about as many without
    #[arg(long, value_name = "N", default_value_t = 100)]
    size: usize,

    /// Seed of the draw
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Questions that the generator writes, beside the others; one is kept only if the
    /// project, asked it, answers from the passage that it was written about
    #[arg(long, value_name = "N", default_value_t = 0)]
    write: usize,

    /// Model that writes them (default: the project's generator)
    #[arg(long, value_name = "MODEL")]
    generator: Option<String>,

    /// File to write (default: eval.jsonl in the project's data)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A question that a page answers, before it is varied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seed {
    pub(super) question: String,
    /// What it asks for, where that can be exchanged.
    pub(super) subject: Option<String>,
    pub(super) kind: &'static str,
    pub(super) uri: String,
}

pub fn run(args: &MakeArgs, context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    let snapshot = project.snapshot()?;
    let mut seeds = seeds(&snapshot)?;
    if seeds.is_empty() && args.write == 0 {
        bail!("no document has a heading or a definition to ask about: try --write N");
    }
    let found = seeds.len();
    SplitMix64::new(args.seed).shuffle(&mut seeds);
    seeds.truncate(args.size);
    let tried = add_written(&mut seeds, args, (&project, &snapshot), context)?;
    let questions = varied(&seeds, &snapshot)?;
    let mut lines = String::new();
    for question in &questions {
        writeln!(lines, "{}", serde_json::to_string(question)?)?;
    }
    let path = args.out.clone().unwrap_or_else(|| project.test_set());
    std::fs::write(&path, lines).with_context(|| format!("cannot write `{}`", path.display()))?;
    let answerable = questions.iter().filter(|question| !question.pages.is_empty()).count();
    let unanswerable = questions.len() - answerable;
    if context.json {
        context.print_json(&json!({
            "file": path, "questions": questions.len(), "answerable": answerable,
            "unanswerable": unanswerable, "candidates": found,
            "written": { "passages_read": tried.read, "no_question": tried.unfit,
                "way_back_lost": tried.lost, "kept": tried.read - tried.unfit - tried.lost },
        }))?;
    } else {
        context.say(format!(
            "{}: {} questions, {answerable} with an answer and {unanswerable} without, from \
             {found} headings and definitions",
            path.display(),
            questions.len(),
        ))?;
        if 0 < tried.read {
            let Tried { read, unfit, lost } = tried;
            context.say(format!(
                "the generator read {read} passages: {} questions are kept, {unfit} texts were no \
                 question that stands alone, {lost} did not lead back to their passage",
                read - unfit - lost,
            ))?;
        }
    }
    Ok(Exit::Done)
}

/// Adds the questions that the generator writes, if any are wanted.
fn add_written(
    seeds: &mut Vec<Seed>,
    args: &MakeArgs,
    (project, snapshot): (&Project, &Snapshot),
    context: &Context,
) -> Result<Tried> {
    if args.write == 0 {
        return Ok(Tried::default());
    }
    if project.config.endpoint.is_some() && args.generator.is_none() {
        bail!("the project's generator is on a server: name a local one with --generator MODEL");
    }
    let model = args.generator.as_deref().unwrap_or(&project.config.generator);
    let wish = Wish { count: args.write, draw: args.seed, model };
    let (written, tried) = written::seeds(project, snapshot, &wish, context)?;
    let is_new = |new: &Seed| seeds.iter().all(|known| known.question != new.question);
    let new: Vec<Seed> = written.into_iter().filter(is_new).collect();
    seeds.extend(new);
    Ok(tried)
}

/// Questions that headings ask, or that ask for what is under them, in the
/// order of a draw.
pub fn heading_questions(snapshot: &Snapshot, draw: u64) -> Result<Vec<String>> {
    let mut seeds = seeds(snapshot)?;
    seeds.retain(|seed| seed.kind.starts_with("heading"));
    SplitMix64::new(draw).shuffle(&mut seeds);
    Ok(seeds.into_iter().map(|seed| seed.question).collect())
}

/// What the documents can be asked for, each question once, in their order.
fn seeds(snapshot: &Snapshot) -> Result<Vec<Seed>> {
    let mut seeds: Vec<Seed> = Vec::new();
    let mut seen = BTreeSet::new();
    for binding in snapshot.bindings() {
        let Some(document) = snapshot.document(&binding.document) else { continue };
        for at in document.passages() {
            let passage = snapshot.passage(at)?;
            let mut found: Vec<Seed> = Vec::new();
            if let Some(heading) = passage.heading_path.last() {
                found.extend(from_heading(heading, &document.info()?.title));
            }
            found.extend(definitions(&passage.text));
            for mut seed in found {
                seed.uri.clone_from(&binding.uri);
                // One definition a passage is enough, and no question twice.
                if seen.insert(seed.question.to_lowercase()) {
                    seeds.push(seed);
                }
            }
        }
    }
    Ok(seeds)
}

pub(super) fn seed(question: String, subject: Option<&str>, kind: &'static str) -> Seed {
    Seed { question, subject: subject.map(str::to_owned), kind, uri: String::new() }
}

/// A heading as a question: as it stands, or asked for.
fn from_heading(heading: &str, title: &str) -> Option<Seed> {
    let heading =
        heading.trim().trim_start_matches(|c: char| c.is_ascii_digit() || ". ".contains(c));
    let words = heading.split_whitespace().count();
    if heading.ends_with('?') {
        return (words >= 4).then(|| seed(heading.to_owned(), None, "heading that asks"));
    }
    let is_plain = heading.chars().all(|c| c.is_alphanumeric() || " -'".contains(c));
    if !is_plain || !(2..=8).contains(&words) || heading == title {
        return None;
    }
    Some(seed(format!("What is said about {}?", lowered(heading)), Some(heading), "heading"))
}

/// `X is a ...` with a short X that begins a sentence.
fn definitions(text: &str) -> Option<Seed> {
    sentences(text).into_iter().find_map(|range| {
        let sentence = text.get(range)?.trim();
        let (subject, _) = [" is a ", " is an ", " is the "]
            .iter()
            .filter_map(|verb| sentence.split_once(verb))
            .min_by_key(|(subject, _)| subject.len())?;
        let words = subject.split_whitespace().count();
        let first = subject.split_whitespace().next()?.to_lowercase();
        let is_noun = !POINTERS.contains(&first.as_str())
            && subject.chars().all(|c| c.is_alphanumeric() || " -".contains(c));
        let begins = subject.chars().next()?.is_uppercase();
        let question = format!("What is {}?", lowered(subject));
        (is_noun && begins && words <= 4).then(|| seed(question, Some(subject), "definition"))
    })
}

/// Beginnings of subjects that a question would have to resolve.
const POINTERS: &[&str] = &[
    "all", "and", "another", "as", "because", "but", "each", "for", "he", "here", "his", "however",
    "if", "in", "it", "its", "one", "or", "our", "she", "since", "so", "such", "that", "their",
    "then", "there", "these", "they", "this", "those", "thus", "we", "what", "when", "where",
    "which", "who", "why", "you", "your",
];

/// `text` with a small letter at its beginning, unless that is part of a name.
fn lowered(text: &str) -> String {
    let mut words = text.splitn(2, ' ');
    let first = words.next().unwrap_or_default();
    let is_name = first.chars().skip(1).any(char::is_uppercase) || first.len() == 1;
    let first = if is_name { first.to_owned() } else { first.to_lowercase() };
    words.next().map_or(first.clone(), |rest| format!("{first} {rest}"))
}

/// Four questions of each seed: as it is, in other words, for another thing, and
/// while its page is left out. Every second seed is hidden, so that there are
/// about as many questions with an answer as without.
fn varied(seeds: &[Seed], snapshot: &Snapshot) -> Result<Vec<Labelled>> {
    let mut questions = Vec::new();
    let mut add = |text: String, kind: &str, pages: Vec<String>, hides: Vec<String>| {
        let id = format!("m{}", questions.len() + 1);
        questions.push(Labelled { id, text, pages, kind: Some(kind.to_owned()), hides });
    };
    for (number, seed) in seeds.iter().enumerate() {
        let pages = vec![seed.uri.clone()];
        add(seed.question.clone(), seed.kind, pages.clone(), Vec::new());
        if let Some(text) = paraphrased(&seed.question, number) {
            add(text, "paraphrase", pages.clone(), Vec::new());
        }
        if let Some(text) = near_miss(seed, number, snapshot)? {
            add(text, "near miss", Vec::new(), Vec::new());
        }
        if number % 2 == 0 {
            add(seed.question.clone(), "hidden", Vec::new(), pages);
        }
    }
    Ok(questions)
}

/// The same question in other words.
fn paraphrased(question: &str, number: usize) -> Option<String> {
    const FORMS: &[(&str, &[&str])] = &[
        ("What is said about ", &["Tell me what there is on ", "I would like to know about "]),
        ("What is ", &["How would you explain ", "Please define "]),
        ("What are ", &["Please list ", "Could you name "]),
        ("How do I ", &["In which way can I ", "What is the way to "]),
        ("How can I ", &["In which way can I ", "What is the way to "]),
        ("Why ", &["For what reason ", "I wonder why "]),
    ];
    let (begin, others) = FORMS.iter().find(|(begin, _)| question.starts_with(begin))?;
    Some(others[number % others.len()].to_owned() + &question[begin.len()..])
}

/// The question with a subject whose name no document contains, if it has one.
fn near_miss(seed: &Seed, number: usize, snapshot: &Snapshot) -> Result<Option<String>> {
    const NAMES: &[&str] = &["Zentrik", "Quarvo", "Mextral", "Volpine", "Durxan", "Kelvor"];
    let Some(subject) = &seed.subject else { return Ok(None) };
    let name = NAMES[number % NAMES.len()];
    // A name that some document has is no near miss.
    let rarity = |term: &str| plumb_retrieve::idf(snapshot, term);
    if rarity(&name.to_lowercase())? < rarity("\u{1}")? {
        return Ok(None);
    }
    let other = format!("{name} {}", lowered(subject));
    Ok(Some(seed.question.replacen(&lowered(subject), &other, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_heading(heading: &str, want: Option<&str>) {
        let found = from_heading(heading, "The title");
        assert_eq!(found.map(|seed| seed.question).as_deref(), want, "{heading}");
    }

    #[test]
    fn a_heading_is_asked_for_or_asks_itself() {
        check_heading("1.2 How do I undo a change?", Some("How do I undo a change?"));
        check_heading("Backing up the archive", Some("What is said about backing up the archive?"));
        check_heading("API keys", Some("What is said about API keys?"));
        check_heading("The title", None);
        check_heading("`fsync(fd)`", None);
        check_heading("Why?", None);
    }

    #[test]
    fn a_definition_is_asked_for_and_a_pronoun_is_not() {
        let text = "This is a note. Dropout is a method that sets units to zero.";
        assert_eq!(definitions(text).unwrap().question, "What is dropout?");
        assert_eq!(definitions("It is a method. They say Dropout is a method."), None);
    }

    #[test]
    fn a_paraphrase_keeps_what_is_asked_for() {
        let found = paraphrased("What is dropout?", 0).unwrap();
        assert_eq!(found, "How would you explain dropout?");
        assert_eq!(paraphrased("Does it work?", 0), None);
    }
}
