//! Following `plumb.toml` while `plumb serve` runs.
//!
//! What can change is taken out of the file as it is now and put over the file
//! as it was at the start, so that everything else stays as it was started.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plumb_serve::reload::{Change, Renewal, Reread, Source, Why};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::access::{AccessArgs, access, pools};
use crate::config::{self, Config, File, Overrides, WordingName};
use crate::context::Context;
use crate::serve::limits;
use crate::session;

/// Keys that are taken over at once, with what is below them.
const LIVE: [&str; 14] = [
    "answer.max_sentences",
    "answer.threshold",
    "answer.wording",
    "retrieval",
    "serve.allowed_hosts",
    "serve.cors_origins",
    "serve.drain_seconds",
    "serve.limits",
    "serve.log",
    "serve.max_upload_mb",
    "serve.pools",
    "serve.request_seconds",
    "serve.running",
    "serve.waiting",
];

/// What was served at the start, and of what.
pub struct Started {
    /// The settings' file, there or not.
    pub path: PathBuf,
    pub file: File,
    pub config: Config,
    pub access: AccessArgs,
    pub context: Context,
    /// The name of the collection, if there is one.
    pub collection: Option<String>,
}

/// A file that is looked at again and again.
struct Watch {
    started: Started,
    /// Of the text that was taken over or refused last.
    known: Option<[u8; 32]>,
    /// Of the text that was seen last.
    seen: Option<[u8; 32]>,
    /// The keys and values that hold.
    table: BTreeMap<String, Value>,
}

/// Follows the settings that the server was `started` with.
pub fn source(started: Started) -> Source {
    let text = std::fs::read_to_string(&started.path).unwrap_or_default();
    let known = digest(&text);
    let table = flat(&text).unwrap_or_default();
    let mut watch = Watch { started, known: Some(known), seen: Some(known), table };
    Box::new(move |why| watch.look(why))
}

impl Watch {
    fn look(&mut self, why: Why) -> Reread {
        let path = &self.started.path;
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            // Editors that write a new file take the old one away for a moment.
            Err(_) if why == Why::Time => return Reread::Same,
            Err(error) => {
                return Reread::Refused(format!("cannot read `{}`: {error}", path.display()));
            }
        };
        let found = Some(digest(&text));
        let is_settled = std::mem::replace(&mut self.seen, found) == found;
        // A file that is being written is looked at when it stays as it is.
        if why == Why::Time && (found == self.known || !is_settled) {
            return Reread::Same;
        }
        self.known = found;
        match self.renewal(&text) {
            Ok((renewal, table)) => {
                self.table = table;
                Reread::Changed(Box::new(renewal))
            }
            Err(error) => Reread::Refused(format!("{error:#}")),
        }
    }

    fn renewal(&self, text: &str) -> Result<(Renewal, BTreeMap<String, Value>)> {
        let started = &self.started;
        let invalid = || format!("`{}` is not valid", started.path.display());
        let new = config::parse(text).with_context(invalid)?;
        // All of it has to be good, also what is taken over by a restart only.
        resolved(new.clone(), &started.context).with_context(invalid)?;
        let config = resolved(overlaid(&started.file, new), &started.context)?;
        let place = crate::access::database(&config, None, &started.context)?;
        let access = access(&started.access, &config, place).with_context(invalid)?;
        let table = flat(text)?;
        let (mut changed, mut restart) = differences(&self.table, &table);
        let writes = |config: &Config| config.wording == WordingName::Write;
        if writes(&config) && !writes(&started.config) {
            // The generator was not loaded.
            changed.retain(|change| change.key != "answer.wording");
            restart.push("answer.wording".to_owned());
        }
        let answers = started.collection.iter();
        let renewal = Renewal {
            limits: limits(&config),
            queue: access.queue,
            rules: access.rules,
            hosts: access.hosts,
            cors: access.cors,
            tls: access.tls,
            pools: pools(&config, &started.context).with_context(invalid)?,
            answers: answers.map(|name| (name.clone(), session::settings(&config, None))).collect(),
            log: config.serve.log,
            changed,
            restart,
        };
        Ok((renewal, table))
    }
}

fn resolved(file: File, context: &Context) -> Result<Config> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Config::resolve(file, &Overrides { threads: context.threads }, cores)
}

/// The file from the start with what can change as it is in `new`.
fn overlaid(started: &File, new: File) -> File {
    let mut file = started.clone();
    file.retrieval = new.retrieval;
    file.answer.threshold = new.answer.threshold;
    file.answer.max_sentences = new.answer.max_sentences;
    file.answer.wording = new.answer.wording;
    let (serve, new) = (&mut file.serve, new.serve);
    serve.allowed_hosts = new.allowed_hosts;
    serve.cors_origins = new.cors_origins;
    serve.drain_seconds = new.drain_seconds;
    serve.limits = new.limits;
    serve.log = new.log;
    serve.max_upload_mb = new.max_upload_mb;
    serve.pools = new.pools;
    serve.request_seconds = new.request_seconds;
    serve.running = new.running;
    serve.waiting = new.waiting;
    file
}

/// The keys whose values differ: those taken over, and those that need a restart.
fn differences(
    old: &BTreeMap<String, Value>,
    new: &BTreeMap<String, Value>,
) -> (Vec<Change>, Vec<String>) {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let different = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    let (live, restart): (Vec<&String>, Vec<&String>) = different.partition(|key| is_live(key));
    // Texts may be secrets, such as the password in an address.
    let shown = |table: &BTreeMap<String, Value>, key: &String| {
        table.get(key).filter(|value| value.is_number() || value.is_boolean()).cloned()
    };
    let change =
        |key: &String| Change { key: key.clone(), from: shown(old, key), to: shown(new, key) };
    (live.into_iter().map(change).collect(), restart.into_iter().cloned().collect())
}

fn is_live(key: &str) -> bool {
    let below = |live: &str| {
        key.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    LIVE.iter().any(|live| below(live))
}

/// Keys with their paths, such as `answer.threshold`, and their values.
fn flat(text: &str) -> Result<BTreeMap<String, Value>> {
    let table: toml::Table = text.parse()?;
    let mut flat = BTreeMap::new();
    let Value::Object(object) = serde_json::to_value(table)? else { bail!("no table") };
    flatten("", Value::Object(object), &mut flat);
    Ok(flat)
}

fn flatten(path: &str, value: Value, flat: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                flatten(&path, value, flat);
            }
        }
        value => {
            flat.insert(path.to_owned(), value);
        }
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(old: &str, new: &str, want: (&[&str], &[&str])) {
        let (changed, restart) = differences(&flat(old).unwrap(), &flat(new).unwrap());
        let changed: Vec<&str> = changed.iter().map(|change| change.key.as_str()).collect();
        let restart: Vec<&str> = restart.iter().map(String::as_str).collect();
        assert_eq!((changed.as_slice(), restart.as_slice()), want);
    }

    #[test]
    fn keys_that_differ_are_named_and_told_apart() {
        check("threads = 1", "threads = 1", (&[], &[]));
        check("", "[answer]\nthreshold = 0.1", (&["answer.threshold"], &[]));
        check("threads = 1", "threads = 2", (&[], &["threads"]));
        let limits = "[serve.limits.read]\ntokens_per_day = 5";
        check(limits, "", (&["serve.limits.read.tokens_per_day"], &[]));
        check("", "[answer]\nchunk_reuse = \"off\"", (&[], &["answer.chunk_reuse"]));
        check(
            "",
            "[serve]\nlisten = \"[::]:1\"\nlog = \"warn\"",
            (&["serve.log"], &["serve.listen"]),
        );
    }

    #[test]
    fn values_are_shown_where_they_cannot_be_secrets() {
        let flat = |text: &str| flat(text).unwrap();
        let pool = "[[serve.pools.p.endpoints]]\nurl = \"http://me:secret@host\"";
        let (changed, _) = differences(&BTreeMap::new(), &flat(pool));
        assert!(!format!("{changed:?}").contains("secret"), "{changed:?}");
        let (changed, _) =
            differences(&flat("[retrieval]\ntop_k = 4"), &flat("[retrieval]\ntop_k = 5"));
        assert_eq!(
            (changed[0].from.clone(), changed[0].to.clone()),
            (Some(4.into()), Some(5.into()))
        );
    }

    /// Each key changes what is run if and only if the list says so.
    #[test]
    fn what_is_said_to_be_taken_over_is() {
        let config = |file: File| Config::resolve(file, &Overrides::default(), 2).unwrap();
        let old = config(File::default());
        for (key, text) in [
            ("threads", "threads = 7"),
            ("name", "name = \"n\""),
            ("models.embedder", "models.embedder = \"e\""),
            ("models.generator", "models.generator = \"g\""),
            ("models.endpoint", "models.endpoint = \"http://127.0.0.1:1/v1\""),
            ("models.kv_cache", "models.kv_cache = \"q8\""),
            ("chunks.max_tokens", "chunks.max_tokens = 9"),
            ("retrieval.top_k", "retrieval.top_k = 2"),
            ("retrieval.mode", "retrieval.mode = \"dense\""),
            ("answer.threshold", "answer.threshold = 0.1"),
            ("answer.max_sentences", "answer.max_sentences = 1"),
            ("answer.wording", "answer.wording = \"quote\""),
            ("answer.chunk_budget_mib", "answer.chunk_budget_mib = 3"),
            ("serve.listen", "serve.listen = \"[::1]:1\""),
            ("serve.models", "serve.models = [\"m\"]"),
            ("serve.drain_seconds", "serve.drain_seconds = 1"),
            ("serve.max_upload_mb", "serve.max_upload_mb = 2"),
            ("serve.database", "serve.database = \"d\""),
            ("serve.allowed_hosts", "serve.allowed_hosts = [\"h\"]"),
            ("serve.cors_origins", "serve.cors_origins = [\"https://a.example\"]"),
            ("serve.tls_cert", "serve.tls_cert = \"c\""),
            ("serve.traces.sample", "serve.traces.sample = 0.5"),
            ("serve.log", "serve.log = \"warn\""),
            ("serve.request_seconds", "serve.request_seconds = 3"),
            ("serve.running", "serve.running = 4"),
            ("serve.waiting", "serve.waiting = 5"),
            ("serve.limits.read.weight", "serve.limits.read.weight = 2"),
            ("serve.pools.p.attempts", "serve.pools.p.attempts = 2"),
        ] {
            let new = config::parse(text).unwrap();
            assert_ne!(config(new.clone()), old, "{key} says nothing");
            let is_taken = config(overlaid(&File::default(), new)) != old;
            assert_eq!(is_taken, is_live(key), "{key}");
        }
    }
}
