use proptest::prelude::*;

use super::*;
use crate::{Limits, load};

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn document(name: &str, text: &str) -> Document {
    load(name, text.as_bytes(), &Limits::default()).documents.remove(0)
}

fn passages(name: &str, text: &str, max_tokens: usize) -> Vec<Passage> {
    split(&document(name, text), &Budget { max_tokens, count: &words })
}

#[track_caller]
fn check(text: &str, max_tokens: usize, want: &[&str]) {
    let found = passages("a.md", text, max_tokens);
    assert_eq!(found.iter().map(|passage| &*passage.text).collect::<Vec<_>>(), want);
}

#[test]
fn blocks_are_packed_up_to_the_budget() {
    let text = "aaaaaa bbbbbb cccccc\n\ndddddd eeeeee\n\nffffff gggggg hhhhhh";
    check(text, 20, &[text]);
    check(text, 7, &["aaaaaa bbbbbb cccccc\n\ndddddd eeeeee", "ffffff gggggg hhhhhh"]);
}

#[test]
fn passages_do_not_reach_across_headings() {
    let text = "# One\n\nfirst text\n\n# Two\n\nsecond text";
    check(text, 100, &["# One\n\nfirst text", "# Two\n\nsecond text"]);
    let found = passages("a.md", "# One\n\n## Sub\n\ntext\n\n## Other\n\nmore", 100);
    assert_eq!(found[0].text, "# One\n\n## Sub\n\ntext");
    assert_eq!(found[0].heading_path, ["One", "Sub"]);
    assert_eq!(found[1].heading_path, ["One", "Other"]);
}

#[test]
fn a_long_paragraph_is_cut_at_sentences() {
    let text = "The first sentence is here. The second sentence is here. The third one is here.";
    let want =
        ["The first sentence is here.", "The second sentence is here.", "The third one is here."];
    check(text, 6, &want);
}

#[test]
fn rows_in_later_passages_know_their_columns() {
    let row = "| some value | other value |\n";
    let text = format!("# T\n\n| left | right |\n|---|---|\n{}", row.repeat(10));
    let found = passages("a.md", &text, 30);
    assert!(found.len() > 2);
    assert_eq!(found[0].heading_path, ["T"]);
    assert_eq!(found[1].heading_path, ["T", "| left | right |"]);
}

#[test]
fn code_is_cut_at_blank_lines() {
    let text = "fn first() { one two three four }\n\n    fn second() { one two three four }\n";
    let found = passages("a.rs", text, 10);
    assert_eq!(found.len(), 2);
    assert!(found[1].text.starts_with("    fn second"));
}

#[test]
fn a_quotation_of_clean_text_leads_to_its_source() {
    let html = "<p>One &amp; two. <b>Three</b> four.</p><p>Five.</p>";
    let found = passages("a.html", html, 100);
    assert_eq!(found[0].text, "One & two. Three four.\n\nFive.");
    assert_eq!(&html[found[0].range.clone()], "One &amp; two. <b>Three</b> four.</p><p>Five.");
    let at = found[0].text.find("four").unwrap();
    let entry = found[0].map.iter().rfind(|entry| entry.clean_start <= at).unwrap();
    assert_eq!(&html[entry.source_start + at - entry.clean_start..][..4], "four");
}

#[test]
fn a_passage_that_equals_its_source_has_no_map() {
    let html = "<p>One two three. Four five six. Seven &amp; eight.</p>";
    let found = passages("a.html", html, 4);
    assert_eq!(found[0].text, "One two three.");
    assert_eq!(&html[found[0].range.clone()], "One two three.");
    assert!(found[0].map.is_empty(), "{:?}", found[0].map);
    assert!(!found.last().unwrap().map.is_empty());
}

#[test]
fn decoded_text_that_is_cut_has_sources_that_do_not_overlap() {
    let html = "<p>&lt;&lt;&amp;&gt;&gt;&gt;&amp;&amp;&amp;&amp;word</p>";
    let count = |text: &str| text.len();
    let found = split(&document("a.html", html), &Budget { max_tokens: 1, count: &count });
    assert!(found.len() >= 10, "{found:?}");
    for pair in found.windows(2) {
        assert!(!pair[0].range.is_empty() && pair[0].range.end <= pair[1].range.start, "{pair:?}");
    }
}

#[test]
fn a_line_of_ten_megabytes_is_cut() {
    let text = "x".repeat(10 << 20);
    let count = |text: &str| text.len().div_ceil(4);
    let found = split(&document("a.txt", &text), &Budget { max_tokens: 500, count: &count });
    assert_eq!(found.iter().map(|passage| passage.text.len()).sum::<usize>(), text.len());
}

proptest! {
    #[test]
    fn passages_hold_all_text_in_order_and_within_the_budget(
        name in prop::sample::select(vec!["a.md", "a.txt", "a.html", "a.rst", "a.rs", "a.csv"]),
        parts in prop::collection::vec(prop::sample::select(vec![
            "# Head\n", "## Sub\n", "\n\n", "some words here. ", "Next one. ", "- item\n", "é日本",
            "```\ncode\n\n  more\n```\n", "| a | b |\n|--|--|\n| 1 | 2 |\n", "<p>", "&amp;", "</p>",
            "<pre>x\n y</pre>", "longwordwithoutanyspace", ",", "\"", "\n",
        ]), 1..60),
        max_tokens in 1_usize..40,
    ) {
        let text = parts.concat();
        let Some(document) = load(name, text.as_bytes(), &Limits::default()).documents.pop() else {
            return Ok(());
        };
        let count = |text: &str| text.chars().count().div_ceil(3);
        let found = split(&document, &Budget { max_tokens, count: &count });
        let mut end = 0;
        let mut in_passages = String::new();
        for passage in &found {
            prop_assert!(end <= passage.range.start);
            prop_assert!(passage.range.start < passage.range.end);
            end = passage.range.end;
            prop_assert!(document.text.get(passage.range.clone()).is_some());
            prop_assert!(count(&passage.text) <= max_tokens);
            let is_same = document.text[passage.range.clone()] == passage.text;
            prop_assert_eq!(passage.map.is_empty(), is_same);
            in_passages.push_str(&passage.text);
        }
        let in_blocks: String =
            (0..document.blocks.len()).map(|index| block_text(&document, index)).collect();
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        prop_assert_eq!(bare(&in_passages), bare(&in_blocks));
    }
}
