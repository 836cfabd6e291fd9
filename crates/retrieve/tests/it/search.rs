//! Modes, ties, filters and folding, and fusion against its slow definition.

use plumb_retrieve::{Bm25, Elsewhere, Error, Filter, Fusion, Hit, Mode, Query, search};
use plumb_store::{Batch, PassageRef, Snapshot};
use proptest::prelude::*;

use crate::support::{Passage, add, passage, query, store, uris, words};

fn small() -> (tempfile::TempDir, Snapshot) {
    let (folder, store) = store();
    let mut batch = Batch::new();
    add(&mut batch, "b.md", "md", &[passage(&["cat", "sat"], &[1.0, 0.0])]);
    add(&mut batch, "a.md", "md", &[passage(&["dog"], &[0.6, 0.8])]);
    store.commit(&batch).unwrap();
    let mut batch = Batch::new();
    add(&mut batch, "c.pdf", "pdf", &[passage(&["cat", "cat", "ran"], &[0.0, 1.0])]);
    store.commit(&batch).unwrap();
    (folder, store.snapshot())
}

#[test]
fn each_mode_orders_by_its_own_score() {
    let (_folder, snapshot) = small();
    let terms = words("cat");
    let run = |mode| search(&snapshot, &query(&terms, Some(&[1.0, 0.0]), mode)).unwrap();
    assert_eq!(uris(&run(Mode::Dense)), ["b.md", "a.md", "c.pdf"]);
    assert_eq!(uris(&run(Mode::Lexical)), ["c.pdf", "b.md"]);
    let fused = run(Mode::Fused(Fusion::Weighted { dense_weight: 0.6 }));
    assert_eq!(uris(&fused), ["b.md", "c.pdf", "a.md"]);
    let hit: &Hit = &fused[1];
    assert_eq!((hit.rank, hit.dense_rank, hit.lexical_rank), (2, Some(3), Some(1)));
    assert_eq!((hit.dense, fused[2].lexical), (Some(0.0), None));
    // The lowest dense and the highest lexical score: 0.6 * 0 + 0.4 * 1.
    assert!((hit.score - 0.4).abs() < 1e-6);
}

#[test]
fn reciprocal_ranks_add_up() {
    let (_folder, snapshot) = small();
    let terms = words("cat");
    let mode = Mode::Fused(Fusion::ReciprocalRank { k: 60.0 });
    let hits = search(&snapshot, &query(&terms, Some(&[1.0, 0.0]), mode)).unwrap();
    assert_eq!(uris(&hits), ["b.md", "c.pdf", "a.md"]);
    assert!((hits[0].score - (1.0 / 61.0 + 1.0 / 62.0)).abs() < 1e-7);
    assert!((hits[2].score - 1.0 / 62.0).abs() < 1e-7);
}

#[test]
fn a_filter_narrows_the_list_and_not_the_statistics() {
    let (_folder, snapshot) = small();
    let terms = words("cat");
    let filter = Filter::parse("kind = pdf").unwrap();
    let all = search(&snapshot, &query(&terms, None, Mode::Lexical)).unwrap();
    let narrow = Query { filter: Some(&filter), ..query(&terms, None, Mode::Lexical) };
    let some = search(&snapshot, &narrow).unwrap();
    assert_eq!(uris(&some), ["c.pdf"]);
    assert_eq!(some[0].score.to_bits(), all[0].score.to_bits());
}

#[test]
fn ties_go_by_address_and_then_by_place() {
    let (_folder, store) = store();
    for uri in ["z", "m", "a"] {
        let mut batch = Batch::new();
        let same = |text: &str| Passage { text: format!("{uri}{text}"), ..passage(&["x"], &[1.0]) };
        add(&mut batch, uri, "md", &[same("first"), same("second")]);
        store.commit(&batch).unwrap();
    }
    let terms = words("x");
    let hits = search(&store.snapshot(), &query(&terms, Some(&[1.0]), Mode::default())).unwrap();
    let found: Vec<_> = hits.iter().map(|hit| (hit.uri.as_str(), hit.passage.ordinal)).collect();
    assert_eq!(found, [("a", 0), ("a", 1), ("m", 0), ("m", 1), ("z", 0), ("z", 1)]);
}

#[test]
fn the_same_text_is_listed_once_with_its_other_places() {
    let (_folder, store) = store();
    let mut batch = Batch::new();
    let text =
        |text: &str, vector: f32| Passage { text: text.to_owned(), ..passage(&["x"], &[vector]) };
    add(&mut batch, "one", "md", &[text("A licence.", 0.5), text("Other.", 0.1)]);
    add(&mut batch, "one again", "md", &[text("A licence.", 0.5), text("Other.", 0.1)]);
    add(&mut batch, "two", "md", &[text(" A\n licence. ", 0.9)]);
    store.commit(&batch).unwrap();
    let terms = words("x");
    let hits = search(&store.snapshot(), &query(&terms, Some(&[1.0]), Mode::Dense)).unwrap();
    assert_eq!(uris(&hits), ["two", "one"]);
    let at = |uri: &str, ordinal| {
        let (segment, uri) = (0, uri.to_owned());
        Elsewhere { uri, passage: PassageRef { segment, ordinal } }
    };
    assert_eq!(hits[0].also_in, [at("one", 0), at("one again", 0)]);
    assert_eq!(hits[1].also_in, [at("one again", 1)]);
}

#[test]
fn what_makes_no_sense_is_an_error_or_an_empty_list() {
    let (_folder, snapshot) = small();
    let terms = words("cat");
    let ask = |vector, mode| search(&snapshot, &query(&terms, vector, mode)).unwrap_err();
    assert!(matches!(ask(None, Mode::Dense), Error::NoVector));
    assert!(matches!(ask(Some(&[1.0]), Mode::Dense), Error::Dimension { expected: 2, found: 1 }));
    let nan = ask(Some(&[0.0, f32::NAN]), Mode::default());
    assert_eq!(nan.to_string(), "the vector of the query holds NaN at place 1");
    let weight = Mode::Fused(Fusion::Weighted { dense_weight: f32::NAN });
    let error = ask(Some(&[0.0, 1.0]), weight).to_string();
    assert_eq!(error, "`dense_weight` is NaN, and must be from 0 to 1");
    let bm25 = Bm25 { k1: -1.0, b: 0.5 };
    let bad = Query { bm25, ..query(&terms, None, Mode::Lexical) };
    assert!(matches!(search(&snapshot, &bad), Err(Error::Setting { name: "k1", .. })));

    let none = Query { top_k: 0, ..query(&terms, None, Mode::Lexical) };
    assert_eq!(search(&snapshot, &none).unwrap(), []);
    assert_eq!(search(&snapshot, &query(&[], None, Mode::Lexical)).unwrap(), []);
    let (_folder, empty) = store();
    let hits = search(&empty.snapshot(), &query(&terms, Some(&[1.0]), Mode::default()));
    assert_eq!(hits.unwrap(), []);
}

/// Documents as lists of passages; a passage is its words and its vector.
fn corpus() -> impl Strategy<Value = Vec<Vec<Passage>>> {
    let terms = prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d"]), 0..5);
    let number = (-2_i8..=2).prop_map(f32::from);
    let passage = (terms, prop::collection::vec(number, 3)).prop_map(|(t, v)| passage(&t, &v));
    prop::collection::vec(prop::collection::vec(passage, 0..4), 0..12)
}

/// What a hit should say: address, number in the document, score, both scores.
type Want = (String, usize, f64, f64, f64);

/// The definition, passage by passage.
fn slow(corpus: &[Vec<Passage>], terms: &[String], vector: &[f32], weight: f64) -> Vec<Want> {
    let all: Vec<(String, usize, &Passage)> = corpus
        .iter()
        .enumerate()
        .flat_map(|(d, ps)| ps.iter().enumerate().map(move |(n, p)| (format!("{d:02}"), n, p)))
        .collect();
    let n = all.len() as f64;
    let mean = all.iter().map(|(.., p)| p.terms.len() as f64).sum::<f64>() / n;
    let bm25 = |passage: &Passage| -> f64 {
        let score = |term: &String| {
            let df = all.iter().filter(|(.., p)| p.terms.contains(term)).count() as f64;
            let tf = passage.terms.iter().filter(|t| *t == term).count() as f64;
            if tf == 0.0 {
                return 0.0;
            }
            let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
            let (k1, b) = (f64::from(1.2_f32), 0.75);
            idf * tf / (tf + k1 * (1.0 - b + b * passage.terms.len() as f64 / mean))
        };
        terms.iter().map(score).sum()
    };
    let dot = |p: &Passage| p.vector.iter().zip(vector).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    let dense: Vec<f64> = all.iter().map(|(.., p)| dot(p)).collect();
    let lexical: Vec<f64> = all.iter().map(|(.., p)| bm25(p)).collect();
    let low = dense.iter().copied().fold(f64::INFINITY, f64::min);
    let span = dense.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    let most = lexical.iter().copied().fold(0.0, f64::max);
    let mut wants: Vec<Want> = Vec::new();
    for (i, (uri, number, _)) in all.iter().enumerate() {
        let d = if span > 0.0 { (dense[i] - low) / span } else { 0.0 };
        let l = if most > 0.0 { lexical[i] / most } else { 0.0 };
        let score = weight * d + (1.0 - weight) * l;
        wants.push((uri.clone(), *number, score, dense[i], lexical[i]));
    }
    wants
}

proptest! {
    // Each case syncs several commits to a real disk.
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn fused_search_equals_its_slow_definition(
        corpus in corpus(),
        terms in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "z"]), 0..4),
        vector in prop::collection::vec((-2_i8..=2).prop_map(f32::from), 3),
        weight in prop::sample::select(vec![0.0_f32, 0.25, 0.5, 1.0]),
        cut in 0_usize..12,
    ) {
        // Distinct texts: folding is tested by itself.
        let mut corpus = corpus;
        for (number, passage) in corpus.iter_mut().flatten().enumerate() {
            passage.text = format!("text {number}.");
        }
        corpus.retain(|passages| !passages.is_empty());
        let (_folder, store) = store();
        for part in corpus.chunks(cut.max(1)).scan(0, |first, part| {
            *first += part.len();
            Some((*first - part.len(), part))
        }) {
            let mut batch = Batch::new();
            for (number, passages) in part.1.iter().enumerate() {
                add(&mut batch, &format!("{:02}", part.0 + number), "md", passages);
            }
            store.commit(&batch).unwrap();
        }
        let terms: Vec<String> = terms.into_iter().map(str::to_owned).collect();
        let mode = Mode::Fused(Fusion::Weighted { dense_weight: weight });
        let snapshot = store.snapshot();
        let ask = Query { top_k: 1000, ..query(&terms, Some(&vector), mode) };
        let hits = search(&snapshot, &ask).unwrap();
        let wants = slow(&corpus, &terms, &vector, f64::from(weight));
        prop_assert_eq!(hits.len(), wants.len());
        let mut last: Option<(f32, &Want)> = None;
        for (hit, rank) in hits.iter().zip(1..) {
            let number = snapshot.passage(hit.passage).unwrap().number as usize;
            let want = wants.iter().find(|want| (&want.0, want.1) == (&hit.uri, number)).unwrap();
            prop_assert_eq!(hit.rank, rank);
            prop_assert!((f64::from(hit.score) - want.2).abs() < 1e-6);
            prop_assert!((f64::from(hit.dense.unwrap()) - want.3).abs() < 1e-6);
            prop_assert!((f64::from(hit.lexical.unwrap_or(0.0)) - want.4).abs() < 1e-6);
            let better = wants.iter().filter(|other| other.3 > want.3).count();
            prop_assert!(hit.dense_rank.unwrap() > better);
            if let Some((score, before)) = last {
                prop_assert!(score >= hit.score);
                let is_tie = (before.3, before.4) == (want.3, want.4);
                prop_assert!(!is_tie || (&before.0, before.1) < (&want.0, want.1));
            }
            last = Some((hit.score, want));
        }
    }
}
