//! Words as numbers, without an allocation for a word that is known.

/// Marks an empty slot.
const EMPTY: u32 = u32::MAX;

/// Numbers for words, in the order in which they were first met.
///
/// The text of all words lies in one string. Slots are a power of two and at
/// least twice as many as words, so that a search ends soon.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary {
    slots: Vec<u32>,
    /// End of each word in `text`; it starts where the one before ends.
    ends: Vec<usize>,
    text: String,
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self { slots: vec![EMPTY; 256], ends: Vec::new(), text: String::new() }
    }
}

impl Vocabulary {
    /// Number of different words.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Forgets all words.
    pub(super) fn clear(&mut self) {
        // A text that was long once must not make all later ones slow.
        self.slots.truncate(256.max(4 * self.ends.len().next_power_of_two()));
        self.slots.fill(EMPTY);
        self.ends.clear();
        self.text.clear();
    }

    /// The number of `word`, which gets the next free one if it is new.
    pub(super) fn id(&mut self, word: &str) -> u32 {
        let slot = self.slot(word);
        if self.slots[slot] != EMPTY {
            return self.slots[slot];
        }
        let id = self.next_id();
        self.slots[slot] = id;
        self.text.push_str(word);
        self.ends.push(self.text.len());
        if self.slots.len() < 2 * self.ends.len() {
            self.grow();
        }
        id
    }

    /// The word with a number that this vocabulary gave.
    pub(super) fn word(&self, id: u32) -> &str {
        let id = id as usize;
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[id]]
    }

    /// The slot that holds `word`, or the empty one where it belongs.
    fn slot(&self, word: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(word.as_bytes()) & mask;
        while self.slots[slot] != EMPTY && self.word(self.slots[slot]) != word {
            slot = (slot + 1) & mask;
        }
        slot
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "four billion different words do not fit into the memory of their texts"
    )]
    fn next_id(&self) -> u32 {
        self.ends.len() as u32
    }

    fn grow(&mut self) {
        let size = 4 * self.slots.len();
        self.slots.clear();
        self.slots.resize(size, EMPTY);
        let count = self.next_id();
        for id in 0..count {
            let slot = self.slot(self.word(id));
            self.slots[slot] = id;
        }
    }
}

/// Mixes eight bytes at a time. Texts are not chosen to collide; if they were,
/// a search would be slow and still right.
#[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
fn hash(bytes: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut mixed = bytes.len() as u64;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        mixed = (mixed.rotate_left(5) ^ u64::from_le_bytes(*chunk)).wrapping_mul(FACTOR);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mixed = (mixed.rotate_left(5) ^ u64::from_le_bytes(last)).wrapping_mul(FACTOR);
    (mixed ^ (mixed >> 32)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn numbers_are_those_of_a_hash_map(words in prop::collection::vec("[a-c\u{e9}]{0,9}", 0..600)) {
            let (mut vocabulary, mut map) = (Vocabulary::default(), HashMap::new());
            vocabulary.id("left over");
            vocabulary.clear();
            for word in &words {
                let next = u32::try_from(map.len()).unwrap();
                let want = *map.entry(word.as_str()).or_insert(next);
                prop_assert_eq!(vocabulary.id(word), want);
                prop_assert_eq!(vocabulary.word(want), word.as_str());
            }
            prop_assert_eq!(vocabulary.len(), map.len());
        }
    }
}
