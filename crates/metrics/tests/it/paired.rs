//! Paired tests of two systems equal those of sacrebleu, whose values
//! `testdata/make_paired_reference.py` wrote.

use plumb_metrics::text::{
    Bleu, Chrf, SEED, Statistics, Ter, approximate_randomization, paired_bootstrap,
};
use serde_json::Value;

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[track_caller]
fn near(found: f64, want: &Value, margin: f64) {
    let want = want.as_f64().unwrap();
    assert!((found - want).abs() < margin, "{found} is not {want}");
}

/// Counts of texts against references, by one measure.
type Count<'a> = &'a dyn Fn(&[&str], &[&[&str]]) -> Statistics;

fn check(reference: &Value, name: &str, count: Count<'_>, score: &dyn Fn(&[f64]) -> f64) {
    let refs = texts(&reference["refs"]);
    let table = |side: &str| count(&texts(&reference[side]), &[&refs]);
    let (left, right) = (table("left"), table("right"));
    let want = &reference["tests"][format!("{name} bs")];
    let found = paired_bootstrap(&left, &right, score, (1_000, SEED, 0.95)).unwrap();
    for ((place, sums), (mean, half)) in
        (0..).zip([left.sums(), right.sums()]).zip([found.left, found.right])
    {
        let want: &Value = &want[place];
        near(score(&sums), &want["score"], 1e-9);
        // Their scores of resamples are of single precision.
        near(mean, &want["mean"], 1e-4);
        near(half, &want["ci"], 1e-4);
    }
    near(found.p, &want[1]["p_value"], 1e-12);
    let found = approximate_randomization(&left, &right, score, (10_000, SEED)).unwrap();
    near(found, &reference["tests"][format!("{name} ar")][1]["p_value"], 1e-12);
}

#[test]
fn both_tests_are_those_of_sacrebleu() {
    let reference = include_str!("../../testdata/paired_reference.json");
    let reference: Value = serde_json::from_str(reference).unwrap();
    let bleu = Bleu::default();
    let count = |texts: &[&str], refs: &[&[&str]]| bleu.statistics(texts, refs);
    check(&reference, "bleu", &count, &|sums| bleu.score(sums).score);
    for (name, chrf) in [("chrf", Chrf::default()), ("chrf++", Chrf::plus_plus())] {
        let count = |texts: &[&str], refs: &[&[&str]]| chrf.statistics(texts, refs);
        check(&reference, name, &count, &|sums| chrf.score(sums));
    }
    let ter = Ter::default();
    let count = |texts: &[&str], refs: &[&[&str]]| ter.statistics(texts, refs);
    check(&reference, "ter", &count, &|sums| Ter::score(sums));
}
