//! The threads that kernels share.
//!
//! A [`Pool`] keeps its threads for its whole life and hands them numbered
//! tasks. Which thread runs a task is left open, so a task must not depend on
//! it: kernels split their *outputs* into tasks, never a sum.

#![expect(unsafe_code, reason = "threads that outlive a call run closures that borrow from it")]

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use crate::Isa;
use crate::shared::Shared;
use crate::shares::Shares;

/// Turns of the waiting loop before a thread goes to sleep: some 100 µs, longer
/// than what lies between two products of a model. Miri would look at every turn.
const SPINS: usize = if cfg!(miri) { 8 } else { 8_000 };

/// A fixed set of threads and the instruction set that they use.
#[derive(Debug)]
pub struct Pool {
    isa: Isa,
    shared: Arc<Team>,
    workers: Vec<JoinHandle<()>>,
    /// Held during a call, because there is one place for a job.
    call: Mutex<()>,
}

/// What the threads of a pool share.
#[derive(Debug)]
struct Team {
    /// Number of the job, whether it may still be joined, and how many workers
    /// run it: see [`NUMBER`], [`OPEN`] and [`RUNNING`].
    state: AtomicU64,
    /// Written while no job is open and none is running.
    job: UnsafeCell<Option<Job>>,
    /// Of the tasks of the job.
    shares: Shares,
    stop: AtomicBool,
    failed: AtomicBool,
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `job` is written only by the one thread that holds `Pool::call`, and
// only when no worker has joined or can join; workers read it after joining.
unsafe impl Sync for Team {}
// SAFETY: a `Job` may go to any thread, and the rest of a team may as well.
unsafe impl Send for Team {}

/// One job in `Team::state`.
const NUMBER: u64 = 1 << 32;
/// The job may be joined.
const OPEN: u64 = 1 << 31;
/// Bits that count the workers which run the job.
const RUNNING: u64 = OPEN - 1;

/// A closure of the caller, which takes the number of the thread, with its lifetime
/// erased.
///
/// Invariant: the closure lives until the job is closed and then no worker
/// runs it.
#[derive(Clone, Copy, Debug)]
struct Job(*const (dyn Fn(usize) + Sync));

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
        let shared = Arc::new(Team {
            state: AtomicU64::new(0),
            job: UnsafeCell::new(None),
            shares: Shares::new(threads.get()),
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            wake: Condvar::new(),
        });
        let workers = (1..threads.get())
            .map(|thread| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || work(&shared, thread))
            })
            .collect();
        Self { isa, shared, workers, call: Mutex::new(()) }
    }

    /// The pool of `threads` threads that all of the process share who ask for
    /// it here, so that several models do not use more cores together than one
    /// alone. Its threads end when nobody holds it any more.
    ///
    /// Calls from several threads take turns, a parallel region at a time.
    pub fn shared(threads: NonZeroUsize) -> Arc<Self> {
        static POOLS: Mutex<Vec<Weak<Pool>>> = Mutex::new(Vec::new());
        let mut pools = lock(&POOLS);
        pools.retain(|pool| 0 < pool.strong_count());
        let known = pools.iter().filter_map(Weak::upgrade);
        if let Some(pool) = known.into_iter().find(|pool| pool.threads() == threads.get()) {
            return pool;
        }
        let pool = Arc::new(Self::new(threads));
        pools.push(Arc::downgrade(&pool));
        pool
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
        let (Ok(count), false) = (u32::try_from(tasks), tasks <= 1 || self.workers.is_empty())
        else {
            (0..tasks).for_each(task);
            return;
        };
        let _call = lock(&self.call);
        let shares = &self.shared.shares;
        shares.deal(count);
        let job = |thread| {
            while let Some(index) = shares.take(thread) {
                task(index);
            }
        };
        self.start(&job);
        let own = catch_unwind(AssertUnwindSafe(|| job(0)));
        self.wait();
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!self.shared.failed.swap(false, Ordering::Relaxed), "a task of the pool panicked");
    }

    /// Cuts `data` into parts of `part_len` numbers, the last perhaps shorter,
    /// and runs `task` with the number of each and the part.
    pub fn for_parts<T: Send>(
        &self,
        data: &mut [T],
        part_len: usize,
        task: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        let tasks = data.len().div_ceil(part_len.max(1));
        let parts = Shared::new(data);
        self.run(tasks, &|index| {
            // SAFETY: every task has a part of its own.
            task(index, unsafe { parts.part(index * part_len..(index + 1) * part_len) });
        });
    }

    /// Hands `job` to the workers. The caller must [`wait`](Self::wait) before
    /// `job` ends its life.
    fn start(&self, job: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime changes. `run` waits until no worker runs
        // the job, also when it unwinds, before its closure is dropped.
        let erased: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(job) };
        let team = &*self.shared;
        // SAFETY: the last job is closed and has no workers, and `call` is held.
        unsafe { *team.job.get() = Some(Job(erased)) };
        let number = team.state.load(Ordering::Relaxed) / NUMBER;
        team.state.store(((number + 1) % NUMBER * NUMBER) | OPEN, Ordering::SeqCst);
        team.rouse();
    }

    /// Closes the job and waits for the workers that have begun it. One that
    /// the system has not yet woken is not waited for.
    fn wait(&self) {
        let state = &self.shared.state;
        state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut turns = 0;
        while state.load(Ordering::Acquire) & RUNNING != 0 {
            turns += 1;
            if turns < SPINS {
                spin_loop();
            } else {
                // The worker has lost its core: it needs this one.
                thread::yield_now();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.rouse();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its tasks, and it has no others.
            let _ = worker.join();
        }
    }
}

impl Team {
    /// Wakes the workers that sleep.
    fn rouse(&self) {
        if self.sleepers.load(Ordering::SeqCst) != 0 {
            let _bed = lock(&self.bed);
            self.wake.notify_all();
        }
    }

    /// True if there is nothing to do for a worker that has seen job `seen`.
    fn is_idle(&self, seen: u64) -> bool {
        self.state.load(Ordering::SeqCst) / NUMBER == seen && !self.stop.load(Ordering::SeqCst)
    }

    /// Waits for a job after number `seen` and joins it; `None` when the pool
    /// ends.
    fn next_job(&self, seen: &mut u64) -> Option<Job> {
        loop {
            let mut turns = 0;
            while self.is_idle(*seen) {
                turns += 1;
                if turns < SPINS {
                    spin_loop();
                    continue;
                }
                let mut bed = lock(&self.bed);
                self.sleepers.fetch_add(1, Ordering::SeqCst);
                // Whoever starts a job now sees the sleeper.
                while self.is_idle(*seen) {
                    bed = self.wake.wait(bed).unwrap_or_else(PoisonError::into_inner);
                }
                self.sleepers.fetch_sub(1, Ordering::SeqCst);
            }
            if self.stop.load(Ordering::SeqCst) {
                return None;
            }
            let state = self.state.load(Ordering::Acquire);
            *seen = state / NUMBER;
            if self.join(state) {
                // SAFETY: this worker is counted, so the job stays as it is.
                return unsafe { *self.job.get() };
            }
        }
    }

    /// Counts this worker among those of the job in `state`, if it is open.
    fn join(&self, mut state: u64) -> bool {
        let number = state / NUMBER;
        while state & OPEN != 0 && state / NUMBER == number {
            match self.state.compare_exchange_weak(
                state,
                state + 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }
}

/// The life of worker `thread`.
fn work(team: &Team, thread: usize) {
    let mut seen = 0;
    while let Some(job) = team.next_job(&mut seen) {
        let call = || {
            // SAFETY: this worker is counted, so the closure is alive.
            let job = unsafe { &*job.0 };
            job(thread);
        };
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            team.failed.store(true, Ordering::Relaxed);
        }
        team.state.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Locks without regard to poisoning: no state here is left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::size;

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
        for _ in 0..size(5_000) {
            pool.run(4, &|i| {
                sum.fetch_add(i, Ordering::Relaxed);
            });
        }
        assert_eq!(sum.into_inner(), size(5_000) * 6);
    }

    #[test]
    fn models_share_a_pool_of_as_many_threads_and_its_calls_take_turns() {
        let threads = NonZeroUsize::new(3).unwrap();
        let (one, other) = (Pool::shared(threads), Pool::shared(threads));
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!(Pool::shared(NonZeroUsize::MIN).threads(), 1);
        let (busy, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for pool in [&one, &other] {
                scope.spawn(|| {
                    for _ in 0..50 {
                        pool.run(6, &|_| {
                            let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
                            most.fetch_max(now, Ordering::SeqCst);
                            thread::yield_now();
                            busy.fetch_sub(1, Ordering::SeqCst);
                        });
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
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
