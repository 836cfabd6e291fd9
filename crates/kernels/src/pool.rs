//! The threads that kernels share.
//!
//! A [`Pool`] keeps its threads for its whole life and hands them numbered
//! tasks. Which thread runs a task is left open, so a task must not depend on
//! it: kernels split their *outputs* into tasks, never a sum.

#![expect(unsafe_code, reason = "threads that outlive a call run closures that borrow from it")]

use std::hint::spin_loop;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::Isa;

/// Turns of the waiting loop before a thread goes to sleep: about 50 µs.
const SPINS: usize = 2_000;

/// A fixed set of threads and the instruction set that they use.
#[derive(Debug)]
pub struct Pool {
    isa: Isa,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held during a call, because there is one place for a job.
    call: Mutex<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    done: Condvar,
    /// Number of the latest job: a copy of `State::job_number` for spinning.
    job_number: AtomicU64,
    /// Workers that run the job. Grows only under the lock of `state`, while
    /// the job is there.
    running: AtomicUsize,
    failed: AtomicBool,
}

#[derive(Debug)]
struct State {
    job: Option<Job>,
    job_number: u64,
    stop: bool,
}

/// A closure of the caller, with its lifetime erased.
///
/// Invariant: the closure lives until no job is in `State` and then
/// `Shared::running` is zero.
#[derive(Clone, Copy, Debug)]
struct Job(*const (dyn Fn() + Sync));

// SAFETY: the closure is `Sync`, so any thread may call it, and the invariant
// of `Job` keeps it alive.
unsafe impl Send for Job {}

impl Pool {
    /// A pool of `threads` threads, the caller's among them, on the best
    /// instruction set of this CPU.
    pub fn new(threads: NonZeroUsize) -> Self {
        Self::with_isa(threads, Isa::best())
    }

    /// Like [`Pool::new`], with the instruction set chosen.
    pub fn with_isa(threads: NonZeroUsize, isa: Isa) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State { job: None, job_number: 0, stop: false }),
            wake: Condvar::new(),
            done: Condvar::new(),
            job_number: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        });
        let workers = (1..threads.get())
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || work(&shared))
            })
            .collect();
        Self { isa, shared, workers, call: Mutex::new(()) }
    }

    /// The instruction set that kernels use on this pool.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Threads, the caller's among them.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `task(0)` to `task(tasks - 1)`, in any order and on any thread,
    /// and returns when all are done.
    ///
    /// A task must not call `run` on the same pool: it would wait for itself.
    /// A panic in a task becomes a panic here.
    pub fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        if tasks <= 1 || self.workers.is_empty() {
            (0..tasks).for_each(task);
            return;
        }
        let _call = lock(&self.call);
        let next = AtomicUsize::new(0);
        let job = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if tasks <= index {
                    break;
                }
                task(index);
            }
        };
        self.start(&job);
        let own = catch_unwind(AssertUnwindSafe(job));
        self.wait();
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!self.shared.failed.swap(false, Ordering::Relaxed), "a task of the pool panicked");
    }

    /// Hands `job` to the workers. The caller must [`wait`](Self::wait) before
    /// `job` ends its life.
    fn start(&self, job: &(dyn Fn() + Sync)) {
        // SAFETY: only the lifetime changes. `run` waits until no worker runs
        // the job, also when it unwinds, before its closure is dropped.
        let erased: &'static (dyn Fn() + Sync) = unsafe { std::mem::transmute(job) };
        let mut state = lock(&self.shared.state);
        state.job = Some(Job(erased));
        state.job_number += 1;
        self.shared.job_number.store(state.job_number, Ordering::Release);
        drop(state);
        self.shared.wake.notify_all();
    }

    /// Takes the job back and waits for the workers that have begun it. One
    /// that the system has not yet woken is not waited for.
    fn wait(&self) {
        lock(&self.shared.state).job = None;
        let running = &self.shared.running;
        for _ in 0..SPINS {
            if running.load(Ordering::Acquire) == 0 {
                break;
            }
            spin_loop();
        }
        let mut state = lock(&self.shared.state);
        while running.load(Ordering::Acquire) != 0 {
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.stop = true;
        state.job_number += 1;
        self.shared.job_number.store(state.job_number, Ordering::Release);
        drop(state);
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its tasks, and it has no others.
            let _ = worker.join();
        }
    }
}

/// The life of one worker.
fn work(shared: &Shared) {
    let mut seen = 0;
    while let Some(job) = next_job(shared, &mut seen) {
        let call = || {
            // SAFETY: `running` counts this worker, so the closure is alive.
            let job = unsafe { &*job.0 };
            job();
        };
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            shared.failed.store(true, Ordering::Relaxed);
        }
        if shared.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            let _state = lock(&shared.state);
            shared.done.notify_one();
        }
    }
}

/// Waits for a job after number `seen` and joins it; `None` when the pool ends.
fn next_job(shared: &Shared, seen: &mut u64) -> Option<Job> {
    loop {
        for _ in 0..SPINS {
            if shared.job_number.load(Ordering::Acquire) != *seen {
                break;
            }
            spin_loop();
        }
        let mut state = lock(&shared.state);
        while state.job_number == *seen {
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stop {
            return None;
        }
        *seen = state.job_number;
        if let Some(job) = state.job {
            shared.running.fetch_add(1, Ordering::Relaxed);
            return Some(job);
        }
    }
}

/// Locks without regard to poisoning: no state here is left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize) -> Pool {
        Pool::new(NonZeroUsize::new(threads).unwrap())
    }

    #[test]
    fn every_task_runs_once() {
        for threads in [1, 2, 5] {
            let pool = pool(threads);
            for tasks in [0, 1, 2, 3, 100] {
                let counts: Vec<_> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(tasks, &|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|n| n.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn many_short_jobs_in_a_row_all_end() {
        let pool = pool(3);
        let sum = AtomicUsize::new(0);
        for _ in 0..5_000 {
            pool.run(4, &|i| {
                sum.fetch_add(i, Ordering::Relaxed);
            });
        }
        assert_eq!(sum.into_inner(), 5_000 * 6);
    }

    #[test]
    fn a_panic_in_a_task_reaches_the_caller_and_the_pool_lives_on() {
        let pool = pool(2);
        for bad in 0..8 {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                pool.run(8, &|i| assert!(i != bad, "planted"));
            }));
            assert!(outcome.is_err());
            pool.run(8, &|_| {});
        }
    }
}
