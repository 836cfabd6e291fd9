//! Tokenizers in GGUF metadata: any file is an error or a tokenizer that works.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plumb_text::{Special, Tokenizer};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = plumb_formats::gguf::parse(bytes) else { return };
    if let Ok(tokenizer) = Tokenizer::from_gguf(&file) {
        for special in [Special::Plain, Special::AddAndParse] {
            if let Ok(ids) = tokenizer.encode("Some text, 42 \u{e9}\u{1f600}.", special) {
                tokenizer.decode(&ids);
            }
        }
    }
});
