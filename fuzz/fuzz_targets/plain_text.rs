//! Sentences and terms: any text gives ranges that are in order and inside it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut position = 0;
    for range in plumb_text::sentences(text) {
        assert!(position <= range.start && range.start < range.end);
        assert!(text.get(range.clone()).is_some());
        position = range.end;
    }
    plumb_text::Analyzer::english().terms(text);
});
