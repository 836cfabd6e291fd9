//! Task files: YAML with the fields of `lm-evaluation-harness`.
//!
//! Documents come from local files: `dataset_path: json` with
//! `dataset_kwargs: {data_files: {test: FILE, ...}}`, as the harness reads them
//! too. What would run Python (`!function`, `process_docs`) is refused.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::docs::{Doc, parse_docs};
use super::filters::Pipeline;
use crate::Error;

/// What a model is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Which of several continuations is likeliest.
    MultipleChoice,
    /// How likely one continuation is.
    LogLikelihood,
    /// How likely a whole text is.
    Rolling,
    /// To continue.
    Generate,
}

/// A task, read and with its documents.
#[derive(Debug)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// What a model is asked.
    pub output: Output,
    /// The documents that are scored.
    pub docs: Vec<Doc>,
    /// Examples to draw from.
    pub(super) pool: Vec<Doc>,
    /// Whether a document may be among its own examples unless taken out.
    pub(super) pool_holds_docs: bool,
    /// Whether examples are the first ones instead of drawn.
    pub(super) takes_first: bool,
    /// Examples before each document.
    pub shots: usize,
    pub(super) fields: Fields,
    /// Names of the measures and their options.
    pub(super) metrics: Vec<Metric>,
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) generation: Map<String, Value>,
    /// Times each document is generated.
    pub(super) repeats: usize,
    /// Files that were read, with their bytes: role, path, content.
    pub sources: Vec<(String, PathBuf, Vec<u8>)>,
    /// Everything that decides prompts and scores, resolved.
    pub resolved: Value,
}

/// What makes prompts of documents.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    pub(super) doc_to_text: Value,
    pub(super) doc_to_target: Value,
    pub(super) doc_to_choice: Value,
    pub(super) description: String,
    pub(super) target_delimiter: String,
    pub(super) fewshot_delimiter: String,
    pub(super) gen_prefix: Option<String>,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            doc_to_text: Value::Null,
            doc_to_target: Value::Null,
            doc_to_choice: Value::Null,
            description: String::new(),
            target_delimiter: " ".to_owned(),
            fewshot_delimiter: "\n\n".to_owned(),
            gen_prefix: None,
        }
    }
}

/// Fields that are understood, beside those of [`Fields`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Rest {
    task: Option<String>,
    dataset_kwargs: Map<String, Value>,
    training_split: Option<String>,
    validation_split: Option<String>,
    test_split: Option<String>,
    fewshot_split: Option<String>,
    fewshot_config: Map<String, Value>,
    num_fewshot: Option<usize>,
    output_type: Option<String>,
    metric_list: Option<Vec<Map<String, Value>>>,
    generation_kwargs: Option<Map<String, Value>>,
    filter_list: Option<Vec<Value>>,
    repeats: Option<usize>,
}

const UNDERSTOOD: [&str; 20] = [
    "task",
    "dataset_kwargs",
    "training_split",
    "validation_split",
    "test_split",
    "fewshot_split",
    "fewshot_config",
    "num_fewshot",
    "output_type",
    "metric_list",
    "generation_kwargs",
    "filter_list",
    "repeats",
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "description",
    "target_delimiter",
    "fewshot_delimiter",
    "gen_prefix",
];
/// Fields that decide nothing here.
const PASSED_OVER: [&str; 8] = [
    "task_alias",
    "tag",
    "group",
    "dataset_path",
    "dataset_name",
    "should_decontaminate",
    "doc_to_decontamination_query",
    "metadata",
];

/// The name of a measure, and its options.
pub(super) type Metric = (String, Map<String, Value>);

/// What the caller sets over the task's own fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Examples before each document.
    pub shots: Option<usize>,
    /// Documents scored, at most: the first ones.
    pub limit: Option<usize>,
    /// Fields of a prompt variant, by name.
    pub fields: Map<String, Value>,
}

impl Task {
    /// Reads a task file and its documents. Names of files in it are relative
    /// to its folder.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, Error> {
        let mut sources = Vec::new();
        let mut fields = read_yaml(path, &mut sources, 0)?;
        fields.extend(overrides.fields.clone());
        check_fields(&fields)?;
        let value = Value::Object(fields.clone());
        let wrong = |error: serde_json::Error| Error::Task { message: error.to_string() };
        let rest: Rest = serde_json::from_value(value.clone()).map_err(wrong)?;
        let prompt: Fields = serde_json::from_value(value).map_err(wrong)?;
        let output = output(rest.output_type.as_deref())?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut data = Data { folder, files: &rest.dataset_kwargs, sources: &mut sources };
        let eval_split = rest.test_split.as_ref().or(rest.validation_split.as_ref());
        let Some(eval_split) = eval_split else {
            let message = "the task names neither a test_split nor a validation_split".to_owned();
            return Err(Error::Task { message });
        };
        let mut docs = data.split(eval_split)?;
        let shots = overrides.shots.or(rest.num_fewshot).unwrap_or(0);
        let pool = if shots > 0 { rest.pool(&mut data)? } else { Vec::new() };
        docs.truncate(overrides.limit.unwrap_or(docs.len()));
        let known = ["sampler", "split", "samples"];
        for (name, value) in &rest.fewshot_config {
            if !known.contains(&name.as_str()) && !value.is_null() {
                return Err(Error::TaskField { name: format!("fewshot_config: {name}") });
            }
        }
        let option = |name: &str| rest.fewshot_config.get(name);
        let split = option("split").and_then(Value::as_str).or(rest.fewshot_split.as_deref());
        let takes_first = match option("sampler").and_then(Value::as_str) {
            None | Some("default") => false,
            Some("first_n") => true,
            Some(other) => {
                let message = format!("the sampler `{other}` is not known: default, first_n");
                return Err(Error::Task { message });
            }
        };
        fields.insert("num_fewshot".to_owned(), json!(shots));
        Ok(Self {
            name: rest.task.clone().unwrap_or_else(|| file_stem(path)),
            output,
            docs,
            pool,
            pool_holds_docs: split == rest.test_split.as_deref(),
            takes_first,
            shots,
            metrics: metrics(rest.metric_list, output)?,
            pipelines: Pipeline::parse_all(rest.filter_list)?,
            generation: generation(rest.generation_kwargs, &prompt),
            repeats: rest.repeats.unwrap_or(1).max(1),
            fields: prompt,
            sources,
            resolved: Value::Object(fields),
        })
    }
}

impl Rest {
    /// The documents that examples are drawn from, by the harness's rules.
    fn pool(&self, data: &mut Data) -> Result<Vec<Doc>, Error> {
        let config = |name: &str| self.fewshot_config.get(name);
        if let Some(split) =
            config("split").and_then(Value::as_str).or(self.fewshot_split.as_deref())
        {
            return data.split(split);
        }
        if let Some(samples) = config("samples") {
            return serde_json::from_value(samples.clone())
                .map_err(|error| Error::Task { message: format!("fewshot samples: {error}") });
        }
        let splits = [&self.training_split, &self.validation_split, &self.test_split];
        match splits.into_iter().flatten().next() {
            Some(split) => data.split(split),
            None => Ok(Vec::new()),
        }
    }
}

/// Files of documents.
struct Data<'a> {
    folder: &'a Path,
    files: &'a Map<String, Value>,
    sources: &'a mut Vec<(String, PathBuf, Vec<u8>)>,
}

impl Data<'_> {
    /// The documents of a split.
    fn split(&mut self, split: &str) -> Result<Vec<Doc>, Error> {
        let files = self.files.get("data_files").unwrap_or(&Value::Null);
        let named = match files {
            Value::Object(splits) => splits.get(split).unwrap_or(&Value::Null),
            // One file without a name of a split is the split `train`.
            other if split == "train" => other,
            _ => &Value::Null,
        };
        let names: Vec<&str> = match named {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if names.is_empty() {
            let message = format!("dataset_kwargs names no file in data_files for `{split}`");
            return Err(Error::Task { message });
        }
        let mut docs = Vec::new();
        for name in names {
            let text = self.read(&self.folder.join(name), split)?;
            docs.extend(parse_docs(&text)?);
        }
        Ok(docs)
    }

    fn read(&mut self, path: &Path, role: &str) -> Result<String, Error> {
        let text = read(path)?;
        if !self.sources.iter().any(|(_, known, _)| known == path) {
            self.sources.push((role.to_owned(), path.to_owned(), text.clone().into_bytes()));
        }
        Ok(text)
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })
}

fn file_stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The fields of a task file, over those of the files that it includes.
fn read_yaml(
    path: &Path,
    sources: &mut Vec<(String, PathBuf, Vec<u8>)>,
    depth: usize,
) -> Result<Map<String, Value>, Error> {
    let text = read(path)?;
    if let Some((line, _)) = (1..)
        .zip(text.lines())
        .find(|(_, line)| line.split('#').next().is_some_and(|code| code.contains("!function")))
    {
        let message = "a function in Python cannot be run; write a template instead".to_owned();
        return Err(Error::Line { line, message });
    }
    let bad = |message: String| Error::Task { message: format!("`{}`: {message}", path.display()) };
    let mut fields = parse_yaml(&text).map_err(bad)?;
    sources.push(("task".to_owned(), path.to_owned(), text.into_bytes()));
    let includes = match fields.remove("include") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(name)) => vec![name],
        Some(other) => serde_json::from_value(other).map_err(|error| bad(error.to_string()))?,
    };
    if !includes.is_empty() && depth > 7 {
        return Err(bad("files include each other".to_owned()));
    }
    let mut all = Map::new();
    for name in includes {
        let included = path.parent().unwrap_or(Path::new(".")).join(name);
        all.extend(read_yaml(&included, sources, depth + 1)?);
    }
    all.extend(fields);
    Ok(all)
}

/// An object in YAML, as JSON.
pub fn parse_yaml(text: &str) -> Result<Map<String, Value>, String> {
    serde_yaml_ng::from_str(text).map_err(|error| error.to_string())
}

/// Fails on fields that would change scores and are not understood.
fn check_fields(fields: &Map<String, Value>) -> Result<(), Error> {
    for (name, value) in fields {
        let is_known = UNDERSTOOD.contains(&name.as_str()) || PASSED_OVER.contains(&name.as_str());
        if !is_known && !value.is_null() {
            return Err(Error::TaskField { name: name.clone() });
        }
    }
    match fields.get("dataset_path") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(path)) if path == "json" => Ok(()),
        Some(other) => {
            let message = format!("dataset_path is {other}: only local files (`json`) can be read");
            Err(Error::Task { message })
        }
    }
}

fn output(name: Option<&str>) -> Result<Output, Error> {
    Ok(match name {
        Some("multiple_choice") => Output::MultipleChoice,
        Some("loglikelihood") => Output::LogLikelihood,
        Some("loglikelihood_rolling") => Output::Rolling,
        None | Some("generate_until") => Output::Generate,
        Some(other) => {
            let message = format!(
                "output_type is `{other}`; there are multiple_choice, loglikelihood, \
                 loglikelihood_rolling and generate_until"
            );
            return Err(Error::Task { message });
        }
    })
}

/// Measures of each output, of which the first are usual.
pub(super) fn known_metrics(output: Output) -> &'static [&'static str] {
    match output {
        Output::MultipleChoice => {
            &["acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "brier_score"]
        }
        Output::LogLikelihood => &["perplexity", "acc"],
        Output::Rolling => &["word_perplexity", "byte_perplexity", "bits_per_byte"],
        Output::Generate => &["exact_match"],
    }
}

fn metrics(list: Option<Vec<Map<String, Value>>>, output: Output) -> Result<Vec<Metric>, Error> {
    let known = known_metrics(output);
    let Some(list) = list else {
        let usual = if output == Output::MultipleChoice { 2 } else { known.len() };
        return Ok(known[..usual].iter().map(|name| ((*name).to_owned(), Map::new())).collect());
    };
    let mut metrics = Vec::new();
    for options in list {
        let name = options.get("metric").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !known.contains(&name.as_str()) {
            let known = known.join(", ");
            let message = format!("metric `{name}` is not known for this output_type: {known}");
            return Err(Error::Task { message });
        }
        metrics.push((name, options));
    }
    Ok(metrics)
}

/// Options of generation; without any, greedy up to the next example.
fn generation(options: Option<Map<String, Value>>, fields: &Fields) -> Map<String, Value> {
    let mut options = options.unwrap_or_default();
    options.entry("until").or_insert_with(|| json!([fields.fewshot_delimiter]));
    options
}
