//! Files of WordNet: any bytes are an error or a database that answers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plumb_metrics::text::{WordNet, WordNetFiles};

fuzz_target!(|input: (Vec<u8>, Vec<u8>, Vec<u8>, String)| {
    let (index, data, exceptions, word) = input;
    // The same for all parts of speech: their endings differ.
    let files = [(); 4].map(|()| WordNetFiles {
        index: index.clone(),
        data: data.clone(),
        exceptions: exceptions.clone(),
    });
    if let Ok(wordnet) = WordNet::new(files) {
        let words = word.split_whitespace().chain(["cats", "a"]);
        for word in words {
            let _ = wordnet.each_synonym(word, |synonym| assert!(!synonym.contains('_')));
        }
    }
});
