//! Files of evaluations: labels, documents and tasks in YAML, stored runs, printed
//! results. Any bytes are an error or something that can be used.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plumb_eval::{classify, lm, parse_results, run};

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match kind % 5 {
        0 => drop(classify::parse(text)),
        1 => drop(lm::parse_docs(text)),
        2 => drop(lm::parse_yaml(text)),
        3 => drop(run::parse_run(text).map(|run| run.values())),
        _ => drop(parse_results(text)),
    }
});
