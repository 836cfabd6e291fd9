//! Asking for weights before they are used. A matrix is larger than the
//! caches, so a product with one row waits for memory; and the hardware, which
//! follows the quants of a panel well, stops at the end of a page and does not
//! expect the scales.

#![expect(unsafe_code, reason = "a hint to the processor")]

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use super::Panel;
use super::format::{SPLIT, scale_stride};
use super::layout::STEP_BYTES;

/// Bytes between a quant in use and the one that is asked for: a page, which
/// is where the hardware stops.
const AHEAD: usize = 4096;

/// Asks for the quants that follow those of block `index`, and for the scales
/// of the same block in the next panel.
#[inline]
pub(super) fn prefetch<const BITS: usize, const KIND: u8>(panel: Panel, index: usize) {
    let ahead = |quants: *const u8, bits: usize| {
        let quants = quants.wrapping_add(index * bits * STEP_BYTES + AHEAD);
        for line in 0..bits {
            // SAFETY: a prefetch reads nothing that the program could see, so that
            // any address will do.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(quants.wrapping_add(line * STEP_BYTES).cast()) };
        }
    };
    if KIND == SPLIT {
        ahead(panel.quants, BITS / 2);
        ahead(panel.lower, BITS / 2);
    } else {
        ahead(panel.quants, BITS);
    }
    let scales = panel.scales.wrapping_add(panel.bytes + index * scale_stride(KIND));
    // SAFETY: as above.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(scales.cast()) };
}
