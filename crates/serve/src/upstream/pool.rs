//! The pool: choosing, sending, trying again, asking a second one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::upstream::breaker::State;
use crate::upstream::budget::Budget;
use crate::upstream::client::{Client, fault_of_status};
use crate::upstream::endpoint::{Endpoint, EndpointView};
use crate::upstream::error::{Error, Fault};
use crate::upstream::reply::{self, Reply};
use crate::upstream::route::{self, Candidate};
use crate::upstream::settings::{EndpointSettings, PoolSettings, Tuning};

/// A request for whichever endpoint is chosen.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// Below the base address, such as `/chat/completions`.
    pub path: &'static str,
    /// A JSON object; its `model` is set for each endpoint.
    pub body: Value,
    /// What a whole reply must be beside an answer. One that is not counts as
    /// the endpoint's failure.
    pub check: Option<Check>,
}

/// Says what is wrong with a reply, if anything is.
#[derive(Clone)]
pub struct Check(Arc<Examine>);

type Examine = dyn Fn(&Value) -> Result<(), String> + Send + Sync;

impl Check {
    /// Examines replies with `examine`.
    pub fn new(examine: impl Fn(&Value) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(examine))
    }

    /// What is wrong with `reply`.
    pub(super) fn fault(&self, reply: &Value) -> Option<String> {
        (self.0)(reply).err()
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Check")
    }
}

impl UpstreamRequest {
    fn is_stream(&self) -> bool {
        self.body["stream"] == Value::Bool(true)
    }

    /// Equal for requests that begin alike: with the same system message and
    /// the same first message after it, as the turns of one conversation do.
    fn prefix(&self) -> u64 {
        let beginning = match self.body["messages"].as_array() {
            Some(messages) => messages.iter().take(2).map(Value::to_string).collect(),
            None => self.body["prompt"].to_string().chars().take(512).collect::<String>(),
        };
        route::affinity(0, &beginning)
    }
}

/// A pool; clones share it.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    settings: PoolSettings,
    pub(super) name: String,
    pub(super) tuning: Tuning,
    pub(super) client: Client,
    state: Mutex<PoolState>,
    /// Woken when an endpoint has room again.
    freed: Notify,
    start: Instant,
}

#[derive(Debug)]
struct PoolState {
    endpoints: Vec<Endpoint>,
    budget: Budget,
}

/// Why nobody was chosen.
enum NoChoice {
    /// All that work are full.
    Full,
    /// None works before a time.
    NoneWorks(Duration),
}

impl Pool {
    /// A pool of the endpoints that `settings` name. Nothing is sent yet.
    pub fn new(settings: PoolSettings) -> Result<Self, Error> {
        for endpoint in &settings.endpoints {
            let parsed: Option<hyper::Uri> = endpoint.url.parse().ok();
            let is_web = |uri: &hyper::Uri| {
                matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
            };
            if !parsed.as_ref().is_some_and(is_web) {
                return Err(Error::Address { url: endpoint.url.clone() });
            }
        }
        let tuning = settings.tuning;
        let endpoints = settings.endpoints.iter().cloned();
        let endpoints = endpoints.map(|endpoint| Endpoint::new(endpoint, &tuning)).collect();
        let state = PoolState { endpoints, budget: Budget::new(tuning.retry_ratio) };
        Ok(Self(Arc::new(Shared {
            name: settings.name.clone(),
            settings,
            tuning,
            client: Client::new(tuning.connect),
            state: Mutex::new(state),
            freed: Notify::new(),
            start: Instant::now(),
        })))
    }

    /// Under which clients ask for it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it was made of.
    pub fn settings(&self) -> &PoolSettings {
        &self.0.settings
    }

    /// How the endpoints fare.
    pub fn view(&self) -> Vec<EndpointView> {
        let now = self.0.now();
        self.0.lock().endpoints.iter().map(|endpoint| endpoint.view(now)).collect()
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Sends a request to an endpoint, and to another as long as nothing of an
    /// answer has come.
    pub async fn send(&self, request: &UpstreamRequest) -> Result<Reply, Error> {
        if !request.body.is_object() {
            return Err(Error::NotJson { pool: self.0.name.clone() });
        }
        self.0.lock().budget.deposit();
        let prefix = request.prefix();
        let mut tried = Vec::new();
        let mut last: Option<Fault> = None;
        for attempt in 0..self.0.tuning.attempts.max(1) {
            if attempt > 0 && !self.0.lock().budget.withdraw() {
                break;
            }
            let lease = match self.lease(prefix, &mut tried, last.as_ref()).await {
                Ok(lease) => lease,
                // Another attempt was possible, but nobody is there for it.
                Err(Error::NoneWorks { .. }) if last.is_some() => break,
                Err(error) => return Err(error),
            };
            match self.race(request, lease, prefix, &mut tried).await {
                Ok(reply) => return Ok(reply),
                Err(fault) => last = Some(fault),
            }
        }
        let pool = self.0.name.clone();
        match last {
            Some(Fault::Busy { .. }) => Err(Error::Busy { pool }),
            last => {
                Err(Error::Failed { pool, last: last.map_or(String::new(), |f| f.to_string()) })
            }
        }
    }

    /// Waits for an endpoint that has room.
    async fn lease(
        &self,
        prefix: u64,
        tried: &mut Vec<usize>,
        last: Option<&Fault>,
    ) -> Result<Lease, Error> {
        let deadline = tokio::time::Instant::now() + self.0.tuning.wait;
        loop {
            // Registered before looking, so that no wake-up is missed.
            let freed = self.0.freed.notified();
            match self.0.choose(prefix, tried) {
                Ok(lease) => {
                    tried.push(lease.index);
                    return Ok(lease);
                }
                Err(NoChoice::NoneWorks(retry_after)) => {
                    // All were tried: those that failed may be tried once more.
                    if !tried.is_empty() && last.is_some() {
                        tried.clear();
                        if let Ok(lease) = self.0.choose(prefix, tried) {
                            tried.push(lease.index);
                            return Ok(lease);
                        }
                    }
                    let last = last.map_or("all rest after failures".to_owned(), Fault::to_string);
                    let pool = self.0.name.clone();
                    return Err(Error::NoneWorks { pool, last, retry_after });
                }
                Err(NoChoice::Full) => {
                    if tokio::time::timeout_at(deadline, freed).await.is_err() {
                        return Err(Error::Busy { pool: self.0.name.clone() });
                    }
                }
            }
        }
    }

    /// Asks one endpoint, and a second one as well if the first is slow. The
    /// first answer counts, and the other request is ended.
    async fn race(
        &self,
        request: &UpstreamRequest,
        lease: Lease,
        prefix: u64,
        tried: &mut Vec<usize>,
    ) -> Result<Reply, Fault> {
        let mut first = std::pin::pin!(self.ask(request, lease));
        let Some(patience) = self.0.tuning.hedge else { return first.await };
        if let Ok(outcome) = timeout(patience, &mut first).await {
            return outcome;
        }
        let hedge = match self.0.choose(prefix, tried) {
            Ok(lease) if self.0.lock().budget.withdraw() => lease,
            _ => return first.await,
        };
        tried.push(hedge.index);
        let mut second = std::pin::pin!(self.ask(request, hedge));
        tokio::select! {
            outcome = &mut first => match outcome {
                Ok(reply) => Ok(reply),
                Err(_) => second.await,
            },
            outcome = &mut second => match outcome {
                Ok(reply) => Ok(reply),
                Err(_) => first.await,
            },
        }
    }

    /// Asks one endpoint and waits until an answer has begun.
    async fn ask(&self, request: &UpstreamRequest, lease: Lease) -> Result<Reply, Fault> {
        let tuning = &self.0.tuning;
        let start = tokio::time::Instant::now();
        let body = body_for(request, &lease.settings, &self.0.name);
        let posted = self.0.client.post(&lease.settings, request.path, body);
        let silent =
            || Fault::Silent { url: lease.url().to_owned(), seconds: tuning.first_byte.as_secs() };
        let outcome = match timeout(tuning.first_byte, posted).await {
            Ok(outcome) => outcome,
            Err(_) => Err(silent()),
        };
        let response = match outcome {
            Ok(response) => match fault_of_status(&response, lease.url()) {
                Some(fault) => return Err(lease.fail(&fault)),
                None => response,
            },
            Err(fault) => return Err(lease.fail(&fault)),
        };
        let left = tuning.first_byte.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
        if request.is_stream() && response.status().is_success() {
            let streamed = reply::stream(response, lease, (left, tuning.idle)).await;
            return streamed.map_err(|(lease, fault)| lease.fail(&fault));
        }
        match reply::whole(response, request, &lease, left).await {
            Ok(reply) => {
                lease.succeed();
                Ok(reply)
            }
            Err(fault) => Err(lease.fail(&fault)),
        }
    }
}

/// The request's body with the endpoint's name for the model.
fn body_for(request: &UpstreamRequest, to: &EndpointSettings, pool: &str) -> Bytes {
    let mut body = request.body.clone();
    body["model"] = Value::from(to.model.as_deref().unwrap_or(pool));
    Bytes::from(body.to_string())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the pool was made.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Changes an endpoint's state.
    pub(super) fn with<T>(&self, index: usize, work: impl FnOnce(&mut Endpoint) -> T) -> Option<T> {
        self.lock().endpoints.get_mut(index).map(work)
    }

    /// The endpoints' settings, by place.
    pub(super) fn settings(&self) -> Vec<EndpointSettings> {
        self.lock().endpoints.iter().map(|endpoint| endpoint.settings.clone()).collect()
    }

    /// Chooses an endpoint that is not among `tried`.
    fn choose(self: &Arc<Self>, prefix: u64, tried: &[usize]) -> Result<Lease, NoChoice> {
        let now = self.now();
        let mut state = self.lock();
        let may = |endpoint: &Endpoint| {
            matches!(endpoint.breaker.state(now), State::Closed | State::Trial)
        };
        let untried = || state.endpoints.iter().enumerate().filter(|(i, _)| !tried.contains(i));
        // A health check can be wrong in both directions: where it says that
        // all are down, it is not believed.
        let mut works: Vec<_> = untried().filter(|(_, e)| may(e) && e.is_up).collect();
        if works.is_empty() {
            works = untried().filter(|(_, e)| may(e)).collect();
        }
        let candidates: Vec<Candidate> = works
            .into_iter()
            .map(|(index, endpoint)| Candidate {
                index,
                outstanding: endpoint.outstanding,
                concurrency: endpoint.settings.concurrency.max(1),
                affinity: route::affinity(prefix, &endpoint.settings.url),
            })
            .collect();
        if candidates.is_empty() {
            let until = state.endpoints.iter().filter_map(|e| match e.breaker.state(now) {
                State::Open { until } => Some(until.saturating_sub(now)),
                State::Closed | State::Trial => None,
            });
            return Err(NoChoice::NoneWorks(Duration::from_millis(until.min().unwrap_or(1000))));
        }
        let slack = self.tuning.prefix_affine.then_some(self.tuning.affinity_slack);
        let index = route::choose(&candidates, slack).ok_or(NoChoice::Full)?;
        let endpoint = &mut state.endpoints[index];
        endpoint.outstanding += 1;
        endpoint.requests += 1;
        endpoint.breaker.begin(now);
        let settings = endpoint.settings.clone();
        Ok(Lease { shared: Arc::clone(self), index, settings, is_told: false })
    }
}

/// A place at an endpoint. Dropping it without a word means that the request
/// was called off, which says nothing about the endpoint.
#[derive(Debug)]
pub(super) struct Lease {
    shared: Arc<Shared>,
    index: usize,
    settings: EndpointSettings,
    is_told: bool,
}

impl Lease {
    pub(super) fn url(&self) -> &str {
        &self.settings.url
    }

    /// The endpoint answered, and with an answer.
    pub(super) fn succeed(mut self) {
        self.is_told = true;
        self.shared.with(self.index, |endpoint| endpoint.breaker.succeed());
    }

    /// The endpoint did not answer. Gives the fault back.
    pub(super) fn fail(mut self, fault: &Fault) -> Fault {
        self.is_told = true;
        let now = self.shared.now();
        self.shared.with(self.index, |endpoint| {
            if let Fault::Busy { retry_after, .. } = fault {
                let pause = retry_after.unwrap_or(Duration::from_millis(250));
                endpoint.breaker.pause(now + u64::try_from(pause.as_millis()).unwrap_or(0));
            } else {
                endpoint.failures += 1;
                endpoint.breaker.fail(now);
            }
        });
        fault.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let is_told = self.is_told;
        self.shared.with(self.index, |endpoint| {
            endpoint.outstanding -= 1;
            if !is_told {
                endpoint.breaker.call_off();
            }
        });
        self.shared.freed.notify_waiters();
    }
}
