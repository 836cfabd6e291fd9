//! Turns between keys: deficit round robin (Shreedhar and Varghese 1995,
//! doi:10.1145/217382.217453) over the tokens that requests are expected to
//! take.
//!
//! Each key has a queue. The keys that wait stand in a circle; at its turn a
//! key is given a quantum times its weight, and its oldest requests are let in
//! as long as their costs fit. What is left it keeps while it waits. So two
//! keys get the same number of tokens, however many requests they send and
//! however long those are.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How much is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FairSettings {
    /// Requests that run at once, at least 1.
    pub running: usize,
    /// Requests that wait, of all keys.
    pub waiting: usize,
    /// Requests that wait, of one key.
    pub waiting_per_key: usize,
    /// Tokens that a key of weight 1 gets at its turn, at least 1.
    pub quantum: u64,
}

/// Too many requests wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueFull {
    #[error("{waiting} requests wait already")]
    All { waiting: usize },
    #[error("{waiting} requests of this key wait already")]
    Key { waiting: usize },
}

/// The queue; clones share it.
#[derive(Clone, Debug)]
pub struct FairQueue(Arc<Mutex<State>>);

/// A request that runs. Dropping it lets the next one in.
#[derive(Debug)]
pub struct Permit(Option<FairQueue>);

#[derive(Debug)]
struct State {
    settings: FairSettings,
    running: usize,
    waiting: usize,
    /// The keys that have requests waiting, in the order of their turns.
    circle: VecDeque<String>,
    lines: HashMap<String, Line>,
}

/// What waits of one key.
#[derive(Debug, Default)]
struct Line {
    requests: VecDeque<Waiter>,
    weight: u64,
    deficit: u64,
    /// Whether the quantum of this turn has been given.
    has_turn: bool,
}

#[derive(Debug)]
struct Waiter {
    cost: u64,
    enter: oneshot::Sender<Permit>,
}

impl FairQueue {
    /// An empty queue.
    pub fn new(settings: FairSettings) -> Self {
        Self(Arc::new(Mutex::new(State {
            settings,
            running: 0,
            waiting: 0,
            circle: VecDeque::new(),
            lines: HashMap::new(),
        })))
    }

    /// Waits until a request of `key` that will take about `cost` tokens may
    /// run. Whoever stops waiting leaves the queue.
    pub async fn enter(&self, key: &str, weight: u32, cost: u64) -> Result<Permit, QueueFull> {
        let entered = self.join(key, weight, cost)?;
        // The sender is dropped by nobody before it is used.
        Ok(entered.await.unwrap_or(Permit(None)))
    }

    fn join(
        &self,
        key: &str,
        weight: u32,
        cost: u64,
    ) -> Result<oneshot::Receiver<Permit>, QueueFull> {
        let (enter, entered) = oneshot::channel();
        {
            let mut state = self.lock();
            let is_full = settled_full(&mut state, key);
            if let Some(full) = is_full {
                return Err(full);
            }
            state.waiting += 1;
            // A key stands in the circle as long as it has a line.
            if !state.lines.contains_key(key) {
                state.circle.push_back(key.to_owned());
            }
            let line = state.lines.entry(key.to_owned()).or_default();
            line.weight = u64::from(weight.max(1));
            line.requests.push_back(Waiter { cost: cost.max(1), enter });
        }
        self.let_in();
        Ok(entered)
    }

    /// Lets so much in from now on. What waits or runs already goes on.
    pub fn renew(&self, settings: FairSettings) {
        self.lock().settings = settings;
        self.let_in();
    }

    /// Requests that wait and that run.
    pub fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.waiting, state.running)
    }

    /// Lets in as many as may run.
    fn let_in(&self) {
        loop {
            let mut state = self.lock();
            if state.running >= state.settings.running.max(1) {
                return;
            }
            let Some(waiter) = state.next() else { return };
            state.running += 1;
            drop(state);
            // One who left drops the permit here, which gives the place back.
            if let Err(mut permit) = waiter.enter.send(Permit(Some(self.clone()))) {
                // Without going around through `drop`, which would recurse.
                permit.0 = None;
                self.lock().running -= 1;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the queue is full after those who left are not counted.
fn settled_full(state: &mut State, key: &str) -> Option<QueueFull> {
    let free = state.running < state.settings.running.max(1);
    let line = |state: &State| state.lines.get(key).map_or(0, |line| line.requests.len());
    let is_full = |state: &State| {
        state.waiting >= state.settings.waiting.max(usize::from(free))
            || line(state) >= state.settings.waiting_per_key.max(usize::from(free))
    };
    if !is_full(state) {
        return None;
    }
    state.forget_those_who_left();
    if !is_full(state) {
        return None;
    }
    let (all, own) = (state.waiting, line(state));
    let is_own = own >= state.settings.waiting_per_key.max(usize::from(free));
    Some(if is_own { QueueFull::Key { waiting: own } } else { QueueFull::All { waiting: all } })
}

impl State {
    /// Takes the request whose turn it is out of the queue.
    fn next(&mut self) -> Option<Waiter> {
        loop {
            let key = self.circle.front()?.clone();
            let Some(line) = self.lines.get_mut(&key) else {
                self.circle.pop_front();
                continue;
            };
            while line.requests.front().is_some_and(|waiter| waiter.enter.is_closed()) {
                line.requests.pop_front();
                self.waiting -= 1;
            }
            let Some(first) = line.requests.front() else {
                // A key with nothing to do saves nothing up.
                self.circle.pop_front();
                self.lines.remove(&key);
                continue;
            };
            if !line.has_turn {
                line.deficit += self.settings.quantum.max(1) * line.weight;
                line.has_turn = true;
            }
            if first.cost <= line.deficit {
                line.deficit -= first.cost;
                self.waiting -= 1;
                return line.requests.pop_front();
            }
            line.has_turn = false;
            self.circle.rotate_left(1);
        }
    }

    fn forget_those_who_left(&mut self) {
        for line in self.lines.values_mut() {
            let before = line.requests.len();
            line.requests.retain(|waiter| !waiter.enter.is_closed());
            self.waiting -= before - line.requests.len();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.lock().running -= 1;
            queue.let_in();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(running: usize) -> FairQueue {
        FairQueue::new(FairSettings { running, waiting: 1000, waiting_per_key: 500, quantum: 100 })
    }

    /// Lets requests through one after the other and gives each key's tokens
    /// after `steps`.
    fn served(
        queue: &FairQueue,
        keys: &[(&str, u32, u64, usize)],
        steps: usize,
    ) -> HashMap<String, u64> {
        let first = queue.join("warm", 1, 1).unwrap().try_recv().unwrap();
        let mut waiting = Vec::new();
        for (key, weight, cost, count) in keys {
            for _ in 0..*count {
                waiting.push((*key, *cost, queue.join(key, *weight, *cost).unwrap()));
            }
        }
        let mut tokens = HashMap::new();
        let mut permit = Some(first);
        for _ in 0..steps {
            drop(permit.take());
            let at = waiting.iter_mut().position(|(_, _, entered)| {
                permit = entered.try_recv().ok();
                permit.is_some()
            });
            let Some(at) = at else { break };
            let (key, cost, _) = waiting.swap_remove(at);
            *tokens.entry(key.to_owned()).or_default() += cost;
        }
        tokens
    }

    #[test]
    fn a_key_with_many_requests_gets_no_more_than_one_with_few() {
        let tokens = served(&queue(1), &[("many", 1, 100, 400), ("few", 1, 100, 20)], 40);
        assert_eq!((tokens["many"], tokens["few"]), (2000, 2000));
    }

    #[test]
    fn a_key_with_long_requests_gets_no_more_than_one_with_short() {
        let tokens = served(&queue(1), &[("long", 1, 1000, 100), ("short", 1, 50, 400)], 210);
        let ratio = tokens["long"] as f64 / tokens["short"] as f64;
        assert!((0.8..1.25).contains(&ratio), "{tokens:?}");
    }

    #[test]
    fn a_weight_of_three_is_three_times_the_share() {
        let tokens = served(&queue(1), &[("a", 1, 100, 300), ("b", 3, 100, 300)], 200);
        assert_eq!(tokens["b"], 3 * tokens["a"]);
    }

    #[test]
    fn a_full_queue_refuses_and_one_who_left_does_not_count() {
        let settings = FairSettings { running: 1, waiting: 3, waiting_per_key: 2, quantum: 1 };
        let queue = FairQueue::new(settings);
        let running = queue.join("a", 1, 5).unwrap().try_recv().unwrap();
        let one = queue.join("a", 1, 5).unwrap();
        let two = queue.join("a", 1, 5).unwrap();
        assert_eq!(queue.join("a", 1, 5).unwrap_err(), QueueFull::Key { waiting: 2 });
        let mut three = queue.join("b", 1, 5).unwrap();
        assert_eq!(queue.join("c", 1, 5).unwrap_err(), QueueFull::All { waiting: 3 });
        drop((one, two));
        let mut four = queue.join("c", 1, 5).unwrap();
        drop(running);
        let permit = three.try_recv().unwrap();
        assert!(four.try_recv().is_err(), "two run where one may");
        drop(permit);
        drop(four.try_recv().unwrap());
        assert_eq!(queue.load(), (0, 0));
    }

    #[tokio::test]
    async fn who_stops_waiting_gives_the_turn_on() {
        let queue = queue(1);
        let running = queue.enter("a", 1, 1).await.unwrap();
        let waiting =
            tokio::time::timeout(std::time::Duration::from_millis(10), queue.enter("a", 1, 1));
        assert!(waiting.await.is_err());
        let next = tokio::spawn({
            let queue = queue.clone();
            async move { queue.enter("b", 1, 1).await.map(drop) }
        });
        tokio::task::yield_now().await;
        drop(running);
        next.await.unwrap().unwrap();
        assert_eq!(queue.load(), (0, 0));
    }
}
