//! How a vocabulary spells its tokens, and which token has a spelling.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use plumb_formats::Strings;

/// Spellings by id, and ids by spelling.
///
/// A vocabulary has some hundred thousand of them, so that the table holds ids
/// only and looks spellings up.
pub(super) struct Spellings {
    strings: Strings,
    ids: HashTable<u32>,
    hasher: RandomState,
}

impl Spellings {
    /// From the vocabulary in the order of ids.
    pub(super) fn new(strings: Strings) -> Self {
        let hasher = RandomState::new();
        let mut ids = HashTable::with_capacity(strings.len());
        let spelt = |id: u32| strings.get(id as usize).unwrap_or_default();
        for (id, spelling) in (0_u32..).zip(strings.iter()) {
            let hash = hasher.hash_one(spelling);
            match ids.find_mut(hash, |&other| spelt(other) == spelling) {
                // Of equal spellings the last one counts, as in llama.cpp.
                Some(other) => *other = id,
                None => {
                    ids.insert_unique(hash, id, |&id| hasher.hash_one(spelt(id)));
                }
            }
        }
        Self { strings, ids, hasher }
    }

    /// The spellings in the order of ids.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.strings.iter()
    }

    /// The spelling of a token.
    pub(super) fn get(&self, id: u32) -> Option<&str> {
        self.strings.get(id as usize)
    }

    /// The token with exactly this spelling; the last one if there are several.
    pub(super) fn find(&self, spelling: &str) -> Option<u32> {
        let is_it = |&id: &u32| self.get(id) == Some(spelling);
        self.ids.find(self.hasher.hash_one(spelling), is_it).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_spellings_is_found() {
        let spellings = Spellings::new(["a", "b", "", "a", "ab"].into_iter().collect());
        let found = ["a", "b", "", "ab", "c"].map(|spelling| spellings.find(spelling));
        assert_eq!(found, [Some(3), Some(1), Some(2), Some(4), None]);
    }
}
