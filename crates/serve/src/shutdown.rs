//! Stopping without leaving anything half done.
//!
//! After the order to stop, requests that run go on until a deadline, and new
//! ones are refused. What runs is counted by [`Running`], which a request holds
//! until its last byte is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// How far stopping has come, shared by everything that runs.
#[derive(Clone, Debug)]
pub struct Drain {
    phase: Arc<watch::Sender<Phase>>,
    running: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Accepting,
    /// New requests are refused.
    Draining,
    /// What still runs is to end now.
    Over,
}

/// One request that runs.
#[derive(Debug)]
pub struct Running(Drain);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        // Wakes the one that waits for the last.
        self.0.phase.send_modify(|_| {});
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { phase: Arc::new(watch::Sender::new(Phase::Accepting)), running: Arc::default() }
    }
}

impl Drain {
    /// Counts a request; `None` if new ones are refused.
    pub fn enter(&self) -> Option<Running> {
        self.running.fetch_add(1, Ordering::AcqRel);
        let running = Running(self.clone());
        self.is_accepting().then_some(running)
    }

    /// Whether new requests are served.
    pub fn is_accepting(&self) -> bool {
        *self.phase.borrow() == Phase::Accepting
    }

    /// Requests that run.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// Refuses new requests from now on.
    pub fn begin(&self) {
        self.phase.send_modify(|phase| *phase = (*phase).max(Phase::Draining));
    }

    /// Waits for the running requests, for `deadline` at most; then they are
    /// told to end. Says whether all had ended in time.
    pub async fn finish(&self, deadline: Duration) -> bool {
        let mut phase = self.phase.subscribe();
        let all_ended = async {
            while self.running() != 0 {
                if phase.changed().await.is_err() {
                    return;
                }
            }
        };
        let in_time = tokio::time::timeout(deadline, all_ended).await.is_ok();
        self.phase.send_modify(|phase| *phase = Phase::Over);
        in_time
    }

    /// Returns when what still runs is to end.
    pub async fn over(&self) {
        let mut phase = self.phase.subscribe();
        // The sender lives as long as this.
        let _ = phase.wait_for(|phase| *phase == Phase::Over).await;
    }
}

/// Returns at Ctrl-C or SIGTERM.
pub(crate) async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(_) => drop(tokio::signal::ctrl_c().await),
        }
    }
    #[cfg(not(unix))]
    drop(tokio::signal::ctrl_c().await);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn what_runs_is_waited_for_and_what_comes_is_refused() {
        block_on(async {
            let drain = Drain::default();
            let running = drain.enter().unwrap();
            drain.begin();
            assert!(drain.enter().is_none());
            assert_eq!(drain.running(), 1);
            let finishing = tokio::spawn({
                let drain = drain.clone();
                async move { drain.finish(Duration::from_mins(1)).await }
            });
            tokio::task::yield_now().await;
            assert!(!finishing.is_finished());
            drop(running);
            assert!(finishing.await.unwrap());
            drain.over().await;
        });
    }

    #[test]
    fn after_the_deadline_what_runs_is_told_to_end() {
        block_on(async {
            let drain = Drain::default();
            let _running = drain.enter();
            drain.begin();
            assert!(!drain.finish(Duration::from_millis(5)).await);
            drain.over().await;
        });
    }
}
