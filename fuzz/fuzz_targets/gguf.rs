//! GGUF: any bytes are an error or ranges inside the file.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = plumb_formats::gguf::parse(bytes) {
        for tensor in file.tensors {
            assert!(bytes.get(tensor.range.clone()).is_some());
            assert_eq!(tensor.dtype.bytes_of(tensor.elements()), Some(tensor.range.len()));
        }
    }
});
