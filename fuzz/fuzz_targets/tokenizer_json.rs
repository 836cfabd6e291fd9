//! `tokenizer.json`: any bytes are an error or a tokenizer that works.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plumb_text::{Special, Tokenizer};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tokenizer) = Tokenizer::from_json(bytes) {
        for special in [Special::Plain, Special::AddAndParse] {
            if let Ok(ids) = tokenizer.encode("Some text, 42 \u{e9}\u{1f600}.", special) {
                tokenizer.decode(&ids);
            }
        }
    }
});
