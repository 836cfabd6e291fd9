//! Everything that stands before the handlers, put together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::auth::gate::{self, Gate};
use crate::auth::headers::{self, Transport};
use crate::auth::listen;
use crate::auth::origin::Origins;
use crate::auth::role::{KeyLimits, Principal, Role};
use crate::clock;
use crate::data::{Database, Location};
use crate::limits::{self, FairQueue, FairSettings, Limiter, Metering};
use crate::live::Live;
use crate::settings::Settings;
use crate::tls;

/// Who is let in, and how.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where keys, conversations and the audit log are.
    pub database: Location,
    /// Ask for no key, wherever the service listens.
    pub allow_open: bool,
    /// Names in `Host` beside those of loopback. On other addresses any name is
    /// answered for unless some are given.
    pub hosts: Vec<String>,
    /// Origins of other pages that may use the service.
    pub cors: Vec<String>,
    /// Certificates and key in PEM form, to speak TLS with.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Requests of all keys that models work on at once, and that wait.
    pub queue: FairSettings,
    /// What keys may take.
    pub rules: Rules,
}

/// What keys may take that say nothing of it themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// From the arrival of a request to its last byte, of whoever asks.
    pub request: Duration,
    /// Of keys that have a role.
    pub roles: BTreeMap<Role, KeyLimits>,
}

impl Rules {
    /// What `who` may take: what the key says, and else what its role does.
    pub fn limits(&self, who: &Principal) -> KeyLimits {
        match self.roles.get(&who.role()).filter(|_| who.id != Principal::LOCAL) {
            Some(role) => who.limits.or(role),
            None => who.limits,
        }
    }
}

/// Why the service does not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot open the database `{place}`")]
    Database { place: String, source: crate::data::Error },
    #[error(transparent)]
    Listen(#[from] listen::Refused),
    #[error(transparent)]
    Tls(#[from] tls::Error),
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Database { source, .. } => source.hint(),
            Self::Listen(refused) => refused.hint(),
            Self::Tls(_) => None,
        }
    }
}

/// What stands before the handlers.
pub struct Guard {
    /// Who is let in.
    pub gate: Gate,
    /// What each key may take.
    pub limiter: Limiter,
    /// Whose turn it is.
    pub queue: FairQueue,
    /// What each key has used.
    pub metering: Metering,
    /// What keys may take that say nothing of it themselves.
    pub rules: Live<Rules>,
    /// What the service proves itself with, if it speaks TLS.
    pub identity: Option<tls::Identity>,
    /// Where it listens.
    pub listen: SocketAddr,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}

impl Guard {
    /// Opens the database and reads the certificates. Refuses to guard an
    /// address that others reach and nobody needs a key for. Call it outside of
    /// any runtime.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let access = &settings.access;
        let place = access.database.shown();
        let database =
            Database::open(&access.database).map_err(|source| Error::Database { place, source })?;
        listen::check(settings.listen, access.allow_open, &database)?;
        let identity = match &access.tls {
            Some((certificate, key)) => Some(tls::Identity::read(certificate, key)?),
            None => None,
        };
        let origins = origins(settings.listen, &access.hosts, access.cors.clone());
        Ok(Self {
            limiter: Limiter::new(database.clone()),
            queue: FairQueue::new(access.queue),
            metering: Metering::default(),
            gate: Gate {
                database,
                origins: Arc::new(origins.into()),
                allow_open: access.allow_open,
                clock: clock::now,
            },
            rules: access.rules.clone().into(),
            listen: settings.listen,
            identity,
        })
    }

    /// Lets in from now on who may be let in under other settings.
    pub(crate) fn renew(
        &self,
        rules: Rules,
        (hosts, cors): (&[String], Vec<String>),
        queue: FairSettings,
    ) {
        self.rules.set(rules);
        self.gate.origins.set(origins(self.listen, hosts, cors));
        self.queue.renew(queue);
    }

    /// Reads certificates again, if the service speaks TLS.
    pub(crate) fn renew_identity(
        &self,
        files: Option<&(PathBuf, PathBuf)>,
    ) -> Result<(), tls::Error> {
        match (&self.identity, files) {
            (Some(identity), Some((certificate, key))) => identity.renew(certificate, key),
            _ => Ok(()),
        }
    }

    /// What the service remembers.
    pub fn database(&self) -> &Database {
        &self.gate.database
    }

    /// How the service is spoken to.
    pub fn transport(&self) -> Transport {
        if self.identity.is_some() { Transport::Tls } else { Transport::Plain }
    }

    /// Puts the guard before routes.
    pub fn before(self: &Arc<Self>, routes: Router) -> Router {
        routes
            .layer(from_fn_with_state(Arc::clone(self), limits::layer))
            .layer(from_fn_with_state(Arc::clone(self), gate::layer))
            .layer(from_fn_with_state(self.transport(), headers::layer))
    }
}

/// Which hosts and pages are answered at an address.
fn origins(listen: SocketAddr, hosts: &[String], cors: Vec<String>) -> Origins {
    if listen.ip().is_loopback() {
        Origins::loopback(hosts, cors)
    } else {
        Origins { hosts: hosts.to_vec(), cors }
    }
}
