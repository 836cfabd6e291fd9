//! What was read before: a radix tree of token sequences.
//!
//! A node stands for the tokens on the way to it and holds their keys and
//! values, in pages that nodes share with each other and with the sequences that
//! run. What branches off within a page has a copy of it, so that the tree is
//! limited by its pages and not by its tokens.

use std::collections::{BTreeMap, HashMap};

/// What a node holds: the state after some tokens.
pub(super) trait State: Clone {
    /// Forgets the tokens from `len` on.
    fn truncate(&mut self, len: usize);

    /// What tells each of its pages from others, and the tokens that it takes the
    /// memory of.
    fn pages(&self) -> impl Iterator<Item = (usize, usize)>;
}

impl State for plumb_model::KvCache {
    fn pages(&self) -> impl Iterator<Item = (usize, usize)> {
        plumb_model::KvCache::pages(self)
    }

    fn truncate(&mut self, len: usize) {
        plumb_model::KvCache::truncate(self, len);
    }
}

#[derive(Debug)]
struct Node<S> {
    /// Tokens between the parent and here; none only at the root.
    edge: Vec<u32>,
    /// By the first token of their edges.
    children: BTreeMap<u32, Node<S>>,
    /// After the tokens from the root to here.
    state: S,
    /// When it was last of use.
    used: u64,
}

/// Sequences with the states after them, up to the memory of a number of tokens.
#[derive(Debug)]
pub(super) struct PrefixTree<S> {
    root: Node<S>,
    /// Tokens on all edges.
    tokens: usize,
    /// Tokens that all pages take the memory of: the engine asks at every step, and
    /// it changes only with the nodes.
    room: usize,
    limit: usize,
    clock: u64,
}

impl<S: State> PrefixTree<S> {
    /// An empty tree for the memory of at most `limit` tokens; `empty` is the state
    /// before the first token.
    pub(super) fn new(empty: S, limit: usize) -> Self {
        let root = Node { edge: Vec::new(), children: BTreeMap::new(), state: empty, used: 0 };
        Self { root, tokens: 0, room: 0, limit, clock: 0 }
    }

    /// Tokens held.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    /// The state after the longest known beginning of `tokens`, and its length.
    pub(super) fn find(&mut self, tokens: &[u32]) -> (S, usize) {
        self.clock += 1;
        let (mut node, mut known) = (&mut self.root, 0);
        loop {
            node.used = self.clock;
            let Some(next) = tokens.get(known).filter(|t| node.children.contains_key(t)) else {
                return (node.state.clone(), known);
            };
            let Some(child) = node.children.get_mut(next) else {
                return (node.state.clone(), known);
            };
            let common = common(&child.edge, &tokens[known..]);
            known += common;
            if common < child.edge.len() {
                child.used = self.clock;
                let mut state = child.state.clone();
                state.truncate(known);
                return (state, known);
            }
            node = child;
        }
    }

    /// Remembers that `state` follows `tokens`.
    pub(super) fn insert(&mut self, tokens: &[u32], state: S) {
        if self.limit < tokens.len() {
            return;
        }
        self.clock += 1;
        self.tokens += self.root.insert((tokens, 0), state, self.clock);
        self.room = self.root.room();
        self.shrink(self.limit);
    }

    /// Forgets what was used least recently until the memory of at most `limit`
    /// tokens is held.
    pub(super) fn shrink(&mut self, limit: usize) {
        while self.tokens != 0 && limit < self.room {
            let oldest = self.root.oldest_leaf();
            self.tokens -= self.root.remove_leaf(oldest);
            self.room = self.root.room();
        }
    }
}

impl<S: State> Node<S> {
    /// Adds `tokens`, of which those before `known` lead here; returns how many
    /// tokens the tree holds more.
    ///
    /// The nodes on the way take over the pages of `state`, which are equal to
    /// theirs and are then held once.
    fn insert(&mut self, (tokens, known): (&[u32], usize), state: S, now: u64) -> usize {
        self.used = now;
        self.state = state.clone();
        self.state.truncate(known);
        let Some(first) = tokens.get(known) else { return 0 };
        let Some(child) = self.children.get_mut(first) else {
            let edge = tokens[known..].to_vec();
            let added = edge.len();
            self.children
                .insert(*first, Self { edge, children: BTreeMap::new(), state, used: now });
            return added;
        };
        let common = common(&child.edge, &tokens[known..]);
        if common < child.edge.len() {
            child.split(common, known + common);
        }
        child.insert((tokens, known + common), state, now)
    }

    /// Makes the first `at` tokens of the edge a node of their own, after
    /// `known` tokens.
    fn split(&mut self, at: usize, known: usize) {
        let mut state = self.state.clone();
        state.truncate(known);
        let rest = self.edge.split_off(at);
        let children = std::mem::take(&mut self.children);
        let state = std::mem::replace(&mut self.state, state);
        let below = Self { children, state, used: self.used, edge: rest };
        self.children.insert(below.edge[0], below);
    }

    /// Tokens that the pages of this node and of those below take the memory of.
    fn room(&self) -> usize {
        let mut pages = HashMap::new();
        self.list_pages(&mut pages);
        pages.values().sum()
    }

    /// Adds the pages of this node and of those below.
    fn list_pages(&self, pages: &mut HashMap<usize, usize>) {
        pages.extend(self.state.pages());
        self.children.values().for_each(|child| child.list_pages(pages));
    }

    /// When the leaf that was used least recently was used.
    fn oldest_leaf(&self) -> u64 {
        self.children.values().map(Self::oldest_leaf).min().unwrap_or(self.used)
    }

    /// Removes a leaf below that was last used at `used`; returns the tokens
    /// of its edge.
    fn remove_leaf(&mut self, used: u64) -> usize {
        let is_it = |child: &Self| child.children.is_empty() && child.used == used;
        if let Some(first) = self.children.values().find(|child| is_it(child)).map(|c| c.edge[0]) {
            return self.children.remove(&first).map_or(0, |child| child.edge.len());
        }
        self.children
            .values_mut()
            .map(|child| child.remove_leaf(used))
            .find(|&n| n != 0)
            .unwrap_or(0)
    }
}

/// How many tokens two sequences begin with alike.
pub(super) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    /// The state after tokens is these tokens, each on a page of its own.
    impl State for Vec<u32> {
        fn truncate(&mut self, len: usize) {
            Vec::truncate(self, len);
        }

        fn pages(&self) -> impl Iterator<Item = (usize, usize)> {
            let digits = |all: usize, &token: &u32| all * 10 + token as usize + 1;
            (1..=self.len()).map(move |len| (self[..len].iter().fold(0, digits), 1))
        }
    }

    /// The same on pages of four, which copies share until one of them grows.
    #[derive(Clone, Default)]
    struct Paged {
        len: usize,
        pages: Vec<Arc<Vec<u32>>>,
    }

    impl Paged {
        fn push(&mut self, token: u32) {
            if self.len.is_multiple_of(4) {
                self.pages.push(Arc::default());
            }
            let page = Arc::make_mut(self.pages.last_mut().unwrap());
            page.truncate(self.len % 4);
            page.push(token);
            self.len += 1;
        }
    }

    impl State for Paged {
        fn truncate(&mut self, len: usize) {
            self.len = len.min(self.len);
            self.pages.truncate(self.len.div_ceil(4));
        }

        fn pages(&self) -> impl Iterator<Item = (usize, usize)> {
            self.pages.iter().map(|page| (Arc::as_ptr(page).addr(), 4))
        }
    }

    /// Reads `tokens` as a sequence does: on from what is known.
    fn read(tree: &mut PrefixTree<Paged>, tokens: &[u32]) -> Paged {
        let (mut state, known) = tree.find(tokens);
        tokens[known..].iter().for_each(|&token| state.push(token));
        state
    }

    fn distinct_prefixes(sequences: &[Vec<u32>]) -> usize {
        let mut all: Vec<&[u32]> =
            sequences.iter().flat_map(|s| (1..=s.len()).map(|n| &s[..n])).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }

    proptest! {
        #[test]
        fn the_longest_known_beginning_is_found_with_its_state(
            sequences in prop::collection::vec(prop::collection::vec(0_u32..3, 0..8), 0..12),
            query in prop::collection::vec(0_u32..3, 0..10),
        ) {
            let mut tree = PrefixTree::new(Vec::new(), 1000);
            for sequence in &sequences {
                tree.insert(sequence, sequence.clone());
            }
            let want = sequences.iter().map(|s| common(s, &query)).max().unwrap_or(0);
            let (state, known) = tree.find(&query);
            prop_assert_eq!(known, want);
            prop_assert_eq!(&state[..], &query[..known]);
            prop_assert_eq!(tree.tokens(), distinct_prefixes(&sequences));
        }

        #[test]
        fn a_full_tree_forgets_and_stays_right(
            sequences in prop::collection::vec(prop::collection::vec(0_u32..3, 0..8), 0..30),
            limit in 0_usize..20,
        ) {
            let mut tree = PrefixTree::new(Vec::new(), limit);
            for sequence in &sequences {
                tree.insert(sequence, sequence.clone());
                prop_assert!(tree.tokens() <= limit);
                let (state, known) = tree.find(sequence);
                prop_assert_eq!(&state[..], &sequence[..known]);
            }
            tree.shrink(0);
            prop_assert_eq!((tree.tokens(), tree.root.children.len()), (0, 0));
        }
    }

    proptest! {
        #[test]
        fn the_memory_of_pages_keeps_to_the_limit(
            sequences in prop::collection::vec(prop::collection::vec(0_u32..3, 1..12), 0..30),
            limit in 12_usize..60,
        ) {
            let mut tree = PrefixTree::new(Paged::default(), limit);
            for sequence in &sequences {
                let state = read(&mut tree, sequence);
                tree.insert(sequence, state);
                prop_assert!(tree.room <= limit);
                prop_assert_eq!(tree.room, tree.root.room());
                let (state, known) = tree.find(sequence);
                let held: Vec<u32> = state.pages.iter().flat_map(|page| page.iter().copied()).collect();
                prop_assert_eq!(&held[..known], &sequence[..known]);
            }
        }
    }

    #[test]
    fn a_prompt_and_what_was_written_after_it_share_their_pages() {
        let mut tree = PrefixTree::new(Paged::default(), 100);
        let mut state = read(&mut tree, &[1, 2, 3, 4, 5, 6]);
        tree.insert(&[1, 2, 3, 4, 5, 6], state.clone());
        state.push(7);
        tree.insert(&[1, 2, 3, 4, 5, 6, 7], state);
        assert_eq!((tree.tokens(), tree.room), (7, 8));
        // Another continuation copies the page in which it begins.
        let state = read(&mut tree, &[1, 2, 3, 4, 5, 8]);
        tree.insert(&[1, 2, 3, 4, 5, 8], state);
        assert_eq!((tree.tokens(), tree.room), (8, 12));
    }

    #[test]
    fn what_was_used_last_is_kept() {
        let mut tree = PrefixTree::new(Vec::new(), 6);
        tree.insert(&[1, 2, 3], vec![1, 2, 3]);
        tree.insert(&[4, 5, 6], vec![4, 5, 6]);
        tree.find(&[1, 2, 3]);
        tree.insert(&[7, 8], vec![7, 8]);
        assert_eq!([[1, 2, 3], [4, 5, 6]].map(|tokens| tree.find(&tokens).1), [3, 0]);
    }
}
