use super::*;
use crate::run::Input;
use serde_json::json;

fn results() -> Map<String, Value> {
    json!({
        "accuracy": {
            "value": 0.5, "interval": [0.2, 0.8], "n": 4, "unscored": 1,
            "signature": "accuracy|classes:2",
            "per_item": {"<b>": 1.0, "b": 0.0, "c": 0.0, "d": 1.0, "e": null},
        },
        "perplexity": {"value": 31.0, "interval": null, "n": 1, "unscored": 0},
        "reliability": [
            {"low": 0.0, "high": 0.5, "count": 0, "confidence": 0.25, "accuracy": null},
            {"low": 0.5, "high": 1.0, "count": 4, "confidence": 0.8, "accuracy": 0.5},
        ],
        "confusion": {"labels": ["no", "yes"], "counts": [[1, 1], [1, 1]]},
        "undefined": {"mcc": "one label"},
    })
    .as_object()
    .unwrap()
    .clone()
}

fn report() -> Report {
    let input = Input { role: "model".into(), name: "tiny".into(), sha256: "ab".into() };
    let manifest =
        Manifest { inputs: vec![input], ..Manifest::new("classify", "plumb 0.1", 1_795_540_000) };
    Report::new("A <script> & a run", &results(), Some(&manifest)).unwrap()
}

#[test]
fn every_number_stands_with_interval_items_and_unscored() {
    let html = report().to_html();
    for piece in [
        "<td>accuracy</td><td>0.5000</td><td>0.2000 to 0.8000</td><td>4</td><td>1</td>",
        "<td>perplexity</td><td>31.0000</td><td>none</td><td>1</td><td>0</td>",
        "mcc is not defined: one label",
        "tiny (SHA-256 ab)",
        "accuracy|classes:2",
        "prefers-color-scheme:dark",
        "@media print",
        "<title>Reliability</title>",
        "2026-11-24 ",
    ] {
        assert!(html.contains(piece), "`{piece}` is missing");
    }
}

#[test]
fn the_page_needs_nothing_from_outside_and_no_text_becomes_markup() {
    let html = report().to_html();
    for piece in ["http:", "https:", "<script", "<b>", "<link", "@import", "url(", "src="] {
        assert!(!html.contains(piece), "`{piece}` is there");
    }
    assert!(html.contains("A &lt;script&gt; &amp; a run") && html.contains("&lt;b&gt;"));
    for tag in ["section", "table", "svg", "figure", "tbody", "td", "div", "p"] {
        let opened =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn markdown_has_the_same_numbers() {
    let text = report().to_markdown();
    assert!(text.contains("| accuracy | 0.5000 | 0.2000 to 0.8000 | 4 | 1 |"), "{text}");
    assert!(text.contains("| no | 1 | 1 |"), "{text}");
    assert!(text.starts_with("# A \\<script\\> & a run\n"));
}

#[test]
fn what_was_not_finished_is_said() {
    let unfinished = json!({"map": {"per_item": {"q1": 0.5}}});
    let report = Report::new("x", unfinished.as_object().unwrap(), None).unwrap();
    assert!(report.to_html().contains("did not come to its end"));
    assert!(matches!(Report::new("x", &Map::new(), None), Err(Error::NothingMeasured)));
}

#[test]
fn the_worst_items_come_first_whichever_way_is_better() {
    let report = report();
    let accuracy = &report.measures[0];
    assert_eq!(accuracy.worst(2), [("b", 0.0), ("c", 0.0)]);
    let loss = Measure { name: "ter".to_owned(), ..accuracy.clone() };
    assert!(loss.worst(1)[0].1 > 0.5);
}
