//! What every request shares.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use plumb_infer::{Embedder, Engine, Reranker};

use crate::auth::guard::Guard;
use crate::auth::role::{Granted, Principal, Role};
use crate::cache::Caches;
use crate::collection::Collection;
use crate::encoding::{ServedEmbedder, ServedReranker};
use crate::error::Error;
use crate::failure::Failure;
use crate::generator::Generator;
use crate::jobs::Jobs;
use crate::live::Live;
use crate::native::Runs;
use crate::observe::{Log, Metrics, resident_bytes};
use crate::settings::{Limits, ModelSource, Settings};
use crate::shutdown::Drain;
use crate::trace::Tracer;
use crate::upstream::Pool;
use crate::workers::Workers;

/// The prefix of the model ids that stand for collections.
pub(crate) const COLLECTION_PREFIX: &str = "docs/";

/// The server's state. Handlers get it as `State<Arc<App>>`.
#[derive(Debug)]
pub struct App {
    /// As the server was started; [`App::limits`] and [`App::pools`] may have
    /// changed since.
    pub settings: Settings,
    pub metrics: Arc<Metrics>,
    pub tracer: Arc<Tracer>,
    pub log: Log,
    /// For what takes long: questions, documents.
    pub workers: Arc<Workers>,
    /// For what takes a moment and must not wait for the above: prompts,
    /// grammars.
    pub preparing: Workers,
    pub drain: Drain,
    /// Stands before the routes, and has what the service remembers.
    pub guard: Arc<Guard>,
    /// Work that takes longer than a request.
    pub jobs: Jobs,
    /// Questions whose events can be read.
    pub runs: Arc<Runs>,
    limits: Live<Limits>,
    /// Generators on other machines.
    pools: Live<Vec<Pool>>,
    /// What may be given again.
    pub(crate) caches: Caches,
    /// `None` until everything is open.
    loaded: RwLock<Option<Arc<Loaded>>>,
}

/// The models and collections that are open.
pub struct Loaded {
    pub generators: Vec<Arc<Generator>>,
    pub embedders: Vec<Arc<ServedEmbedder>>,
    pub rerankers: Vec<Arc<ServedReranker>>,
    /// Embeds and reranks, beside what it generates: the first generator's
    /// engine, or one without a model.
    pub encoding_engine: Arc<Engine>,
    pub collections: Vec<Arc<Collection>>,
    /// Bytes that loading each model added to the memory of the process.
    pub memory: BTreeMap<String, u64>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let generators: Vec<_> = self.generators.iter().map(|g| &g.id.name).collect();
        let collections: Vec<_> = self.collections.iter().map(|c| &c.name).collect();
        f.debug_struct("Loaded")
            .field("generators", &generators)
            .field("collections", &collections)
            .finish_non_exhaustive()
    }
}

/// What a client's `model` stands for.
pub enum Served {
    Generator(Arc<Generator>),
    Collection(Arc<Collection>),
}

impl App {
    /// The state before anything is loaded. Call it outside of any runtime.
    pub fn new(settings: Settings, log: Log) -> Result<Self, Error> {
        let workers = Workers::new(settings.limits.workers, settings.limits.waiting_work);
        let pools: Vec<Pool> =
            settings.pools.iter().cloned().map(Pool::new).collect::<Result<_, _>>()?;
        let (level, cache) = (settings.log, settings.cache);
        let app = Self {
            guard: Arc::new(Guard::open(&settings)?),
            pools: pools.into(),
            limits: settings.limits.clone().into(),
            metrics: Arc::default(),
            tracer: Arc::new(Tracer::new(settings.traces.clone())),
            log,
            preparing: Workers::new(2, settings.limits.waiting_work * 4),
            settings,
            workers: Arc::new(workers),
            drain: Drain::default(),
            jobs: Jobs::default(),
            runs: Arc::default(),
            caches: Caches::new(cache),
            loaded: RwLock::new(None),
        };
        app.log.set_level(level);
        Ok(app)
    }

    /// What requests may take now.
    pub fn limits(&self) -> Arc<Limits> {
        self.limits.get()
    }

    /// Generators on other machines.
    pub fn pools(&self) -> Arc<Vec<Pool>> {
        self.pools.get()
    }

    /// Requests from now on may take so much.
    pub(crate) fn set_limits(&self, limits: Limits) {
        self.limits.set(limits);
    }

    /// Requests from now on go to these.
    pub(crate) fn set_pools(&self, pools: Vec<Pool>) {
        self.pools.set(pools);
    }

    /// Opens models and collections; takes seconds. Requests are served from
    /// its end on.
    pub fn load(&self) -> Result<(), Error> {
        let loaded = Loaded::open(&self.settings, &self.pools())?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(loaded));
        Ok(())
    }

    /// What is open, if everything is.
    pub fn loaded(&self) -> Option<Arc<Loaded>> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is open; fails with 503 before that.
    pub fn ready(&self) -> Result<Arc<Loaded>, Failure> {
        self.loaded().ok_or_else(|| Failure::unavailable("the models are still being loaded"))
    }

    /// What clients mean by `model`. A collection that `who` may not see is
    /// none.
    pub fn served(&self, who: &Principal, model: &str) -> Result<Served, Failure> {
        let loaded = self.ready()?;
        if let Some(name) = model.strip_prefix(COLLECTION_PREFIX)
            && let Ok(granted) = who.collection(name, Role::Read)
            && let Some(collection) = loaded.collection(&granted)
        {
            return Ok(Served::Collection(collection));
        }
        if let Some(generator) = loaded.generators.iter().find(|g| g.id.name == model) {
            return Ok(Served::Generator(generator.clone()));
        }
        let is_other = loaded.embedders.iter().any(|known| known.id.name == model)
            || loaded.rerankers.iter().any(|known| known.id.name == model);
        Err(if is_other {
            Failure::invalid("model", format!("`{model}` does not generate text"))
        } else {
            unknown(model)
        })
    }

    /// The embedder that clients mean by `model`.
    pub fn embedder(&self, model: &str) -> Result<Arc<ServedEmbedder>, Failure> {
        let loaded = self.ready()?;
        let found = loaded.embedders.iter().find(|known| known.id.name == model);
        let is_other = loaded.generators.iter().any(|known| known.id.name == model)
            || loaded.rerankers.iter().any(|known| known.id.name == model);
        found.cloned().ok_or_else(|| {
            // A collection is named to those alone who may see it, so not here.
            if is_other {
                Failure::invalid("model", format!("`{model}` is no embedder"))
            } else {
                unknown(model)
            }
        })
    }
}

fn unknown(model: &str) -> Failure {
    let message = format!("there is no model `{model}`: /v1/models lists what is served");
    Failure { param: Some("model".to_owned()), ..Failure::not_found(message) }
}

impl Loaded {
    /// The collection that somebody may use.
    pub fn collection(&self, granted: &Granted) -> Option<Arc<Collection>> {
        self.collections.iter().find(|collection| collection.name == granted.name()).cloned()
    }

    /// The names of the collections.
    pub fn collection_names(&self) -> Vec<String> {
        self.collections.iter().map(|collection| collection.name.clone()).collect()
    }

    fn open(settings: &Settings, pools: &[Pool]) -> Result<Self, Error> {
        check_names(settings)?;
        let mut memory = BTreeMap::new();
        let failed =
            |model: &ModelSource, source| Error::Model { name: model.name.clone(), source };
        let generators: Vec<Arc<Generator>> = settings
            .generators
            .iter()
            .map(|source| {
                let load = || Generator::load(source, settings).map(Arc::new);
                weighed(&mut memory, &source.name, load)
            })
            .collect::<Result<_, _>>()?;
        let embedders: Vec<Arc<ServedEmbedder>> = settings
            .embedders
            .iter()
            .map(|model| {
                let load = || Embedder::load(&model.path, settings.threads);
                let loaded = weighed(&mut memory, &model.name, load);
                let embedder = loaded.map_err(|error| failed(model, error))?;
                Ok(Arc::new(ServedEmbedder::new(model.id(), embedder)))
            })
            .collect::<Result<_, Error>>()?;
        let rerankers = settings
            .rerankers
            .iter()
            .map(|model| {
                let load = || Reranker::load(&model.path, settings.threads);
                let loaded = weighed(&mut memory, &model.name, load);
                let reranker = loaded.map_err(|error| failed(model, error))?;
                Ok(Arc::new(ServedReranker::new(model.id(), reranker)))
            })
            .collect::<Result<_, Error>>()?;
        let encoding_engine = match generators.first() {
            Some(generator) => generator.engine.clone(),
            None => Arc::new(Engine::start(None, settings.limits.engine).map_err(|source| {
                Error::Model { name: "without a generator".to_owned(), source }
            })?),
        };
        let collections = settings
            .collections
            .iter()
            .map(|source| Collection::open(source, (&generators, pools), &embedders).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Self { generators, embedders, rerankers, encoding_engine, collections, memory })
    }
}

/// Loads a model, and notes by how much the memory of the process grew.
fn weighed<T>(memory: &mut BTreeMap<String, u64>, name: &str, load: impl FnOnce() -> T) -> T {
    let before = resident_bytes();
    let loaded = load();
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        memory.insert(name.to_owned(), after.saturating_sub(before));
    }
    loaded
}

/// Two models under one name could not be told apart.
fn check_names(settings: &Settings) -> Result<(), Error> {
    let mut seen = std::collections::HashSet::new();
    let models = [&settings.generators, &settings.embedders, &settings.rerankers];
    match models.into_iter().flatten().find(|model| !seen.insert(&model.name)) {
        Some(model) => Err(Error::SameName { name: model.name.clone() }),
        None => Ok(()),
    }
}
