//! Work that computes or reads files, beside the threads of the server.
//!
//! So much of it runs at once, so much waits, and more is refused. A panic in
//! it ends that piece of work alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::{Failure, Kind};

/// A bounded pool of threads that may block.
#[derive(Debug)]
pub struct Workers {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
}

/// The right to run one piece of work.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Workers {
    /// Runs `running` pieces of work at once, and lets `max_waiting` wait.
    pub fn new(running: usize, max_waiting: usize) -> Self {
        let places = Arc::new(Semaphore::new(running.max(1)));
        Self { places, waiting: AtomicUsize::new(0), max_waiting }
    }

    /// Pieces of work that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for a place; fails at once if too many wait.
    pub async fn reserve(&self) -> Result<Place, Failure> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(Place { _permit: place });
        }
        let _waiting = Waiting::enter(&self.waiting, self.max_waiting)?;
        let closed = |_| Failure::unavailable("the server is stopping");
        self.places
            .clone()
            .acquire_owned()
            .await
            .map(|place| Place { _permit: place })
            .map_err(closed)
    }

    /// Runs `work` when a place is free, and gives what it returns.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        self.reserve().await?.run(work).await
    }
}

impl Place {
    /// Runs `work` and gives what it returns. Once begun it runs to its end,
    /// also if nobody waits for it any more.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let done = tokio::task::spawn_blocking(move || {
            // Given back also when the work panics.
            let _place = self;
            work()
        });
        done.await.map_err(|_| Failure::internal("the work on this request failed"))
    }
}

/// Counts one that waits, also when it gives up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, max: usize) -> Result<Self, Failure> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let entered = Self(count);
        if max <= before {
            return Err(Failure::new(Kind::Busy, format!("{before} requests wait already")));
        }
        Ok(entered)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap()
    }

    #[test]
    fn what_panics_fails_alone() {
        runtime().block_on(async {
            let workers = Arc::new(Workers::new(1, 1));
            for _ in 0..3 {
                let failed = workers.run(|| -> u32 { panic!("poison") }).await;
                assert_eq!(failed.unwrap_err().kind, Kind::Internal);
            }
            assert_eq!(workers.run(|| 7).await.unwrap(), 7);
        });
    }

    #[test]
    fn more_than_may_wait_is_refused() {
        runtime().block_on(async {
            let workers = Arc::new(Workers::new(1, 1));
            let (release, held) = std::sync::mpsc::channel::<()>();
            let first = {
                let w = workers.clone();
                tokio::spawn(async move { w.run(move || held.recv().ok()).await })
            };
            while workers.places.available_permits() != 0 {
                tokio::task::yield_now().await;
            }
            let second = {
                let w = workers.clone();
                tokio::spawn(async move { w.run(|| ()).await })
            };
            while workers.waiting() == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(workers.run(|| ()).await.unwrap_err().kind, Kind::Busy);
            release.send(()).unwrap();
            assert!(first.await.unwrap().is_ok());
            assert!(second.await.unwrap().is_ok());
            assert_eq!((workers.waiting(), workers.places.available_permits()), (0, 1));
        });
    }
}
