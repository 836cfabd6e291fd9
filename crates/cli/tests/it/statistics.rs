//! `plumb eval agreement`, `prefer`, `passk`, `plan`, `ab`, and two systems in
//! `plumb eval text`, from outside.

use insta::assert_snapshot;
use serde_json::Value;

use crate::run::Place;

/// Krippendorff's example of four raters, one a column, with gaps.
const RATINGS: &str = "item,A,B,C,D\n1,1,1,,1\n2,2,2,3,2\n3,3,3,3,3\n4,3,3,3,3\n5,2,2,2,2\n\
    6,1,2,3,4\n7,4,4,4,4\n8,1,1,2,1\n9,2,2,2,2\n10,,5,5,5\n11,,,1,1\n12,,3,,\n";
const GAMES: &str = "left\tright\twinner\na\tb\ta\na\tc\ta\nb\tc\tc\nc\td\tc\na\td\ta\nd\tb\tb\n\
    b\td\tdraw\nc\ta\ta\nd\ta\ta\na\tb\ta\nb\ta\ta\nc\tb\tdraw\nd\tc\td\na\td\ta\nd\ta\td\nb\tc\tb\n";

#[track_caller]
fn json(place: &Place, arguments: &[&str]) -> Value {
    place.json(&[&["eval"], arguments].concat())
}

#[track_caller]
fn near(found: &Value, want: f64, margin: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - want).abs() < margin, "{found} is not {want}");
}

#[test]
fn agreement_is_that_of_the_worked_examples() {
    let two = "a,b\n1,1\n1,2\n2,2\n2,2\n3,3\n3,1\n1,1\n2,2\n3,3\n1,3\n";
    let three = "x,y,z\n1,1,2\n2,2,2\n3,3,1\n1,1,1\n2,3,3\n";
    let place = Place::with(&[("ratings", RATINGS), ("two", two), ("three", three)]);
    for (level, want) in [
        ("nominal", 0.743_421_052_631_579),
        ("ordinal", 0.815_387_503_754_881_4),
        ("interval", 0.849_107_142_857_142_8),
        ("ratio", 0.797_402_774_711_612_1),
    ] {
        let found = json(&place, &["agreement", "ratings", "--level", level, "--resamples", "99"]);
        let alpha = &found["krippendorff-alpha"];
        near(&alpha["value"], want, 1e-12);
        assert_eq!((&alpha["n"], &alpha["unscored"]), (&Value::from(11), &Value::from(1)));
        assert!(alpha["interval"][0].as_f64() < alpha["interval"][1].as_f64());
    }
    let found = json(&place, &["agreement", "two", "--level", "ordinal"]);
    near(&found["cohen-kappa"]["value"], 0.552_238_805_970_149_2, 1e-12);
    near(&found["cohen-kappa-linear"]["value"], 0.431_818_181_818_181_9, 1e-12);
    near(&found["cohen-kappa-quadratic"]["value"], 0.307_692_307_692_307_7, 1e-12);
    let found = json(&place, &["agreement", "three"]);
    near(&found["fleiss-kappa"]["value"], 0.391_891_891_891_891_8, 1e-12);
    assert_snapshot!(place.seen(&["eval", "agreement", "ratings", "--resamples", "99"]));
}

#[test]
fn ratings_that_cannot_be_read_are_named() {
    let place =
        Place::with(&[("names", "a,b\ngood,bad\n"), ("short", "a,b\n1,2\n3\n"), ("one", "a\n1\n")]);
    let seen = place.seen(&["eval", "agreement", "names", "--level", "interval"]);
    assert!(seen.contains("`names`, line 2: `good` is no number"), "{seen}");
    let seen = place.seen(&["eval", "agreement", "short"]);
    assert!(seen.contains("`short`, line 3: 1 cells, but the first line has 2"), "{seen}");
    let seen = place.seen(&["eval", "agreement", "one"]);
    assert!(seen.contains("the ratings of 1 rater: two are needed"), "{seen}");
}

#[test]
fn strengths_are_those_of_the_reference_and_have_intervals() {
    let place =
        Place::with(&[("games", GAMES), ("champion", "left,right,winner\na,b,a\nb,c,b\nc,b,c\n")]);
    let found = json(&place, &["prefer", "games", "--elo", "32", "--resamples", "99"]);
    for (name, want) in
        [("a", 1_273.126_24), ("b", 921.322_78), ("c", 890.883_10), ("d", 914.667_88)]
    {
        let strength = &found["bradley_terry"][name];
        near(&strength["value"], want, 1e-4);
        assert!(strength["interval"][0].as_f64() < strength["value"].as_f64());
        assert!(
            found["elo"][name]["interval"][0].as_f64() < found["elo"][name]["interval"][1].as_f64()
        );
    }
    let seen = place.seen(&["eval", "prefer", "champion"]);
    assert!(
        seen.contains("is unbounded: chains of wins or draws must lead both to and from it"),
        "{seen}"
    );
    assert_snapshot!(place.seen(&["eval", "prefer", "games"]));
}

#[test]
fn attempts_are_estimated_without_bias_and_short_tasks_are_counted() {
    let place = Place::with(&[("tasks", "id,samples,correct\none,200,17\ntwo,10,3\nthree,5,5\n")]);
    let found = json(&place, &["passk", "tasks", "--k", "5,10", "--per-item"]);
    near(&found["pass@5"]["per_item"]["two"], 0.916_666_666_666_666_6, 1e-12);
    near(&found["pass@10"]["per_item"]["one"], 0.597_448_901_579_911_8, 1e-12);
    assert_eq!(found["pass@10"]["unscored"], 1);
    assert_snapshot!(place.seen(&["eval", "passk", "tasks", "--k", "1,10", "--per-item"]));
    let seen = place.seen(&["eval", "passk", "tasks", "--k", "500"]);
    assert!(seen.contains("no task of `tasks` has 500 samples"), "{seen}");
}

#[test]
fn a_plan_says_how_many_items_it_takes() {
    let place = Place::with(&[("differences", "0.1\n-0.2\n0.3\n0\n0.1\n")]);
    let found = json(&place, &["plan", "--share", "0.7", "--than", "0.75"]);
    assert_eq!(found["items_per_group"], 1_251);
    assert_snapshot!(place.seen(&["eval", "plan", "--difference", "0.02", "--spread", "0.2"]));
    assert_snapshot!(place.seen(&["eval", "plan", "--differences", "differences"]));
    let seen = place.seen(&["eval", "plan"]);
    assert!(seen.contains("nothing to plan: give --share and --than"), "{seen}");
}

/// Observations of two arms; the second is better by `gain`.
fn experiment(count: usize, gain: f64) -> String {
    let mut lines = "arm,value\n".to_owned();
    for number in 0..count {
        let noise = (number * 7919 % 101) as f64 / 101.0;
        let (arm, value) = if number % 2 == 0 { ("old", noise) } else { ("new", noise + gain) };
        lines += &format!("{arm},{value:.4}\n");
    }
    lines
}

#[test]
fn an_experiment_is_stopped_when_the_interval_that_always_holds_says_so() {
    let mut third = experiment(200, 0.0);
    third += "other,1\n";
    let place = Place::with(&[
        ("same", &experiment(2_000, 0.0)),
        ("better", &experiment(2_000, 0.2)),
        ("few", &experiment(60, 0.2)),
        ("third", &third),
    ]);
    let same = json(&place, &["ab", "same"]);
    assert_eq!(
        (&same["verdict"], &same["traffic"]["mismatch"]),
        (&"undecided".into(), &false.into())
    );
    let better = json(&place, &["ab", "better", "--every", "500"]);
    assert_eq!(better["verdict"], "higher");
    assert_eq!(better["looks"].as_array().unwrap().len(), 3);
    assert!(better["p"].as_f64() > better["fixed_p"].as_f64(), "looking has its price");
    let skewed = json(&place, &["ab", "same", "--traffic", "0.6"]);
    assert_eq!(skewed["traffic"]["mismatch"], true);
    assert!(place.seen(&["eval", "ab", "few"]).contains("50 of each are needed"));
    assert!(place.seen(&["eval", "ab", "third"]).contains("more than two arms: old, new, other"));
    assert_snapshot!(place.seen(&["eval", "ab", "better", "--every", "1000"]));
}

#[test]
fn two_systems_are_compared_by_both_tests() {
    let (mut refs, mut first, mut second) = (String::new(), String::new(), String::new());
    for line in 0..40 {
        let words = format!("the house number {line} stands at the end of the street");
        refs += &format!("{words}\n");
        first += &format!("{}\n", words.replace("stands at", "is on").replace("street", "road"));
        second +=
            &format!("{}\n", if line % 3 == 0 { words.replace("end", "start") } else { words });
    }
    let place = Place::with(&[("refs", &refs), ("first", &first), ("second", &second)]);
    let arguments = ["text", "--hyp", "first", "--hyp-b", "second", "--ref", "refs"];
    let metrics = ["--metrics", "bleu,ter,rougeL", "--trials", "500"];
    let found = json(&place, &[&arguments[..], &metrics].concat());
    for name in ["bleu", "ter", "rougeL"] {
        assert_eq!(found[name]["verdict"], "better", "{name}");
        near(&found[name]["randomization"]["p"], 1.0 / 501.0, 1e-12);
        assert_eq!(found[name]["unscored"], 0);
    }
    let value = |side: &str| found["bleu"][side]["value"].as_f64().unwrap();
    near(&found["bleu"]["difference"]["value"], value("b") - value("a"), 1e-12);
    let same = ["text", "--hyp", "first", "--hyp-b", "first", "--ref", "refs", "--metrics", "chrf"];
    let found = json(&place, &same);
    assert_eq!(
        (&found["chrf"]["verdict"], &found["chrf"]["randomization"]["p"]),
        (&"undecided".into(), &1.0.into())
    );
    let seen = place.seen(&[&["eval"], &arguments[..], &["--metrics", "self-bleu"]].concat());
    assert!(seen.contains("there are no pairs"), "{seen}");
}
