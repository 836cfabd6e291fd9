//! How a packed matrix lies in memory.
//!
//! Rows are taken sixteen at a time: a *panel*. In a panel, columns come in
//! blocks of [`BLOCK`], a block in eight *steps* of four columns, and a step is
//! 64 bytes: byte `4 r + c` belongs to row `r` and column `c` of the step. So
//! one 512-bit register, or two of 256 bits, hold four neighbours of all
//! sixteen rows, as the instructions that multiply bytes want them.
//!
//! A quant is an unsigned number `q` of [`Layout::bits`] bits; the weight is
//! `q * scale + min`. The low four bits of a block are 256 bytes, byte `i` of
//! vector `v` holding those of step `v` and, above, of step `v + 4`. A fifth
//! bit takes 64 bytes more (bit `s` for step `s`), a fifth and sixth 128 (two
//! vectors of four steps, two bits each). Eight bits are stored as they are.
//!
//! The scales of a panel follow its quants, in the precision of the file:
//! [`Scales`] says how.

use crate::DType;

/// Rows of a panel.
pub(crate) const PANEL: usize = 16;

/// Columns of a block.
pub(crate) const BLOCK: usize = 32;

/// Columns of a step.
pub(crate) const STEP: usize = 4;

/// Steps of a block.
pub(crate) const STEPS: usize = BLOCK / STEP;

/// Bytes of a step.
pub(crate) const STEP_BYTES: usize = PANEL * STEP;

/// How scales and minima of a block are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scales {
    /// A half float a row; the minimum is `-zero` times the scale.
    Centred {
        /// The quant that stands for zero.
        zero: u8,
    },
    /// As for eight bits, `Centred`; but of the quants, the upper halves come first
    /// and the lower ones lie elsewhere, both like quants of four bits.
    Split,
    /// A half float each for scale and minimum.
    Shifted,
    /// For eight blocks, two half floats a row; for each block, two bytes that
    /// multiply them.
    SharedShifted,
    /// For eight blocks, a half float a row; for each half of a block, a
    /// signed byte that multiplies it. The minimum is -32 times the product.
    SharedCentred,
}

/// The layout of matrices of one storage type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bits of a quant: 4, 5, 6 or 8.
    pub(crate) bits: usize,
    pub(crate) scales: Scales,
}

impl Layout {
    /// The layout for `dtype`, or `None` if it is not a type of blocks.
    pub(crate) const fn of(dtype: DType) -> Option<Self> {
        let (bits, scales) = match dtype {
            DType::F32 | DType::F16 | DType::BF16 => return None,
            DType::Q4_0 => (4, Scales::Centred { zero: 8 }),
            DType::Q4_1 => (4, Scales::Shifted),
            DType::Q5_0 => (5, Scales::Centred { zero: 16 }),
            DType::Q5_1 => (5, Scales::Shifted),
            DType::Q8_0 => (8, Scales::Centred { zero: 128 }),
            DType::Q4K => (4, Scales::SharedShifted),
            DType::Q5K => (5, Scales::SharedShifted),
            DType::Q6K => (6, Scales::SharedCentred),
        };
        Some(Self { bits, scales })
    }

    /// Bytes of the quants of a block.
    pub(crate) const fn quant_bytes(self) -> usize {
        self.bits * PANEL * BLOCK / 8
    }

    /// Scales of a row in a block.
    pub(crate) const fn groups(self) -> usize {
        match self.scales {
            Scales::SharedCentred => 2,
            _ => 1,
        }
    }

    /// Where the scales of block `block` begin, counted from the first of the
    /// panel, and where what they share with other blocks does.
    pub(crate) const fn scale_offsets(self, block: usize) -> (usize, usize) {
        let (each, shared) = self.scale_bytes();
        if shared == 0 {
            return (block * each, 0);
        }
        let start = block / SHARING * (SHARING * each + shared);
        (start + shared + block % SHARING * each, start)
    }

    /// Bytes of scales of a block, and of what eight blocks share.
    const fn scale_bytes(self) -> (usize, usize) {
        match self.scales {
            Scales::Centred { .. } | Scales::Split => (2 * PANEL, 0),
            Scales::Shifted => (4 * PANEL, 0),
            Scales::SharedShifted => (2 * PANEL, 4 * PANEL),
            Scales::SharedCentred => (2 * PANEL, 2 * PANEL),
        }
    }

    /// Bytes of a panel of `blocks` blocks: a multiple of 64.
    pub(crate) const fn panel_bytes(self, blocks: usize) -> usize {
        let (each, shared) = self.scale_bytes();
        let scales = blocks * each + blocks.div_ceil(SHARING) * shared;
        (blocks * self.quant_bytes() + scales).next_multiple_of(64)
    }
}

/// Blocks that share half floats.
pub(crate) const SHARING: usize = 8;
