//! A project opened for serving: its documents as they are now, and the models
//! that answer from them.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use plumb_answer::{
    Answer, ModelId, OnEvent, Recorder, Sources, StoredAnswer, StoredSettings, Turn, Writer,
};
use plumb_index::{Chunking, Made, Unread, UnreadFile};
use plumb_infer::{ChunkStore, Embedder, Reuse, Sampling, VectorStore};
use plumb_retrieve::Mode;
use plumb_store::{Journal, Reader, Snapshot, SnapshotInfo, Store};
use plumb_text::Analyzer;
use tokio::runtime::Handle;

use crate::allowance::Allowance;
use crate::cache::{KeptWriter, Policy};
use crate::clock;
use crate::encoding::ServedEmbedder;
use crate::error::Error;
use crate::failure::{Failure, Kind, chain};
use crate::generator::Generator;
use crate::live::Live;
use crate::settings::CollectionSource;
use crate::state::App;
use crate::trace::Told;
use crate::upstream::{Pool, PoolWriter};

/// What is asked, of what, and how it is to be answered.
pub struct Asked<'a> {
    pub snapshot: &'a Snapshot,
    pub question: &'a str,
    /// Earlier turns, oldest first.
    pub history: &'a [Turn],
    pub settings: &'a StoredSettings,
    /// How the wording is drawn; the likeliest without it.
    pub sampling: Option<&'a Sampling>,
    /// Whether it may be one that was kept. One that is drawn is not.
    pub policy: Policy,
    /// Who pays for it.
    pub call: &'a Allowance,
}

/// The documents of one project. All functions that search or answer compute
/// and read files: call them on the worker pool.
pub struct Collection {
    pub name: String,
    /// The folder with the index and the journals.
    pub folder: PathBuf,
    pub embedder: Arc<Embedder>,
    pub embedder_id: ModelId,
    pub analyzer: Analyzer,
    settings: Live<StoredSettings>,
    pub chunking: Chunking,
    /// When it was opened, in seconds since 1970.
    pub opened: u64,
    /// Words answers; quotes are the answers without it.
    generator: Option<Arc<Generator>>,
    /// Words answers in its place.
    pool: Option<Live<PoolWriter>>,
    /// How the generator reuses what it read of evidence.
    reuse: Option<Reuse>,
    /// Where vectors of sentences are kept, if anywhere.
    vectors: Option<VectorStore>,
    reader: Mutex<Reader>,
    answers: Mutex<Journal>,
    unread: Mutex<Unread>,
}

impl Collection {
    /// Opens what `source` names.
    pub fn open(
        source: &CollectionSource,
        (generators, pools): (&[Arc<Generator>], &[Pool]),
        embedders: &[Arc<ServedEmbedder>],
    ) -> Result<Self, Error> {
        let name = || source.name.clone();
        let wanted = |model: &str| Error::NoModel { collection: name(), model: model.to_owned() };
        let model = embedders.iter().find(|m| m.id.name == source.embedder);
        let model = model.ok_or_else(|| wanted(&source.embedder))?;
        let failed = |source| Error::Collection { name: name(), source };
        let reader = open_reader(source).map_err(failed)?;
        check_embedder(&source.name, &reader.snapshot(), &model.id)?;
        let pool = pools.iter().find(|pool| pool.name() == source.settings.generator);
        let pool = pool.filter(|_| source.settings.writes);
        let pool = pool.map(|pool| PoolWriter::new(pool.clone(), Handle::current()));
        let generator = if source.settings.writes && pool.is_none() {
            let found = generators.iter().find(|g| g.id.name == source.settings.generator);
            Some(found.ok_or_else(|| wanted(&source.settings.generator))?.clone())
        } else {
            None
        };
        let reuse = generator.as_ref().map(|generator| reuse(source, generator)).transpose()?;
        // Every question resolves them again; what cannot be is found at once.
        let resolved = source.settings.resolve();
        resolved.map_err(|source| Error::Answers { name: name(), source })?;
        let unread = Unread::open(&source.folder);
        Ok(Self {
            name: name(),
            folder: source.folder.clone(),
            embedder: model.embedder.clone(),
            embedder_id: model.id.clone(),
            analyzer: Analyzer::english(),
            settings: source.settings.clone().into(),
            chunking: source.chunking,
            opened: clock::unix_seconds(),
            generator,
            pool: pool.map(Live::new),
            reuse: reuse.flatten(),
            vectors: vectors(source, &model.id),
            reader: Mutex::new(reader),
            answers: Mutex::new(Journal::open(&source.folder.join("answers.log")).map_err(failed)?),
            unread: Mutex::new(unread.map_err(|source| Error::Unread { name: name(), source })?),
        })
    }

    /// How questions are answered now.
    pub fn settings(&self) -> Arc<StoredSettings> {
        self.settings.get()
    }

    /// How passages are searched for now.
    pub fn mode(&self) -> Mode {
        self.settings().resolve().map_or(Mode::default(), |set| set.mode)
    }

    /// How questions would be answered under `new`, as far as that needs no
    /// other models: who words answers, and how it reads, stays.
    pub fn renewed(&self, new: &StoredSettings) -> StoredSettings {
        let old = self.settings();
        let has_writer = self.generator.is_some() || self.pool.is_some();
        StoredSettings {
            generator: old.generator.clone(),
            endpoint: old.endpoint.clone(),
            kv_cache: old.kv_cache.clone(),
            chunk_reuse: old.chunk_reuse.clone(),
            writes: new.writes && has_writer,
            ..new.clone()
        }
    }

    /// The pool that words answers, if one does.
    pub fn pool_name(&self) -> Option<String> {
        self.pool.as_ref().map(|writer| writer.get().pool().name().to_owned())
    }

    /// Answers questions from now on so, and lets the one of `pools` write that
    /// has the name of the one before.
    pub fn renew(&self, settings: StoredSettings, pools: &[Pool]) {
        if let Some(writer) = &self.pool {
            let name = self.pool_name();
            if let Some(pool) = pools.iter().find(|pool| Some(pool.name()) == name.as_deref()) {
                writer.set(PoolWriter::new(pool.clone(), Handle::current()));
            }
        }
        self.settings.set(settings);
    }

    /// The last commit, by whichever process.
    pub fn snapshot(&self) -> Result<Snapshot, Failure> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = reader.refresh()?;
        let snapshot = reader.snapshot();
        if is_new && let Err(error) = check_embedder(&self.name, &snapshot, &self.embedder_id) {
            return Err(Failure::new(Kind::Conflict, chain(&error)));
        }
        Ok(snapshot)
    }

    /// A past commit, by the beginning of its id; the last without one.
    pub fn snapshot_named(&self, prefix: Option<&str>) -> Result<Snapshot, Failure> {
        let last = self.snapshot()?;
        let Some(prefix) = prefix else { return Ok(last) };
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let found = reader.resolve(prefix).and_then(|id| reader.snapshot_at(&id));
        found.map_err(|error| match error {
            plumb_store::Error::UnknownSnapshot { .. } => Failure::not_found(error.to_string()),
            plumb_store::Error::AmbiguousSnapshot { .. } => {
                Failure::invalid("snapshot", error.to_string())
            }
            error => Failure::internal(chain(&error)),
        })
    }

    /// Every commit, oldest first.
    pub fn history(&self) -> Result<Vec<SnapshotInfo>, Failure> {
        self.snapshot()?;
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(reader.snapshots())
    }

    /// What new passages are made with.
    pub fn made(&self) -> Made {
        Made {
            embedder: self.embedder_id.name.clone(),
            embedder_sha256: self.embedder_id.sha256.clone().unwrap_or_default(),
            chunking: self.chunking,
        }
    }

    /// Opens the index for writing; fails at once if somebody writes to it.
    pub fn store(&self) -> Result<Store, plumb_store::Error> {
        Store::open(&self.folder.join("index"))
    }

    /// The files that could not be read, or only in part.
    pub fn unread(&self) -> Result<Vec<UnreadFile>, Failure> {
        self.with_unread(|unread| {
            unread.refresh()?;
            unread.files()
        })
    }

    /// Works on what could not be read.
    pub fn with_unread<T>(
        &self,
        work: impl FnOnce(&mut Unread) -> Result<T, plumb_index::Error>,
    ) -> Result<T, Failure> {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut unread).map_err(|error| Failure::internal(chain(&error)))
    }

    /// Refuses settings that no answer could be given with.
    pub fn check_settings(settings: &StoredSettings) -> Result<(), Failure> {
        settings.resolve().map(drop).map_err(failure)
    }

    /// The name of what words answers under `settings`, if anything does.
    pub fn generator_name(&self, settings: &StoredSettings) -> Option<String> {
        let has_writer = self.generator.is_some() || self.pool.is_some();
        (settings.writes && has_writer).then(|| settings.generator.clone())
    }

    /// Answers a question, keeps the answer in the journal and tells `on_event`
    /// on the way. Once `is_cancelled` is set it fails soon.
    pub fn ask(
        &self,
        app: &App,
        asked: &Asked<'_>,
        is_cancelled: &Arc<AtomicBool>,
        on_event: &mut OnEvent<'_>,
    ) -> Result<StoredAnswer, Failure> {
        let resolved = asked.settings.resolve().map_err(failure)?;
        let sources = Sources {
            snapshot: asked.snapshot,
            embedder: &self.embedder,
            embedder_id: self.embedder_id.clone(),
            analyzer: &self.analyzer,
            vectors: self.vectors.as_ref(),
            settings: &resolved,
        };
        let told = Told::begin(asked, &self.name);
        let mut writer = if asked.settings.writes {
            self.writer((app, &told), asked, is_cancelled)?
        } else {
            None
        };
        let mut kept = writer.as_mut().map(|writer| self.kept(app, asked, writer.as_mut()));
        let mut recorder = kept.as_mut().map(|writer| Recorder::new(writer));
        let borrowed = recorder.as_mut().map(|recorder| recorder as &mut dyn Writer);
        let answer = plumb_answer::ask(&sources, asked.question, asked.history, borrowed, on_event);
        let mut answer = answer.map_err(|error| told.failed(failure(error)))?;
        let written = recorder.map_or_else(Vec::new, Recorder::into_written);
        let is_deterministic = kept.as_ref().is_none_or(Writer::is_deterministic);
        let (cached, has_looked) = kept.as_mut().map_or((None, false), KeptWriter::settle);
        if has_looked {
            app.metrics.looked_up("answer", cached.is_some());
        }
        if let Some(cached) = cached {
            answer = answer.with_cached(cached);
        }
        self.measure(app, &answer);
        self.pay(asked, &answer, &written);
        told.end(&answer, &self.embedder_id.name);
        let stored = StoredAnswer {
            answer,
            settings: asked.settings.clone(),
            history: asked.history.to_vec(),
            written,
            deterministic: is_deterministic,
        };
        self.keep(&stored)?;
        Ok(stored)
    }

    /// `writer`, with what was written before where that is the same.
    fn kept<'a>(
        &'a self,
        app: &'a App,
        asked: &Asked<'_>,
        writer: &'a mut dyn Writer,
    ) -> KeptWriter<'a> {
        let is_drawn = asked.sampling.is_some_and(|sampling| 0.0 < sampling.temperature);
        let policy = if is_drawn { Policy::NEVER } else { asked.policy };
        let reuse = &asked.settings.chunk_reuse;
        let scope =
            format!("{} {:?} {} {reuse:?}", self.name, writer.id(), asked.settings.kv_cache);
        KeptWriter::new(writer, (&app.caches.wordings, policy), scope, &self.analyzer)
    }

    /// What words an answer until `is_cancelled` is set, if anything does.
    fn writer(
        &self,
        (app, told): (&App, &Told),
        asked: &Asked<'_>,
        is_cancelled: &Arc<AtomicBool>,
    ) -> Result<Option<Box<dyn Writer>>, Failure> {
        let is_drawn = asked.sampling.is_some_and(|sampling| 0.0 < sampling.temperature);
        if let Some(pool) = &self.pool {
            if is_drawn {
                let message = "the generator of this collection is on another machine and words \
                    answers at temperature 0: leave `temperature` out";
                return Err(Failure::invalid("temperature", message));
            }
            return Ok(Some(Box::new(pool.get().as_ref().clone().traced(told.scope()))));
        }
        let Some(generator) = &self.generator else { return Ok(None) };
        let watch = told.watch(&app.metrics, asked.call, &generator.id.name);
        let writer = generator.writer(is_cancelled.clone()).reusing(self.reuse.clone());
        let writer = writer.watched(watch);
        Ok(Some(match asked.sampling.filter(|_| is_drawn) {
            Some(sampling) => Box::new(writer.with_sampling(sampling.clone())),
            None => Box::new(writer),
        }))
    }

    /// How many tokens `text` has for the generator, or else for the embedder.
    pub fn count_tokens(&self, text: &str) -> usize {
        let counted = match &self.generator {
            Some(generator) => generator.model.count_tokens(text),
            None => self.embedder.count_tokens(text),
        };
        counted.unwrap_or(text.len())
    }

    fn keep(&self, stored: &StoredAnswer) -> Result<(), Failure> {
        let json = serde_json::to_vec(stored).map_err(|e| Failure::internal(chain(&e)))?;
        let mut journal = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        journal.append(&stored.answer.answer_id, &json).map_err(|e| Failure::internal(chain(&e)))
    }

    /// Counts the tokens of an answer. Those of an engine of this process are
    /// counted where it works.
    fn pay(&self, asked: &Asked<'_>, answer: &Answer, written: &[String]) {
        asked.call.read(self.embedder.count_tokens(asked.question).unwrap_or_default());
        if self.pool.is_some() {
            asked.call.wrote(written.iter().map(|text| self.count_tokens(text)).sum());
        } else if self.generator_name(asked.settings).is_none() {
            asked.call.wrote(self.count_tokens(&answer.answer));
        }
    }

    fn measure(&self, app: &App, answer: &Answer) {
        app.metrics.answers.add(&[&self.name, answer.status.name()], 1);
        let ms = |lap: &str| answer.timings_ms.get(lap).copied().unwrap_or_default();
        let seconds = (ms("embed") + ms("search")) / 1e3;
        app.metrics.retrieval_seconds.observe(&[&self.name], seconds);
    }
}

/// What `generator` reuses for the answers of `source`, if anything.
fn reuse(source: &CollectionSource, generator: &Generator) -> Result<Option<Reuse>, Error> {
    let Some(reuse) = &source.settings.chunk_reuse else { return Ok(None) };
    let (folder, budget) = &source.chunks;
    let model = generator.id.sha256.as_deref().unwrap_or(&generator.id.name);
    let store = ChunkStore::new(folder, model, *budget);
    let failed = |error| Error::Reuse { name: source.name.clone(), source: error };
    Ok(Some(reuse.open(store, clock::system_time).map_err(failed)?))
}

/// Where vectors of the embedder `id` are kept for the answers of `source`.
fn vectors(source: &CollectionSource, id: &ModelId) -> Option<VectorStore> {
    let (folder, budget) = &source.vectors;
    let model = id.sha256.as_deref().unwrap_or(&id.name);
    (*budget != 0).then(|| VectorStore::new(folder, model, *budget, clock::system_time))
}

/// Opens the index; an empty one is made where there is none.
fn open_reader(source: &CollectionSource) -> Result<Reader, plumb_store::Error> {
    let index = source.folder.join("index");
    if !index.is_dir() {
        drop(Store::open(&index)?);
    }
    Reader::open(&index)
}

/// Refuses an embedder other than the one that made the stored vectors.
fn check_embedder(collection: &str, snapshot: &Snapshot, id: &ModelId) -> Result<(), Error> {
    match Made::other_embedder(snapshot, id.sha256.as_deref().unwrap_or_default()) {
        Some(made) => {
            let (collection, set) = (collection.to_owned(), id.name.clone());
            Err(Error::OtherEmbedder { collection, made, set })
        }
        None => Ok(()),
    }
}

fn failure(error: plumb_answer::Error) -> Failure {
    use plumb_answer::Error as Answer;
    match error {
        Answer::EmptyQuestion => Failure::invalid("question", "the question is empty"),
        Answer::Filter(error) => bad_filter(&error),
        Answer::Interrupted => Failure::new(Kind::Deadline, "the question was interrupted"),
        Answer::Writer(error) => writer_failure(&error),
        error => Failure::internal(chain(&error)),
    }
}

/// A condition on documents that cannot be read, with the place.
pub fn bad_filter(error: &plumb_retrieve::FilterError) -> Failure {
    Failure::invalid("where", format!("`where`: {error}, here:\n{}", error.pointed()))
}

/// A writer wraps the engine's own error: a full queue is no fault of this
/// server.
fn writer_failure(error: &plumb_answer::WriterError) -> Failure {
    match error.source.downcast_ref::<plumb_infer::Error>() {
        Some(plumb_infer::Error::EngineBusy { .. }) => Failure::new(Kind::Busy, chain(error)),
        Some(plumb_infer::Error::EngineClosed) => Failure::unavailable("the server is stopping"),
        _ if error.source.is::<plumb_answer::Cancelled>() => {
            Failure::new(Kind::Deadline, "the question was interrupted")
        }
        _ => Failure::internal(chain(error)),
    }
}
