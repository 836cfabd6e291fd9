//! A fence around other people's parsers: a panic behind it is a file that
//! cannot be read, and no news for the user.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// How many guarded calls this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// What `parse` returns; `None` if it panicked.
pub(crate) fn guarded<T>(parse: impl FnOnce() -> T) -> Option<T> {
    DEPTH.set(DEPTH.get() + 1);
    // What a parser leaves behind half done is dropped with it.
    let parsed = catch_unwind(AssertUnwindSafe(parse));
    DEPTH.set(DEPTH.get() - 1);
    parsed.ok()
}

/// True while this thread runs a parser whose panics are caught.
///
/// The panic hook runs all the same and prints by default: a program that does
/// not want that asks here, in a hook of its own.
pub fn is_guarded() -> bool {
    DEPTH.get() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_and_the_guard_ends_with_its_call() {
        assert!(!is_guarded());
        let outer = guarded(|| {
            let inner = guarded(|| -> bool { panic!("a parser that panics") });
            (inner, is_guarded())
        });
        assert_eq!(outer, Some((None, true)));
        assert!(!is_guarded());
    }
}
