use super::*;

fn settings() -> Settings {
    let how = Resampling { resamples: 199, ..Resampling::default() };
    Settings { positive: None, bins: 10, how }
}

fn value(found: &Evaluated, name: &str) -> f64 {
    found.scores.iter().find(|(known, _, _)| known == name).unwrap().1.value
}

#[test]
fn labels_a_line_are_compared_in_order() {
    let gold = parse("cat\ndog\ncat\ndog\n").unwrap();
    let predicted = parse("cat\ncat\n\ndog\n").unwrap();
    let found = evaluate(&gold, &predicted, &settings()).unwrap();
    assert_eq!(found.classes, ["cat", "dog"]);
    assert!((value(&found, "accuracy") - 2.0 / 3.0).abs() < 1e-12);
    let accuracy = &found.scores[0].1;
    assert_eq!((accuracy.n, accuracy.unscored), (3, 1));
    assert_eq!(found.correct[2], ("3".to_owned(), None));
    assert_eq!(found.confusion.count(1, 0), 1);
    assert!(found.reliability.is_none());
}

#[test]
fn probabilities_bring_calibration_and_areas() {
    let line = |label: u8, p: f64| {
        format!("{{\"label\": {label}, \"probabilities\": {{\"0\": {}, \"1\": {p}}}}}\n", 1.0 - p)
    };
    let gold = parse("0\n0\n1\n1\n").unwrap();
    let text = [line(0, 0.1), line(1, 0.6), line(1, 0.8), line(0, 0.4)].concat();
    let found = evaluate(&gold, &parse(&text).unwrap(), &settings()).unwrap();
    // Pairs in order: 0.8 above both, 0.4 above 0.1 only.
    assert!((value(&found, "auroc") - 0.75).abs() < 1e-12);
    // 0.01, 0.36, 0.04, 0.36.
    assert!((value(&found, "brier") - 0.1925).abs() < 1e-12);
    // Confidences 0.9, 0.6, 0.8, 0.6; the two of 0.6 are wrong.
    assert!((value(&found, "ece") - (0.1 + 1.2 + 0.2) / 4.0).abs() < 1e-12);
    assert_eq!(found.reliability.unwrap().iter().map(|bin| bin.count).sum::<u64>(), 4);
}

#[test]
fn numbers_are_ordered_as_numbers() {
    let items = parse("10\n9\n2\n").unwrap();
    let found = evaluate(&items, &items, &settings()).unwrap();
    assert_eq!(found.classes, ["2", "9", "10"]);
}

#[test]
fn what_has_no_value_is_said_and_not_made_up() {
    let items = parse("a\na\na\n").unwrap();
    let found = evaluate(&items, &items, &settings()).unwrap();
    let names: Vec<&str> = found.undefined.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["mcc", "kappa"]);
    assert!((value(&found, "accuracy") - 1.0).abs() < 1e-12);
}

#[track_caller]
fn check(gold: &str, predicted: &str, want: &str) {
    let items = parse(gold).and_then(|gold| Ok((gold, parse(predicted)?)));
    let found = items.and_then(|(gold, predicted)| evaluate(&gold, &predicted, &settings()));
    assert_eq!(found.unwrap_err().to_string(), want);
}

#[test]
fn files_that_do_not_fit_are_refused() {
    check("a\n", "a\nb\n", "there are 1 true labels and 2 predictions");
    check("a\n\n", "a\nb\n", "line 2: the item has no true label");
    check("a\n", r#"{"label": "a", "probability": 1.5}"#, "line 1: 1.5 is not a probability");
    let short = r#"{"label": "a", "probabilities": {"a": 0.2, "b": 0.3}}"#;
    check("a\n", short, "line 1: the probabilities add up to 0.5, not to 1");
    let some = "{\"label\": \"a\", \"probability\": 0.5}\n{\"label\": \"a\"}\n";
    check("a\na\n", some, "a probability is given for 1 of 2 predictions");
    let one = r#"{"id": 1, "label": "a"}"#;
    let other = r#"{"id": 2, "label": "a"}"#;
    check(one, other, "line 1: the item is `1` in one file and `2` in the other");
}
