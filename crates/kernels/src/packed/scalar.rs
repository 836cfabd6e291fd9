//! The definition of packed products, and how a panel is read.

use super::activations::QuantizedRows;
use super::layout::{BLOCK, Layout, PANEL, STEP, STEP_BYTES, STEPS, Scales};
use crate::dequantize::scalar::f16;

/// A block of a panel, read.
pub(super) struct Block {
    /// Byte `4 r + c` of step `s` is the quant of row `r`, column `4 s + c`.
    pub(super) steps: [[u8; STEP_BYTES]; STEPS],
    /// Of the whole block, or of its halves.
    pub(super) scales: [[f32; PANEL]; 2],
    pub(super) mins: [[f32; PANEL]; 2],
}

/// Reads block `index` of `blocks` in a panel.
pub(super) fn read(layout: Layout, panel: &[u8], (index, blocks): (usize, usize)) -> Block {
    let (quants, scales) = panel.split_at(blocks * layout.quant_bytes());
    let quants = &quants[index * layout.quant_bytes()..][..layout.quant_bytes()];
    let mut steps = [[0; STEP_BYTES]; STEPS];
    for (s, step) in steps.iter_mut().enumerate() {
        for (at, quant) in step.iter_mut().enumerate() {
            *quant = read_quant(layout.bits, quants, s, at);
        }
    }
    let (scales, mins) = read_scales(layout, scales, index);
    Block { steps, scales, mins }
}

fn read_quant(bits: usize, quants: &[u8], step: usize, at: usize) -> u8 {
    if bits == 8 {
        return quants[step * STEP_BYTES + at];
    }
    let half = STEPS / 2;
    let low = (quants[step % half * STEP_BYTES + at] >> (4 * (step / half))) & 15;
    let high = match bits {
        5 => (quants[half * STEP_BYTES + at] >> step) & 1,
        6 => (quants[(half + step / half) * STEP_BYTES + at] >> (2 * (step % half))) & 3,
        _ => 0,
    };
    low | high << 4
}

/// Scales and minima of block `index`.
fn read_scales(
    layout: Layout,
    bytes: &[u8],
    index: usize,
) -> ([[f32; PANEL]; 2], [[f32; PANEL]; 2]) {
    let (own, shared) = layout.scale_offsets(index);
    let half_float = |start: usize, field: usize, row: usize| {
        let at = start + 2 * (field * PANEL + row);
        f16(&[bytes[at], bytes[at + 1]])
    };
    let byte = |field: usize, row: usize| bytes[own + field * PANEL + row];
    let (mut scales, mut mins) = ([[0.0; PANEL]; 2], [[0.0; PANEL]; 2]);
    for row in 0..PANEL {
        match layout.scales {
            Scales::Centred { zero } => {
                scales[0][row] = half_float(own, 0, row);
                mins[0][row] = -f32::from(zero) * scales[0][row];
            }
            Scales::Split => unreachable!("halves are put together first"),
            Scales::Shifted => {
                scales[0][row] = half_float(own, 0, row);
                mins[0][row] = half_float(own, 1, row);
            }
            Scales::SharedShifted => {
                scales[0][row] = half_float(shared, 0, row) * f32::from(byte(0, row));
                mins[0][row] = -(half_float(shared, 1, row) * f32::from(byte(1, row)));
            }
            Scales::SharedCentred => {
                for half in 0..2 {
                    let factor = f32::from(byte(half, row).cast_signed());
                    scales[half][row] = half_float(shared, 0, row) * factor;
                    mins[half][row] = -32.0 * scales[half][row];
                }
            }
        }
    }
    (scales, mins)
}

/// The products of the sixteen rows of a panel with row `token` of `x`.
///
/// For each block in turn, the sum of `quant * value` is formed exactly, made
/// a float, multiplied by the row's scale and added to the output times the
/// input's scale; then the row's minimum times the input's sum is. Both
/// additions are fused. A block with two scales does this for each half.
pub(super) fn products(
    layout: Layout,
    panel: &[u8],
    x: &QuantizedRows,
    token: usize,
) -> [f32; PANEL] {
    let blocks = x.columns() / BLOCK;
    let groups = layout.groups();
    let mut out = [0.0_f32; PANEL];
    for index in 0..blocks {
        let block = read(layout, panel, (index, blocks));
        let at = token * blocks + index;
        let values = &x.values[at * BLOCK..][..BLOCK];
        for group in 0..groups {
            let sum = if groups == 1 { x.sums[at] } else { x.half_sums[2 * at + group] };
            for (row, out) in out.iter_mut().enumerate() {
                let total: i32 = (group * BLOCK / groups..(group + 1) * BLOCK / groups)
                    .map(|k| {
                        let quant = block.steps[k / STEP][STEP * row + k % STEP];
                        i32::from(quant) * i32::from(values[k])
                    })
                    .sum();
                let scaled = total as f32 * block.scales[group][row];
                *out = scaled.mul_add(x.scales[at], *out);
                *out = block.mins[group][row].mul_add(sum, *out);
            }
        }
    }
    out
}
