//! What an evaluation asks of a model, and answers that were given before.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Error;

/// A question to a model. Everything in it may change the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// How likely `continuation` is after `context`.
    LogLikelihood {
        /// Text before.
        context: String,
        /// Text whose likelihood is asked for.
        continuation: String,
    },
    /// How likely a whole text is.
    Rolling {
        /// The text.
        text: String,
    },
    /// What comes after `context`.
    Generate {
        /// Text before.
        context: String,
        /// Texts that end the answer.
        until: Vec<String>,
        /// Tokens at most.
        max_tokens: usize,
        /// 0 for the likeliest token each time.
        temperature: f64,
        /// Start of the random numbers.
        seed: u64,
    },
}

/// What a model answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A logarithm of a probability, in nats.
    LogLikelihood {
        /// Of all tokens together.
        sum: f64,
        /// Whether each token was the likeliest.
        is_greedy: bool,
    },
    /// A text.
    Text {
        /// The text.
        text: String,
    },
}

/// A model that can be asked.
pub trait Model {
    /// Answers one question.
    fn answer(&self, question: &Question) -> Result<Answer, Error>;

    /// Answers several, each as [`answer`](Self::answer) does: that they are together
    /// may change the time and nothing else.
    fn answers(&self, questions: &[Question]) -> Result<Vec<Answer>, Error> {
        questions.iter().map(|question| self.answer(question)).collect()
    }

    /// Everything beside the question that may change the answer: hashes of
    /// weights and tokenizer, arithmetic, version of the engine.
    fn identity(&self) -> Value;
}

/// How often stored answers were used, and how often they were checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheUse {
    /// Answers that were stored.
    pub hits: u64,
    /// Answers that had to be computed.
    pub misses: u64,
    /// Hits that were computed again and were equal.
    pub audited: u64,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    key: String,
    answer: Answer,
}

/// Answers by the hash of everything that decides them.
///
/// They are kept in a file of JSON lines, one for each identity of a model. A
/// share of the hits is computed again: one that differs fails the run and
/// puts the file aside, since nothing in it can be trusted then.
#[derive(Debug)]
pub struct Cache {
    path: Option<PathBuf>,
    known: HashMap<String, Answer>,
    /// Keys of answers that were prepared and not asked for yet.
    prepared: HashSet<String>,
    identity: String,
    audit: f64,
    /// What has happened so far.
    pub used: CacheUse,
}

impl Cache {
    /// Opens the cache of a model in `folder`; without a folder nothing is
    /// kept beyond this run. `audit` is the share of hits to compute again.
    pub fn open(folder: Option<&Path>, identity: &Value, audit: f64) -> Result<Self, Error> {
        let identity = identity.to_string();
        let mut cache = Self {
            path: folder.map(|folder| folder.join(format!("{}.jsonl", &hash(&identity)[..32]))),
            known: HashMap::new(),
            prepared: HashSet::new(),
            identity,
            audit,
            used: CacheUse::default(),
        };
        let Some(path) = &cache.path else { return Ok(cache) };
        match fs::read_to_string(path) {
            // A line that a kill cut off is no entry.
            Ok(text) => cache.known.extend(text.lines().filter_map(|line| {
                let entry: Entry = serde_json::from_str(line).ok()?;
                Some((entry.key, entry.answer))
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Io { path: path.clone(), source }),
        }
        Ok(cache)
    }

    /// The key of a question: a hash of it and of the model's identity.
    pub fn key(&self, question: &Question) -> Result<String, Error> {
        let question =
            serde_json::to_string(question).map_err(|source| Error::NotResults { source })?;
        Ok(hash(&format!("{}\n{question}", self.identity)))
    }

    /// Has `model` answer those of `questions` that are not known, all together.
    pub fn prepare(&mut self, model: &dyn Model, questions: &[Question]) -> Result<(), Error> {
        let mut missing: Vec<Question> = Vec::new();
        let mut keys: Vec<String> = Vec::new();
        for question in questions {
            let key = self.key(question)?;
            if !self.known.contains_key(&key) && !keys.contains(&key) {
                missing.push(question.clone());
                keys.push(key);
            }
        }
        for (key, answer) in keys.into_iter().zip(model.answers(&missing)?) {
            self.used.misses += 1;
            self.prepared.insert(key.clone());
            self.keep(key, answer)?;
        }
        Ok(())
    }

    /// The answer to `question`, from before or from `model`.
    pub fn answer(&mut self, model: &dyn Model, question: &Question) -> Result<Answer, Error> {
        let key = self.key(question)?;
        let Some(stored) = self.known.get(&key) else {
            let answer = model.answer(question)?;
            self.used.misses += 1;
            self.keep(key, answer.clone())?;
            return Ok(answer);
        };
        if self.prepared.remove(&key) {
            return Ok(stored.clone());
        }
        self.used.hits += 1;
        // Which hits are checked follows from the key: the same in each run.
        let drawn = u32::from_str_radix(&key[..8], 16).unwrap_or(0);
        if f64::from(drawn) / f64::from(u32::MAX) < self.audit {
            if model.answer(question)? != *stored {
                return Err(self.put_aside(&key));
            }
            self.used.audited += 1;
        }
        Ok(stored.clone())
    }

    fn keep(&mut self, key: String, answer: Answer) -> Result<(), Error> {
        let entry = Entry { key, answer };
        if let Some(path) = &self.path {
            let failed = |source: io::Error| Error::Io { path: path.clone(), source };
            let mut line =
                serde_json::to_vec(&entry).map_err(|source| Error::NotResults { source })?;
            // A newline first ends a line that a kill cut off.
            line.insert(0, b'\n');
            line.push(b'\n');
            fs::create_dir_all(path.parent().unwrap_or(path)).map_err(failed)?;
            let mut file =
                OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
            file.write_all(&line).map_err(failed)?;
        }
        self.known.insert(entry.key, entry.answer);
        Ok(())
    }

    /// Renames the file, so that no later run believes it.
    fn put_aside(&self, key: &str) -> Error {
        let path = self.path.clone().unwrap_or_default();
        // If that fails too, the error below still stops the run.
        let _ = fs::rename(&path, path.with_extension("wrong"));
        Error::CacheDiffers { path, key: key.to_owned() }
    }
}

/// SHA-256 of a text in hexadecimal digits.
pub fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::cell::Cell;

    /// Answers with a number that the test sets.
    struct Toy {
        answer: Cell<f64>,
        asked: Cell<u32>,
    }

    impl Toy {
        fn new(answer: f64) -> Self {
            Self { answer: Cell::new(answer), asked: Cell::new(0) }
        }
    }

    impl Model for Toy {
        fn answer(&self, _: &Question) -> Result<Answer, Error> {
            self.asked.set(self.asked.get() + 1);
            Ok(Answer::LogLikelihood { sum: self.answer.get(), is_greedy: true })
        }

        fn identity(&self) -> Value {
            json!({"weights": "00"})
        }
    }

    fn generate() -> Question {
        Question::Generate {
            context: "c".into(),
            until: vec!["\n".into()],
            max_tokens: 8,
            temperature: 0.0,
            seed: 1,
        }
    }

    #[test]
    fn every_field_of_question_and_model_changes_the_key() {
        let key = |identity: Value, question: &Question| {
            Cache::open(None, &identity, 0.0).unwrap().key(question).unwrap()
        };
        let model = || json!({"weights": "00", "engine": "1", "exact": false});
        let pair = |context: &str, continuation: &str| Question::LogLikelihood {
            context: context.into(),
            continuation: continuation.into(),
        };
        let mut keys = vec![
            key(model(), &generate()),
            key(model(), &pair("a", "b c")),
            key(model(), &pair("a b", " c")),
            key(model(), &pair("a", "")),
            key(model(), &Question::Rolling { text: "a".into() }),
            key(json!({"weights": "01", "engine": "1", "exact": false}), &generate()),
            key(json!({"weights": "00", "engine": "2", "exact": false}), &generate()),
            key(json!({"weights": "00", "engine": "1", "exact": true}), &generate()),
        ];
        let fields = serde_json::to_value(generate()).unwrap()["generate"].clone();
        for (field, other) in [
            ("context", json!("d")),
            ("until", json!([])),
            ("max_tokens", json!(9)),
            ("temperature", json!(0.5)),
            ("seed", json!(2)),
        ] {
            let mut changed = fields.clone();
            changed[field] = other;
            let question = serde_json::from_value(json!({"generate": changed})).unwrap();
            keys.push(key(model(), &question));
        }
        // A new field of a question must be added to the list above.
        assert_eq!(fields.as_object().unwrap().len(), 5);
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }

    #[test]
    fn answers_are_kept_between_runs_and_a_torn_line_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let toy = Toy::new(0.1 + 0.2);
        let open = || Cache::open(Some(folder.path()), &toy.identity(), 0.0).unwrap();
        let first = open().answer(&toy, &generate()).unwrap();
        let path = open().path.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}{{\"key\": \"torn")).unwrap();
        let mut cache = open();
        assert_eq!(cache.answer(&toy, &generate()).unwrap(), first);
        assert_eq!((cache.used.hits, cache.used.misses, toy.asked.get()), (1, 0, 1));
        // What comes after the torn line is read again.
        cache.answer(&toy, &Question::Rolling { text: "x".into() }).unwrap();
        assert_eq!(open().known.len(), 2);
    }

    #[test]
    fn what_is_prepared_counts_as_computed_once_and_is_known_after() {
        let toy = Toy::new(1.0);
        let mut cache = Cache::open(None, &toy.identity(), 1.0).unwrap();
        let other = Question::Rolling { text: "x".into() };
        cache.prepare(&toy, &[generate(), other.clone(), generate()]).unwrap();
        assert_eq!(toy.asked.get(), 2);
        cache.answer(&toy, &generate()).unwrap();
        assert_eq!((cache.used.hits, cache.used.misses, toy.asked.get()), (0, 2, 2));
        cache.answer(&toy, &generate()).unwrap();
        assert_eq!((cache.used.hits, cache.used.audited), (1, 1));
    }

    #[test]
    fn an_answer_that_changed_fails_the_audit_and_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let toy = Toy::new(1.0);
        let open = || Cache::open(Some(folder.path()), &toy.identity(), 1.0).unwrap();
        open().answer(&toy, &generate()).unwrap();
        let mut cache = open();
        cache.answer(&toy, &generate()).unwrap();
        assert_eq!(cache.used.audited, 1);
        toy.answer.set(2.0);
        let found = open().answer(&toy, &generate());
        assert!(matches!(found, Err(Error::CacheDiffers { .. })));
        let mut cache = open();
        cache.answer(&toy, &generate()).unwrap();
        assert_eq!(cache.used.misses, 1, "nothing of the file is believed any more");
    }
}
