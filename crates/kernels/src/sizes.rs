//! Sizes of tests. Miri, which looks at every access to memory, takes some
//! thousand times as long, and so gets small ones: `cargo xtask memcheck`.

/// As large as `usual`, or an eighth of it.
pub(crate) const fn size(usual: usize) -> usize {
    if cfg!(miri) { usual.div_ceil(8) } else { usual }
}

/// As many cases of a property as `usual`, or one.
pub(crate) const fn cases(usual: u32) -> u32 {
    if cfg!(miri) { 1 } else { usual }
}
