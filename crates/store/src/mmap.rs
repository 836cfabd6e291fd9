//! Maps a part of a file into memory: the only unsafe code of this crate.
#![expect(unsafe_code, reason = "mapping a file is unsafe by nature")]

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapOptions};

/// Maps `len` bytes of `file` from `at`.
///
/// The caller maps committed bytes only. Nothing in this crate writes to or
/// cuts off committed bytes.
pub(crate) fn map(file: &File, at: u64, len: usize) -> io::Result<Mmap> {
    let mut options = MmapOptions::new();
    options.offset(at).len(len);
    // SAFETY: the log is append-only: this program never changes the mapped
    // bytes. Another program that does so breaks the checksums; one that cuts
    // the file off while it is mapped stops this process with SIGBUS, which
    // no mapping can prevent.
    unsafe { options.map(file) }
}
