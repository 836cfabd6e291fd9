//! Random numbers by seed and place.

/// Weyl increment and mixer of `SplitMix64`, Steele et al. 2014,
/// doi:10.1145/2714064.2660195.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number in `0.0..1.0` at `place` of the sequence that `seed` starts.
///
/// A token that was forced or could only be one uses up its place and no
/// number, so that the tokens after it do not depend on how it came about.
pub(super) fn uniform(seed: u64, place: u64) -> f64 {
    let bits = mix(seed.wrapping_add(STEP.wrapping_mul(place.wrapping_add(1))));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The seed of continuation `index` of several that are generated with `seed`.
///
/// The first has `seed` itself, so that one continuation is the same alone and
/// among others. The others have output `index` of `SplitMix64`, started at
/// the complement of `seed`, so that no two sequences of numbers overlap.
pub fn derived_seed(seed: u64, index: usize) -> u64 {
    if index == 0 { seed } else { mix((!seed).wrapping_add(STEP.wrapping_mul(index as u64))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_splitmix64() {
        // The reference implementation's first outputs for the seed 1234567.
        let want = [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973];
        for (place, want) in (0..).zip(want) {
            let found = uniform(1_234_567, place);
            let want = (want >> 11) as f64 / (1_u64 << 53) as f64;
            assert_eq!(found.to_bits(), want.to_bits(), "{place}");
        }
    }

    #[test]
    fn numbers_spread_evenly_over_seeds_and_places() {
        for numbers in [
            (0..10_000).map(|place| uniform(7, place)).collect::<Vec<_>>(),
            (0..10_000).map(|seed| uniform(seed, 3)).collect(),
        ] {
            let mut counts = [0; 10];
            for u in &numbers {
                let tenth = (1..10).take_while(|&tenth| f64::from(tenth) / 10.0 <= *u).count();
                counts[tenth] += 1;
            }
            // Four standard deviations.
            assert!(counts.iter().all(|count| (880..1120).contains(count)), "{counts:?}");
        }
    }

    #[test]
    fn continuations_have_different_seeds_and_the_first_keeps_its_own() {
        let mut seeds: Vec<u64> = (0..1000).map(|index| derived_seed(5, index)).collect();
        assert_eq!(seeds[0], 5);
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 1000);
    }
}
