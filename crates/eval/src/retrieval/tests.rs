use super::*;
use plumb_metrics::mean;

/// Made by `testdata/make_retrieval.py` with `pytrec_eval`.
const RUN: &str = include_str!("../../testdata/retrieval-run.txt");
const QRELS: &str = include_str!("../../testdata/retrieval-qrels.txt");
const EXPECTED: &str = include_str!("../../testdata/retrieval-expected.txt");

fn measure(name: &str) -> Measure {
    name.parse().unwrap()
}

#[test]
fn every_query_of_random_runs_with_ties_agrees_with_the_reference_tool() {
    let (run, qrels) =
        (Run::parse(RUN.as_bytes()).unwrap(), Qrels::parse(QRELS.as_bytes()).unwrap());
    let mut lines = EXPECTED.lines();
    let names: Vec<&str> = lines.next().unwrap().split_ascii_whitespace().skip(1).collect();
    let measures: Vec<Measure> = names.iter().map(|name| measure(name)).collect();
    let found = evaluate(&run, &qrels, &measures, Settings::default()).unwrap();
    let mut queries = 0;
    for line in lines {
        let (query, values) = line.split_once(' ').unwrap();
        let place = found.queries.iter().position(|name| name == query).unwrap();
        for ((name, want), values) in names.iter().zip(values.split(' ')).zip(&found.values) {
            let (found, want) = (values[place], want.parse::<f64>().unwrap());
            // The tool rounds to `f32` in `bpref`.
            assert!((found - want).abs() < 1e-7, "{query} {name}: {found} is not {want}");
        }
        queries += 1;
    }
    assert_eq!(queries, found.queries.len());
    assert_eq!((found.unscored.len(), found.unjudged), (5, 5));
    assert!(queries > 150);
}

const SMALL_QRELS: &[u8] = b"q1 0 d1 0\nq1 0 d2 1\nq1 0 d3 2\nq1 0 d4 3\nq1 0 d5 0\nq1 0 dX 2\n\
    q2 0 d2 1\nq2 0 d3 1\nq3 0 d1 1\nq4 0 d9 0\n";
const SMALL_RUN: &[u8] = b"q1 Q0 d1 0 1.0 t\nq1 Q0 d2 0 1.0 t\nq1 Q0 d3 0 0.5 t\n\
    q1 Q0 d4 0 0.5 t\nq1 Q0 d5 0 0.5 t\nq1 Q0 d6 0 0.1 t\nq2 Q0 d2 0 1.5 t\n\
    q2 Q0 d3 0 0.2 t\nq2 Q0 d1 0 0.9 t\nq2 Q0 d7 0 0.9 t\nq4 Q0 d9 0 1.0 t\n";

fn small(name: &str, settings: Settings) -> Evaluated {
    let (run, qrels) = (Run::parse(SMALL_RUN).unwrap(), Qrels::parse(SMALL_QRELS).unwrap());
    evaluate(&run, &qrels, &[measure(name)], settings).unwrap()
}

#[test]
fn a_query_that_the_run_lacks_is_left_out_and_counted_or_is_0() {
    let found = small("map", Settings::default());
    assert_eq!(found.queries, ["q1", "q2", "q4"]);
    assert_eq!(found.unscored, ["q3"]);
    // 0.525, 0.75, and 0 for the query to which nothing is relevant.
    assert!((mean(&found.values[0]).unwrap() - 0.425).abs() < 1e-12);
    let score = found.score(0, &Resampling::default()).unwrap();
    assert_eq!((score.n, score.unscored), (3, 1));
    let complete = Settings { missing: Missing::Zero, ..Settings::default() };
    let found = small("map", complete);
    assert!(found.queries.len() == 4 && found.unscored.is_empty());
    assert!((mean(&found.values[0]).unwrap() - 1.275 / 4.0).abs() < 1e-12);
}

#[test]
fn both_gains_and_the_least_relevant_grade_count() {
    let value = |name, settings: Settings| small(name, settings).values[0][0];
    let usual = Settings::default();
    assert!((value("ndcg@5", usual) - 0.538_553_511_750_613_6).abs() < 1e-12);
    assert!((value("ndcg_exp@5", usual) - 0.478_155_002_738_024_2).abs() < 1e-12);
    let strict = Settings { relevant_from: 2, ..usual };
    // d3 and d4 of the first five instead of also d2; nDCG does not change.
    assert!((value("p@5", usual) - 0.6).abs() < 1e-12);
    assert!((value("p@5", strict) - 0.4).abs() < 1e-12);
    assert!((value("ndcg@5", strict) - 0.538_553_511_750_613_6).abs() < 1e-12);
}

#[test]
fn files_that_share_no_query_are_refused() {
    let (run, qrels) = (Run::parse(b"a Q0 d 1 1 t").unwrap(), Qrels::parse(b"b 0 d 1").unwrap());
    let found = evaluate(&run, &qrels, &[measure("map")], Settings::default());
    assert!(matches!(found, Err(Error::NothingShared { judged: 1, retrieved: 1 })));
}

#[test]
fn names_of_other_tools_are_known() {
    for (name, want) in [
        ("nDCG@10", "ndcg@10"),
        ("ndcg_cut_10", "ndcg@10"),
        ("P_5", "precision@5"),
        ("recip_rank", "mrr"),
        ("map_cut_100", "map@100"),
        ("Rprec", "rprec"),
        ("recall_1000", "recall@1000"),
        ("ndcg", "ndcg"),
    ] {
        assert_eq!(measure(name).to_string(), want);
    }
    for name in ["", "nonsense", "ndcg@", "ndcg@x", "ndcg@0", "rprec@5", "map@-1"] {
        assert!(matches!(name.parse::<Measure>(), Err(Error::UnknownMeasure { .. })), "{name}");
    }
    assert!(matches!("recall".parse::<Measure>(), Err(Error::NeedsCut { .. })));
}
