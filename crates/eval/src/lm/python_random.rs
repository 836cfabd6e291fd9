//! Python's random numbers, as far as sampling of examples needs them.
//!
//! `lm-evaluation-harness` draws few-shot examples with `random.Random(seed)`;
//! the same prompts need the same numbers. MT19937 of Matsumoto and Nishimura
//! 1998, doi:10.1145/272991.272995, seeded and cut to size as Python does.

const SIZE: usize = 624;
const SHIFT: usize = 397;

/// A stream that equals `random.Random(seed)`.
#[derive(Clone, Debug)]
pub(super) struct PythonRandom {
    state: Vec<u32>,
    next: usize,
}

impl PythonRandom {
    pub(super) fn new(seed: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key = if high == 0 { vec![low] } else { vec![low, high] };
        let mut random = Self { state: first_state(19_650_218), next: SIZE };
        random.mix(&key);
        random
    }

    /// The seeding of `init_by_array`.
    fn mix(&mut self, key: &[u32]) {
        let state = &mut self.state;
        let (mut i, mut j) = (1, 0);
        let folded = |state: &[u32], i: usize| state[i - 1] ^ (state[i - 1] >> 30);
        for _ in 0..SIZE.max(key.len()) {
            let mixed = state[i] ^ folded(state, i).wrapping_mul(1_664_525);
            // A key has one or two words.
            state[i] = mixed.wrapping_add(key[j]).wrapping_add(u32::from(j == 1));
            i += 1;
            j = (j + 1) % key.len();
            if i >= SIZE {
                state[0] = state[SIZE - 1];
                i = 1;
            }
        }
        for _ in 1..SIZE {
            let mixed = state[i] ^ folded(state, i).wrapping_mul(1_566_083_941);
            #[expect(clippy::cast_possible_truncation, reason = "an index below 624")]
            let index = i as u32;
            state[i] = mixed.wrapping_sub(index);
            i += 1;
            if i >= SIZE {
                state[0] = state[SIZE - 1];
                i = 1;
            }
        }
        state[0] = 0x8000_0000;
    }

    fn next_u32(&mut self) -> u32 {
        if self.next >= SIZE {
            for i in 0..SIZE {
                let both =
                    (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % SIZE] & 0x7fff_ffff);
                let twist = if both & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + SHIFT) % SIZE] ^ (both >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A number below `bound`, which is in `1..2^32`.
    fn below(&mut self, bound: usize) -> usize {
        let bits = usize::BITS - bound.leading_zeros();
        loop {
            let drawn = (self.next_u32() >> (32 - bits)) as usize;
            if drawn < bound {
                return drawn;
            }
        }
    }

    /// `random.sample(range(size), count)`; `count` is at most `size`.
    pub(super) fn sample(&mut self, size: usize, count: usize) -> Vec<usize> {
        // Below this size Python shuffles a list; above it rejects repetitions.
        let mut list_limit = 21;
        if count > 5 {
            let mut power = 1;
            while power < 3 * count {
                power *= 4;
            }
            list_limit += power;
        }
        let mut drawn = Vec::with_capacity(count);
        if size <= list_limit {
            let mut pool: Vec<usize> = (0..size).collect();
            for taken in 0..count {
                let place = self.below(size - taken);
                drawn.push(pool[place]);
                pool[place] = pool[size - taken - 1];
            }
            return drawn;
        }
        while drawn.len() < count {
            let place = self.below(size);
            if !drawn.contains(&place) {
                drawn.push(place);
            }
        }
        drawn
    }
}

fn first_state(seed: u32) -> Vec<u32> {
    let mut state = vec![seed];
    for i in 1_u32..624 {
        let before = state[state.len() - 1];
        state.push(1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i));
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_those_of_python() {
        // python3 -c 'import random; r = random.Random(1234); print(r.sample(range(10), 3), ...)'
        let mut random = PythonRandom::new(1234);
        assert_eq!(random.sample(10, 3), [7, 1, 0]);
        assert_eq!(random.sample(1000, 5), [92, 932, 965, 961, 826]);
        assert_eq!(random.sample(60, 8), [37, 2, 42, 44, 5, 6, 49, 22]);
        assert_eq!(random.sample(5000, 20)[..4], [1939, 142, 252, 129]);
        assert_eq!(PythonRandom::new(0).sample(100, 4), [49, 97, 53, 5]);
        assert_eq!(PythonRandom::new(1 << 40).sample(100, 4), [13, 45, 85, 8]);
    }
}
