//! Layouts as constants, for kernels that are compiled once for each.

use super::layout::{Layout, Scales};

/// A half float a row; the minimum follows from it.
pub(super) const CENTRED: u8 = 0;
/// Two half floats a row.
pub(super) const SHIFTED: u8 = 1;
/// Two bytes a row, and two half floats for eight blocks.
pub(super) const SHARED_SHIFTED: u8 = 2;
/// Two signed bytes a row, and a half float for eight blocks.
pub(super) const SHARED_CENTRED: u8 = 3;
/// A half float a row, and the quants of eight bits in halves that lie apart.
pub(super) const SPLIT: u8 = 5;
/// Unpacked: floats, first all scales of a group and then its minima.
#[cfg(target_arch = "aarch64")]
pub(super) const WIDE: u8 = 4;

/// Scales of a row in a block.
pub(super) const fn groups(bits: usize) -> usize {
    if bits == 6 { 2 } else { 1 }
}

/// Bytes of the scales of a block, what it shares with others included; near
/// enough to say which lines of memory are read next.
pub(super) const fn scale_stride(kind: u8) -> usize {
    match kind {
        SHIFTED => 64,
        SHARED_SHIFTED => 40,
        SHARED_CENTRED => 36,
        _ => 32,
    }
}

/// Calls `$function::<BITS, KIND>` with the constants of a layout.
macro_rules! with_layout {
    ($layout:expr, $function:ident $arguments:tt) => {{
        use $crate::packed::format::*;
        match code($layout) {
            (4, CENTRED) => $function::<4, CENTRED> $arguments,
            (4, SHIFTED) => $function::<4, SHIFTED> $arguments,
            (4, SHARED_SHIFTED) => $function::<4, SHARED_SHIFTED> $arguments,
            (5, CENTRED) => $function::<5, CENTRED> $arguments,
            (5, SHIFTED) => $function::<5, SHIFTED> $arguments,
            (5, SHARED_SHIFTED) => $function::<5, SHARED_SHIFTED> $arguments,
            (6, SHARED_CENTRED) => $function::<6, SHARED_CENTRED> $arguments,
            (8, CENTRED) => $function::<8, CENTRED> $arguments,
            (8, SPLIT) => $function::<8, SPLIT> $arguments,
            (bits, kind) => unreachable!("no layout has {bits} bits and scales {kind}"),
        }
    }};
}

/// Calls `$function::<BITS, WIDE>` with the bits of a layout.
#[cfg(target_arch = "aarch64")]
macro_rules! with_bits {
    ($layout:expr, $function:ident $arguments:tt) => {{
        use $crate::packed::format::WIDE;
        match $layout.bits {
            4 => $function::<4, WIDE> $arguments,
            5 => $function::<5, WIDE> $arguments,
            6 => $function::<6, WIDE> $arguments,
            _ => $function::<8, WIDE> $arguments,
        }
    }};
}

#[cfg(target_arch = "aarch64")]
pub(super) use with_bits;
pub(super) use with_layout;

/// Bits and kind of scales of a layout.
pub(super) const fn code(layout: Layout) -> (usize, u8) {
    let kind = match layout.scales {
        Scales::Centred { .. } => CENTRED,
        Scales::Split => SPLIT,
        Scales::Shifted => SHIFTED,
        Scales::SharedShifted => SHARED_SHIFTED,
        Scales::SharedCentred => SHARED_CENTRED,
    };
    (layout.bits, kind)
}
