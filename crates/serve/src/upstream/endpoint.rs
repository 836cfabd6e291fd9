//! What the pool knows of each endpoint.

use serde::Serialize;

use crate::upstream::breaker::{Breaker, State};
use crate::upstream::settings::{EndpointSettings, Tuning};

/// An endpoint and how it fares.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) settings: EndpointSettings,
    pub(super) breaker: Breaker,
    /// What its health check last said; true before the first.
    pub(super) is_up: bool,
    pub(super) failed_probes: u32,
    pub(super) outstanding: usize,
    pub(super) requests: u64,
    pub(super) failures: u64,
}

impl Endpoint {
    pub(super) fn new(settings: EndpointSettings, tuning: &Tuning) -> Self {
        let rest = u64::try_from(tuning.rest.as_millis()).unwrap_or(u64::MAX >> 8);
        Self {
            settings,
            breaker: Breaker::new(tuning.failures, rest),
            is_up: true,
            failed_probes: 0,
            outstanding: 0,
            requests: 0,
            failures: 0,
        }
    }

    pub(super) fn view(&self, now: u64) -> EndpointView {
        EndpointView {
            url: self.settings.url.clone(),
            is_up: self.is_up,
            breaker: match self.breaker.state(now) {
                State::Closed => "closed",
                State::Trial => "trial",
                State::Open { .. } => "open",
            },
            outstanding: self.outstanding,
            concurrency: self.settings.concurrency,
            requests: self.requests,
            failures: self.failures,
        }
    }
}

/// An endpoint as whoever looks after the service sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointView {
    /// Base address.
    pub url: String,
    /// What its health check last said.
    pub is_up: bool,
    /// `closed` lets everything through, `open` nothing, `trial` one request.
    pub breaker: &'static str,
    /// Requests that it works on.
    pub outstanding: usize,
    /// Requests that it takes at once.
    pub concurrency: usize,
    /// Requests that it was sent.
    pub requests: u64,
    /// Requests that it failed.
    pub failures: u64,
}
