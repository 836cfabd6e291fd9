//! Runs on disk: what was measured, with what, and the score of every item.
//!
//! A run is a folder with a file `run.jsonl`: a first line `{"run": ...}` says
//! what is measured with what (models and inputs by hash, settings, version of
//! the engine); a line `{"item": ...}` follows for each item as it is done; the
//! last, `{"results": ...}`, is what was printed. A run that was interrupted
//! has no last line, and perhaps half an item, and goes on where it stopped.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::compare::Values;

/// Version of the format, in each first line.
const FORMAT: u32 = 1;

/// Everything that decides what a run gives, and when it began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// The kind of evaluation: `retrieval`, `classify`, `lm`.
    pub kind: String,
    /// Version of the program.
    pub engine: String,
    /// Seconds since 1970; does not decide anything.
    pub started: u64,
    /// What was read: role, name and SHA-256.
    pub inputs: Vec<Input>,
    /// Flags and files of settings, resolved.
    pub settings: Value,
}

/// A file or model that a run read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What it is to the run: `run`, `qrels`, `model`, `task`.
    pub role: String,
    /// Its name or path, as given.
    pub name: String,
    /// Hash of all its bytes.
    pub sha256: String,
}

impl Manifest {
    /// A manifest in the present format.
    pub fn new(kind: &str, engine: &str, started: u64) -> Self {
        let (kind, engine) = (kind.to_owned(), engine.to_owned());
        Self { format: FORMAT, kind, engine, started, inputs: Vec::new(), settings: Value::Null }
    }

    /// Whether two runs must give the same.
    fn is_same_run(&self, other: &Self) -> bool {
        Self { started: other.started, ..self.clone() } == *other
    }
}

/// One item of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemRecord {
    /// Name of the item, once in a run.
    pub id: String,
    /// Its score by each measure; null where it could not be scored.
    pub scores: BTreeMap<String, Option<f64>>,
    /// What a reader may want to see: prompt, answer, reason.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// A run as read.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFile {
    /// The first line.
    pub manifest: Manifest,
    /// The items, in the order in which they were done.
    pub items: Vec<ItemRecord>,
    /// The last line, if the run came to its end.
    pub results: Option<Map<String, Value>>,
    /// Bytes up to the end of the last whole line.
    whole: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    Run(Manifest),
    Item(ItemRecord),
    Results(Map<String, Value>),
}

/// Reads a run. A last line that was cut off is passed over; any other line
/// that is wrong is an error.
pub fn parse_run(text: &str) -> Result<RunFile, Error> {
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut lines = (1..).zip(text[..whole].lines()).map(|(line, text)| {
        let wrong = |error: serde_json::Error| Error::Line { line, message: error.to_string() };
        serde_json::from_str::<Line>(text).map_err(wrong)
    });
    let Some(Line::Run(manifest)) = lines.next().transpose()? else {
        let message = "a run begins with a line `{\"run\": ...}`".to_owned();
        return Err(Error::Line { line: 1, message });
    };
    if manifest.format != FORMAT {
        return Err(Error::RunFormat { found: manifest.format, known: FORMAT });
    }
    let mut run = RunFile { manifest, items: Vec::new(), results: None, whole: whole as u64 };
    for line in lines {
        match line? {
            Line::Run(_) => {
                let message = "a second run begins inside the first".to_owned();
                return Err(Error::Line { line: 1 + run.items.len(), message });
            }
            Line::Item(item) => run.items.push(item),
            Line::Results(results) => run.results = Some(results),
        }
    }
    Ok(run)
}

impl RunFile {
    /// The value of each item by measure.
    pub fn values(&self) -> BTreeMap<String, Values> {
        let mut measures: BTreeMap<String, Values> = BTreeMap::new();
        for item in &self.items {
            for (measure, score) in &item.scores {
                measures.entry(measure.clone()).or_default().insert(item.id.clone(), *score);
            }
        }
        measures
    }

    /// The results as printed, with the score of each item at its measure.
    pub fn results_by_item(&self) -> Map<String, Value> {
        let mut results = self.results.clone().unwrap_or_default();
        for item in &self.items {
            for (measure, score) in &item.scores {
                let result = results.entry(measure.clone()).or_insert_with(|| json!({}));
                if let Some(result) = result.as_object_mut() {
                    let items = result.entry("per_item").or_insert_with(|| json!({}));
                    items[&item.id] = json!(score);
                }
            }
        }
        results
    }
}

/// A run that is being written.
#[derive(Debug)]
pub struct RunWriter {
    file: File,
    path: PathBuf,
}

/// Where the file of a run lies in its folder.
pub fn run_path(folder: &Path) -> PathBuf {
    folder.join("run.jsonl")
}

impl RunWriter {
    /// Begins a run in `folder`, or goes on with the one that is there: then
    /// the items that it has are returned. A folder that holds a run of
    /// anything else is an error, and so is one that came to its end.
    pub fn open(folder: &Path, manifest: &Manifest) -> Result<(Self, Vec<ItemRecord>), Error> {
        let path = run_path(folder);
        let failed = |source: io::Error| Error::Io { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let before = match fs::read_to_string(&path) {
            Ok(text) if text.contains('\n') => Some(parse_run(&text)?),
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        let mut writer = Self { file, path: path.clone() };
        let Some(before) = before else {
            writer.file.set_len(0).map_err(failed)?;
            writer.line(&Line::Run(manifest.clone()))?;
            return Ok((writer, Vec::new()));
        };
        if !before.manifest.is_same_run(manifest) {
            return Err(Error::OtherRun { path });
        }
        if before.results.is_some() {
            return Err(Error::FinishedRun { path });
        }
        writer.file.set_len(before.whole).map_err(failed)?;
        Ok((writer, before.items))
    }

    /// Adds an item.
    pub fn item(&mut self, item: &ItemRecord) -> Result<(), Error> {
        self.line(&Line::Item(item.clone()))
    }

    /// Adds the results: the run has come to its end.
    pub fn finish(mut self, results: &Map<String, Value>) -> Result<(), Error> {
        self.line(&Line::Results(results.clone()))
    }

    /// Writes a line in one piece, so that a kill leaves at most one cut off.
    fn line(&mut self, line: &Line) -> Result<(), Error> {
        let mut bytes = serde_json::to_vec(line).map_err(|source| Error::NotResults { source })?;
        bytes.push(b'\n');
        self.file.write_all(&bytes).map_err(|source| Error::Io { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, score: Option<f64>) -> ItemRecord {
        let scores = BTreeMap::from([("map".to_owned(), score)]);
        ItemRecord { id: id.to_owned(), scores, detail: Value::Null }
    }

    fn manifest() -> Manifest {
        Manifest { settings: json!({"k": 3}), ..Manifest::new("lm", "plumb 1", 5) }
    }

    fn results() -> Map<String, Value> {
        json!({"map": {"value": 0.5}}).as_object().unwrap().clone()
    }

    #[test]
    fn an_interrupted_run_goes_on_after_its_last_whole_item() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, before) = RunWriter::open(folder.path(), &manifest()).unwrap();
        assert!(before.is_empty());
        writer.item(&item("a", Some(0.5))).unwrap();
        writer.item(&item("b", None)).unwrap();
        drop(writer);
        let path = run_path(folder.path());
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 4]).unwrap();
        // At another time the run is the same.
        let later = Manifest { started: 9, ..manifest() };
        let (mut writer, before) = RunWriter::open(folder.path(), &later).unwrap();
        assert_eq!(before, [item("a", Some(0.5))]);
        writer.item(&item("b", None)).unwrap();
        writer.finish(&results()).unwrap();
        let run = parse_run(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(run.items, [item("a", Some(0.5)), item("b", None)]);
        assert_eq!(run.results_by_item()["map"]["per_item"], json!({"a": 0.5, "b": null}));
    }

    #[test]
    fn a_run_is_never_mixed_with_another() {
        let folder = tempfile::tempdir().unwrap();
        drop(RunWriter::open(folder.path(), &manifest()).unwrap());
        let input = Input { role: "model".into(), name: "m".into(), sha256: "0".into() };
        for other in [
            Manifest { settings: json!({"k": 4}), ..manifest() },
            Manifest { kind: "classify".to_owned(), ..manifest() },
            Manifest { engine: "plumb 2".to_owned(), ..manifest() },
            Manifest { inputs: vec![input], ..manifest() },
        ] {
            let found = RunWriter::open(folder.path(), &other);
            assert!(matches!(found, Err(Error::OtherRun { .. })));
        }
        let (writer, _) = RunWriter::open(folder.path(), &manifest()).unwrap();
        writer.finish(&results()).unwrap();
        let found = RunWriter::open(folder.path(), &manifest());
        assert!(matches!(found, Err(Error::FinishedRun { .. })));
    }

    #[test]
    fn what_is_no_run_is_refused_with_its_line() {
        assert!(matches!(parse_run(""), Err(Error::Line { line: 1, .. })));
        assert!(matches!(parse_run("{\"item\": 1}\n"), Err(Error::Line { line: 1, .. })));
        let mut text = serde_json::to_string(&Line::Run(manifest())).unwrap();
        text.push_str("\nnonsense\n");
        assert!(matches!(parse_run(&text), Err(Error::Line { line: 2, .. })));
        let newer = text.replace("\"format\":1", "\"format\":7").replace("nonsense\n", "");
        assert!(matches!(parse_run(&newer), Err(Error::RunFormat { found: 7, known: 1 })));
    }
}
