//! A request as the work on it knows it: until when it may take, who pays for
//! its tokens, and which trace it is part of.
//!
//! What works on a request holds an [`Allowance`]. When the last one lets go of it,
//! also after the client has gone, its tokens are settled.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::auth::guard::Guard;
use crate::failure::{Failure, Kind};
use crate::limits::Admission;
use crate::shutdown::Drain;
use crate::trace::Scope;

/// Bytes of a text that stand for one token until it is known how many there
/// are.
pub const BYTES_PER_TOKEN: u64 = 4;

/// When a request arrived, as an extension of it.
#[derive(Clone, Copy, Debug)]
pub struct Arrived(pub Instant);

/// A request that is worked on; clones share it.
#[derive(Clone, Debug)]
pub struct Allowance(Arc<Shared>);

/// How long a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From its arrival to its last byte.
    pub whole: Duration,
    /// Until the first text that is generated, and between two.
    pub text: Option<Duration>,
}

/// Who pays for the tokens.
pub struct Account {
    pub guard: Arc<Guard>,
    pub admission: Admission,
    /// Bytes of the request's body, where it says so.
    pub body: u64,
}

struct Shared {
    arrived: Instant,
    patience: Patience,
    scope: Scope,
    read: AtomicU64,
    written: AtomicU64,
    /// Bytes of the response.
    sent: AtomicU64,
    /// Nobody knows the tokens: the lengths of texts stand for them.
    is_guessed: AtomicBool,
    account: Option<Account>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Allowance").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Allowance {
    /// A request that `account` pays for.
    pub fn new(
        arrived: Instant,
        patience: Patience,
        scope: Scope,
        account: Option<Account>,
    ) -> Self {
        Self(Arc::new(Shared {
            arrived,
            patience,
            scope,
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            is_guessed: AtomicBool::new(false),
            account,
        }))
    }

    /// Work that nobody pays for, and that may take any time.
    pub fn free() -> Self {
        let patience = Patience { whole: Duration::from_hours(24), text: None };
        Self::new(Instant::now(), patience, Scope::default(), None)
    }

    /// When the request arrived.
    pub fn arrived(&self) -> Instant {
        self.0.arrived
    }

    /// When it must be over.
    pub fn deadline(&self) -> Instant {
        self.0.arrived + self.0.patience.whole
    }

    /// Where spans of the work belong.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// Counts tokens that were read.
    pub fn read(&self, tokens: usize) {
        self.0.read.fetch_add(tokens as u64, Ordering::Relaxed);
    }

    /// Counts tokens that were written.
    pub fn wrote(&self, tokens: usize) {
        self.0.written.fetch_add(tokens as u64, Ordering::Relaxed);
    }

    /// Counts bytes of the response.
    pub(crate) fn sent(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Lets the lengths of what was sent and received stand for its tokens.
    pub(crate) fn guess(&self) {
        self.0.is_guessed.store(true, Ordering::Relaxed);
    }

    /// Waits for `work`; fails when the request has taken too long or the
    /// server has to stop.
    pub async fn wait<T>(
        &self,
        drain: &Drain,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        wait((self.deadline(), drain), work, || self.late()).await
    }

    /// Waits for the next text that is generated.
    pub async fn wait_for_text<T>(
        &self,
        drain: &Drain,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let deadline = self.deadline();
        let Some(most) = self.0.patience.text else { return self.wait(drain, work).await };
        let until = Instant::now() + most;
        if deadline <= until {
            return self.wait(drain, work).await;
        }
        let late = || {
            let message = format!("no text came for {} s", most.as_secs());
            Failure::new(Kind::Deadline, message)
        };
        wait((until, drain), work, late).await
    }

    /// What a request fails with that has taken too long.
    pub fn late(&self) -> Failure {
        let seconds = self.0.patience.whole.as_secs();
        Failure::new(Kind::Deadline, format!("it took more than {seconds} s"))
    }
}

async fn wait<T>(
    (until, drain): (Instant, &Drain),
    work: impl Future<Output = T>,
    late: impl FnOnce() -> Failure,
) -> Result<T, Failure> {
    tokio::select! {
        done = tokio::time::timeout_at(until.into(), work) => done.map_err(|_| late()),
        () = drain.over() => Err(Failure::unavailable("the server stopped before the end")),
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Some(Account { guard, admission, body }) = &self.account else { return };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (mut read, mut written) = (count(&self.read), count(&self.written));
        if self.is_guessed.load(Ordering::Relaxed) && read + written == 0 {
            read = body / BYTES_PER_TOKEN;
            written = count(&self.sent) / BYTES_PER_TOKEN;
        }
        guard.limiter.settle(admission, read + written, (guard.gate.clock)());
        guard.metering.count(admission.key(), read, written);
    }
}

/// A handler that takes an [`Allowance`] runs for somebody.
impl<S: Send + Sync> FromRequestParts<S> for Allowance {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Failure::internal("nobody pays for this request"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_deadline_that_comes_first_ends_the_wait() {
        let never = std::future::pending::<()>;
        let call = |whole, text| {
            let of = Duration::from_millis;
            let patience = Patience { whole: of(whole), text: Some(of(text)) };
            Allowance::new(Instant::now(), patience, Scope::default(), None)
        };
        let drain = Drain::default();
        let failed = call(60_000, 5).wait_for_text(&drain, never()).await.unwrap_err();
        assert!(failed.message.starts_with("no text came"), "{}", failed.message);
        let failed = call(5, 60_000).wait_for_text(&drain, never()).await.unwrap_err();
        assert!(failed.message.starts_with("it took more"), "{}", failed.message);
        assert_eq!(failed.kind, Kind::Deadline);
        assert_eq!(call(60_000, 60_000).wait(&drain, async { 7 }).await.unwrap(), 7);
    }
}
