use proptest::prelude::*;

use super::*;

fn one(name: &str, bytes: &[u8]) -> Document {
    let mut loaded = load(name, bytes, &Limits::default());
    assert_eq!(loaded.skipped, []);
    assert_eq!(loaded.documents.len(), 1);
    loaded.documents.remove(0)
}

#[track_caller]
fn check_skipped(name: &str, bytes: &[u8], reason: &str) {
    let loaded = load(name, bytes, &Limits::default());
    assert!(loaded.documents.is_empty());
    assert_eq!(loaded.skipped.len(), 1);
    assert_eq!(loaded.skipped[0].reason, reason);
}

#[test]
fn the_title_is_stated_or_a_heading_or_the_file_name() {
    assert_eq!(one("a.md", b"---\ntitle: Stated\n---\n# Heading\n").title, "Stated");
    assert_eq!(one("a.md", b"# A  *heading*\ntext").title, "A heading");
    assert_eq!(one("x/notes.txt", b"text").title, "notes");
    assert_eq!(one("https://example.org/", b"text").title, "example");
    assert_eq!(one("a.html", b"<title>T</title><h1>H</h1>").title, "T");
}

#[test]
fn utf_8_text_is_the_file_itself() {
    let bytes = "\u{feff}# Größe\r\n\r\nText.\r\n".as_bytes();
    let document = one("a.md", bytes);
    assert!(document.is_original);
    assert_eq!(document.text.as_bytes(), bytes);
    assert_eq!(document.title, "Größe");
    assert_eq!(document.kind.name(), "markdown");
}

#[test]
fn what_is_not_read_has_a_reason() {
    check_skipped("a.md", b"", "empty");
    check_skipped("a.md", b" \n\n ", "empty");
    check_skipped("a.html", b"<nav></nav><script>x</script>", "no text in it");
    check_skipped("a.png", b"\x89PNG\r\n\x1a\n", "image");
    check_skipped("a.txt", b"abc\0def\0\0\x01", "not text");
}

#[test]
fn sizes_over_the_limits_are_named() {
    let limits = Limits { file_bytes: 4, ..Limits::default() };
    let loaded = load("a.md", b"12345", &limits);
    assert_eq!(loaded.skipped[0].reason, "a file of 5 bytes, more than the 4 that are read");
    let limits = Limits { text_bytes: 4, ..Limits::default() };
    let loaded = load("a.md", b"12345", &limits);
    assert_eq!(loaded.skipped[0].reason, "a text of 5 bytes, more than the 4 that are read");
}

#[test]
fn a_date_is_kept_in_iso_form_or_not_at_all() {
    assert_eq!(one("a.md", b"---\ndate: May 1, 2024\n---\nx").metadata["date"], "2024-05-01");
    assert!(!one("a.md", b"---\ndate: soon\n---\nx").metadata.contains_key("date"));
}

/// Names that reach every reader.
const NAMES: &[&str] = &[
    "a.md", "a.txt", "a.rst", "a.html", "a.rs", "a.csv", "a.tsv", "a.json", "a.jsonl", "a.eml",
    "a.pdf", "a.docx", "a.pptx", "a.xlsx", "a.ods", "a.epub", "a.zip", "a.tar", "a.gz", "a",
];

proptest! {
    #[test]
    fn any_bytes_give_documents_with_blocks_in_order(
        name in prop::sample::select(NAMES),
        magic in prop::sample::select(vec![&b""[..], b"%PDF-1.5\n", b"PK\x03\x04", b"\x1f\x8b\x08"]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        check_blocks(&load(name, &[magic, &bytes[..]].concat(), &Limits::default()));
    }

    #[test]
    fn any_text_gives_documents_with_blocks_in_order(
        name in prop::sample::select(NAMES),
        parts in prop::collection::vec(prop::sample::select(vec![
            "# ", "\n", "\n\n", "word ", "- ", "    ", "```", "| a | b |", "|--|--|", "===", "::",
            "\"", ",", "{", "}", "[", "]", ":", "é", "---\n", "title: x\n", "> ", "1. ", "\r\n",
            "Subject: x\n", "<p>", "\\", "\t", "[^1]:", "+++\n", "\u{feff}",
        ]), 0..60),
    ) {
        check_blocks(&load(name, parts.concat().as_bytes(), &Limits::default()));
    }
}

fn check_blocks(loaded: &Loaded) {
    for document in &loaded.documents {
        let mut end = 0;
        for block in &document.blocks {
            assert!(end <= block.range.start);
            assert!(!document.text[block.range.clone()].trim().is_empty());
            end = block.range.end;
        }
    }
}
