//! Questions that are being answered, and the events of each so far.
//!
//! Who asked listens. When nobody listens any more the question is called off:
//! at once, or after a while if it was asked so that one can come back. Events
//! are kept for some time after the last.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::clock;
use crate::failure::{Failure, Shape};

/// How long a question that one can come back to goes on with nobody listening.
const ALONE: Duration = Duration::from_secs(15);

/// How long events are kept after the last.
const KEPT: Duration = Duration::from_mins(2);

/// Questions whose events are kept; the oldest that are over go first.
const MOST: usize = 256;

/// All questions whose events can be read.
#[derive(Debug)]
pub struct Runs {
    all: Mutex<HashMap<String, Arc<Run>>>,
    alone: Duration,
}

impl Default for Runs {
    fn default() -> Self {
        Self { all: Mutex::default(), alone: ALONE }
    }
}

/// One question.
#[derive(Debug)]
pub(crate) struct Run {
    /// `ask_` and hexadecimal digits.
    pub(crate) id: String,
    /// Id of the key that asked.
    owner: String,
    /// How long it goes on with nobody listening.
    alone: Option<Duration>,
    is_cancelled: Arc<AtomicBool>,
    log: Mutex<Log>,
    /// Changes with the log.
    changes: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Log {
    events: Vec<Arc<Event>>,
    listeners: usize,
    over: Option<Over>,
}

#[derive(Debug)]
struct Over {
    at: Instant,
    outcome: Result<Value, Failure>,
}

/// Something that happened.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    /// JSON.
    pub(crate) data: String,
}

impl Runs {
    /// Begins a question of `owner`.
    pub(crate) fn begin(&self, owner: &str, is_resumable: bool) -> Arc<Run> {
        let run = Arc::new(Run {
            id: clock::new_id("ask_"),
            owner: owner.to_owned(),
            alone: is_resumable.then_some(self.alone),
            is_cancelled: Arc::default(),
            log: Mutex::default(),
            changes: watch::Sender::new(0),
        });
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut all);
        all.insert(run.id.clone(), run.clone());
        run
    }

    /// A question of `owner`.
    pub(crate) fn find(&self, owner: &str, id: &str) -> Option<Arc<Run>> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut all);
        all.get(id).filter(|run| run.owner == owner).cloned()
    }
}

/// Leaves out what is over for long, and the oldest where there are many.
fn forget(all: &mut HashMap<String, Arc<Run>>) {
    all.retain(|_, run| run.over_since().is_none_or(|at| at.elapsed() < KEPT));
    while MOST <= all.len() {
        let over = all.values().filter_map(|run| Some((run.over_since()?, run.id.clone())));
        let Some((_, oldest)) = over.min() else { return };
        all.remove(&oldest);
    }
}

impl Run {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Set once the question is called off.
    pub(crate) fn is_cancelled(&self) -> &Arc<AtomicBool> {
        &self.is_cancelled
    }

    /// Calls the question off.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
    }

    /// Adds an event, unless the question is over.
    pub(crate) fn tell(&self, name: &'static str, data: &impl Serialize) {
        // Wire types have string keys and finite numbers.
        let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
        let mut log = self.log();
        if log.over.is_none() {
            log.events.push(Arc::new(Event { name, data }));
            drop(log);
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Adds the last event: `done` with `outcome`, or `error`. Only the first
    /// such call counts.
    pub(crate) fn end(&self, outcome: Result<(Value, Value), Failure>) {
        let (name, data, outcome) = match outcome {
            Ok((event, whole)) => ("done", event.to_string(), Ok(whole)),
            Err(failure) => ("error", failure.body(Shape::Native).to_string(), Err(failure)),
        };
        let mut log = self.log();
        if log.over.is_none() {
            log.events.push(Arc::new(Event { name, data }));
            log.over = Some(Over { at: Instant::now(), outcome });
            drop(log);
            self.changes.send_modify(|count| *count += 1);
        }
    }

    fn over_since(&self) -> Option<Instant> {
        self.log().over.as_ref().map(|over| over.at)
    }

    /// What becomes of a question that nobody listens to.
    fn left_alone(self: &Arc<Self>) {
        let Some(alone) = self.alone else { return self.cancel() };
        // The last listener goes with a task of the server's.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return self.cancel() };
        let run = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(alone).await;
            if run.log().listeners == 0 {
                run.cancel();
            }
        });
    }
}

/// Somebody who reads the events of a question.
#[derive(Debug)]
pub(crate) struct Listener {
    run: Arc<Run>,
    /// Events that were read.
    read: usize,
    changes: watch::Receiver<usize>,
}

impl Listener {
    /// Reads on after the event number `after`, from 1; after 0 from the first.
    pub(crate) fn new(run: &Arc<Run>, after: usize) -> Self {
        run.log().listeners += 1;
        Self { run: run.clone(), read: after, changes: run.changes.subscribe() }
    }

    /// The question's id.
    pub(crate) fn id(&self) -> &str {
        &self.run.id
    }

    /// The next event with its number; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<(usize, Arc<Event>)> {
        loop {
            self.changes.mark_unchanged();
            {
                let log = self.run.log();
                if let Some(event) = log.events.get(self.read) {
                    self.read += 1;
                    return Some((self.read, event.clone()));
                }
                if log.over.is_some() {
                    return None;
                }
            }
            // The sender lives as long as the run, which is held here.
            self.changes.changed().await.ok()?;
        }
    }

    /// What came of a question that is over.
    pub(crate) fn outcome(&self) -> Result<Value, Failure> {
        let log = self.run.log();
        let open = || Failure::internal("the question is not over");
        log.over.as_ref().ok_or_else(open)?.outcome.clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut log = self.run.log();
        log.listeners -= 1;
        let is_alone = log.listeners == 0 && log.over.is_none();
        drop(log);
        if is_alone {
            self.run.left_alone();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().build().unwrap().block_on(future)
    }

    async fn numbers(mut listener: Listener) -> Vec<usize> {
        let mut numbers = Vec::new();
        while let Some((number, _)) = listener.next().await {
            numbers.push(number);
        }
        numbers
    }

    #[test]
    fn who_comes_back_reads_what_was_missed_once() {
        block_on(async {
            let runs = Runs::default();
            let run = runs.begin("me", true);
            let mut first = Listener::new(&run, 0);
            run.tell("search", &json!({}));
            run.tell("passages", &json!({}));
            assert_eq!(first.next().await.unwrap().0, 1);
            drop(first);
            assert!(runs.find("you", &run.id).is_none(), "another's question is none");
            let again = Listener::new(&runs.find("me", &run.id).unwrap(), 1);
            run.end(Ok((json!({}), json!({}))));
            run.tell("late", &json!({}));
            assert_eq!(numbers(again).await, [2, 3]);
            assert_eq!(numbers(Listener::new(&run, 9)).await, [0; 0]);
            assert!(!run.is_cancelled().load(Ordering::Acquire));
        });
    }

    #[test]
    fn a_question_that_nobody_listens_to_is_called_off() {
        block_on(async {
            let alone = Duration::from_millis(60);
            let runs = Runs { alone, ..Runs::default() };
            let at_once = runs.begin("me", false);
            drop(Listener::new(&at_once, 0));
            assert!(at_once.is_cancelled().load(Ordering::Acquire));
            let later = runs.begin("me", true);
            drop(Listener::new(&later, 0));
            tokio::time::sleep(alone / 6).await;
            assert!(!later.is_cancelled().load(Ordering::Acquire));
            let back = Listener::new(&later, 0);
            tokio::time::sleep(alone * 2).await;
            assert!(!later.is_cancelled().load(Ordering::Acquire), "somebody is back");
            drop(back);
            tokio::time::sleep(alone * 2).await;
            assert!(later.is_cancelled().load(Ordering::Acquire));
        });
    }

    #[test]
    fn not_more_questions_are_kept_than_may_be() {
        let runs = Runs::default();
        for _ in 0..MOST * 2 {
            runs.begin("me", false).end(Err(Failure::internal("x")));
        }
        assert!(runs.all.lock().unwrap().len() <= MOST);
    }
}
