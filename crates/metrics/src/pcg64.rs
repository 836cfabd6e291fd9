//! The random numbers of `NumPy`'s `default_rng(seed)`.
//!
//! Tests whose result depends on the draws can be held to a reference only if
//! they draw alike: `SeedSequence` spreads the seed, PCG64 (O'Neill 2014,
//! HMC-CS-2014-0905) makes 64 bits at a time, and bounded numbers are Lemire's
//! (doi:10.1145/3230636) of 32 bits, low half first.

const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
/// Words of the pool in which a seed is spread.
const POOL: usize = 4;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Pcg64 {
    state: u128,
    increment: u128,
    /// The high half of the last number, if it was not given out yet.
    spare: Option<u32>,
    /// Bits that are left of 32, and how many.
    bits: (u32, u32),
}

impl Pcg64 {
    /// The stream of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let words = spread(seed);
        let wide = |at: usize| u128::from(words[at]) << 64 | u128::from(words[at + 1]);
        let increment = wide(2) << 1 | 1;
        let mut stream = Self { state: 0, increment, spare: None, bits: (0, 0) };
        stream.step();
        stream.state = stream.state.wrapping_add(wide(0));
        stream.step();
        stream
    }

    fn step(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    #[expect(clippy::cast_possible_truncation, reason = "halves of the state are meant")]
    fn next_u64(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    #[expect(clippy::cast_possible_truncation, reason = "halves of a number are meant")]
    fn next_u32(&mut self) -> u32 {
        self.spare.take().unwrap_or_else(|| {
            let both = self.next_u64();
            self.spare = Some((both >> 32) as u32);
            both as u32
        })
    }

    /// A number below `bound`, which is at least 1.
    #[expect(clippy::cast_possible_truncation, reason = "halves of a product are meant")]
    pub(crate) fn below(&mut self, bound: u32) -> usize {
        if bound < 2 {
            return 0;
        }
        let mut product = u64::from(self.next_u32()) * u64::from(bound);
        if (product as u32) < bound {
            let uneven = bound.wrapping_neg() % bound;
            while (product as u32) < uneven {
                product = u64::from(self.next_u32()) * u64::from(bound);
            }
        }
        (product >> 32) as usize
    }

    /// One bit.
    pub(crate) fn bit(&mut self) -> bool {
        let (bits, left) = self.bits;
        self.bits = if left == 0 { (self.next_u32(), 31) } else { (bits >> 1, left - 1) };
        self.bits.0 & 1 == 1
    }
}

/// The four words that `SeedSequence(seed)` gives a generator.
fn spread(seed: u64) -> [u64; 4] {
    let mut mixer = Mixer(0x43b0_d7e5);
    #[expect(clippy::cast_possible_truncation, reason = "halves of the seed are meant")]
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(|word| mixer.hash(word));
    for from in 0..POOL {
        for to in 0..POOL {
            if from != to {
                let hashed = mixer.hash(pool[from]);
                pool[to] = mix(pool[to], hashed);
            }
        }
    }
    let mut constant = 0x8b51_f9dd_u32;
    let mut next = |at: usize| {
        let mut word = pool[at % POOL] ^ constant;
        constant = constant.wrapping_mul(0x58f3_8ded);
        word = word.wrapping_mul(constant);
        u64::from(word ^ word >> 16)
    };
    std::array::from_fn(|at| {
        let low = next(2 * at);
        low | next(2 * at + 1) << 32
    })
}

/// Hashes one word after another, each in its own way.
struct Mixer(u32);

impl Mixer {
    fn hash(&mut self, word: u32) -> u32 {
        let mut word = word ^ self.0;
        self.0 = self.0.wrapping_mul(0x931e_8875);
        word = word.wrapping_mul(self.0);
        word ^ word >> 16
    }
}

fn mix(left: u32, right: u32) -> u32 {
    let mixed = left.wrapping_mul(0xca01_f9dd).wrapping_sub(right.wrapping_mul(0x4973_f715));
    mixed ^ mixed >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_numpy() {
        // numpy.random.default_rng(12345).choice(1000, 12); .integers(2, size=16, dtype=bool)
        let mut stream = Pcg64::new(12_345);
        let found: Vec<usize> = (0..12).map(|_| stream.below(1_000)).collect();
        assert_eq!(found, CHOICE);
        let mut stream = Pcg64::new(12_345);
        let found: String = (0..40).map(|_| if stream.bit() { '1' } else { '0' }).collect();
        assert_eq!(found, BITS);
        // A seed of more than 32 bits; a bound that is not even.
        let mut stream = Pcg64::new(1 << 40 | 7);
        let found: Vec<usize> = (0..6).map(|_| stream.below(3_000_000_000)).collect();
        assert_eq!(found, WIDE);
        assert_eq!(stream.below(1), 0);
    }

    const CHOICE: [usize; 12] = [699, 227, 788, 316, 204, 797, 642, 676, 988, 391, 839, 332];
    const BITS: &str = "1011100110000011111111110100110110110001";
    const WIDE: [usize; 6] =
        [2_489_438_675, 1_828_512_392, 765_915_474, 51_031_264, 461_372_147, 1_514_132_298];
}
