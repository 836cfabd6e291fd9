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
    let len = a.len().min(b.len());
    let ((a, a_rest), (b, b_rest)) = (a[..len].as_chunks(), b[..len].as_chunks());
    let add = |lanes: &mut [f32; LANES], a: &[f32], b: &[f32]| {
        for (lane, (x, y)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane = x.mul_add(*y, *lane);
        }
    };
    for (a, b) in a.iter().zip(b) {
        add(&mut lanes, a as &[f32; LANES], b as &[f32; LANES]);
    }
    add(&mut lanes, a_rest, b_rest);
    sum_lanes(lanes)
}
