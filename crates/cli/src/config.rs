//! `plumb.toml` and what becomes of it.
//!
//! [`File`] is what was written, every key optional and a misspelt one an
//! error; [`Config`] is what is run, with no option left open. Precedence is
//! flag > environment > file > default, and is decided in [`Config::resolve`].

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use plumb_index::Chunking;
use plumb_infer::CacheType;
use plumb_retrieve::{Fusion, Mode};
use plumb_serve::CacheSettings;
use plumb_serve::Level;
use plumb_serve::auth::role::{KeyLimits, Role};
use serde::{Deserialize, Serialize};

use crate::reuse::{ChunkTypeName, ReuseConfig, ReuseName};

/// `plumb.toml`, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    pub name: Option<String>,
    pub serve: ServeFile,
    pub models: ModelsFile,
    pub chunks: ChunksFile,
    pub retrieval: RetrievalFile,
    pub answer: AnswerFile,
    pub threads: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeFile {
    pub listen: Option<SocketAddr>,
    pub models: Option<Vec<String>>,
    pub drain_seconds: Option<u64>,
    pub max_upload_mb: Option<usize>,
    pub database: Option<String>,
    pub allowed_hosts: Vec<String>,
    pub cors_origins: Vec<String>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub pools: BTreeMap<String, PoolFile>,
    pub limits: BTreeMap<Role, KeyLimits>,
    pub log: Option<Level>,
    pub traces: TracesFile,
    pub request_seconds: Option<u64>,
    pub running: Option<usize>,
    pub waiting: Option<usize>,
    pub cache: CacheFile,
}

/// What may be given again.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheFile {
    pub exact_mib: Option<u64>,
    pub answer_mib: Option<u64>,
    pub near_questions: Option<bool>,
}

/// Where traces go.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracesFile {
    pub endpoint: Option<String>,
    pub sample: Option<f64>,
    pub content: Option<bool>,
}

/// A generator on other machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolFile {
    pub endpoints: Vec<EndpointFile>,
    pub attempts: Option<usize>,
    pub hedge_ms: Option<u64>,
    pub prefix_affine: Option<bool>,
    pub timeout_seconds: Option<u64>,
}

/// One OpenAI-compatible server of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointFile {
    pub url: String,
    pub model: Option<String>,
    pub concurrency: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelsFile {
    pub embedder: Option<String>,
    pub generator: Option<String>,
    pub endpoint: Option<String>,
    pub kv_cache: Option<KvCacheName>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChunksFile {
    pub max_tokens: Option<usize>,
    pub headings: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrievalFile {
    pub mode: Option<ModeName>,
    pub fusion: Option<FusionName>,
    pub dense_weight: Option<f32>,
    pub top_k: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerFile {
    pub threshold: Option<f32>,
    pub max_sentences: Option<usize>,
    pub wording: Option<WordingName>,
    pub chunk_reuse: Option<ReuseName>,
    pub chunk_type: Option<ChunkTypeName>,
    pub chunk_budget_mib: Option<u64>,
    pub vector_budget_mib: Option<u64>,
}

/// What passages are ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ModeName {
    /// Vectors and BM25 together
    Fused,
    /// Vectors alone
    Dense,
    /// BM25 alone
    Lexical,
}

/// How the two scores become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FusionName {
    /// Weighted sum of normalised scores
    Weighted,
    /// The same, and words count less where no passage has all of the question's
    Covered,
    /// Reciprocal ranks with k = 60
    ReciprocalRank,
}

/// Who words an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum WordingName {
    /// The quoted sentences are the answer; no generator runs
    Quote,
    /// The generator words the answer, and every sentence is checked
    Write,
}

/// How a generator keeps keys and values of what it has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum KvCacheName {
    /// 32-bit floats
    F32,
    /// Half floats
    #[default]
    F16,
    /// Eight bits, and a scale for each head of a token: half the memory again
    Q8,
}

impl KvCacheName {
    /// The one that is written so.
    pub fn named(name: &str) -> Result<Self> {
        let known = [Self::F32, Self::F16, Self::Q8].into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| anyhow!("`{name}` is no kind of cache; known are f32, f16 and q8"))
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8 => "q8",
        }
    }
}

impl From<KvCacheName> for CacheType {
    fn from(name: KvCacheName) -> Self {
        match name {
            KvCacheName::F32 => Self::F32,
            KvCacheName::F16 => Self::F16,
            KvCacheName::Q8 => Self::Q8,
        }
    }
}

/// Settings with nothing left open.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What the collection of this project is called; by default as its folder.
    pub name: Option<String>,
    pub serve: Serve,
    /// A catalogue name or a path.
    pub embedder: String,
    /// A catalogue name or a path; with `endpoint`, the name of its model.
    pub generator: String,
    /// Base address of an OpenAI-compatible server.
    pub endpoint: Option<String>,
    pub kv_cache: KvCacheName,
    pub chunking: Chunking,
    pub mode: Mode,
    pub top_k: usize,
    pub threshold: f32,
    pub max_sentences: usize,
    pub wording: WordingName,
    pub reuse: ReuseConfig,
    pub threads: NonZeroUsize,
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Base address of a collector.
    pub endpoint: Option<String>,
    /// Part of the requests that is recorded.
    pub sample: f64,
    /// Whether texts of prompts and answers are recorded.
    pub content: bool,
}

/// How `plumb serve` serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Serve {
    pub listen: SocketAddr,
    /// Generators beside the one that words answers.
    pub models: Vec<String>,
    /// What running requests may still take after the order to stop.
    pub drain_seconds: u64,
    /// Megabytes of an upload, all its files together.
    pub max_upload_mb: usize,
    /// A file, or a `postgres://` address.
    pub database: Option<String>,
    /// Names in `Host` beside those of loopback.
    pub allowed_hosts: Vec<String>,
    /// Origins of other pages that may use the server.
    pub cors_origins: Vec<String>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// Generators on other machines, by name.
    pub pools: BTreeMap<String, PoolFile>,
    /// What keys of a role may take that name no limit of their own.
    pub limits: BTreeMap<Role, KeyLimits>,
    /// The least that is logged.
    pub log: Level,
    pub traces: Traces,
    /// From the arrival of a request to its last byte.
    pub request_seconds: u64,
    /// Requests of all keys that models work on at once.
    pub running: usize,
    /// Such requests that wait; more are refused.
    pub waiting: usize,
    pub cache: CacheSettings,
}

/// What flags and the environment say.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub threads: Option<usize>,
}

pub const DEFAULT_EMBEDDER: &str = "all-minilm-l6-v2";
pub const DEFAULT_GENERATOR: &str = "qwen2.5-coder-0.5b-instruct";

impl Config {
    /// Combines the file with flags and the machine's number of cores.
    pub fn resolve(file: File, overrides: &Overrides, cores: usize) -> Result<Self> {
        let named = file.retrieval.fusion.unwrap_or(FusionName::Covered);
        // Where sums are weighted, the best weights are higher.
        let usual = if named == FusionName::Weighted { 0.6 } else { 0.5 };
        let dense_weight = file.retrieval.dense_weight.unwrap_or(usual);
        if !(0.0..=1.0).contains(&dense_weight) {
            bail!("`retrieval.dense_weight` is {dense_weight}; it must be in 0.0..=1.0");
        }
        let threshold = file.answer.threshold.unwrap_or(0.5);
        if !(0.0..=1.0).contains(&threshold) {
            bail!("`answer.threshold` is {threshold}; it must be in 0.0..=1.0");
        }
        let fusion = match named {
            FusionName::Weighted => Fusion::Weighted { dense_weight },
            FusionName::Covered => Fusion::Covered { dense_weight },
            FusionName::ReciprocalRank => Fusion::ReciprocalRank { k: 60.0 },
        };
        let mode = match file.retrieval.mode.unwrap_or(ModeName::Fused) {
            ModeName::Fused => Mode::Fused(fusion),
            ModeName::Dense => Mode::Dense,
            ModeName::Lexical => Mode::Lexical,
        };
        if let Some(name) = &file.name {
            check_name(name)?;
        }
        Ok(Self {
            name: file.name,
            serve: serve(file.serve)?,
            embedder: file.models.embedder.unwrap_or_else(|| DEFAULT_EMBEDDER.to_owned()),
            generator: file.models.generator.unwrap_or_else(|| DEFAULT_GENERATOR.to_owned()),
            endpoint: file.models.endpoint,
            kv_cache: file.models.kv_cache.unwrap_or_default(),
            chunking: Chunking {
                max_tokens: positive("chunks.max_tokens", file.chunks.max_tokens, 200)?,
                headings: file.chunks.headings.unwrap_or(true),
            },
            mode,
            top_k: positive("retrieval.top_k", file.retrieval.top_k, 8)?,
            threshold,
            max_sentences: positive("answer.max_sentences", file.answer.max_sentences, 4)?,
            wording: file.answer.wording.unwrap_or(WordingName::Write),
            reuse: ReuseConfig {
                reuse: file.answer.chunk_reuse.unwrap_or(ReuseName::Off),
                stored: file.answer.chunk_type.unwrap_or(ChunkTypeName::Q8),
                budget_bytes: mib(file.answer.chunk_budget_mib, 1024),
                vector_bytes: mib(file.answer.vector_budget_mib, 64),
            },
            threads: NonZeroUsize::new(positive(
                "threads",
                overrides.threads.or(file.threads),
                cores,
            )?)
            .unwrap_or(NonZeroUsize::MIN),
        })
    }
}

fn serve(file: ServeFile) -> Result<Serve> {
    for (role, limits) in &file.limits {
        if let Some(name) = limits.first_zero() {
            bail!("`serve.limits.{}.{name}` is 0; it must be at least 1", role.name());
        }
    }
    Ok(Serve {
        listen: file.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8321))),
        models: file.models.unwrap_or_default(),
        drain_seconds: file.drain_seconds.unwrap_or(30),
        max_upload_mb: positive("serve.max_upload_mb", file.max_upload_mb, 512)?,
        database: file.database,
        allowed_hosts: file.allowed_hosts,
        cors_origins: file.cors_origins,
        tls_cert: file.tls_cert,
        tls_key: file.tls_key,
        pools: file.pools,
        limits: file.limits,
        log: file.log.unwrap_or_default(),
        traces: traces(file.traces)?,
        request_seconds: match file.request_seconds {
            Some(0) => bail!("`serve.request_seconds` is 0; it must be at least 1"),
            seconds => seconds.unwrap_or(600),
        },
        running: positive("serve.running", file.running, 64)?,
        waiting: file.waiting.unwrap_or(256),
        cache: cache(&file.cache),
    })
}

fn traces(file: TracesFile) -> Result<Traces> {
    let sample = file.sample.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&sample) {
        bail!("`serve.traces.sample` is {sample}; it must be in 0.0..=1.0");
    }
    Ok(Traces { endpoint: file.endpoint, sample, content: file.content.unwrap_or(false) })
}

/// A name is part of a model id and of addresses.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(is_plain) || name.starts_with('.') {
        bail!("`name` is `{name}`; it must be of letters, digits, `-`, `_` and `.`");
    }
    Ok(())
}

fn cache(file: &CacheFile) -> CacheSettings {
    let default = CacheSettings::default();
    let bytes = |mib: Option<u64>, default: usize| {
        mib.map_or(default, |mib| {
            usize::try_from(mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX)
        })
    };
    CacheSettings {
        exact_bytes: bytes(file.exact_mib, default.exact_bytes),
        answer_bytes: bytes(file.answer_mib, default.answer_bytes),
        near_questions: file.near_questions.unwrap_or(default.near_questions),
    }
}

/// Bytes of so many MiB.
fn mib(value: Option<u64>, default: u64) -> u64 {
    value.unwrap_or(default).saturating_mul(1 << 20)
}

fn positive(key: &str, value: Option<usize>, default: usize) -> Result<usize> {
    match value {
        Some(0) => bail!("`{key}` is 0; it must be at least 1"),
        value => Ok(value.unwrap_or(default)),
    }
}

/// Reads `path`, or gives the defaults if it is `None`.
pub fn read(path: Option<&Path>) -> Result<File> {
    let Some(path) = path else { return Ok(File::default()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration `{}`", path.display()))?;
    parse(&text).with_context(|| format!("`{}` is not valid", path.display()))
}

/// Reads the text of a `plumb.toml`. An error names the path of the key.
pub fn parse(text: &str) -> Result<File> {
    let deserializer = toml::Deserializer::parse(text)?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        anyhow!("`{path}`: {}", error.into_inner().message())
    })
}

/// The `plumb.toml` that governs `folder`: there, if it exists.
pub fn file_in(folder: &Path) -> Option<PathBuf> {
    let path = folder.join("plumb.toml");
    path.is_file().then_some(path)
}

/// What `plumb init` writes: every key with its default, commented out.
pub const TEMPLATE: &str = r#"# Settings of this project. Every key is optional; the values shown are the defaults.

# name = "handbook"                 # of the collection, as `docs/NAME`; default: the first folder's
# threads = 2                       # default: the cores of this machine

[models]
# embedder = "all-minilm-l6-v2"     # a name of `plumb model list`, or a path
# generator = "qwen2.5-coder-0.5b-instruct"   # a name, a GGUF file, or a model of `endpoint`
# endpoint = "http://127.0.0.1:8080/v1"       # an OpenAI-compatible server; its key in PLUMB_API_KEY
# kv_cache = "f16"                  # f32 | f16 | q8: what the generator keeps of what it has read

[chunks]
# max_tokens = 200                  # longest passage, in tokens of the embedder
# headings = true                   # whether a passage is also found by its title and headings

[retrieval]
# mode = "fused"                    # fused | dense | lexical
# fusion = "covered"                # covered | weighted | reciprocal-rank
# dense_weight = 0.5                # 1 is vectors alone, 0 is BM25 alone
# top_k = 8                         # passages whose sentences may be quoted

[answer]
# wording = "write"                 # write: the generator words the answer | quote: the quotes are it
# threshold = 0.5                   # support below which `ask` abstains
# max_sentences = 4                 # sentences of evidence, at most
# chunk_reuse = "off"               # or the part of kept evidence that is read anew, from 0 to 1
# chunk_type = "q8"                 # f16 | q8: how what was read of evidence is kept
# chunk_budget_mib = 1024           # of disk, for that
# vector_budget_mib = 64            # of disk, for vectors of sentences that were looked at

[serve]
# listen = "127.0.0.1:8321"
# models = []                       # generators to serve beside the one above
# drain_seconds = 30                # for running requests, after Ctrl-C
# request_seconds = 600             # that a request may take, its waiting included
# running = 64                      # requests of all keys that models work on at once
# waiting = 256                     # such requests that wait; more are refused with 429
# limits.read.tokens_per_day = 100000   # for keys of the role `read` that name no such limit
# traces.endpoint = "http://127.0.0.1:4318"  # of a collector of OpenTelemetry; also traces.sample, traces.content
# log = "info"                      # error | warn | info: the least that is logged
# max_upload_mb = 512               # of files that are uploaded at once
# allowed_hosts = []                # names in `Host` beside those of loopback
# cors_origins = []                 # origins of other pages that may use the server
# database = ".plumb/serve.db"      # or "postgres://USER@HOST/NAME"

[serve.cache]
# exact_mib = 32                    # of memory, for replies to requests that are the same; 0 keeps none
# answer_mib = 16                   # of memory, for wordings of answers from documents; 0 keeps none
# near_questions = false            # take a wording also for a question that is put in another way
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<Config> {
        Config::resolve(parse(text)?, &Overrides::default(), 2)
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let config = resolve("").unwrap();
        assert_eq!(config.embedder, DEFAULT_EMBEDDER);
        assert_eq!(config.threads.get(), 2);
    }

    #[test]
    fn the_template_says_the_defaults() {
        let uncommented: String = TEMPLATE
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|l| l.contains(" = ")).unwrap_or(line))
            // Their defaults come from the project's folder, or are none.
            .filter(|line| {
                !["endpoint", "name", "database", "limits", "traces"]
                    .iter()
                    .any(|key| line.starts_with(key))
            })
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(resolve(&uncommented).unwrap(), resolve("").unwrap());
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let error = resolve("[retrieval]\ntopk = 3\n").unwrap_err().to_string();
        assert!(error.starts_with("`retrieval.topk`: unknown field `topk`"), "{error}");
        assert!(error.contains("`top_k`"), "{error}");
    }

    #[test]
    fn a_name_that_is_no_part_of_an_address_is_refused() {
        assert_eq!(resolve("name = \"handbook\"").unwrap().name.as_deref(), Some("handbook"));
        for name in ["", "a b", "../x", "a/b"] {
            assert!(resolve(&format!("name = {name:?}")).is_err(), "{name}");
        }
    }

    #[test]
    fn a_weight_out_of_range_is_refused() {
        let error = resolve("[retrieval]\ndense_weight = 2.0\n").unwrap_err().to_string();
        assert_eq!(error, "`retrieval.dense_weight` is 2; it must be in 0.0..=1.0");
    }
}
