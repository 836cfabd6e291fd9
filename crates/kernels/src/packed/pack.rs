//! From the rows of a file to panels.

use super::layout::{BLOCK, Layout, PANEL, SHARING, STEP, STEP_BYTES, STEPS, Scales};
use crate::DType;
use crate::dequantize::scalar::{five_bits, nibbles, part, scale_and_min};

/// One row of one block: its quants and the bytes of its scales.
struct RowBlock {
    quants: [u8; BLOCK],
    /// Scale, then minimum or second scale, as wide as the layout says.
    own: [u8; 4],
    /// The same of what eight blocks share.
    shared: [u8; 4],
}

/// Writes sixteen rows, or fewer at the end of a matrix, to a panel of zeros.
pub(super) fn pack_panel(dtype: DType, layout: Layout, rows: &[&[u8]], panel: &mut [u8]) {
    let blocks =
        rows.first().map_or(0, |row| row.len() / dtype.block_bytes()) * (dtype.block_len() / BLOCK);
    let (quants, scales) = panel.split_at_mut(blocks * layout.quant_bytes());
    for (r, row) in rows.iter().enumerate() {
        for block in 0..blocks {
            let row_block = row_block(dtype, row, block);
            let out = &mut quants[block * layout.quant_bytes()..][..layout.quant_bytes()];
            put_quants(layout.bits, r, &row_block.quants, out);
            put_scales(layout, (r, block), &row_block, scales);
        }
    }
}

fn put_quants(bits: usize, row: usize, quants: &[u8; BLOCK], out: &mut [u8]) {
    for (k, &quant) in quants.iter().enumerate() {
        let (step, at) = (k / STEP, STEP * row + k % STEP);
        if bits == 8 {
            out[step * STEP_BYTES + at] = quant;
            continue;
        }
        let half = STEPS / 2;
        out[step % half * STEP_BYTES + at] |= (quant & 15) << (4 * (step / half));
        let high = quant >> 4;
        match bits {
            5 => out[half * STEP_BYTES + at] |= high << step,
            6 => out[(half + step / half) * STEP_BYTES + at] |= high << (2 * (step % half)),
            _ => {}
        }
    }
}

fn put_scales(layout: Layout, (row, block): (usize, usize), from: &RowBlock, out: &mut [u8]) {
    let (own, shared) = layout.scale_offsets(block);
    let mut put = |start: usize, width: usize, bytes: &[u8]| {
        for (field, bytes) in bytes.chunks_exact(width).enumerate() {
            out[start + (field * PANEL + row) * width..][..width].copy_from_slice(bytes);
        }
    };
    match layout.scales {
        Scales::Centred { .. } | Scales::Split => put(own, 2, &from.own[..2]),
        Scales::Shifted => put(own, 2, &from.own),
        Scales::SharedShifted => {
            put(own, 1, &from.own[..2]);
            put(shared, 2, &from.shared);
        }
        Scales::SharedCentred => {
            put(own, 1, &from.own[..2]);
            put(shared, 2, &from.shared[..2]);
        }
    }
}

/// Block `index` of 32 columns of a row in the form of GGUF files.
fn row_block(dtype: DType, row: &[u8], index: usize) -> RowBlock {
    let per_block = dtype.block_len() / BLOCK;
    let block = &row[index / per_block * dtype.block_bytes()..][..dtype.block_bytes()];
    let within = index % SHARING;
    let two = |at: usize| [block[at], block[at + 1], 0, 0];
    let four = |at: usize| *part::<4>(block, at);
    let none = [0; 4];
    let (quants, own, shared) = match dtype {
        DType::Q4_0 => (nibbles(part(block, 2)), two(0), none),
        DType::Q4_1 => (nibbles(part(block, 4)), four(0), none),
        DType::Q5_0 => (five_bits(block, 2), two(0), none),
        DType::Q5_1 => (five_bits(block, 4), four(0), none),
        DType::Q8_0 => (part::<BLOCK>(block, 2).map(|byte| byte ^ 0x80), two(0), none),
        DType::Q4K | DType::Q5K => {
            let (scale, min) = scale_and_min(part(block, 4), within);
            let at = if dtype == DType::Q4K { 16 } else { 48 };
            let low: &[u8; BLOCK] = part(block, at + within / 2 * BLOCK);
            let mut quants = low.map(|byte| (byte >> (4 * (within % 2))) & 15);
            if dtype == DType::Q5K {
                for (quant, bits) in quants.iter_mut().zip(part::<BLOCK>(block, 16)) {
                    *quant |= ((bits >> within) & 1) << 4;
                }
            }
            (quants, [scale, min, 0, 0], four(0))
        }
        DType::Q6K => {
            let (half, quarter) = (within / 4, within % 4);
            let low: &[u8; BLOCK] = part(block, 64 * half + BLOCK * (quarter % 2));
            let mut quants = low.map(|byte| (byte >> (4 * (quarter / 2))) & 15);
            for (quant, bits) in quants.iter_mut().zip(part::<BLOCK>(block, 128 + BLOCK * half)) {
                *quant |= ((bits >> (2 * quarter)) & 3) << 4;
            }
            (quants, two(192 + 8 * half + 2 * quarter), two(208))
        }
        DType::F32 | DType::F16 | DType::BF16 => unreachable!("a packed type has blocks"),
    };
    RowBlock { quants, own, shared }
}
