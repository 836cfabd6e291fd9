//! Settings that change while the server runs.
//!
//! What reads them is outside of this crate: a [`Source`], which is asked once a
//! second and at SIGHUP. What it gives is taken over as a whole or not at all,
//! and requests that run keep what they began with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plumb_answer::StoredSettings;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::auth::guard::Rules;
use crate::failure::chain;
use crate::limits::FairSettings;
use crate::observe::Level;
use crate::settings::Limits;
use crate::state::{App, Loaded};
use crate::upstream::{self, Pool, PoolSettings};

/// Between two looks at whether the settings have changed.
const LOOK: Duration = Duration::from_secs(1);

/// Why the settings are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Some time has passed.
    Time,
    /// Somebody sent SIGHUP.
    Signal,
}

/// What looking gave.
#[derive(Debug)]
pub enum Reread {
    /// Nothing to do.
    Same,
    /// They are others now.
    Changed(Box<Renewal>),
    /// They cannot be used, and why.
    Refused(String),
}

/// Looks at the settings. It may block.
pub type Source = Box<dyn FnMut(Why) -> Reread + Send>;

/// The settings that can change while the server runs.
#[derive(Clone, Debug)]
pub struct Renewal {
    pub limits: Limits,
    pub queue: FairSettings,
    pub rules: Rules,
    /// Names in `Host` beside those of loopback.
    pub hosts: Vec<String>,
    /// Origins of other pages that may use the service.
    pub cors: Vec<String>,
    /// Read again, as a certificate is renewed under its old name.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub pools: Vec<PoolSettings>,
    /// How questions are answered, by collection.
    pub answers: BTreeMap<String, StoredSettings>,
    pub log: Level,
    /// What is different, for the log.
    pub changed: Vec<Change>,
    /// Keys of settings that are different and need a restart.
    pub restart: Vec<String>,
}

/// A setting that is different now.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Change {
    pub key: String,
    /// Where values may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<serde_json::Value>,
}

/// Why settings that can be read cannot be taken over.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Pool(#[from] upstream::Error),
    #[error(transparent)]
    Tls(#[from] crate::tls::Error),
    #[error("the pool `{pool}` words the answers of `{collection}` and is no longer there")]
    NoPool { pool: String, collection: String },
    #[error("the answers of `{collection}` cannot be given so")]
    Answers { collection: String, source: plumb_answer::Error },
}

/// Asks endpoints of pools how they are, until the pools are replaced.
#[derive(Debug, Default)]
pub(crate) struct Watching(Vec<JoinHandle<()>>);

impl Watching {
    /// Looks after `pools` from now on, and after no others.
    pub(crate) fn begin(&mut self, pools: &[Pool]) {
        self.0.drain(..).for_each(|watch| watch.abort());
        self.0.extend(pools.iter().map(|pool| tokio::spawn(upstream::watch(pool.clone()))));
    }
}

/// Follows the settings until the task is ended.
pub(crate) async fn follow(
    app: Arc<App>,
    source: Option<Source>,
    mut hang_up: HangUp,
    mut watching: Watching,
) {
    let Some(mut source) = source else { return std::future::pending().await };
    loop {
        let why = tokio::select! {
            () = tokio::time::sleep(LOOK) => Why::Time,
            () = hang_up.next() => Why::Signal,
        };
        let looking = tokio::task::spawn_blocking(move || {
            let read = source(why);
            (source, read)
        });
        // A source that panicked is not asked again.
        let Ok((kept, read)) = looking.await else { return std::future::pending().await };
        source = kept;
        take(&app, read, &mut watching).await;
    }
}

async fn take(app: &Arc<App>, read: Reread, watching: &mut Watching) {
    let renewal = match read {
        Reread::Same => return,
        Reread::Refused(reason) => return refuse(app, &reason),
        Reread::Changed(renewal) => renewal,
    };
    let (changed, restart) = (renewal.changed.clone(), renewal.restart.clone());
    let taking = app.clone();
    // Certificates are read, and pools need the runtime.
    let runtime = tokio::runtime::Handle::current();
    let taken = tokio::task::spawn_blocking(move || {
        let _inside = runtime.enter();
        taking.renew(*renewal)
    });
    match taken.await {
        Ok(Ok(())) => {
            watching.begin(&app.pools());
            app.metrics.reloads.add(&["applied"], 1);
            let told = json!({"changed": changed, "needs_restart": restart});
            app.log.write("settings_reloaded", told);
        }
        Ok(Err(error)) => refuse(app, &chain(&error)),
        Err(_) => refuse(app, "taking them over failed"),
    }
}

fn refuse(app: &App, reason: &str) {
    app.metrics.reloads.add(&["refused"], 1);
    let told = json!({"error": reason, "kept": "the settings from before"});
    app.log.write_at(Level::Error, "settings_refused", told);
}

impl App {
    /// Takes over other settings, all of them or none.
    fn renew(&self, new: Renewal) -> Result<(), Error> {
        let pools = self.renewed_pools(new.pools)?;
        let loaded = self.loaded();
        let answers = match &loaded {
            Some(loaded) => checked(loaded, &new.answers, &pools)?,
            None => BTreeMap::new(),
        };
        self.guard.renew_identity(new.tls.as_ref())?;
        for collection in loaded.iter().flat_map(|loaded| &loaded.collections) {
            if let Some(settings) = answers.get(&collection.name) {
                collection.renew(settings.clone(), &pools);
            }
        }
        self.guard.renew(new.rules, (&new.hosts, new.cors), new.queue);
        self.log.set_level(new.log);
        self.set_limits(new.limits);
        self.set_pools(pools);
        Ok(())
    }

    /// Pools whose settings are as before stay, with what they know of their
    /// endpoints.
    fn renewed_pools(&self, settings: Vec<PoolSettings>) -> Result<Vec<Pool>, upstream::Error> {
        let old = self.pools();
        let pool = |new: PoolSettings| match old.iter().find(|pool| *pool.settings() == new) {
            Some(pool) => Ok(pool.clone()),
            None => Pool::new(new),
        };
        settings.into_iter().map(pool).collect()
    }
}

/// The settings of each collection, if answers can be given so.
fn checked(
    loaded: &Loaded,
    answers: &BTreeMap<String, StoredSettings>,
    pools: &[Pool],
) -> Result<BTreeMap<String, StoredSettings>, Error> {
    let mut all = BTreeMap::new();
    for collection in &loaded.collections {
        let Some(new) = answers.get(&collection.name) else { continue };
        let settings = collection.renewed(new);
        let name = || collection.name.clone();
        settings.resolve().map_err(|source| Error::Answers { collection: name(), source })?;
        if let Some(pool) = collection.pool_name()
            && !pools.iter().any(|known| known.name() == pool)
        {
            return Err(Error::NoPool { pool, collection: name() });
        }
        all.insert(name(), settings);
    }
    Ok(all)
}

/// SIGHUP, where there is such a signal.
#[derive(Debug)]
pub(crate) struct HangUp {
    #[cfg(unix)]
    signals: Option<tokio::signal::unix::Signal>,
}

impl HangUp {
    /// Listens from now on: without a listener the signal ends the process.
    pub(crate) fn listen() -> Self {
        Self {
            #[cfg(unix)]
            signals: {
                use tokio::signal::unix::{SignalKind, signal};
                signal(SignalKind::hangup()).ok()
            },
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signals) = &mut self.signals
            && signals.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
