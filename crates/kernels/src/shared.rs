//! A slice whose parts are written by several threads.

#![expect(unsafe_code, reason = "tasks write disjoint parts of one slice")]

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice that tasks of a pool share, each writing parts of its own.
#[derive(Debug)]
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: a `Shared` gives out `&mut` parts, so it may go to other threads if
// numbers may; that the parts are disjoint is the duty of `part`'s caller.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The first number, for a task that writes parts far from each other.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn start(&self) -> *mut T {
        self.start
    }

    /// The numbers in `range`, cut at the end of the slice.
    ///
    /// # Safety
    /// No two live parts may overlap.
    #[expect(clippy::mut_from_ref, reason = "the caller keeps parts disjoint")]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        // SAFETY: `start` is at most the length of the slice.
        let first = unsafe { self.start.add(start) };
        // SAFETY: within the slice, which is borrowed mutably for `'a`, and
        // disjoint from other parts by the contract.
        unsafe { std::slice::from_raw_parts_mut(first, end - start) }
    }
}
