//! Files of any format: any bytes are documents with blocks in order, or a
//! reason; and passages hold their text in order.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plumb_ingest::{Budget, Limits, load, split};

/// One name per reader; the first byte of the input picks one.
const NAMES: [&str; 18] = [
    "a.md", "a.txt", "a.rst", "a.html", "a.rs", "a.csv", "a.json", "a.jsonl", "a.eml", "a.pdf",
    "a.docx", "a.pptx", "a.xlsx", "a.ods", "a.epub", "a.zip", "a.tar", "a.gz",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let limits = Limits { archive_bytes: 1 << 24, ..Limits::default() };
    let loaded = load(NAMES[usize::from(*first) % NAMES.len()], bytes, &limits);
    for document in &loaded.documents {
        let mut end = 0;
        for block in &document.blocks {
            assert!(end <= block.range.start);
            assert!(document.text.get(block.range.clone()).is_some());
            end = block.range.end;
        }
        let count = |text: &str| text.len().div_ceil(3);
        let mut end = 0;
        for passage in split(document, &Budget { max_tokens: 50, count: &count }) {
            assert!(end <= passage.range.start);
            assert!(document.text.get(passage.range.clone()).is_some());
            end = passage.range.end;
        }
    }
});
