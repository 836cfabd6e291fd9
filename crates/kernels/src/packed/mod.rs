//! Products of quantised weights with quantised inputs, in integers.
//!
//! A [`PackedMatrix`] holds the quants of a file's matrix as they were, but in
//! the order in which instructions want them ([`layout`]); [`QuantizedRows`]
//! holds the inputs as eight-bit integers. The sum of a block of 32 products is
//! exact, so its order is free; the sums of a row's blocks are added as
//! [`scalar`] defines. So an output has the same bits for one input row or
//! many, one thread or many, and for every instruction set.

#![expect(unsafe_code, reason = "tasks write disjoint parts of an output")]

mod activations;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_wide;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_wide;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod dispatch;
mod format;
#[cfg(target_arch = "x86_64")]
mod groups;
mod layout;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
#[cfg(target_arch = "x86_64")]
mod prefetch;
mod scalar;
mod split;
mod storage;
mod wide;

use std::ops::Range;

pub use activations::{QuantizedRows, quantize_q8_0};
pub use split::largest_products;
pub use storage::SharedBytes;

#[cfg(test)]
use crate::Isa;
use crate::shared::Shared;
use crate::{DType, Matrix, Pool};
use dispatch::{Sources, Target};
use layout::{BLOCK, Layout, PANEL};
use storage::Storage;
use wide::Line;

/// Changes with the order of packed bytes.
pub const PACKED_VERSION: u32 = 1;

/// Input rows above which a panel is unpacked before it is used.
const FEW: usize = 8;

/// Input rows of a tile: what a task holds in registers at most.
const TILE: usize = 8;

/// Bytes of weights from which a task is worth a hand-over.
const TASK_BYTES: usize = 16 << 10;

/// A matrix (O, K) of quantised weights, repacked.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    layout: Layout,
    rows: usize,
    columns: usize,
    storage: Storage,
    /// What was found of searches for the largest product.
    searches: split::Searches,
}

/// Where the blocks of a panel are.
#[derive(Clone, Copy, Debug)]
struct Panel {
    quants: *const u8,
    /// The lower halves of quants, where they lie apart.
    lower: *const u8,
    scales: *const u8,
    /// Blocks behind both pointers.
    blocks: usize,
    /// From a panel to the next one.
    bytes: usize,
}

/// Where a row of the input is: one number a block behind `scales` and `sums`,
/// two behind `half_sums`, 32 behind `values`.
#[derive(Clone, Copy, Debug)]
struct Input {
    values: *const i8,
    scales: *const f32,
    sums: *const f32,
    half_sums: *const f32,
}

/// What is packed, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// The type of the file's matrix.
    pub dtype: DType,
    /// Whether upper and lower halves of the quants lie apart, for a matrix of
    /// which most often only the largest product is wanted; for eight bits alone.
    pub is_split: bool,
}

impl From<DType> for Packing {
    fn from(dtype: DType) -> Self {
        Self { dtype, is_split: false }
    }
}

impl Packing {
    fn layout(self) -> Option<Layout> {
        let layout = Layout::of(self.dtype)?;
        match (self.is_split, layout == split::WHOLE) {
            (false, _) => Some(layout),
            (true, true) => Some(split::LAYOUT),
            (true, false) => None,
        }
    }
}

impl PackedMatrix {
    /// Repacks the matrix of shape `(rows, columns)` in `bytes`, or `None` if its
    /// type has no blocks or cannot be split.
    pub fn new(
        pool: &Pool,
        packing: impl Into<Packing>,
        bytes: &[u8],
        shape: (usize, usize),
    ) -> Option<Self> {
        let packing = packing.into();
        let Packing { dtype, is_split } = packing;
        let (rows, columns) = shape;
        let (packed, layout) = (packing.layout()?, Layout::of(dtype)?);
        Matrix::new(dtype, bytes, rows, columns)?;
        let (blocks, panels) = (columns / BLOCK, rows.div_ceil(PANEL));
        let panel_bytes = layout.panel_bytes(blocks);
        let row_bytes = dtype.bytes_of(columns)?;
        let mut lines = vec![Line::ZERO; Self::bytes_of(packing, shape)? / size_of::<Line>()];
        let room = Shared::new(wide::bytes_mut(&mut lines));
        pool.run(if columns == 0 { 0 } else { panels }, &|panel| {
            let end = rows.min((panel + 1) * PANEL);
            let rows: Vec<&[u8]> =
                bytes[panel * PANEL * row_bytes..end * row_bytes].chunks_exact(row_bytes).collect();
            if is_split {
                let mut whole = vec![0; panel_bytes];
                pack::pack_panel(dtype, layout, &rows, &mut whole);
                let (upper, lower) = split::ranges(panel, panels, blocks);
                // SAFETY: tasks take different panels.
                let upper = unsafe { room.part(upper) };
                // SAFETY: as above, and lower halves lie behind all upper ones.
                let lower = unsafe { room.part(lower) };
                split::split_panel(&whole, blocks, upper, lower);
            } else {
                // SAFETY: tasks take different panels.
                let out = unsafe { room.part(panel * panel_bytes..(panel + 1) * panel_bytes) };
                pack::pack_panel(dtype, layout, &rows, out);
            }
        });
        let (storage, searches) = (Storage::Own(lines), split::Searches::default());
        Some(Self { layout: packed, rows, columns, storage, searches })
    }

    /// A matrix of shape `(rows, columns)` that lies packed in `range` of
    /// `memory`: what [`as_bytes`](Self::as_bytes) returned for the same packing
    /// and [`PACKED_VERSION`].
    ///
    /// `None` if the type has no blocks, the range is not as long as
    /// [`bytes_of`](Self::bytes_of) says, or it begins at no multiple of 64 in
    /// memory. Other bytes make other weights, and nothing worse.
    pub fn from_packed(
        packing: impl Into<Packing>,
        shape: (usize, usize),
        memory: &SharedBytes,
        range: Range<usize>,
    ) -> Option<Self> {
        let packing = packing.into();
        if Self::bytes_of(packing, shape) != Some(range.len()) {
            return None;
        }
        let (storage, layout) = (Storage::shared(memory.clone(), range)?, packing.layout()?);
        let ((rows, columns), searches) = (shape, split::Searches::default());
        Some(Self { layout, rows, columns, storage, searches })
    }

    /// Bytes of a packed matrix, a multiple of 64; `None` if the type has no
    /// blocks or cannot be split, or the columns are not whole blocks.
    pub fn bytes_of(packing: impl Into<Packing>, (rows, columns): (usize, usize)) -> Option<usize> {
        let packing = packing.into();
        let layout = packing.layout()?;
        packing.dtype.bytes_of(columns)?;
        let (panels, blocks) = (rows.div_ceil(PANEL), columns / BLOCK);
        if packing.is_split {
            return split::bytes_of(panels, blocks);
        }
        panels.checked_mul(layout.panel_bytes(blocks))
    }

    /// Rows, O: the width of a product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns, K: the width of an input.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.as_bytes().len()
    }

    /// The panels, as they lie in memory.
    pub fn as_bytes(&self) -> &[u8] {
        self.storage.bytes()
    }

    fn panels(&self) -> usize {
        self.rows.div_ceil(PANEL)
    }

    fn panel_bytes(&self) -> usize {
        self.layout.panel_bytes(self.columns / BLOCK)
    }

    fn is_split(&self) -> bool {
        self.layout == split::LAYOUT
    }

    fn sources(&self) -> Sources<'_> {
        let (layout, blocks) = (self.layout, self.columns / BLOCK);
        let (panels, panel_bytes) = (self.panels(), self.panel_bytes());
        Sources { layout, bytes: self.as_bytes(), panels, panel_bytes, blocks }
    }
}

/// A product that is wanted.
#[derive(Debug)]
pub struct Image<'a> {
    /// Shape (O, K).
    pub matrix: &'a PackedMatrix,
    /// What is added to each row, O numbers, or nothing.
    pub bias: &'a [f32],
    /// Shape (T, O).
    pub out: &'a mut [f32],
}

/// Writes each of `images` of `x` (T, K): `out[t][o] = x[t] · matrix[o] + bias[o]`.
pub fn packed_matmul(pool: &Pool, images: &mut [Image<'_>], x: &QuantizedRows) {
    let tokens = x.rows();
    let mut tasks = Vec::new();
    for (index, Image { matrix, bias, out }) in images.iter().enumerate() {
        x.check(pool, matrix.columns);
        assert!(bias.is_empty() || bias.len() == matrix.rows, "numbers of a bias");
        assert_eq!(out.len(), tokens * matrix.rows, "numbers of a product");
        tasks.extend(panel_tasks(matrix, pool.threads(), tokens).map(|panels| (index, panels)));
    }
    if tokens == 0 {
        return;
    }
    let images: Vec<_> = images
        .iter_mut()
        .map(|Image { matrix, bias, out }| {
            (Target { out: Shared::new(out), bias, width: matrix.rows }, matrix.sources())
        })
        .collect();
    pool.run(tasks.len(), &|task| {
        let (index, panels) = &tasks[task];
        let (target, sources) = &images[*index];
        // SAFETY: each panel has columns of its own in every row.
        unsafe { dispatch::multiply(pool.isa(), sources, panels.clone(), x, target) };
    });
}

/// The panels of each task: enough tasks to share the work evenly, few enough to be
/// worth a hand-over; pairs of them where they are multiplied together.
fn panel_tasks(
    matrix: &PackedMatrix,
    threads: usize,
    tokens: usize,
) -> impl Iterator<Item = Range<usize>> {
    let panels = matrix.panels();
    let worth = TASK_BYTES.div_ceil(matrix.panel_bytes().max(1));
    let each = (panels / (8 * threads)).max(worth).max(1);
    let each = if tokens <= FEW { each } else { each.next_multiple_of(2) };
    (0..panels).step_by(each).map(move |start| start..(start + each).min(panels))
}

#[cfg(test)]
mod tests;
