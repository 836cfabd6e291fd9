use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::strips::SEGMENT;
use super::*;
use crate::Isa;
use crate::sizes::{cases, size};

/// Numbers without a pattern, the same every time.
fn numbers(len: usize, seed: f32) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 12.9898 + seed).sin()).collect()
}

/// The textbook formula in f64.
fn reference(
    attention: &Attention,
    (queries, keys, values): (&[f32], &[f32], &[f32]),
    (key_heads, width): (usize, usize),
) -> Vec<f64> {
    let heads = attention.heads;
    let (tokens, len) = (queries.len() / heads / width, keys.len() / key_heads / width);
    let mut out = Vec::new();
    for token in 0..tokens {
        let position = len - tokens + token;
        for head in 0..heads {
            let key_head = head * key_heads / heads;
            let at = |x: &[f32], token: usize, heads: usize, head: usize, e: usize| {
                f64::from(x[(token * heads + head) * width + e])
            };
            let visible = attention.visible(position, len);
            let weights: Vec<f64> = visible
                .clone()
                .map(|j| {
                    let score: f64 = (0..width)
                        .map(|e| {
                            at(queries, token, heads, head, e) * at(keys, j, key_heads, key_head, e)
                        })
                        .sum();
                    let bias = attention
                        .distance_bias
                        .get(head * (2 * len - 1) + len - 1 + j - position)
                        .map_or(0.0, |&b| f64::from(b));
                    let score = score * f64::from(attention.scale);
                    let score = attention
                        .soft_cap
                        .map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh());
                    (score + bias).exp()
                })
                .collect();
            let sink = attention.sinks.get(head).map_or(0.0, |&s| f64::from(s).exp());
            let total: f64 = weights.iter().sum::<f64>() + sink;
            for e in 0..width {
                let sum: f64 = visible
                    .clone()
                    .zip(&weights)
                    .map(|(j, w)| w * at(values, j, key_heads, key_head, e))
                    .sum();
                out.push(sum / total);
            }
        }
    }
    out
}

/// What is added to plain attention.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Extras {
    None,
    Bias,
    CapAndSinks,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    mask: Mask,
    extras: Extras,
    stored: CacheType,
    len: usize,
    /// Positions before the first query.
    past: usize,
    /// H, K.
    heads: (usize, usize),
    width: usize,
}

const PLAIN: Case = Case {
    mask: Mask::Causal,
    extras: Extras::None,
    stored: CacheType::F32,
    len: size(70),
    past: 0,
    heads: if cfg!(miri) { (2, 1) } else { (6, 2) },
    width: size(16),
};

/// Holds every instruction set to the scalar form, that to the formula, and
/// tokens that are read `batch` at a time to those that are read at once.
#[track_caller]
fn check(case: Case, batch: usize) {
    let Case { mask, extras, stored, len, past: before, heads: (heads, key_heads), width } = case;
    let if_asked = |asked, count| if asked { numbers(count, 0.3) } else { Vec::new() };
    let bias = if_asked(extras == Extras::Bias, heads * (2 * len - 1));
    let sinks = if_asked(extras == Extras::CapAndSinks, heads);
    let soft_cap = (extras == Extras::CapAndSinks).then_some(0.7);
    let attention =
        Attention { heads, scale: 0.25, mask, distance_bias: &bias, soft_cap, sinks: &sinks };
    let queries = numbers((len - before) * heads * width, 0.1);
    let keys = numbers(len * key_heads * width, 0.7);
    let values = numbers(len * key_heads * width, 0.9);

    let pool = |threads, isa| Pool::with_isa(NonZeroUsize::new(threads).unwrap(), isa);
    let run = |pool: &Pool, past: &KeyValues, queries: &[f32]| {
        let mut out = vec![f32::NAN; queries.len()];
        attention.apply(pool, queries, past, &mut out);
        out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let scalar = pool(1, Isa::Scalar);
    let mut past = KeyValues::new(key_heads, width, stored);
    past.push(&scalar, &keys, &values);
    let found = run(&scalar, &past, &queries);
    let want = reference(&attention, (&queries, &keys, &values), (key_heads, width));
    let error = match stored {
        CacheType::F32 => 1e-5,
        CacheType::F16 => 2e-3,
        CacheType::Q8 => 2e-2,
    };
    for (found, want) in found.iter().zip(&want) {
        let found = f64::from(f32::from_bits(*found));
        assert!((found - want).abs() < error, "{found} {want} {case:?}");
    }
    for isa in Isa::available() {
        assert_eq!(run(&pool(2, isa), &past, &queries), found, "{isa:?} {case:?}");
        if mask == Mask::Full || extras == Extras::Bias {
            continue;
        }
        let (pool, mut past) = (pool(3, isa), KeyValues::new(key_heads, width, stored));
        let parts = queries.chunks(batch * heads * width).zip(found.chunks(batch * heads * width));
        let (old_keys, keys) = keys.split_at(before * key_heads * width);
        let (old_values, values) = values.split_at(before * key_heads * width);
        past.push(&pool, old_keys, old_values);
        let new = keys.chunks(batch * key_heads * width);
        let new = new.zip(values.chunks(batch * key_heads * width));
        for ((queries, want), (keys, values)) in parts.zip(new) {
            past.push(&pool, keys, values);
            assert_eq!(run(&pool, &past, queries), want, "{isa:?} {batch} a time {case:?}");
        }
    }
}

#[test]
fn outputs_are_those_of_the_formula_for_any_batch() {
    check(Case { mask: Mask::Full, len: 1, heads: (1, 1), ..PLAIN }, 1);
    check(Case { mask: Mask::Full, heads: (4, 4), ..PLAIN }, 1);
    check(Case { mask: Mask::Full, len: size(21), extras: Extras::Bias, ..PLAIN }, 1);
    for extras in [Extras::None, Extras::CapAndSinks] {
        for stored in [CacheType::F32, CacheType::F16, CacheType::Q8] {
            check(Case { mask: Mask::Full, len: size(21), extras, stored, ..PLAIN }, 1);
            check(Case { extras, stored, ..PLAIN }, 1);
            check(Case { mask: Mask::Window(5), extras, stored, ..PLAIN }, 1);
        }
    }
}

#[test]
fn bits_are_the_same_past_the_first_segment() {
    let (past, len) = if cfg!(miri) { (SEGMENT - 3, SEGMENT + 3) } else { (0, 2 * SEGMENT + 30) };
    let case = Case { len, past, heads: (2, 1), width: size(40), ..PLAIN };
    for &batch in if cfg!(miri) { &[200][..] } else { &[1, 7, 200] } {
        check(case, batch);
        check(Case { stored: CacheType::Q8, ..case }, batch);
        check(Case { mask: Mask::Window(40), ..case }, batch);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]
    #[test]
    fn every_form_returns_the_bits_of_the_scalar_one(
        mask in prop_oneof![
            Just(Mask::Full), Just(Mask::Causal), (1_usize..80).prop_map(Mask::Window)
        ],
        extras in prop_oneof![Just(Extras::None), Just(Extras::Bias), Just(Extras::CapAndSinks)],
        stored in prop_oneof![Just(CacheType::F32), Just(CacheType::F16), Just(CacheType::Q8)],
        len in prop_oneof![1..size(100), size(250)..size(300)],
        (group, key_heads) in (1..1 + size(7), 1..1 + size(3)),
        width in prop_oneof![1..size(40), size(60)..1 + size(69)],
        batch in 1..size(40),
    ) {
        let heads = (group * key_heads, key_heads);
        check(Case { mask, extras, stored, len, past: 0, heads, width }, batch);
    }
}

#[test]
fn a_sink_takes_its_share_and_no_more() {
    let pool = Pool::new(NonZeroUsize::MIN);
    let mut past = KeyValues::new(1, 1, CacheType::F32);
    past.push(&pool, &[1.0, 1.0], &[8.0, 8.0]);
    let out = |sinks: &[f32]| {
        let attention = Attention {
            heads: 1,
            scale: 1.0,
            mask: Mask::Full,
            distance_bias: &[],
            soft_cap: None,
            sinks,
        };
        let mut out = [0.0];
        attention.apply(&pool, &[1.0], &past, &mut out);
        out[0]
    };
    assert!((out(&[1.0 + std::f32::consts::LN_2]) - 4.0).abs() < 1e-6);
    assert_eq!(out(&[f32::NEG_INFINITY]).to_bits(), out(&[]).to_bits());
    assert_eq!(out(&[-1e9]).to_bits(), 8.0_f32.to_bits());
}

#[test]
fn truncation_forgets_later_positions_whatever_they_held() {
    for stored in [CacheType::F32, CacheType::F16, CacheType::Q8] {
        forgets_later_positions(stored);
    }
}

fn forgets_later_positions(stored: CacheType) {
    let pool = Pool::new(NonZeroUsize::MIN);
    let mut past = KeyValues::new(1, 16, stored);
    past.push(&pool, &numbers(160, 0.1), &[&numbers(64, 0.2)[..], &[f32::NAN; 96]].concat());
    past.truncate(4);
    past.push(&pool, &numbers(16, 0.5), &numbers(16, 0.6));
    let mut fresh = KeyValues::new(1, 16, stored);
    let join = |a: Vec<f32>, b: Vec<f32>| [&a[..64], &b[..]].concat();
    let keys = join(numbers(160, 0.1), numbers(16, 0.5));
    fresh.push(&pool, &keys, &join(numbers(160, 0.2), numbers(16, 0.6)));
    let attention = Attention {
        heads: 1,
        scale: 1.0,
        mask: Mask::Causal,
        distance_bias: &[],
        soft_cap: None,
        sinks: &[],
    };
    let (mut a, mut b) = (vec![0.0; 16], vec![0.0; 16]);
    attention.apply(&pool, &keys[..16], &past, &mut a);
    attention.apply(&pool, &keys[..16], &fresh, &mut b);
    assert_eq!((past.len(), a), (5, b));
}
