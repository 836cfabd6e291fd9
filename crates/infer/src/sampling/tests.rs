//! The sampler against definitions that are slow and obvious.
//!
//! Planted faults that these tests and those of the other modules find: a cut
//! that keeps one token too few, ties to the higher id, a repetition that
//! reaches across a breaker, a beam's length that is one off, end tokens of any
//! rank, too few candidates of a beam, a forced token left out, a stop string
//! that counts because it begins first.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::candidates::{Candidates, top};
use super::*;

const EVEN: Sampling = {
    let mut even = Sampling::GREEDY;
    even.temperature = 1.0;
    even
};

fn sampler(settings: &Sampling) -> Sampler {
    Sampler::new(settings, &[], &|_| Vec::new())
}

#[expect(clippy::cast_possible_truncation, reason = "logits are floats")]
fn logits_of(probs: &[f64]) -> Vec<f32> {
    probs.iter().map(|p| p.ln() as f32).collect()
}

/// So many draws at successive places.
fn draws(settings: &Sampling, logits: &[f32], count: usize) -> Vec<u32> {
    let mut sampler = sampler(settings);
    (0..count)
        .filter_map(|_| {
            let token = sampler.draw(logits)?;
            sampler.push(token, &|_| Vec::new());
            Some(token)
        })
        .collect()
}

/// The set of tokens drawn from these probabilities in 300 draws.
#[track_caller]
fn check(settings: &Sampling, probs: &[f64], want: &[u32]) {
    settings.check().unwrap();
    let drawn: BTreeSet<u32> = draws(settings, &logits_of(probs), 300).into_iter().collect();
    assert_eq!(drawn.into_iter().collect::<Vec<_>>(), want);
}

#[test]
fn greedy_takes_the_most_likely_and_breaks_ties_by_token_id() {
    check(&Sampling::GREEDY, &[0.1, 0.4, 0.4, 0.1], &[1]);
    check(&Sampling::GREEDY, &[0.0, 0.0], &[]);
    check(&Sampling { top_k: 1, ..EVEN }, &[0.1, 0.4, 0.4, 0.1], &[1]);
}

#[test]
fn every_token_that_may_come_comes_and_no_other() {
    check(&EVEN, &[0.25, 0.25, 0.0, 0.5], &[0, 1, 3]);
    check(&Sampling { top_k: 2, ..EVEN }, &[0.3, 0.2, 0.2, 0.3], &[0, 3]);
    check(&Sampling { top_k: 3, ..EVEN }, &[0.3, 0.2, 0.2, 0.3], &[0, 1, 3]);
    check(&Sampling { top_p: 0.6, ..EVEN }, &[0.5, 0.2, 0.3], &[0, 2]);
    check(&Sampling { top_p: 0.0, ..EVEN }, &[0.5, 0.2, 0.3], &[0]);
    check(&Sampling { min_p: 0.5, ..EVEN }, &[0.5, 0.2, 0.3], &[0, 2]);
    check(&EVEN, &[0.0, 0.0], &[]);
}

#[test]
fn typical_sampling_leaves_out_what_is_too_likely_to_tell_anything() {
    // The entropy is 1.86 nats; 0.4 has an information of 0.92 and 0.15 of 1.9.
    let probs = [0.4, 0.15, 0.15, 0.15, 0.05, 0.05, 0.05];
    check(&Sampling { typical_p: 0.4, ..EVEN }, &probs, &[1, 2, 3]);
    check(&Sampling { typical_p: 0.0, ..EVEN }, &probs, &[1]);
}

#[test]
fn logits_that_are_no_numbers_are_never_drawn() {
    let logits = [f32::NAN, 1.0, f32::NEG_INFINITY, 1.0];
    for settings in [EVEN, Sampling { top_k: 3, ..EVEN }, Sampling { top_p: 0.9, ..EVEN }] {
        assert!(draws(&settings, &logits, 100).iter().all(|token| [1, 3].contains(token)));
    }
    assert_eq!(draws(&EVEN, &[f32::INFINITY, 0.0], 5), [0; 5]);
    assert_eq!(draws(&Sampling::GREEDY, &[f32::NAN, -1.0], 2), [1; 2]);
}

#[test]
fn draws_follow_the_probabilities() {
    let probs = [0.05, 0.1, 0.15, 0.3, 0.4];
    let drawn = draws(&EVEN, &logits_of(&probs), 20_000);
    // The 99.9 % point of chi-squared with 4 degrees of freedom.
    assert!(chi_squared(&drawn, &probs) < 18.47);
    let wrong = [0.07, 0.1, 0.15, 0.28, 0.4];
    assert!(18.47 < chi_squared(&drawn, &wrong), "the test cannot fail");
}

#[test]
fn draws_follow_the_temperature_of_what_the_cuts_left() {
    let probs: [f64; 5] = [0.05, 0.1, 0.15, 0.3, 0.4];
    let settings = Sampling { temperature: 0.5, top_k: 3, seed: 11, ..EVEN };
    let drawn = draws(&settings, &logits_of(&probs), 20_000);
    let squares = [0.0, 0.0, 0.15, 0.3, 0.4_f64].map(|p| p * p);
    let total: f64 = squares.iter().sum();
    assert!(chi_squared(&drawn, &squares.map(|p| p / total)) < 13.82);
}

fn chi_squared(drawn: &[u32], probs: &[f64]) -> f64 {
    let count = |token: usize| drawn.iter().filter(|&&t| t as usize == token).count() as f64;
    let expected = |p: f64| p * drawn.len() as f64;
    probs
        .iter()
        .enumerate()
        .filter(|(_, p)| 0.0 < **p)
        .map(|(token, &p)| (count(token) - expected(p)).powi(2) / expected(p))
        .sum()
}

#[test]
fn a_seed_gives_the_same_tokens() {
    let draw = |seed| draws(&Sampling { seed, ..EVEN }, &[0.0; 100], 50);
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[test]
fn a_token_depends_on_its_place_and_not_on_how_the_ones_before_came() {
    let logits = [0.0; 100];
    let drawn = draws(&EVEN, &logits, 10);
    let mut forced = sampler(&EVEN);
    for &token in &drawn[..9] {
        forced.push(token, &|_| Vec::new());
    }
    assert_eq!(forced.draw(&logits), Some(drawn[9]));
}

#[track_caller]
fn check_adjusted(settings: &Sampling, prompt: &[u32], generated: &[u32], want: [f32; 3]) {
    settings.check().unwrap();
    let piece = |token: u32| vec![b'a' + u8::try_from(token).unwrap()];
    let mut sampler = Sampler::new(settings, prompt, &piece);
    for &token in generated {
        sampler.push(token, &piece);
    }
    let mut logits = [4.0, -4.0, 4.0];
    sampler.adjust(&mut logits);
    for (found, want) in logits.iter().zip(want) {
        assert!((found - want).abs() < 1e-5, "{logits:?}");
    }
}

#[test]
fn a_repetition_penalty_lowers_logits_of_both_signs_once() {
    let penalty = Sampling { repetition_penalty: 2.0, ..EVEN };
    check_adjusted(&penalty, &[0, 1, 1, 9], &[], [2.0, -8.0, 4.0]);
    check_adjusted(&penalty, &[0], &[1, 1], [2.0, -8.0, 4.0]);
    let last = |n| Sampling { repeat_last_n: Some(n), ..penalty.clone() };
    check_adjusted(&last(2), &[0, 1], &[2], [4.0, -8.0, 2.0]);
    check_adjusted(&last(1), &[0, 1, 2, 1], &[0], [2.0, -4.0, 4.0]);
    check_adjusted(&last(0), &[0, 1], &[2], [4.0, -4.0, 4.0]);
}

#[test]
fn presence_and_frequency_count_generated_tokens_only() {
    let penalties = Sampling { presence_penalty: 0.5, frequency_penalty: 0.25, ..EVEN };
    check_adjusted(&penalties, &[0, 0], &[], [4.0, -4.0, 4.0]);
    check_adjusted(&penalties, &[0], &[1, 2, 2], [4.0, -4.75, 3.0]);
    let negative = Sampling { presence_penalty: -1.0, ..EVEN };
    check_adjusted(&negative, &[], &[0, 0], [5.0, -4.0, 4.0]);
}

#[test]
fn a_bias_is_added_before_a_penalty() {
    let bias = vec![(0, -6.0), (2, 1.0)];
    let settings = Sampling { logit_bias: bias, repetition_penalty: 2.0, ..EVEN };
    check_adjusted(&settings, &[0], &[], [-4.0, -4.0, 5.0]);
}

#[test]
fn a_repeated_sequence_is_penalised_and_a_breaker_ends_it() {
    let dry = Dry { sequence_breakers: vec!["b".to_owned()], ..Dry::default() };
    let settings = |dry| Sampling { dry: Some(dry), ..EVEN };
    let context = [0, 0, 2, 1, 0, 0];
    check_adjusted(&settings(dry.clone()), &[], &context, [4.0, -4.0, 3.2]);
    check_adjusted(&settings(dry), &context[..4], &[0, 1], [4.0, -4.0, 4.0]);
}

#[test]
fn what_is_out_of_range_is_named() {
    let mut messages = Vec::new();
    for settings in [
        Sampling { temperature: -1.0, ..EVEN },
        Sampling { temperature: f32::INFINITY, ..EVEN },
        Sampling { top_p: f32::NAN, ..EVEN },
        Sampling { min_p: 1.5, ..EVEN },
        Sampling { typical_p: -0.1, ..EVEN },
        Sampling { repetition_penalty: 0.0, ..EVEN },
        Sampling { presence_penalty: 3.0, ..EVEN },
        Sampling { frequency_penalty: f32::NAN, ..EVEN },
        Sampling { logit_bias: vec![(1, 101.0)], ..EVEN },
        Sampling { dry: Some(Dry { base: 0.5, ..Dry::default() }), ..EVEN },
        Sampling { dry: Some(Dry { multiplier: f32::NAN, ..Dry::default() }), ..EVEN },
        Sampling { dry: Some(Dry { allowed_length: 0, ..Dry::default() }), ..EVEN },
        Sampling {
            dry: Some(Dry { sequence_breakers: vec![String::new()], ..Dry::default() }),
            ..EVEN
        },
    ] {
        messages.push(settings.check().unwrap_err().to_string());
    }
    assert_eq!(messages[2], "`top_p` is NaN; it must be from 0 to 1");
    for (message, field) in messages.iter().zip([
        "temperature",
        "temperature",
        "top_p",
        "min_p",
        "typical_p",
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "dry.base",
        "dry.multiplier",
        "dry.allowed_length",
        "dry.sequence_breakers",
    ]) {
        assert!(message.contains(field), "{message}");
    }
    assert!(Sampling { logit_bias: vec![(5, 1.0)], ..EVEN }.check_tokens(5).is_err());
    assert!(Sampling::default().check().is_ok());
}

/// Probabilities with ties and zeros.
fn some_weights() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(prop_oneof![Just(0_u16), 1_u16..5, 1_u16..1000], 1..300)
}

fn normalised(weights: &[u16]) -> Vec<f64> {
    let total: f64 = weights.iter().map(|&w| f64::from(w)).sum();
    weights.iter().map(|&w| f64::from(w) / total).collect()
}

/// Tokens with a probability, by `key` and then by id.
fn ranked(probs: &[f64], key: impl Fn(f64) -> f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probs.len()).filter(|&i| 0.0 < probs[i]).collect();
    // A float's worth of noise is no difference.
    let rounded = |i: usize| (key(probs[i]) * 1e5).round();
    order.sort_by(|&i, &j| rounded(i).total_cmp(&rounded(j)).then(i.cmp(&j)));
    order
}

/// The shortest beginning of `order` with at least `share`, and whether a
/// rounding error could change it.
fn beginning(probs: &[f64], order: &[usize], share: f64) -> (Vec<u32>, bool) {
    let total: f64 = order.iter().map(|&i| probs[i]).sum();
    let (mut mass, mut kept, mut near) = (0.0, Vec::new(), false);
    for &i in order {
        mass += probs[i] / total;
        kept.push(u32::try_from(i).unwrap());
        near |= (mass - share).abs() < 1e-5;
        if share <= mass {
            break;
        }
    }
    kept.sort_unstable();
    (kept, near)
}

proptest! {
    #[test]
    fn top_k_is_a_sort_cut_off(weights in some_weights(), top_k in 1_usize..310) {
        let probs = normalised(&weights);
        let mut candidates = Candidates::new();
        candidates.gather(&logits_of(&probs), top_k);
        let mut want = ranked(&probs, |p| -p.ln());
        want.truncate(top_k);
        want.sort_unstable();
        let found: Vec<usize> = candidates.tokens().iter().map(|&t| t as usize).collect();
        prop_assert_eq!(found, want);
    }

    #[test]
    fn top_p_is_a_cumulative_sum_of_a_sort(weights in some_weights(), top_p in 0.0_f32..1.0) {
        let probs = normalised(&weights);
        let mut candidates = Candidates::new();
        candidates.gather(&logits_of(&probs), 0);
        candidates.keep_nucleus(top_p);
        let (want, near) = beginning(&probs, &ranked(&probs, |p| -p.ln()), f64::from(top_p));
        prop_assume!(!near);
        prop_assert_eq!(candidates.tokens(), want);
    }

    #[test]
    fn typical_p_is_a_cumulative_sum_of_a_sort(
        weights in some_weights(),
        typical_p in 0.0_f32..1.0,
    ) {
        let probs = normalised(&weights);
        let entropy: f64 = probs.iter().filter(|p| 0.0 < **p).map(|p| -p * p.ln()).sum();
        let mut candidates = Candidates::new();
        candidates.gather(&logits_of(&probs), 0);
        candidates.keep_typical(typical_p);
        let key = |p: f64| (-p.ln() - entropy).abs();
        // Two different probabilities equally far from the entropy.
        let mut keys: Vec<(f64, u64)> =
            probs.iter().filter(|p| 0.0 < **p).map(|&p| (key(p), p.to_bits())).collect();
        keys.sort_by(|a, b| a.0.total_cmp(&b.0));
        prop_assume!(keys.windows(2).all(|k| k[0].1 == k[1].1 || 1e-4 < k[1].0 - k[0].0));
        let (want, near) = beginning(&probs, &ranked(&probs, key), f64::from(typical_p));
        prop_assume!(!near);
        prop_assert_eq!(candidates.tokens(), want);
    }

    #[test]
    fn min_p_is_a_comparison_with_the_first(weights in some_weights(), min_p in 0.0_f32..=1.0) {
        let probs = normalised(&weights);
        let max = probs.iter().copied().fold(0.0, f64::max);
        let mut candidates = Candidates::new();
        candidates.gather(&logits_of(&probs), 0);
        candidates.keep_likely(min_p);
        let near = |p: &f64| (p / max - f64::from(min_p)).abs() < 1e-5;
        prop_assume!(!probs.iter().any(|p| 0.0 < *p && *p < max && near(p)));
        let want: Vec<u32> = (0..)
            .zip(&probs)
            .filter(|(_, p)| 0.0 < **p && f64::from(min_p) <= **p / max)
            .map(|(token, _)| token)
            .collect();
        prop_assert_eq!(candidates.tokens(), want);
    }

    #[test]
    fn the_highest_logits_are_those_of_a_sort(
        logits in prop::collection::vec(prop_oneof![Just(f32::NAN), Just(0.5), -9.0_f32..9.0], 0..600),
        count in 0_usize..80,
    ) {
        let mut found = Vec::new();
        top(&logits, count, &mut found);
        let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        found.sort_by(order);
        let mut want: Vec<(f32, u32)> =
            logits.iter().copied().zip(0..).filter(|(logit, _)| !logit.is_nan()).collect();
        want.sort_by(order);
        want.truncate(count);
        prop_assert_eq!(found, want);
    }
}
