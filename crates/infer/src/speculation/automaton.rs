//! The suffix automaton of a growing text of tokens: Blumer et al. 1985, "The
//! smallest automaton recognizing the subwords of a text".
//!
//! A state stands for the parts of the text that end at the same positions.
//! Adding a token takes constant time on average, and then names the longest
//! end of the text that also occurs earlier, without a search.

/// The state of the empty text.
const ROOT: u32 = 0;

/// States that learn of a new position; shorter matches keep an older one.
const UPDATED: usize = 32;

#[derive(Clone, Debug)]
struct State {
    /// Length of the longest part that the state stands for.
    len: u32,
    /// The state of the longest shorter end that occurs elsewhere too; the
    /// root's own is itself.
    link: u32,
    /// Tokens of the text up to and with an occurrence.
    end: u32,
    /// Following states, sorted by token.
    next: Vec<(u32, u32)>,
}

impl State {
    fn next(&self, token: u32) -> Option<u32> {
        let at = self.next.binary_search_by_key(&token, |&(token, _)| token).ok()?;
        Some(self.next[at].1)
    }

    fn set_next(&mut self, token: u32, state: u32) {
        match self.next.binary_search_by_key(&token, |&(token, _)| token) {
            Ok(at) => self.next[at].1 = state,
            Err(at) => self.next.insert(at, (token, state)),
        }
    }
}

/// An earlier occurrence of the end of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// Tokens that are alike.
    pub(super) len: usize,
    /// What follows the occurrence begins here in the text.
    pub(super) end: usize,
}

/// The automaton, with the text.
#[derive(Clone, Debug)]
pub(super) struct Automaton {
    text: Vec<u32>,
    states: Vec<State>,
    /// The state of the whole text.
    last: u32,
    found: Match,
}

impl Automaton {
    pub(super) fn new() -> Self {
        let root = State { len: 0, link: ROOT, end: 0, next: Vec::new() };
        let found = Match { len: 0, end: 0 };
        Self { text: Vec::new(), states: vec![root], last: ROOT, found }
    }

    pub(super) fn text(&self) -> &[u32] {
        &self.text
    }

    /// The longest end of the text that occurs earlier, at a late occurrence;
    /// of length 0 if there is none.
    pub(super) fn found(&self) -> Match {
        self.found
    }

    /// Adds `token` to the text.
    ///
    /// # Panics
    ///
    /// If the text has more than 2^30 tokens, a thousand times any context.
    pub(super) fn push(&mut self, token: u32) {
        self.text.push(token);
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        assert!(end < 1 << 30, "{end} tokens");
        let new = self.add(State { len: end, link: ROOT, end, next: Vec::new() });
        let mut at = self.last;
        let link = loop {
            if let Some(state) = self.state(at).next(token) {
                break self.link_to(at, state, token);
            }
            self.states[at as usize].set_next(token, new);
            if at == ROOT {
                break ROOT;
            }
            at = self.state(at).link;
        };
        self.states[new as usize].link = link;
        self.last = new;
        let earlier = self.state(link);
        self.found = Match { len: earlier.len as usize, end: earlier.end as usize };
        self.note(link, end);
    }

    /// The state that a new one links to, where `state` follows `from` with
    /// `token`: itself, or a part of it that is split off.
    fn link_to(&mut self, from: u32, state: u32, token: u32) -> u32 {
        let len = self.state(from).len + 1;
        if self.state(state).len == len {
            return state;
        }
        let split = self.add(State { len, ..self.state(state).clone() });
        self.states[state as usize].link = split;
        let mut at = from;
        while self.state(at).next(token) == Some(state) {
            self.states[at as usize].set_next(token, split);
            if at == ROOT {
                break;
            }
            at = self.state(at).link;
        }
        split
    }

    /// Tells `state`, and those that stand for its ends, of a new occurrence.
    fn note(&mut self, mut state: u32, end: u32) {
        for _ in 0..UPDATED {
            if state == ROOT {
                return;
            }
            self.states[state as usize].end = end;
            state = self.state(state).link;
        }
    }

    fn state(&self, at: u32) -> &State {
        &self.states[at as usize]
    }

    fn add(&mut self, state: State) -> u32 {
        // Fits: a text has at most twice as many states as tokens.
        let at = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        self.states.push(state);
        at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The length that [`Automaton::found`] is to have, by trying them all.
    fn longest(text: &[u32]) -> usize {
        let n = text.len();
        let occurs = |len: usize| (len..n).any(|end| text[end - len..end] == text[n - len..]);
        (0..n).rev().find(|&len| occurs(len)).unwrap_or(0)
    }

    proptest! {
        #[test]
        fn the_longest_earlier_occurrence_is_found(
            text in prop::collection::vec(0_u32..3, 0..60),
        ) {
            let mut automaton = Automaton::new();
            for (i, &token) in text.iter().enumerate() {
                automaton.push(token);
                let Match { len, end } = automaton.found();
                let read = &text[..=i];
                prop_assert_eq!(len, longest(read));
                prop_assert!(end <= i);
                prop_assert_eq!(&read[end - len..end], &read[read.len() - len..]);
            }
            prop_assert!(automaton.states.len() <= 2 * text.len().max(1));
        }
    }

    #[test]
    fn a_late_occurrence_is_preferred() {
        let mut automaton = Automaton::new();
        for token in [7, 1, 7, 2, 7] {
            automaton.push(token);
        }
        assert_eq!(automaton.found(), Match { len: 1, end: 3 });
    }

    #[test]
    fn one_token_many_times_takes_no_square_of_steps() {
        let mut automaton = Automaton::new();
        for _ in 0..200_000 {
            automaton.push(5);
        }
        assert_eq!(automaton.found().len, 199_999);
    }
}
