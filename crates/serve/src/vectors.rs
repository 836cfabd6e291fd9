//! Vectors of any length: not every embedder makes them of length 1.

/// The length of a vector.
pub(crate) fn length(vector: &[f32]) -> f32 {
    product(vector, vector).sqrt()
}

/// The cosine of two vectors; no number if one is of length 0.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    product(a, b) / (length(a) * length(b))
}

fn product(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
