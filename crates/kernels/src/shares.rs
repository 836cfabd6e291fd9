//! Who runs which task: every thread begins with a share of its own, tasks that
//! follow each other, and takes from the end of another's when that is done.
//!
//! Neighbouring tasks read neighbouring memory. What a thread asks for ahead of its
//! task is then its own next task, and not another thread's.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// The tasks of one job, as so many shares.
#[derive(Debug)]
pub(crate) struct Shares(Vec<Share>);

/// Numbers of tasks that are left, the first in the lower half and the one behind
/// the last in the upper; in a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Share(AtomicU64);

impl Share {
    fn set(&self, tasks: Range<u32>) {
        self.0.store(joined(&tasks), Ordering::Relaxed);
    }

    /// Takes what `rest` leaves out of the tasks, if there are any. That each is
    /// taken once depends on nothing but this number.
    fn take(&self, rest: impl Fn(Range<u32>) -> (u32, Range<u32>)) -> Option<u32> {
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let (start, end) = halves(now);
            if end <= start {
                return None;
            }
            let (taken, rest) = rest(start..end);
            let next = joined(&rest);
            match self.0.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(taken),
                Err(found) => now = found,
            }
        }
    }
}

/// The numbers of a range as the halves of one.
fn joined(tasks: &Range<u32>) -> u64 {
    u64::from(tasks.end) << 32 | u64::from(tasks.start)
}

/// The lower and the upper half of a number.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn halves(number: u64) -> (u32, u32) {
    (number as u32, (number >> 32) as u32)
}

impl Shares {
    /// No tasks, for so many threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| Share::default()).collect())
    }

    /// Shares `tasks` tasks. Nobody may take any meanwhile.
    #[expect(clippy::cast_possible_truncation, reason = "a pool has few threads")]
    pub(crate) fn deal(&self, tasks: u32) {
        let mut start = 0;
        for (share, left) in self.0.iter().zip((1..=self.0.len() as u32).rev()) {
            let end = start + (tasks - start) / left;
            share.set(start..end);
            start = end;
        }
    }

    /// The next task for `thread`: of its own share or else the last of another's.
    pub(crate) fn take(&self, thread: usize) -> Option<usize> {
        let (before, from) = self.0.split_at(thread);
        let (own, after) = from.split_first()?;
        let first = own.take(|left| (left.start, left.start + 1..left.end));
        let mut others = after.iter().chain(before);
        let task = first.or_else(|| {
            others.find_map(|other| other.take(|left| (left.end - 1, left.start..left.end - 1)))
        });
        task.map(|task| task as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_takes_its_own_in_turn_and_then_the_last_of_others() {
        let shares = Shares::new(3);
        shares.deal(8);
        let own = || shares.take(1);
        assert_eq!([own(), own(), own()], [Some(2), Some(3), Some(4)]);
        assert_eq!([own(), own(), own()], [Some(7), Some(6), Some(5)]);
        assert_eq!(shares.take(0), Some(0));
        assert_eq!(shares.take(2), Some(1));
        assert_eq!([shares.take(0), shares.take(1), shares.take(2)], [None; 3]);
        shares.deal(0);
        assert_eq!(shares.take(2), None);
    }
}
