//! Runs and judgements of retrieval: never a panic, and what is written is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plumb_formats::trec::{Qrels, Run};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(run) = Run::parse(bytes) {
        let text = run.to_text("tag");
        assert_eq!(Run::parse(text.as_bytes()).as_ref(), Ok(&run));
    }
    if let Ok(qrels) = Qrels::parse(bytes) {
        let text = qrels.to_text();
        assert_eq!(Qrels::parse(text.as_bytes()).as_ref(), Ok(&qrels));
    }
});
