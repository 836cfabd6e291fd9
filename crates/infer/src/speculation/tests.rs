//! Whether drafts pay: what the model would say is a list, and time is counted.

use super::*;

/// Costs of a pass over `n` tokens: `1 + slope * (n - 1)` seconds.
fn costs(slope: f64) -> Costs {
    let mut costs = Costs::new();
    for tokens in 1..=1 + MAX_DRAFT {
        costs.learn(tokens, Duration::from_secs_f64(1.0 + slope * (tokens - 1) as f64));
    }
    costs
}

/// Seconds with drafts for a model that says `output`, a second a token being
/// the price without.
fn seconds_of(prompt: &[u32], output: &[u32], costs: &Costs) -> f64 {
    let mut speculator = Speculator::new(prompt, output.len(), costs);
    let (mut at, mut spent) = (0, 0.0);
    while at < output.len() {
        let draft = speculator.draft(output.len() - at - 1, costs).to_vec();
        spent += costs.of(1 + draft.len());
        let accepted = draft.iter().zip(&output[at..]).take_while(|(a, b)| a == b).count();
        for &token in &output[at..=at + accepted] {
            speculator.push(token);
        }
        at += accepted + 1;
        speculator.learn((draft.len(), accepted), costs);
    }
    spent
}

/// Numbers that look random.
fn noise(len: usize, span: u32, mut seed: u32) -> Vec<u32> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % span
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn a_quoted_passage_takes_a_fraction_of_the_time() {
    let prompt = noise(1000, 5000, 1);
    let output = &prompt[300..500];
    let spent = seconds_of(&prompt, output, &costs(0.1));
    assert!(spent < 200.0 / 3.5, "{spent}");
}

#[test]
fn text_that_copies_nothing_costs_at_most_three_percent_more() {
    for (span, slope) in [(5000, 0.1), (50, 0.1), (10, 0.05), (10, 0.5), (300, 1.0)] {
        for len in [8, 64, 400] {
            let (prompt, output) = (noise(1000, span, 2), noise(len, span, 77));
            let spent = seconds_of(&prompt, &output, &costs(slope));
            let most = 1.03 * len as f64;
            assert!(spent <= most, "{len} tokens of {span} at {slope}: {spent} seconds");
        }
    }
}

#[test]
fn a_short_text_that_might_be_long_costs_at_most_three_percent_more() {
    let costs = costs(0.1);
    let (prompt, output) = (noise(1000, 50, 2), noise(40, 50, 77));
    let mut speculator = Speculator::new(&prompt, 500, &costs);
    let mut spent = 0.0;
    for token in output {
        let drafted = speculator.draft(400, &costs).len();
        spent += costs.of(1 + drafted);
        speculator.push(token);
        speculator.learn((drafted, 0), &costs);
    }
    assert!(spent <= 1.03 * 40.0, "{spent}");
}

#[test]
fn what_a_pass_without_a_draft_takes_is_measured_now_and_then() {
    let costs = costs(0.1);
    let prompt: Vec<u32> = (0..600).chain(0..600).collect();
    let mut speculator = Speculator::new(&prompt[..601], 600, &costs);
    let (mut at, mut plain) = (601, 0);
    while at < prompt.len() - MAX_DRAFT {
        let drafted = speculator.draft(MAX_DRAFT, &costs).len().min(2);
        plain += usize::from(drafted == 0);
        for &token in &prompt[at..=at + drafted] {
            speculator.push(token);
        }
        at += drafted + 1;
        speculator.learn((drafted, drafted), &costs);
    }
    assert!((5..20).contains(&plain), "{plain}");
}

#[test]
fn nothing_is_drafted_where_every_token_costs_a_pass() {
    let prompt = noise(1000, 5000, 1);
    let costs = costs(1.0);
    let spent = seconds_of(&prompt, &prompt[300..400], &costs);
    assert!((spent - 100.0).abs() < 1e-6, "{spent}");
}

#[test]
fn costs_without_a_measurement_lie_between_and_never_fall() {
    let mut costs = Costs::new();
    costs.learn(1, Duration::from_millis(10));
    costs.learn(8, Duration::from_millis(5));
    let all: Vec<f64> = (1..=1 + MAX_DRAFT).map(|tokens| costs.of(tokens)).collect();
    assert!(all.is_sorted(), "{all:?}");
    costs.learn(1 + MAX_DRAFT + 1, Duration::from_secs(9));
    assert!(costs.of(1 + MAX_DRAFT) < 1.0);
}
