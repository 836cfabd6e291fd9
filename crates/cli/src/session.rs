//! Everything loaded that questions need, so that a conversation loads it once.

use anyhow::Result;
use plumb_answer::{
    Answer, Guarantee, ModelId, OnEvent, Recorder, Replayer, Settings, Sources, StoredSettings,
    Turn, Writer,
};
use plumb_infer::VectorStore;
use plumb_retrieve::Filter;
use plumb_store::Snapshot;
use plumb_text::Analyzer;

use crate::config::{Config, KvCacheName, WordingName};
use crate::context::Context;
use crate::endpoint::Endpoint;
use crate::generator::Generator;
use crate::models::locate;
use crate::project::{LoadedEmbedder, Project, analyzer};
use crate::reuse;

/// The settings of answers under `config`, as they are stored with them.
pub fn settings(config: &Config, filter: Option<String>) -> StoredSettings {
    let (mode, dense_weight) = StoredSettings::stored_mode(config.mode);
    StoredSettings {
        top_k: config.top_k,
        mode,
        dense_weight,
        max_sentences: config.max_sentences,
        threshold: config.threshold,
        writes: config.wording == WordingName::Write,
        filter,
        generator: config.generator.clone(),
        endpoint: config.endpoint.clone(),
        kv_cache: config.kv_cache.name().to_owned(),
        chunk_reuse: config.reuse.stored(),
        guarantee: None,
    }
}

/// A snapshot with the models that answer from it.
pub struct Session {
    snapshot: Snapshot,
    embedder: LoadedEmbedder,
    analyzer: Analyzer,
    writer: Option<Box<dyn Writer>>,
    vectors: Option<VectorStore>,
    resolved: Settings,
    pub settings: StoredSettings,
    /// What the writer wrote for the last question, in order.
    pub written: Vec<String>,
}

impl Session {
    /// Loads what `settings` name, and a local generator when it first writes.
    pub fn open(
        project: &Project,
        context: &Context,
        snapshot: Snapshot,
        settings: StoredSettings,
    ) -> Result<Self> {
        let writer = writer(project, context, &settings)?;
        Self::with_writer(project, context, snapshot, settings, writer)
    }

    /// As [`Session::open`], but with the texts that an earlier run's writer
    /// wrote in place of the writer, for one that need not repeat itself.
    pub fn with_recorded(
        project: &Project,
        context: &Context,
        snapshot: Snapshot,
        settings: StoredSettings,
        recorded: (ModelId, Vec<String>),
    ) -> Result<Self> {
        let writer: Box<dyn Writer> = Box::new(Replayer::new(recorded.0, recorded.1));
        Self::with_writer(project, context, snapshot, settings, Some(writer))
    }

    /// As [`Session::open`], with `writer` in place of what the settings name.
    pub fn with_writer(
        project: &Project,
        context: &Context,
        snapshot: Snapshot,
        settings: StoredSettings,
        writer: Option<Box<dyn Writer>>,
    ) -> Result<Self> {
        let embedder = project.embedder(context, &snapshot)?;
        let resolved = settings.resolve()?;
        let (data, budget) = (project.data_folder(), project.config.reuse.vector_bytes);
        let sha256 = embedder.id.sha256.clone().unwrap_or_default();
        Ok(Self {
            snapshot,
            embedder,
            analyzer: analyzer(),
            writer,
            vectors: reuse::vectors((&data, &sha256), budget),
            resolved,
            settings,
            written: Vec::new(),
        })
    }

    pub fn ask(
        &mut self,
        question: &str,
        history: &[Turn],
        on_event: &mut OnEvent<'_>,
    ) -> Result<Answer> {
        let sources = Sources {
            snapshot: &self.snapshot,
            embedder: &self.embedder.embedder,
            embedder_id: self.embedder.id.clone(),
            analyzer: &self.analyzer,
            vectors: self.vectors.as_ref(),
            settings: &self.resolved,
        };
        let Some(writer) = &mut self.writer else {
            self.written.clear();
            let answer = plumb_answer::ask(&sources, question, history, None, on_event)?;
            return Ok(self.with_guarantee(answer));
        };
        let mut recorder = Recorder::new(writer.as_mut());
        let answer = plumb_answer::ask(&sources, question, history, Some(&mut recorder), on_event)?;
        self.written = recorder.into_written();
        Ok(self.with_guarantee(answer))
    }

    fn with_guarantee(&self, answer: Answer) -> Answer {
        match &self.settings.guarantee {
            Some(guarantee) => answer.with_guarantee(guarantee.clone()),
            None => answer,
        }
    }

    /// Answers without the documents at `uris` from now on.
    pub fn leave_out(&mut self, uris: &[String]) -> Result<()> {
        let quoted = |uri: &String| format!("uri != \"{}\"", uri.replace('"', "\\\""));
        let filter = uris.iter().map(quoted).collect::<Vec<_>>().join(" and ");
        self.resolved.filter = (!filter.is_empty()).then(|| Filter::parse(&filter)).transpose()?;
        Ok(())
    }

    /// Cosine of two texts by the embedder: of a question and its answer.
    pub fn similarity(&self, question: &str, answer: &str) -> Result<f64> {
        let query = self.embedder.embedder.embed_query(question)?;
        let texts = self.embedder.embedder.embed_documents(&[answer])?;
        let other = texts.first().map(Vec::as_slice).unwrap_or_default();
        Ok(query.iter().zip(other).map(|(x, y)| f64::from(x * y)).sum())
    }

    /// Keeps vectors of sentences in `vectors` from now on, or nowhere.
    pub fn keep_vectors(&mut self, vectors: Option<VectorStore>) {
        self.vectors = vectors;
    }

    /// The snapshot that is answered from.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Name of the snapshot that is answered from.
    pub fn snapshot_id(&self) -> String {
        self.snapshot.id().to_string()
    }

    /// Hash of the embedder's weights.
    pub fn embedder_sha256(&self) -> Option<&str> {
        self.embedder.id.sha256.as_deref()
    }

    /// Answers from the threshold of a calibration on, and states what it
    /// promises.
    pub fn calibrated(&mut self, threshold: f32, guarantee: Guarantee) {
        self.resolved.threshold = threshold;
        self.settings.threshold = threshold;
        self.settings.guarantee = Some(guarantee);
    }

    /// False if the writer need not write the same again.
    pub fn is_deterministic(&self) -> bool {
        self.writer.as_ref().is_none_or(|writer| writer.is_deterministic())
    }
}

fn writer(
    project: &Project,
    context: &Context,
    settings: &StoredSettings,
) -> Result<Option<Box<dyn Writer>>> {
    if !settings.writes {
        return Ok(None);
    }
    reuse::check(settings)?;
    if let Some(url) = &settings.endpoint {
        let endpoint = Endpoint::new(url, &settings.generator, context.api_key.clone());
        return Ok(Some(Box::new(endpoint)));
    }
    let located = locate(context, &settings.generator)?;
    let stored = KvCacheName::named(&settings.kv_cache)?.into();
    let place = (&*project.data_folder(), &*located.sha256);
    let reuse = reuse::open(settings, place, project.config.reuse.budget_bytes)?;
    let how = (project.config.threads, stored);
    Ok(Some(Box::new(Generator::new(located, how, reuse))))
}
