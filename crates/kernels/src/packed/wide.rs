//! A panel unpacked, for products with many rows: a byte a quant, floats for
//! scales.

#![expect(unsafe_code, reason = "aligned lines are read as bytes")]

use super::Panel;
use super::layout::{BLOCK, Layout, PANEL, STEP_BYTES};

/// An unpacked panel; its memory is used again for the next.
#[derive(Debug)]
pub(super) struct Wide {
    pub(super) layout: Layout,
    blocks: usize,
    /// Shape (blocks, 8, 64).
    quants: Vec<Line>,
    /// Shape (blocks, groups, 2, 16): scales, then minima.
    floats: Vec<f32>,
}

/// Bytes of one step, where a register may load them at once.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line([u8; STEP_BYTES]);

impl Line {
    pub(super) const ZERO: Self = Self([0; STEP_BYTES]);
}

impl Default for Wide {
    fn default() -> Self {
        let layout = Layout { bits: 8, scales: super::layout::Scales::Shifted };
        Self { layout, blocks: 0, quants: Vec::new(), floats: Vec::new() }
    }
}

impl Wide {
    /// Makes room for a panel; what is in it is to be written over.
    pub(super) fn reset(&mut self, layout: Layout, blocks: usize) {
        (self.layout, self.blocks) = (layout, blocks);
        self.quants.resize(blocks * PANEL * BLOCK / STEP_BYTES, Line::ZERO);
        self.floats.resize(blocks * layout.groups() * 2 * PANEL, 0.0);
    }

    /// Quants and scales, to be written.
    pub(super) fn parts(&mut self) -> (&mut [u8], &mut [f32]) {
        (bytes_mut(&mut self.quants), &mut self.floats)
    }

    pub(super) fn panel(&self) -> Panel {
        Panel {
            quants: self.quants.as_ptr().cast(),
            lower: std::ptr::null(),
            scales: self.floats.as_ptr().cast(),
            blocks: self.blocks,
            bytes: 0,
        }
    }
}

/// The bytes of `lines`.
pub(super) fn bytes(lines: &[Line]) -> &[u8] {
    // SAFETY: a line is 64 bytes without padding.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), size_of_val(lines)) }
}

/// The bytes of `lines`, to be written.
pub(super) fn bytes_mut(lines: &mut [Line]) -> &mut [u8] {
    // SAFETY: a line is 64 bytes without padding, and any bytes are a line.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), size_of_val(lines)) }
}
