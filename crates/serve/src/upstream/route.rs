//! Which endpoint a request goes to.
//!
//! Requests with the same beginning prefer the same endpoint, because that one
//! has the beginning in its cache: the one with the highest hash of prefix and
//! address (rendezvous hashing, Thaler and Ravishankar 1998), so that an
//! endpoint that comes or goes moves only its own requests. An endpoint that
//! has too many more requests than the idlest is passed over; then the one with
//! the fewest is taken, and of those with equally few the one that the prefix
//! prefers.

use std::hash::{DefaultHasher, Hash, Hasher};

/// What routing knows of an endpoint that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its place in the pool.
    pub(super) index: usize,
    /// Requests that it works on.
    pub(super) outstanding: usize,
    /// Requests that it takes at once.
    pub(super) concurrency: usize,
    /// How much the prefix prefers it.
    pub(super) affinity: u64,
}

/// How much a prefix prefers an endpoint.
pub(super) fn affinity(prefix: u64, url: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (prefix, url).hash(&mut hasher);
    hasher.finish()
}

/// Chooses among endpoints; `slack` is `None` if prefixes do not matter. `None`
/// if all are full.
pub(super) fn choose(candidates: &[Candidate], slack: Option<usize>) -> Option<usize> {
    let fewest = candidates.iter().map(|candidate| candidate.outstanding).min()?;
    let preferred = candidates.iter().max_by_key(|candidate| candidate.affinity);
    let is_free = |candidate: &&Candidate| candidate.outstanding < candidate.concurrency;
    let near =
        |candidate: &&Candidate| slack.is_some_and(|slack| candidate.outstanding <= fewest + slack);
    if let Some(candidate) = preferred.filter(is_free).filter(near) {
        return Some(candidate.index);
    }
    let free = candidates.iter().filter(is_free);
    free.min_by_key(|candidate| (candidate.outstanding, !candidate.affinity))
        .map(|candidate| candidate.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(outstanding: &[usize], prefix: u64) -> Vec<Candidate> {
        let each = outstanding.iter().enumerate().map(|(index, &outstanding)| Candidate {
            index,
            outstanding,
            concurrency: 8,
            affinity: affinity(prefix, &format!("http://node{index}")),
        });
        each.collect()
    }

    #[test]
    fn a_prefix_stays_where_it_is_until_that_is_too_busy() {
        let idle = candidates(&[0, 0, 0], 7);
        let home = choose(&idle, Some(2)).unwrap();
        let mut busy = [0, 0, 0];
        busy[home] = 2;
        assert_eq!(choose(&candidates(&busy, 7), Some(2)), Some(home));
        busy[home] = 3;
        assert_ne!(choose(&candidates(&busy, 7), Some(2)), Some(home));
        assert_ne!(choose(&candidates(&[2; 3], 7), None), None);
    }

    #[test]
    fn without_prefixes_the_one_with_the_fewest_requests_is_taken() {
        assert_eq!(choose(&candidates(&[3, 1, 2], 7), None), Some(1));
        assert_eq!(choose(&candidates(&[8, 8, 8], 7), None), None);
        assert_eq!(choose(&[], None), None);
    }

    #[test]
    fn prefixes_spread_over_the_endpoints_and_few_move_when_one_goes() {
        let (mut counts, mut moved) = ([0; 3], 0);
        for prefix in 0..3000 {
            let all = candidates(&[0, 0, 0], prefix);
            let home = choose(&all, Some(0)).unwrap();
            counts[home] += 1;
            if home != 2 && choose(&all[..2], Some(0)) != Some(home) {
                moved += 1;
            }
        }
        assert_eq!(moved, 0);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
