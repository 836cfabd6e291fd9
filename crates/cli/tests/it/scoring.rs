//! `plumb eval retrieval`, `classify`, `compare` and `report` from outside.

use std::fs;

use serde_json::Value;

use crate::run::Place;

const QRELS: &str = "q1 0 d1 0\nq1 0 d2 1\nq1 0 d3 2\nq1 0 d4 3\nq1 0 d5 0\nq1 0 dX 2\n\
    q2 0 d2 1\nq2 0 d3 1\nq3 0 d1 1\nq4 0 d9 0\n";
const RUN: &str = "q1 Q0 d1 0 1.0 t\nq1 Q0 d2 0 1.0 t\nq1 Q0 d3 0 0.5 t\nq1 Q0 d4 0 0.5 t\n\
    q1 Q0 d5 0 0.5 t\nq1 Q0 d6 0 0.1 t\nq2 Q0 d2 0 1.5 t\nq2 Q0 d3 0 0.2 t\n\
    q2 Q0 d1 0 0.9 t\nq2 Q0 d7 0 0.9 t\nq4 Q0 d9 0 1.0 t\n";

#[track_caller]
fn check(found: &Value, want: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - want).abs() < 1e-9, "{found} is not {want}");
}

#[test]
fn a_run_is_scored_as_trec_eval_scores_it() {
    let place = Place::with(&[("run", RUN), ("qrels", QRELS)]);
    let arguments = ["eval", "retrieval", "--run", "run", "--qrels", "qrels"];
    let metrics = ["--metrics", "ndcg@5,map,mrr,recall@100", "--per-query"];
    let found = place.json(&[&arguments[..], &metrics[..]].concat());
    check(&found["ndcg@5"]["per_query"]["q1"], 0.538_553_511_750_613_6);
    check(&found["map"]["value"], (0.525 + 0.75 + 0.0) / 3.0);
    assert_eq!(found["map"]["per_query"]["q3"], Value::Null);
    for name in ["ndcg@5", "map", "mrr", "recall@100"] {
        let result = &found[name];
        assert_eq!((&result["n"], &result["unscored"]), (&Value::from(3), &Value::from(1)));
        let end = |index: usize| result["interval"][index].as_f64().unwrap();
        let value = result["value"].as_f64().unwrap();
        assert!(end(0) <= value && value <= end(1), "{result}");
    }
    let complete = place.json(&[&arguments[..], &["--metrics", "map", "--complete"]].concat());
    check(&complete["map"]["value"], (0.525 + 0.75) / 4.0);
}

#[test]
fn what_is_wrong_with_a_run_is_said_with_its_line() {
    let place = Place::with(&[("run", "q1 Q0 d1 1 x t\n"), ("qrels", QRELS)]);
    let seen = place.seen(&["eval", "retrieval", "--run", "run", "--qrels", "qrels"]);
    assert!(seen.contains("in `run`: line 1: the score is `x`, which is not a number"), "{seen}");
    let arguments = ["eval", "retrieval", "--run", "run", "--qrels", "qrels", "--metrics", "x"];
    let seen = place.seen(&arguments);
    assert!(seen.contains("there is no measure `x`") && seen.contains("hint: there are"), "{seen}");
}

/// Thirty queries; the relevant document stands at rank 1 or 3.
fn runs() -> Place {
    let (mut qrels, mut good, mut bad) = (String::new(), String::new(), String::new());
    for query in 0..30 {
        qrels += &format!("q{query} 0 r 1\n");
        for (run, first) in [(&mut good, query % 10 > 0), (&mut bad, query % 3 == 0)] {
            *run += &format!("q{query} Q0 r 0 {} t\n", if first { 3.0 } else { 1.0 });
            *run += &format!("q{query} Q0 x 0 2.5 t\nq{query} Q0 y 0 2 t\n");
        }
    }
    Place::with(&[("qrels", &qrels), ("good", &good), ("bad", &bad)])
}

#[test]
fn a_comparison_ends_in_a_verdict_in_words() {
    let place = runs();
    let metrics = ["--qrels", "qrels", "--metrics", "mrr,success@1"];
    let found = place.json(&[&["eval", "compare", "bad", "good"], &metrics[..]].concat());
    assert_eq!(found["mrr"]["verdict"], "better");
    assert_eq!(found["success@1"]["test"], "exact McNemar test");
    assert!(found["mrr"]["difference"]["interval"][0].as_f64().unwrap() > 0.0);
    let raw = found["mrr"]["p"].as_f64().unwrap();
    assert!(found["mrr"]["adjusted_p"].as_f64().unwrap() >= raw);
    let same = place.seen(&[&["eval", "compare", "good", "good"], &metrics[..]].concat());
    assert!(same.contains("no difference shown"), "{same}");
}

#[test]
fn saved_runs_and_printed_results_compare_alike() {
    let place = runs();
    for name in ["bad", "good"] {
        let arguments =
            ["eval", "retrieval", "--run", name, "--qrels", "qrels", "--metrics", "mrr"];
        let folder = format!("{name}-run");
        let output = place.output(&[&arguments[..], &["--save", &folder]].concat());
        assert!(output.status.success(), "{}", place.show(&output));
        let printed = place.output(&[&arguments[..], &["--json", "--per-query"]].concat());
        fs::write(place.path().join(format!("{name}.json")), printed.stdout).unwrap();
        let again = place.seen(&[&arguments[..], &["--save", &folder]].concat());
        assert!(again.contains("holds a run that came to its end"), "{again}");
    }
    let of_runs = place.json(&["eval", "compare", "bad-run", "good-run"]);
    let printed = place.json(&["eval", "compare", "bad.json", "good.json"]);
    assert_eq!(of_runs["mrr"]["p"], printed["mrr"]["p"]);
    assert_eq!(of_runs["mrr"]["verdict"], "better");
}

#[test]
fn classes_and_probabilities_are_measured_and_shown_on_one_page() {
    let (mut gold, mut predicted) = (String::new(), String::new());
    for item in 0..20 {
        gold += if item % 2 == 0 { "no\n" } else { "yes\n" };
        let p = if item % 5 == 0 { 0.5 } else { 0.9 } * if item % 2 == 0 { 0.2 } else { 1.0 };
        let label = if p > 0.45 { "yes" } else { "no" };
        predicted += &format!(
            "{{\"label\": \"{label}\", \"probabilities\": {{\"yes\": {p}, \"no\": {}}}}}\n",
            1.0 - p
        );
    }
    let place = Place::with(&[("gold", &gold), ("pred", &predicted)]);
    let arguments = ["eval", "classify", "--gold", "gold", "--pred", "pred", "--save", "run"];
    let found = place.json(&arguments);
    check(&found["accuracy"]["value"], 1.0);
    check(&found["auroc"]["value"], 1.0);
    assert_eq!(found["ece"]["n"], 20);
    assert_eq!(found["reliability"].as_array().unwrap().len(), 10);
    let told = place.json(&["eval", "report", "run"]);
    assert_eq!(told["measures"]["accuracy"]["n"], 20);
    let page = fs::read_to_string(place.path().join("run").join("report.html")).unwrap();
    for piece in
        ["<title>Reliability</title>", "SHA-256", "prefers-color-scheme", "accuracy by item"]
    {
        assert!(page.contains(piece), "`{piece}` is missing");
    }
    assert!(!page.contains("http") && !page.contains("<script"));
    let output = place.output(&["eval", "report", "run", "--markdown", "--output", "page.md"]);
    assert!(output.status.success(), "{}", place.show(&output));
    let text = fs::read_to_string(place.path().join("page.md")).unwrap();
    assert!(text.contains("| accuracy | 1.0000 |"), "{text}");
}

#[test]
fn a_missing_prediction_is_counted_and_never_dropped() {
    let place = Place::with(&[("gold", "a\nb\na\nb\n"), ("pred", "a\n\nb\nb\n")]);
    let arguments = ["eval", "classify", "--gold", "gold", "--pred", "pred"];
    let found = place.json(&[&arguments[..], &["--per-item"]].concat());
    assert_eq!((&found["accuracy"]["n"], &found["accuracy"]["unscored"]), (&3.into(), &1.into()));
    assert_eq!(found["accuracy"]["per_item"]["2"], Value::Null);
    let seen = place.seen(&arguments);
    assert!(seen.contains("1 items have no prediction"), "{seen}");
}
