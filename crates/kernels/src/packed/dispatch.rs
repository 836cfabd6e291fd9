//! Products of one panel, on the instruction set of the pool.

#![expect(unsafe_code, reason = "tasks write disjoint parts of an output")]

use std::cell::RefCell;
use std::ops::Range;

use super::activations::QuantizedRows;
#[cfg(target_arch = "x86_64")]
use super::avx512_wide::Products;
use super::layout::{Layout, PANEL};
#[cfg(target_arch = "aarch64")]
use super::neon;
use super::wide::Wide;
use super::{FEW, Input, Panel, TILE, scalar, split};
#[cfg(target_arch = "x86_64")]
use super::{avx_vnni, avx2, avx2_wide, avx512, avx512_wide, groups};
use crate::Isa;
#[cfg(target_arch = "x86_64")]
use crate::isa::{Avx2, Avx512};
use crate::shared::Shared;

thread_local! {
    /// Unpacked panels, and their products.
    static WIDE: RefCell<([Wide; 2], Vec<[f32; PANEL]>)> = RefCell::default();
}

/// The panels of a matrix.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) layout: Layout,
    pub(super) bytes: &'a [u8],
    pub(super) panels: usize,
    /// Of one panel, where its parts lie together.
    pub(super) panel_bytes: usize,
    pub(super) blocks: usize,
}

impl<'a> Sources<'a> {
    /// Panel `index`.
    pub(super) fn panel(&self, index: usize) -> Source<'a> {
        let Self { layout, bytes, panels, panel_bytes, blocks } = *self;
        let (whole, lower) = if layout == split::LAYOUT {
            split::ranges(index, panels, blocks)
        } else {
            (index * panel_bytes..(index + 1) * panel_bytes, 0..0)
        };
        Source { layout, bytes: &bytes[whole], lower: &bytes[lower], blocks }
    }
}

/// A panel in the order of a layout.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) layout: Layout,
    /// Quants, then scales; there may be more behind them.
    pub(super) bytes: &'a [u8],
    /// The lower halves of quants, where they lie apart.
    pub(super) lower: &'a [u8],
    pub(super) blocks: usize,
}

impl Source<'_> {
    fn panel(&self) -> Panel {
        let halves = if self.lower.is_empty() { 1 } else { 2 };
        let (quants, scales) =
            self.bytes.split_at(self.blocks * self.layout.quant_bytes() / halves);
        Panel {
            quants: quants.as_ptr(),
            lower: self.lower.as_ptr(),
            scales: scales.as_ptr(),
            blocks: self.blocks,
            bytes: self.bytes.len(),
        }
    }
}

/// Where products go.
pub(super) struct Target<'a> {
    /// Shape (T, O).
    pub(super) out: Shared<'a, f32>,
    /// What is added to each row, or nothing.
    pub(super) bias: &'a [f32],
    /// O.
    pub(super) width: usize,
}

/// Columns of an output (T, O) that belong to a panel.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) out: &'a Shared<'a, f32>,
    /// What is added to each row of the output, or nothing.
    pub(super) bias: &'a [f32],
    /// Of the first row of the panel.
    pub(super) column: usize,
    /// O.
    pub(super) width: usize,
}

impl<'a> Target<'a> {
    /// Where the products of panel `index` go.
    pub(super) fn place(&'a self, index: usize) -> Place<'a> {
        let Self { out, bias, width } = self;
        Place { out, bias, column: index * PANEL, width: *width }
    }
}

impl Place<'_> {
    /// What of row `token` is the panel's.
    ///
    /// # Safety
    /// Nobody else may use it meanwhile.
    #[expect(clippy::mut_from_ref, reason = "the caller keeps rows and columns apart")]
    pub(super) unsafe fn row(&self, token: usize) -> &mut [f32] {
        let rows = PANEL.min(self.width - self.column);
        let at = token * self.width + self.column;
        // SAFETY: passed on.
        unsafe { self.out.part(at..at + rows) }
    }

    /// Writes the products of row `token`.
    ///
    /// # Safety
    /// As for [`Place::row`].
    unsafe fn put(&self, token: usize, sums: &[f32; PANEL]) {
        // SAFETY: passed on.
        let row = unsafe { self.row(token) };
        if self.bias.is_empty() {
            row.copy_from_slice(&sums[..row.len()]);
        } else {
            let sums = sums.iter().zip(&self.bias[self.column..]);
            row.iter_mut().zip(sums).for_each(|(out, (sum, bias))| *out = sum + bias);
        }
    }
}

/// Writes the products of some panels with all rows of `x`.
///
/// # Safety
/// Nobody else may use the panels' columns of the output meanwhile.
pub(super) unsafe fn multiply(
    isa: Isa,
    sources: &Sources,
    panels: Range<usize>,
    x: &QuantizedRows,
    target: &Target,
) {
    #[cfg(target_arch = "x86_64")]
    if let (Isa::Avx512(proof), true) = (isa, FEW < x.rows()) {
        for first in panels.clone().step_by(2) {
            let sources = (sources, first..panels.end.min(first + 2));
            // SAFETY: passed on.
            unsafe { multiply_pair(proof, sources, x, target.place(first)) };
        }
        return;
    }
    for panel in panels {
        // SAFETY: passed on.
        unsafe { multiply_panel(isa, sources.panel(panel), x, target.place(panel)) };
    }
}

/// The same for one panel.
///
/// # Safety
/// Nobody else may use the panel's columns of the output meanwhile.
pub(super) unsafe fn multiply_panel(isa: Isa, source: Source, x: &QuantizedRows, place: Place) {
    // SAFETY: passed on.
    let put = |token, sums: &_| unsafe { place.put(token, sums) };
    if x.rows() <= FEW || isa == Isa::Scalar {
        return few_products(isa, source, x, put);
    }
    WIDE.with_borrow_mut(|([wide, _], all)| {
        all.resize(x.rows(), [0.0; PANEL]);
        many_products(isa, source, x, (wide, all));
        all.iter().enumerate().for_each(|(token, sums)| put(token, sums));
    });
}

/// Writes the products of a panel, which is unpacked, with each row of `x`: of many.
fn many_products(
    isa: Isa,
    source: Source,
    x: &QuantizedRows,
    (wide, out): (&mut Wide, &mut [[f32; PANEL]]),
) {
    let (layout, panel) = (source.layout, source.panel());
    match isa {
        Isa::Scalar => unreachable!("it unpacks nothing"),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => {
            avx2_wide::widen(proof, layout, panel, wide);
            avx2_wide::multiply(proof, wide, x, out);
        }
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => {
            avx2::widen(proof.avx2(), layout, panel, wide);
            avx_vnni::multiply(proof, wide, x, out);
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(_) => unreachable!("it takes pairs"),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(proof) => {
            neon::widen(proof, layout, panel, wide);
            tiles(x, out, |x, out| neon::wide_products(proof, wide, x, out));
        }
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot(proof) => {
            neon::widen(proof.neon(), layout, panel, wide);
            tiles(x, out, |x, out| neon::wide_products_dot(proof, wide, x, out));
        }
    }
}

/// The same for two panels, the first of which belongs to `place`, or for one.
///
/// # Safety
/// Nobody else may use the panels' columns of the output meanwhile.
#[cfg(target_arch = "x86_64")]
unsafe fn multiply_pair(
    proof: Avx512,
    (sources, panels): (&Sources, Range<usize>),
    x: &QuantizedRows,
    place: Place,
) {
    let count = panels.len();
    WIDE.with_borrow_mut(|(wides, all)| {
        for (panel, wide) in panels.zip(&mut *wides) {
            avx512::widen(proof, sources.layout, sources.panel(panel).panel(), wide);
        }
        let [a, b] = &*wides;
        let multiply = |out| {
            if count == 2 {
                // SAFETY: there is room, as is said below.
                unsafe { avx512_wide::multiply(proof, [a, b], x, out) };
            } else {
                // SAFETY: as above.
                unsafe { avx512_wide::multiply(proof, [a], x, out) };
            }
        };
        if place.column + count * PANEL <= place.width {
            // The columns are within each row, and the caller's alone.
            let start = place.out.start().wrapping_add(place.column);
            let bias = place.bias.get(place.column..).unwrap_or_default();
            return multiply(Products { start, stride: place.width, bias });
        }
        all.resize(count * x.rows(), [0.0; PANEL]);
        let start = all.as_flattened_mut().as_mut_ptr();
        multiply(Products { start, stride: count * PANEL, bias: &[] });
        for (token, sums) in all.chunks_exact(count).enumerate() {
            for (panel, sums) in sums.iter().enumerate() {
                let place = Place { column: place.column + panel * PANEL, ..place };
                // SAFETY: passed on.
                unsafe { place.put(token, sums) };
            }
        }
    });
}

/// Calls `put` with the products of a panel with each row of `x`: of few.
pub(super) fn few_products(
    isa: Isa,
    source: Source,
    x: &QuantizedRows,
    mut put: impl FnMut(usize, &[f32; PANEL]),
) {
    if isa == Isa::Scalar {
        return split::whole(source, |layout, bytes| {
            for token in 0..x.rows() {
                put(token, &scalar::products(layout, bytes, x, token));
            }
        });
    }
    let panel = source.panel();
    #[cfg(target_arch = "x86_64")]
    if let Some(proof) = avx2_of(isa) {
        let mut token = 0;
        for group in x.groups(0..panel.blocks) {
            let mut sums = [[0.0; PANEL]; groups::GROUP];
            avx2::products(proof, source.layout, panel, group, &mut sums[..group.rows]);
            for sums in &sums[..group.rows] {
                put(token, sums);
                token += 1;
            }
        }
        return;
    }
    let mut sums = [[0.0; PANEL]; FEW];
    let sums = &mut sums[..x.rows()];
    tiles(x, sums, |x, sums| products(isa, source.layout, panel, x, sums));
    sums.iter().enumerate().for_each(|(token, sums)| put(token, sums));
}

/// Calls `multiply` with some rows of the input at a time, and the part of `out`
/// that is for their products.
fn tiles(
    x: &QuantizedRows,
    out: &mut [[f32; PANEL]],
    multiply: impl Fn(&[Input], &mut [[f32; PANEL]]),
) {
    for (start, out) in (0..).step_by(TILE).zip(out.chunks_mut(TILE)) {
        let count = out.len();
        let inputs: [Input; TILE] = std::array::from_fn(|i| x.input(start + i.min(count - 1)));
        multiply(&inputs[..count], out);
    }
}

/// AVX2, where a panel is multiplied with few rows by its instructions.
#[cfg(target_arch = "x86_64")]
fn avx2_of(isa: Isa) -> Option<Avx2> {
    match isa {
        Isa::Avx2(proof) => Some(proof),
        Isa::AvxVnni(proof) => Some(proof.avx2()),
        _ => None,
    }
}

fn products(isa: Isa, layout: Layout, panel: Panel, x: &[Input], out: &mut [[f32; PANEL]]) {
    match isa {
        Isa::Scalar => {}
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(_) | Isa::AvxVnni(_) => unreachable!("they take groups"),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => avx512::products(proof, layout, panel, x, out),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(proof) => neon::products(proof, layout, panel, x, out),
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot(proof) => neon::products_dot(proof, layout, panel, x, out),
    }
}
