//! The definition: eight lanes of fused multiply-adds.

use super::{LANES, sum_lanes};

pub(super) fn tile<const R: usize, const C: usize>(
    rows: [&[f32]; R],
    columns: [&[f32]; C],
) -> [[f32; R]; C] {
    columns.map(|column| rows.map(|row| segment(row, column)))
}

fn segment(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        lanes[i % LANES] = x.mul_add(*y, lanes[i % LANES]);
    }
    sum_lanes(lanes)
}
