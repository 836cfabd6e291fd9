//! What was used last stays, as far as the bytes reach.

use std::collections::{BTreeMap, HashMap};

/// A key by content: SHA-256 of everything that a value depends on.
pub(super) type Key = [u8; 32];

/// Bytes of an entry beside its value: the key twice, and what the maps need.
const OVERHEAD: usize = 160;

/// Values by key, of so many bytes at most. What was not used for longest goes
/// first.
#[derive(Debug)]
pub(super) struct Lru<V> {
    most: usize,
    bytes: usize,
    entries: HashMap<Key, Entry<V>>,
    /// Keys by when they were last used.
    order: BTreeMap<u64, Key>,
    /// Uses so far.
    uses: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<V: Clone> Lru<V> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, bytes: 0, entries: HashMap::new(), order: BTreeMap::new(), uses: 0 }
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The value of `key`, which is now the one used last.
    pub(super) fn get(&mut self, key: &Key) -> Option<V> {
        let entry = self.entries.get_mut(key)?;
        self.uses += 1;
        self.order.remove(&entry.used);
        entry.used = self.uses;
        self.order.insert(self.uses, *key);
        Some(entry.value.clone())
    }

    /// Takes in a value of so many bytes, in place of one with the same key. One
    /// that alone is too large is left out.
    pub(super) fn insert(&mut self, key: Key, value: V, bytes: usize) {
        self.remove(&key);
        let bytes = bytes.saturating_add(OVERHEAD);
        if self.most < bytes {
            return;
        }
        while self.most - bytes < self.bytes {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            if let Some(gone) = self.entries.remove(&oldest) {
                self.bytes -= gone.bytes;
            }
        }
        self.uses += 1;
        self.bytes += bytes;
        self.order.insert(self.uses, key);
        self.entries.insert(key, Entry { value, bytes, used: self.uses });
    }

    fn remove(&mut self, key: &Key) {
        if let Some(gone) = self.entries.remove(key) {
            self.order.remove(&gone.used);
            self.bytes -= gone.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> Key {
        [number; 32]
    }

    #[test]
    fn what_was_used_last_stays() {
        let mut lru = Lru::new(2 * (OVERHEAD + 10));
        lru.insert(key(1), "one", 10);
        lru.insert(key(2), "two", 10);
        assert_eq!(lru.get(&key(1)), Some("one"));
        lru.insert(key(3), "three", 10);
        assert_eq!((lru.get(&key(1)), lru.get(&key(2))), (Some("one"), None));
        assert_eq!(lru.get(&key(3)), Some("three"));
    }

    #[test]
    fn one_that_is_too_large_is_left_out_and_takes_the_place_of_none() {
        let mut lru = Lru::new(OVERHEAD + 10);
        lru.insert(key(1), "one", 10);
        lru.insert(key(2), "large", 11);
        assert_eq!((lru.get(&key(1)), lru.get(&key(2))), (Some("one"), None));
        lru.insert(key(1), "larger than before", 11);
        assert_eq!((lru.get(&key(1)), lru.bytes()), (None, 0));
        let mut off = Lru::new(0);
        off.insert(key(1), "one", 0);
        assert_eq!(off.get(&key(1)), None);
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_it_may_nor_another_value(
            uses in prop::collection::vec((0_u8..12, 0_usize..300, any::<bool>()), 0..200)
        ) {
            let mut lru = Lru::new(900);
            let mut last = HashMap::new();
            for (number, bytes, is_read) in uses {
                if is_read {
                    let found = lru.get(&key(number));
                    prop_assert!(found.is_none() || found == last.get(&number).copied());
                } else {
                    lru.insert(key(number), (number, bytes), bytes);
                    last.insert(number, (number, bytes));
                }
                let held: usize = lru.entries.values().map(|entry| entry.bytes).sum();
                prop_assert_eq!(held, lru.bytes());
                prop_assert!(lru.bytes() <= 900);
                prop_assert_eq!(lru.entries.len(), lru.order.len());
            }
        }
    }
}
