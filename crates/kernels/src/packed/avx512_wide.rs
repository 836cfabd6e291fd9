//! Products with many rows of the input: two panels are unpacked to bytes once, and
//! their 32 rows are multiplied with six of the input at a time, so that each
//! value is fetched for two instructions and not for one.

#![expect(unsafe_code, reason = "loads through pointers and calls that need AVX-512")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::cast_ptr_alignment,
    clippy::needless_range_loop,
    reason = "every operation of a kernel's inner loop is one of these"
)]

use std::arch::x86_64::{
    __m512, __m512i, _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps,
    _mm512_load_si512, _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_storeu_ps,
};

use super::Panel;
use super::activations::QuantizedRows;
use super::groups::Group;
use super::layout::{BLOCK, PANEL, STEP_BYTES, STEPS};
use super::wide::Wide;
use crate::isa::Avx512;

/// Rows of the input that a tile takes: with two panels their sums, and those of
/// the block at hand, fill 24 registers.
pub(super) const COLUMNS: usize = 6;

/// Where the products of panels with rows of the input go: those of a row lie
/// together.
#[derive(Clone, Copy)]
pub(super) struct Products<'a> {
    pub(super) start: *mut f32,
    /// From a row of the input to the next.
    pub(super) stride: usize,
    /// What is added to each row, or nothing.
    pub(super) bias: &'a [f32],
}

/// Products of `P` unpacked panels of one shape with all rows of the input.
///
/// Blocks are taken a chunk at a time, so that they stay in the first cache
/// while all groups pass.
///
/// # Safety
/// `out` is room for `P` times sixteen products of each row, and nobody else uses it
/// meanwhile.
pub(super) unsafe fn multiply<const P: usize>(
    _: Avx512,
    wides: [&Wide; P],
    x: &QuantizedRows,
    out: Products,
) {
    let panels = wides.map(Wide::panel);
    let (layout, blocks) = (wides[0].layout, panels[0].blocks);
    assert!(out.bias.is_empty() || P * PANEL <= out.bias.len(), "numbers of a bias");
    assert!(
        wides.iter().all(|wide| (wide.layout, wide.panel().blocks) == (layout, blocks)),
        "panels of one matrix"
    );
    for chunk in x.chunks(blocks) {
        let mut rest = out;
        for x in x.groups(chunk.clone()) {
            let bias = if chunk.end == blocks { out.bias } else { &[] };
            let task = Task {
                panels,
                first: chunk.start,
                blocks: chunk.len(),
                x,
                out: Products { bias, ..rest },
            };
            rest.start = rest.start.wrapping_add(x.rows * rest.stride);
            // SAFETY: holding an `Avx512` proves the features; `Panel` and `Group`
            // hold as many blocks as they say, and `out` the rows of the group.
            unsafe {
                match layout.groups() {
                    1 => task.any_rows::<1>(),
                    _ => task.any_rows::<2>(),
                }
            }
        }
    }
}

/// Some blocks of `P` panels, and a group of the input.
#[derive(Clone, Copy)]
struct Task<'a, const P: usize> {
    panels: [Panel; P],
    first: usize,
    blocks: usize,
    x: Group,
    /// Of the first row of the group; the bias where these blocks are the last.
    out: Products<'a>,
}

impl<const P: usize> Task<'_, P> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn any_rows<const GROUPS: usize>(self) {
        // SAFETY: passed on.
        unsafe {
            match self.x.rows {
                1 => self.tile::<GROUPS, 1>(),
                2 => self.tile::<GROUPS, 2>(),
                3 => self.tile::<GROUPS, 3>(),
                4 => self.tile::<GROUPS, 4>(),
                5 => self.tile::<GROUPS, 5>(),
                COLUMNS => self.tile::<GROUPS, COLUMNS>(),
                rows => unreachable!("{rows} rows in a group"),
            }
        }
    }

    /// Adds the products of the blocks to the output, which they begin if they are
    /// the first.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn tile<const GROUPS: usize, const C: usize>(self) {
        let mut sums = [[_mm512_setzero_ps(); P]; C];
        let row = |c: usize, p: usize| self.out.start.wrapping_add(c * self.out.stride + p * PANEL);
        if self.first != 0 {
            for c in 0..C {
                for p in 0..P {
                    // SAFETY: the sums so far are there.
                    sums[c][p] = unsafe { _mm512_loadu_ps(row(c, p)) };
                }
            }
        }
        for block in 0..self.blocks {
            for group in 0..GROUPS {
                // SAFETY: the block is one of the panels and of the group.
                unsafe { self.add_block::<GROUPS, C>((block, group), &mut sums) };
            }
        }
        if !self.out.bias.is_empty() {
            for p in 0..P {
                // SAFETY: a bias has sixteen numbers for each panel.
                let bias = unsafe { _mm512_loadu_ps(self.out.bias.as_ptr().add(p * PANEL)) };
                for c in 0..C {
                    sums[c][p] = _mm512_add_ps(sums[c][p], bias);
                }
            }
        }
        for c in 0..C {
            for p in 0..P {
                // SAFETY: there is room for the products of each row.
                unsafe { _mm512_storeu_ps(row(c, p), sums[c][p]) };
            }
        }
    }

    /// Adds what one group of a block gives, as the definition has it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn add_block<const GROUPS: usize, const C: usize>(
        self,
        (block, group): (usize, usize),
        sums: &mut [[__m512; P]; C],
    ) {
        let (index, steps) = (self.first + block, STEPS / GROUPS);
        let floats = (index * GROUPS + group) * 2 * PANEL;
        // SAFETY: the caller's block is one of the panels and of the group, whose
        // sizes are these.
        unsafe {
            let quants = (index * STEPS + group * steps) * STEP_BYTES;
            let values = self.x.values.add(block * BLOCK * C).cast::<i32>().add(group * steps * C);
            let totals = self.totals::<C>((quants, steps), values);
            let sums_of = if GROUPS == 1 { self.x.sums } else { self.x.half_sums };
            let scales_of = self.x.scales.add(block * C);
            let sums_of = sums_of.add((block * GROUPS + group) * C);
            for p in 0..P {
                let floats = self.panels[p].scales.cast::<f32>().add(floats);
                let (scales, mins) = (_mm512_loadu_ps(floats), _mm512_loadu_ps(floats.add(PANEL)));
                for c in 0..C {
                    let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(totals[c][p]), scales);
                    let scale = _mm512_set1_ps(*scales_of.add(c));
                    let sum = _mm512_set1_ps(*sums_of.add(c));
                    sums[c][p] = _mm512_fmadd_ps(scaled, scale, sums[c][p]);
                    sums[c][p] = _mm512_fmadd_ps(mins, sum, sums[c][p]);
                }
            }
        }
    }

    /// Sums of the products of `steps` steps, `quants` bytes into each panel, with
    /// as many times four values of each row.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn totals<const C: usize>(
        self,
        (quants, steps): (usize, usize),
        values: *const i32,
    ) -> [[__m512i; P]; C] {
        let mut totals = [[_mm512_setzero_si512(); P]; C];
        for s in 0..steps {
            let mut step = [_mm512_setzero_si512(); P];
            for p in 0..P {
                // SAFETY: the caller's steps are there, each a whole line.
                step[p] = unsafe {
                    let start = self.panels[p].quants.add(quants + s * STEP_BYTES);
                    _mm512_load_si512(start.cast())
                };
            }
            for c in 0..C {
                // SAFETY: the caller has four values of each row for each step.
                let value = unsafe { values.add(s * C + c).read_unaligned() };
                let value = _mm512_set1_epi32(value);
                for p in 0..P {
                    totals[c][p] = _mm512_dpbusd_epi32(totals[c][p], step[p], value);
                }
            }
        }
        totals
    }
}
