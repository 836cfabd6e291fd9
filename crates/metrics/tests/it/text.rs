//! Measures of texts equal those of sacrebleu, `rouge_score` and NLTK, whose
//! values `testdata/make_text_reference.py` wrote.

use std::path::Path;
use std::sync::LazyLock;

use plumb_metrics::text::{
    Bleu, Chrf, Meteor, Orders, Punctuation, Rouge, Smoothing, Statistics, Stemming, Ter,
    Tokenizer, WordNet, WordNetFiles, porter_stem, rouge,
};
use serde_json::Value;

static REFERENCE: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../testdata/text_reference.json")).unwrap()
});

fn texts(value: &'static Value) -> Vec<&'static str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Texts, and two lists of references.
fn pairs() -> (Vec<&'static str>, Vec<Vec<&'static str>>) {
    let refs = REFERENCE["refs"].as_array().unwrap().iter().map(texts).collect();
    (texts(&REFERENCE["hyp"]), refs)
}

#[track_caller]
fn near(found: f64, want: f64, what: &str) {
    assert!((found - want).abs() < 1e-9, "{what}: {found} is not {want}");
}

#[test]
fn tokens_are_those_of_sacrebleu() {
    for tokenizer in Tokenizer::ALL {
        let want = REFERENCE["tokens"][tokenizer.name()].as_array().unwrap();
        for (text, want) in pairs().0.into_iter().zip(want) {
            let found = tokenizer.tokens(text.trim_end());
            let want: Vec<&str> =
                want.as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
            assert_eq!(found, want, "{tokenizer} of {text:?}");
        }
    }
}

#[test]
fn bleu_is_that_of_sacrebleu_with_every_tokeniser_and_smoothing() {
    let (hyps, refs) = pairs();
    let refs: Vec<&[&str]> = refs.iter().map(Vec::as_slice).collect();
    let mut seen = 0;
    for tokenizer in Tokenizer::ALL {
        for name in ["exp", "floor", "add-k", "none"] {
            for lowercase in [false, true] {
                let smoothing: Smoothing = name.parse().unwrap();
                let bleu = Bleu { tokenizer, smoothing, lowercase, effective_order: false };
                let signature = bleu.signature(2);
                let want = REFERENCE["bleu"].get(&signature).expect("the same signature");
                let found = bleu.score(&bleu.statistics(&hyps, &refs).sums());
                near(found.score, want[0].as_f64().unwrap(), &signature);
                let is_near = |found: f64, want: f64| (found - want).abs() < 1e-9;
                for (kind, found) in [(1, found.matches), (2, found.totals)] {
                    let want = numbers(&want[kind]);
                    assert!(found.iter().zip(want).all(|(a, b)| is_near(*a, b)), "{signature}");
                }
                near(found.brevity_penalty, want[3].as_f64().unwrap(), &signature);
                near(found.length, want[4].as_f64().unwrap(), &signature);
                near(found.reference_length, want[5].as_f64().unwrap(), &signature);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, REFERENCE["bleu"].as_object().unwrap().len());
    let one = Bleu::default();
    let found = one.score(&one.statistics(&hyps, &refs[..1]).sums()).score;
    near(found, REFERENCE["bleu_one_reference"].as_f64().unwrap(), "one reference");
}

#[track_caller]
fn check_rows(table: &Statistics, score: impl Fn(&[f64]) -> f64, name: &str) {
    let want = numbers(&REFERENCE[name]);
    assert_eq!(table.len(), want.len());
    for (at, (row, want)) in table.rows().zip(want).enumerate() {
        near(score(row), want, &format!("{name} of text {at}"));
    }
}

#[test]
fn scores_of_single_texts_are_those_of_the_references() {
    let (hyps, refs) = pairs();
    let refs: Vec<&[&str]> = refs.iter().map(Vec::as_slice).collect();
    let bleu = Bleu { effective_order: true, ..Bleu::default() };
    check_rows(&bleu.statistics(&hyps, &refs), |row| bleu.score(row).score, "bleu_sentence");
    let chrf = Chrf::default();
    check_rows(&chrf.statistics(&hyps, &refs), |row| chrf.score(row), "chrf_sentence");
    let ter = Ter::default();
    check_rows(&ter.statistics(&hyps, &refs), Ter::score, "ter_sentence");
    let meteor = Meteor::default().statistics(&hyps, &refs, None).unwrap();
    check_rows(&meteor, |row| row[0], "meteor_without_wordnet");
}

#[test]
fn chrf_is_that_of_sacrebleu_in_every_variant() {
    let (hyps, refs) = pairs();
    let refs: Vec<&[&str]> = refs.iter().map(Vec::as_slice).collect();
    for want in REFERENCE["chrf"].as_array().unwrap() {
        let number = |at: usize| want[at].as_u64().unwrap();
        let chrf = Chrf {
            word_order: usize::try_from(number(0)).unwrap(),
            beta: u32::try_from(number(1)).unwrap(),
            lowercase: false,
            whitespace: want[3].as_bool().unwrap(),
            orders: if want[2].as_bool().unwrap() { Orders::Epsilon } else { Orders::Effective },
        };
        let signature = chrf.signature(2);
        assert_eq!(signature, want[4].as_str().unwrap());
        let found = chrf.score(&chrf.statistics(&hyps, &refs).sums());
        near(found, want[5].as_f64().unwrap(), &signature);
    }
}

#[test]
fn ter_is_that_of_sacrebleu() {
    let (hyps, refs) = pairs();
    let refs: Vec<&[&str]> = refs.iter().map(Vec::as_slice).collect();
    for (signature, want) in REFERENCE["ter"].as_object().unwrap() {
        let ter = Ter {
            normalized: signature.contains("norm:yes"),
            punctuation: if signature.contains("punct:no") {
                Punctuation::Removed
            } else {
                Punctuation::Kept
            },
            asian_support: signature.contains("asian:yes"),
            case_sensitive: signature.contains("case:mixed"),
        };
        assert_eq!(&ter.signature(2), signature);
        let sums = ter.statistics(&hyps, &refs).sums();
        near(sums[0], want[1].as_f64().unwrap(), signature);
        near(sums[1], want[2].as_f64().unwrap(), signature);
        near(Ter::score(&sums), want[0].as_f64().unwrap(), signature);
    }
}

#[test]
fn rouge_is_that_of_rouge_score() {
    let (hyps, refs) = pairs();
    // `|` stands for the end of a sentence.
    let lines = |texts: &[&str]| -> Vec<String> {
        texts.iter().map(|text| text.replace('|', "\n")).collect()
    };
    let (hyps, refs) = (lines(&hyps), [lines(&refs[0]), lines(&refs[1])]);
    let hyps: Vec<&str> = hyps.iter().map(String::as_str).collect();
    let refs: Vec<Vec<&str>> =
        refs.iter().map(|list| list.iter().map(String::as_str).collect()).collect();
    let refs: Vec<&[&str]> = refs.iter().map(Vec::as_slice).collect();
    for (name, stemming) in [("no", Stemming::Off), ("porter", Stemming::Porter)] {
        let want = REFERENCE["rouge"][name].as_object().unwrap();
        let kinds: Vec<Rouge> = want.keys().map(|kind| kind.parse().unwrap()).collect();
        for (kind, table) in kinds.iter().zip(rouge(&kinds, stemming, &hyps, &refs)) {
            let want = want[&kind.to_string()].as_array().unwrap();
            for (at, (row, want)) in table.rows().zip(want).enumerate() {
                for (found, want) in row.iter().zip(numbers(want)) {
                    near(*found, want, &format!("{kind}, stemming {name}, text {at}"));
                }
            }
        }
    }
}

#[test]
fn stems_are_those_of_nltk() {
    for pair in REFERENCE["stems"].as_array().unwrap() {
        let (word, want) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        assert_eq!(porter_stem(word), want, "stem of {word}");
    }
}

#[test]
fn meteor_with_synonyms_is_that_of_nltk() {
    let (hyps, refs) = pairs();
    let refs: Vec<&[&str]> = refs.iter().map(Vec::as_slice).collect();
    // The entries that these texts need; the database is too large.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wordnet");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let files = WordNet::FILES.map(|[index, data, exceptions]| WordNetFiles {
        index: read(index),
        data: read(data),
        exceptions: read(exceptions),
    });
    let wordnet = WordNet::new(files).unwrap();
    assert_eq!(wordnet.version(), Some("3.0"));
    let meteor = Meteor::default();
    let table = meteor.statistics(&hyps, &refs, Some(&wordnet)).unwrap();
    check_rows(&table, |row| row[0], "meteor");
    let without = meteor.statistics(&hyps, &refs, None).unwrap();
    let helped = table.rows().zip(without.rows()).filter(|(with, without)| with[0] > without[0]);
    assert!(helped.count() > 0, "synonyms make a difference");
}
