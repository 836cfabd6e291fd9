//! The reference: bm25s, by way of `testdata/bm25.py`.

use plumb_retrieve::{Bm25, Mode, Query, search};
use plumb_store::Batch;
use serde_json::Value;

use crate::support::{Passage, add, store};

const TOLERANCE: f64 = 1e-6;

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn scores_equal_those_of_bm25s() {
    let golden: Value = serde_json::from_str(include_str!("../../testdata/bm25.json")).unwrap();
    let (_folder, store) = store();
    let corpus = golden["corpus"].as_array().unwrap();
    // Several segments, and dead passages that must not count.
    for part in 0..3 {
        let mut batch = Batch::new();
        for (number, words) in corpus.iter().enumerate().filter(|(number, _)| number % 3 == part) {
            let passage = |text: String, terms| Passage { text, vector: vec![1.0], terms };
            let dead = passage(format!("dead {number}"), vec!["w0".to_owned(); 9]);
            let live = passage(format!("live {number}"), strings(words));
            add(&mut batch, &format!("dead/{number}"), "text", &[dead]);
            add(&mut batch, &format!("{number}"), "text", &[live]);
        }
        store.commit(&batch).unwrap();
    }
    let mut batch = Batch::new();
    (0..corpus.len()).for_each(|number| batch.unbind(&format!("dead/{number}")));
    store.commit(&batch).unwrap();

    let queries = golden["queries"].as_array().unwrap();
    for case in golden["cases"].as_array().unwrap() {
        #[expect(clippy::cast_possible_truncation, reason = "the setting is a short decimal")]
        let [k1, b] = ["k1", "b"].map(|name| case[name].as_f64().unwrap() as f32);
        for (query, want) in queries.iter().zip(case["scores"].as_array().unwrap()) {
            let (terms, bm25) = (strings(query), Bm25 { k1, b });
            let (vector, filter) = (None, None);
            let top_k = corpus.len();
            let query = Query { terms: &terms, vector, top_k, mode: Mode::Lexical, bm25, filter };
            let hits = search(&store.snapshot(), &query).unwrap();
            let mut found = vec![0.0; corpus.len()];
            for hit in &hits {
                found[hit.uri.parse::<usize>().unwrap()] = f64::from(hit.score);
            }
            for (number, want) in want.as_array().unwrap().iter().enumerate() {
                let want = want.as_f64().unwrap();
                let error = (found[number] - want).abs();
                assert!(error <= TOLERANCE * want.max(1.0), "{number}: {} {want}", found[number]);
            }
        }
    }
}
