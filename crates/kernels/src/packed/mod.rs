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
mod avx_vnni;
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
mod storage;
mod wide;

use std::cell::RefCell;
use std::ops::Range;

pub use activations::{QuantizedRows, quantize_q8_0};
pub use storage::SharedBytes;

#[cfg(target_arch = "x86_64")]
use crate::isa::Avx2;
use crate::shared::Shared;
use crate::{DType, Isa, Matrix, Pool};
use layout::{BLOCK, Layout, PANEL};
use storage::Storage;
use wide::{Line, Wide};

/// Changes with the order of packed bytes.
pub const PACKED_VERSION: u32 = 1;

/// Input rows above which a panel is unpacked before it is used.
const FEW: usize = 8;

/// Input rows of a tile: what a task holds in registers at most.
const TILE: usize = 8;

/// Bytes of weights from which a task is worth a hand-over.
const TASK_BYTES: usize = 16 << 10;

thread_local! {
    static WIDE: RefCell<Wide> = RefCell::new(Wide::default());
}

/// A matrix (O, K) of quantised weights, repacked.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    layout: Layout,
    rows: usize,
    columns: usize,
    storage: Storage,
}

/// Where the blocks of a panel are.
#[derive(Clone, Copy, Debug)]
struct Panel {
    quants: *const u8,
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

impl PackedMatrix {
    /// Repacks `matrix`, or `None` if its type has no blocks.
    pub fn new(pool: &Pool, dtype: DType, bytes: &[u8], shape: (usize, usize)) -> Option<Self> {
        let (rows, columns) = shape;
        let layout = Layout::of(dtype)?;
        Matrix::new(dtype, bytes, rows, columns)?;
        let panel_bytes = layout.panel_bytes(columns / BLOCK);
        let bytes_packed = Self::bytes_of(dtype, shape)?;
        let row_bytes = dtype.bytes_of(columns)?;
        let mut lines = vec![Line::ZERO; bytes_packed / size_of::<Line>()];
        let panels = Shared::new(wide::bytes_mut(&mut lines));
        pool.run(if columns == 0 { 0 } else { rows.div_ceil(PANEL) }, &|panel| {
            let end = rows.min((panel + 1) * PANEL);
            let rows: Vec<&[u8]> =
                bytes[panel * PANEL * row_bytes..end * row_bytes].chunks_exact(row_bytes).collect();
            // SAFETY: tasks take different panels.
            let out = unsafe { panels.part(panel * panel_bytes..(panel + 1) * panel_bytes) };
            pack::pack_panel(dtype, layout, &rows, out);
        });
        Some(Self { layout, rows, columns, storage: Storage::Own(lines) })
    }

    /// A matrix of type `dtype` and shape `(rows, columns)` that lies packed in
    /// `range` of `memory`: what [`as_bytes`](Self::as_bytes) returned for the
    /// same [`PACKED_VERSION`].
    ///
    /// `None` if the type has no blocks, the range is not as long as
    /// [`bytes_of`](Self::bytes_of) says, or it begins at no multiple of 64 in
    /// memory. Other bytes make other weights, and nothing worse.
    pub fn from_packed(
        dtype: DType,
        shape: (usize, usize),
        memory: &SharedBytes,
        range: Range<usize>,
    ) -> Option<Self> {
        if Self::bytes_of(dtype, shape) != Some(range.len()) {
            return None;
        }
        let storage = Storage::shared(memory.clone(), range)?;
        Some(Self { layout: Layout::of(dtype)?, rows: shape.0, columns: shape.1, storage })
    }

    /// Bytes of a packed matrix, a multiple of 64; `None` if the type has no
    /// blocks or the columns are not whole blocks.
    pub fn bytes_of(dtype: DType, (rows, columns): (usize, usize)) -> Option<usize> {
        let layout = Layout::of(dtype)?;
        dtype.bytes_of(columns)?;
        rows.div_ceil(PANEL).checked_mul(layout.panel_bytes(columns / BLOCK))
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

    fn panel_slice(&self, index: usize) -> &[u8] {
        &self.as_bytes()[index * self.panel_bytes()..][..self.panel_bytes()]
    }

    fn panel(&self, index: usize) -> Panel {
        let blocks = self.columns / BLOCK;
        let (quants, scales) = self.panel_slice(index).split_at(blocks * self.layout.quant_bytes());
        let (quants, scales) = (quants.as_ptr(), scales.as_ptr());
        Panel { quants, scales, blocks, bytes: self.panel_bytes() }
    }
}

/// Writes to each of `outs` (T, O) the products of `x` (T, K) with its matrix
/// (O, K): `out[t][o] = x[t] · matrix[o]`.
pub fn packed_matmul(pool: &Pool, outs: &mut [(&PackedMatrix, &mut [f32])], x: &QuantizedRows) {
    let tokens = x.rows();
    let mut tasks = Vec::new();
    for (index, (matrix, out)) in outs.iter().enumerate() {
        assert_eq!(matrix.columns, x.columns(), "columns of a product");
        assert_eq!(out.len(), tokens * matrix.rows, "numbers of a product");
        let per_task = panels_per_task(matrix, pool.threads());
        let starts = (0..matrix.panels()).step_by(per_task);
        tasks.extend(starts.map(|start| (index, start..(start + per_task).min(matrix.panels()))));
    }
    if tokens == 0 {
        return;
    }
    let outs: Vec<(&PackedMatrix, Shared<f32>)> =
        outs.iter_mut().map(|(matrix, out)| (*matrix, Shared::new(out))).collect();
    pool.run(tasks.len(), &|task| {
        let (index, panels) = &tasks[task];
        let (matrix, out) = &outs[*index];
        for panel in panels.clone() {
            multiply_panel(pool.isa(), (matrix, panel), x, out);
        }
    });
}

/// Enough tasks to share the work evenly, few enough to be worth a hand-over.
fn panels_per_task(matrix: &PackedMatrix, threads: usize) -> usize {
    let worth = TASK_BYTES.div_ceil(matrix.panel_bytes().max(1));
    (matrix.panels() / (8 * threads)).max(worth).max(1)
}

fn multiply_panel(
    isa: Isa,
    (matrix, index): (&PackedMatrix, usize),
    x: &QuantizedRows,
    out: &Shared<f32>,
) {
    #[cfg(target_arch = "x86_64")]
    if let Isa::Avx2(proof) = isa {
        return multiply_groups(proof, (matrix, index), x, out);
    }
    let rows = PANEL.min(matrix.rows - index * PANEL);
    let put = |token: usize, sums: &[f32; PANEL]| {
        let at = token * matrix.rows + index * PANEL;
        // SAFETY: each panel has columns of its own in every row.
        unsafe { out.part(at..at + rows) }.copy_from_slice(&sums[..rows]);
    };
    if isa == Isa::Scalar {
        let panel = matrix.panel_slice(index);
        for token in 0..x.rows() {
            put(token, &scalar::products(matrix.layout, panel, x, token));
        }
        return;
    }
    WIDE.with_borrow_mut(|wide| {
        let panel = matrix.panel(index);
        let is_wide = FEW < x.rows();
        if is_wide {
            widen(isa, matrix.layout, panel, wide);
        }
        let mut sums = [[0.0; PANEL]; TILE];
        for start in (0..x.rows()).step_by(TILE) {
            let count = TILE.min(x.rows() - start);
            let inputs: [Input; TILE] = std::array::from_fn(|i| x.input(start + i.min(count - 1)));
            let (inputs, sums) = (&inputs[..count], &mut sums[..count]);
            if is_wide {
                wide_products(isa, wide, inputs, sums);
            } else {
                products(isa, matrix.layout, panel, inputs, sums);
            }
            sums.iter().enumerate().for_each(|(i, sums)| put(start + i, sums));
        }
    });
}

/// As [`multiply_panel`], for an instruction set that takes the input by four.
#[cfg(target_arch = "x86_64")]
fn multiply_groups(
    proof: Avx2,
    (matrix, index): (&PackedMatrix, usize),
    x: &QuantizedRows,
    out: &Shared<f32>,
) {
    let rows = PANEL.min(matrix.rows - index * PANEL);
    let of = |token: usize| {
        let at = token * matrix.rows + index * PANEL;
        // SAFETY: each panel has columns of its own in every row.
        unsafe { out.part(at..at + rows) }
    };
    let panel = matrix.panel(index);
    if x.rows() <= FEW {
        let mut token = 0;
        for group in x.groups(0..panel.blocks) {
            let mut sums = [[0.0; PANEL]; groups::GROUP];
            avx2::products(proof, matrix.layout, panel, group, &mut sums[..group.rows]);
            for sums in &sums[..group.rows] {
                of(token).copy_from_slice(&sums[..rows]);
                token += 1;
            }
        }
        return;
    }
    WIDE.with_borrow_mut(|wide| {
        avx2_wide::widen(proof, matrix.layout, panel, wide);
        let at = index * PANEL;
        if rows == PANEL {
            let room = (out.pointer(at), matrix.rows);
            // SAFETY: each panel has columns of its own in every row, and the
            // output was checked to have all rows.
            return unsafe { avx2_wide::multiply(proof, wide, x, room) };
        }
        let mut all = vec![[0.0; PANEL]; x.rows()];
        let start = all.as_flattened_mut().as_mut_ptr();
        // SAFETY: this is the room, of this call alone.
        unsafe { avx2_wide::multiply(proof, wide, x, (start, PANEL)) };
        for (token, sums) in all.iter().enumerate() {
            of(token).copy_from_slice(&sums[..rows]);
        }
    });
}

fn widen(isa: Isa, layout: Layout, panel: Panel, wide: &mut Wide) {
    match isa {
        Isa::Scalar => {}
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(_) => unreachable!("it takes groups"),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::widen(proof.avx2(), layout, panel, wide),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => avx512::widen(proof, layout, panel, wide),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(proof) => neon::widen(proof, layout, panel, wide),
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot(proof) => neon::widen(proof.neon(), layout, panel, wide),
    }
}

fn wide_products(isa: Isa, wide: &Wide, x: &[Input], out: &mut [[f32; PANEL]]) {
    match isa {
        Isa::Scalar => {}
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(_) => unreachable!("it takes groups"),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx_vnni::wide_products(proof, wide, x, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => avx512::wide_products(proof, wide, x, out),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(proof) => neon::wide_products(proof, wide, x, out),
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot(proof) => neon::wide_products_dot(proof, wide, x, out),
    }
}

fn products(isa: Isa, layout: Layout, panel: Panel, x: &[Input], out: &mut [[f32; PANEL]]) {
    match isa {
        Isa::Scalar => {}
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(_) => unreachable!("it takes groups"),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx_vnni::products(proof, layout, panel, x, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => avx512::products(proof, layout, panel, x, out),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(proof) => neon::products(proof, layout, panel, x, out),
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot(proof) => neon::products_dot(proof, layout, panel, x, out),
    }
}

#[cfg(test)]
mod tests;
