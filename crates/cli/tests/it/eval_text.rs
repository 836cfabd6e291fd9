//! `plumb eval text`: values, intervals and what is refused.

use std::fs;

use serde_json::Value;

use crate::run::Place;

/// A place with texts, two references of each, and their sources.
fn place() -> Place {
    let place = Place::new();
    let files = [
        (
            "hyp",
            "The cat sat on the mat.\nA quick brown fox jumps over the lazy dog!\n\nhello world\n",
        ),
        (
            "ref",
            "The cat is on the mat.\nThe quick brown fox jumped over the lazy dogs.\nNothing to say.\nhello there world\n",
        ),
        (
            "other",
            "There is a cat on the mat.\nA fast brown fox leaps over a lazy dog!\nSilence.\nhello, world\n",
        ),
        ("source", "The cat sat on the mat today.\nFoxes jump.\nx\nhello world again\n"),
    ];
    for (name, text) in files {
        fs::write(place.path().join(name), text).unwrap();
    }
    place
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    place.json(&[&["eval", "text"], arguments].concat())
}

#[test]
fn values_are_those_of_the_libraries_each_with_its_interval() {
    let place = place();
    let metrics = "bleu,chrf,ter,rouge1,rouge2,rougeL,rougeLsum,meteor";
    let said =
        json(&place, &["--hyp", "hyp", "--ref", "ref", "--ref", "other", "--metrics", metrics]);
    // Of sacrebleu 2.6.0, rouge_score 0.1.2, and NLTK 3.10.4 without synonyms.
    let want = [
        ("bleu", 31.932_249_447_914_504),
        ("chrf", 61.528_524_725_985_555),
        ("ter", 30.0),
        ("rouge1", 0.625),
        ("rouge2", 0.525),
        ("rougeL", 0.625),
        ("rougeLsum", 0.625),
        ("meteor", 0.482_034_560_950_817_15),
    ];
    for (name, want) in want {
        let value = said[name]["value"].as_f64().unwrap();
        assert!((value - want).abs() < 1e-9, "{name}: {value} is not {want}");
        let ends: Vec<f64> = said[name]["interval"]
            .as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap())
            .collect();
        assert!(ends[0] <= value && value <= ends[1], "{name}: {ends:?}");
        assert_eq!((&said[name]["n"], &said[name]["unscored"]), (&4.into(), &0.into()), "{name}");
        assert!(said[name]["signature"].as_str().unwrap().contains("nrefs:2"), "{name}");
    }
    let signature = "nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0";
    assert_eq!(said["bleu"]["signature"], signature);
}

#[test]
fn measures_without_references_say_what_they_could_not_score() {
    let place = place();
    let said = json(&place, &["--hyp", "hyp"]);
    let names: Vec<&String> = said.as_object().unwrap().keys().collect();
    assert_eq!(names, ["distinct1", "distinct2", "repetition"]);
    assert_eq!((&said["distinct1"]["n"], &said["distinct1"]["unscored"]), (&3.into(), &1.into()));
    // Two of the texts have four words.
    assert_eq!((&said["repetition"]["n"], &said["repetition"]["unscored"]), (&2.into(), &2.into()));
    let metrics = "self-bleu,coverage,density,compression,readability,em,f1";
    let arguments = ["--hyp", "hyp", "--source", "source", "--ref", "ref", "--metrics", metrics];
    let said = json(&place, &arguments);
    assert_eq!(said.as_object().unwrap().len(), 11);
    for (name, measured) in said.as_object().unwrap() {
        assert!(measured["value"].is_f64() && measured["interval"].is_array(), "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_output_and_another_seed_another_interval() {
    let place = Place::new();
    // Of a few texts the quantiles are often the same.
    let text: String = (0..40).map(|i| format!("a{} b c{} d\n", i % 3, i * i % 7)).collect();
    let other: String = (0..40).map(|i| format!("a{} b c{} e\n", i % 4, i % 7)).collect();
    fs::write(place.path().join("hyp"), text).unwrap();
    fs::write(place.path().join("ref"), other).unwrap();
    let with = |seed: &str| {
        let said =
            json(&place, &["--hyp", "hyp", "--ref", "ref", "--metrics", "chrf", "--seed", seed]);
        said["chrf"]["interval"].clone()
    };
    assert_eq!(with("5"), with("5"));
    assert_ne!(with("5"), with("6"));
}

#[test]
fn each_text_has_its_value_and_a_single_one_no_interval() {
    let place = place();
    let arguments = ["--hyp", "hyp", "--ref", "hyp", "--metrics", "bleu,rougeL", "--per-segment"];
    let said = json(&place, &arguments);
    // An empty text has no matches, even with an empty reference.
    let segments: Vec<f64> =
        said["bleu"]["segments"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    assert!(segments.iter().zip([100.0, 100.0, 0.0, 100.0]).all(|(a, b)| (a - b).abs() < 1e-9));
    fs::write(place.path().join("one"), "a b c\n").unwrap();
    let said = json(&place, &["--hyp", "one", "--ref", "one", "--metrics", "rouge1"]);
    assert_eq!((&said["rouge1"]["interval"], &said["rouge1"]["n"]), (&Value::Null, &1.into()));
}

#[test]
fn a_mark_can_stand_for_the_end_of_a_sentence() {
    let place = Place::new();
    let text = "The cat sat on the mat.<n>The dog barked loudly at night.\n";
    let other = "The dog barked at night.<n>The cat was on the mat.\n";
    fs::write(place.path().join("a"), text).unwrap();
    fs::write(place.path().join("b"), other).unwrap();
    let of = |newline: &str| {
        let arguments =
            ["--hyp", "a", "--ref", "b", "--metrics", "rougeLsum", "--newline", newline];
        json(&place, &arguments)["rougeLsum"]["value"].as_f64().unwrap()
    };
    assert!((of("<n>") - 0.869_565_217_391_304_3).abs() < 1e-12);
    assert!(of("<p>") < 0.5);
}

#[test]
fn the_table_names_methods_and_signatures() {
    let place = place();
    let seen = place.seen(&["eval", "text", "--hyp", "hyp", "--ref", "ref", "--metrics", "bleu"]);
    for part in ["measure", "interval", "unscored", "nrefs:1|case:mixed", "bca bootstrap of texts"]
    {
        assert!(seen.contains(part), "{part} in {seen}");
    }
}

#[track_caller]
fn check_refused(place: &Place, arguments: &[&str], parts: &[&str]) {
    let output = place.output(&[&["eval", "text"], arguments].concat());
    let seen = place.show(&output);
    assert!(!output.status.success(), "{seen}");
    assert!(output.stdout.is_empty(), "{seen}");
    for part in parts {
        assert!(seen.contains(part), "{part} in {seen}");
    }
}

#[test]
fn what_cannot_be_scored_is_refused_with_names_and_numbers() {
    let place = place();
    fs::write(place.path().join("short"), "a\nb\n").unwrap();
    fs::write(place.path().join("empty"), "").unwrap();
    fs::write(place.path().join("latin"), b"fine\ncaf\xe9\n").unwrap();
    let hyp = ["--hyp", "hyp"];
    let with = |more: &[&'static str]| [&hyp[..], more].concat();
    check_refused(&place, &with(&["--ref", "short"]), &["`hyp` has 4 lines and `short` has 2"]);
    check_refused(&place, &with(&["--ref", "empty"]), &["`empty` is empty"]);
    check_refused(&place, &with(&["--ref", "latin"]), &["`latin` is not UTF-8", "line 2"]);
    check_refused(&place, &with(&["--ref", "none"]), &["cannot read `none`"]);
    check_refused(&place, &with(&["--metrics", "bleau"]), &["`bleau`", "known are bleu, chrf"]);
    check_refused(&place, &with(&["--metrics", "bleu"]), &["`bleu` compares with references"]);
    check_refused(&place, &with(&["--metrics", "density"]), &["--source"]);
    check_refused(&place, &["--hyp", "short", "--metrics", "distinct9"], &["no text has 9 words"]);
    let of_bleu = |more: &[&'static str]| with(&[&["--ref", "ref"], more].concat());
    check_refused(&place, &of_bleu(&["--bleu-tokenize", "14b"]), &["13a, intl, zh, char, none"]);
    check_refused(&place, &of_bleu(&["--bleu-smooth-value", "1"]), &["needs --bleu-smooth floor"]);
    check_refused(&place, &of_bleu(&["--confidence", "2"]), &["level 2 is not between 0 and 1"]);
    check_refused(&place, &of_bleu(&["--resamples", "0"]), &["number of resamples is 0"]);
    let meteor = ["--metrics", "meteor", "--wordnet", "nowhere"];
    check_refused(&place, &of_bleu(&meteor), &["nowhere/index.noun"]);
}

#[test]
fn bertscore_is_that_of_the_package_at_every_layer() {
    let Some(place) = crate::e2e::place() else { return };
    let golden = include_str!("../../../../tests/golden/bertscore-all-minilm-l6-v2.json");
    let golden: Value = serde_json::from_str(golden).unwrap();
    let write = |name: &str, texts: &Value| {
        let texts = texts.as_array().unwrap().iter();
        let text: String = texts.map(|text| format!("{}\n", text.as_str().unwrap())).collect();
        fs::write(place.path().join(name), text).unwrap();
    };
    write("hyp", &golden["texts"]);
    write("first", &golden["references"][0]);
    write("second", &golden["references"][1]);
    for case in golden["cases"].as_array().unwrap() {
        let layer = case["layer"].to_string();
        let mut arguments = vec!["--hyp", "hyp", "--ref", "first", "--ref", "second"];
        arguments.extend(["--metrics", "bertscore", "--per-segment", "--bert-layer", &layer]);
        if case["idf"] == true {
            arguments.push("--bert-idf");
        }
        let found = json(&place, &arguments);
        for (column, name) in ["bertscore-p", "bertscore-r", "bertscore-f1"].iter().enumerate() {
            let values = found[name]["segments"].as_array().unwrap();
            for (row, value) in case["scores"].as_array().unwrap().iter().zip(values) {
                let (want, value) = (row[column].as_f64().unwrap(), value.as_f64().unwrap());
                assert!((want - value).abs() < 2e-5, "layer {layer} {name}: {value} not {want}");
            }
        }
    }
    let output = place.output(&[
        "eval",
        "text",
        "--hyp",
        "hyp",
        "--ref",
        "first",
        "--metrics",
        "bertscore",
        "--bert-layer",
        "7",
    ]);
    assert!(place.show(&output).contains("--bert-layer is 7, but `all-minilm-l6-v2` has 6 layers"));
}
