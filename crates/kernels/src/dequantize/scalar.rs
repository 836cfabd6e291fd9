//! The definition of every block layout.
//!
//! All functions are `inline(always)`, so that a variant can compile them
//! once more for its own instruction set.

use crate::DType;

/// See [`super::dequantize`], which has checked the lengths.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(super) fn dequantize(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        DType::F32 => blocks::<4, 1>(bytes, out, |b, y| y[0] = f32::from_le_bytes(*b)),
        DType::F16 => blocks::<2, 1>(bytes, out, |b, y| y[0] = f16(b)),
        DType::BF16 => blocks::<2, 1>(bytes, out, |b, y| {
            y[0] = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
        }),
        DType::Q4_0 => blocks::<18, 32>(bytes, out, q4_0),
        DType::Q4_1 => blocks::<20, 32>(bytes, out, q4_1),
        DType::Q5_0 => blocks::<22, 32>(bytes, out, q5_0),
        DType::Q5_1 => blocks::<24, 32>(bytes, out, q5_1),
        DType::Q8_0 => blocks::<34, 32>(bytes, out, q8_0),
        DType::Q4K => blocks::<144, 256>(bytes, out, q4_k),
        DType::Q5K => blocks::<176, 256>(bytes, out, q5_k),
        DType::Q6K => blocks::<210, 256>(bytes, out, q6_k),
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn blocks<const BYTES: usize, const LEN: usize>(
    bytes: &[u8],
    out: &mut [f32],
    one: impl Fn(&[u8; BYTES], &mut [f32; LEN]),
) {
    let (bytes, _) = bytes.as_chunks();
    let (out, _) = out.as_chunks_mut();
    for (block, numbers) in bytes.iter().zip(out) {
        one(block, numbers);
    }
}

/// The value of an IEEE half float, without a branch.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(crate) fn f16(bytes: &[u8; 2]) -> f32 {
    let half = u32::from(u16::from_le_bytes(*bytes));
    let sign = (half & 0x8000) << 16;
    // The half's exponent, read as a float's, is 112 too small; multiplying
    // by 2^112 also makes subnormal halves normal, exactly.
    let magnitude = f32::from_bits((half & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    let infinite = if half & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(magnitude.to_bits() | infinite | sign)
}

/// The scale or minimum that starts at byte `at` of a block.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn scale_at(block: &[u8], at: usize) -> f32 {
    f16(&[block[at], block[at + 1]])
}

/// Low nibbles of 16 bytes, then their high nibbles.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(crate) fn nibbles(bytes: &[u8; 16]) -> [u8; 32] {
    let mut quants = [0; 32];
    let (low, high) = quants.split_at_mut(16);
    for i in 0..16 {
        low[i] = bytes[i] & 15;
        high[i] = bytes[i] >> 4;
    }
    quants
}

/// Writes `(quant - zero) * scale`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn scaled(quants: &[u8], zero: i32, scale: f32, out: &mut [f32]) {
    for (number, quant) in out.iter_mut().zip(quants) {
        *number = (i32::from(*quant) - zero) as f32 * scale;
    }
}

/// Writes `quant * scale + min`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn shifted(quants: &[u8], scale: f32, min: f32, out: &mut [f32]) {
    for (number, quant) in out.iter_mut().zip(quants) {
        *number = i32::from(*quant) as f32 * scale + min;
    }
}

/// The bytes of a block from `at` on.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(crate) fn part<const N: usize>(block: &[u8], at: usize) -> &[u8; N] {
    block[at..].first_chunk().expect("a block's parts lie inside it")
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    scaled(&nibbles(part(block, 2)), 8, scale_at(block, 0), out);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    shifted(&nibbles(part(block, 4)), scale_at(block, 0), scale_at(block, 2), out);
}

/// The 32 five-bit numbers of a block: high bits from a word, low bits from
/// the nibbles after it.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(crate) fn five_bits(block: &[u8], word_at: usize) -> [u8; 32] {
    let word: &[u8; 4] = part(block, word_at);
    let mut quants = nibbles(part(block, word_at + 4));
    for i in 0..32 {
        // The bit of number i, as 0 or 16.
        let high = if word[i / 8] & (1 << (i % 8)) == 0 { 0 } else { 16 };
        quants[i] |= high;
    }
    quants
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    scaled(&five_bits(block, 2), 16, scale_at(block, 0), out);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    shifted(&five_bits(block, 4), scale_at(block, 0), scale_at(block, 2), out);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let scale = scale_at(block, 0);
    for (number, byte) in out.iter_mut().zip(part::<32>(block, 2)) {
        *number = i32::from(byte.cast_signed()) as f32 * scale;
    }
}

/// Scale and minimum of group `group` (of 8) from the twelve bytes that pack
/// sixteen six-bit numbers.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
pub(crate) fn scale_and_min(packed: &[u8; 12], group: usize) -> (u8, u8) {
    if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        (
            (packed[group + 4] & 15) | ((packed[group - 4] >> 6) << 4),
            (packed[group + 4] >> 4) | ((packed[group] >> 6) << 4),
        )
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let (scale, min) = (scale_at(block, 0), scale_at(block, 2));
    for (pair, out) in out.chunks_exact_mut(64).enumerate() {
        let bytes: &[u8; 32] = part(block, 16 + 32 * pair);
        for (half, out) in out.chunks_exact_mut(32).enumerate() {
            let (factor, steps) = scale_and_min(part(block, 4), 2 * pair + half);
            let (factor, steps) = (f32::from(factor), f32::from(steps));
            let quants = bytes.map(|byte| (byte >> (4 * half)) & 15);
            shifted(&quants, scale * factor, -(min * steps), out);
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    let (scale, min) = (scale_at(block, 0), scale_at(block, 2));
    let high_bits: &[u8; 32] = part(block, 16);
    for (pair, out) in out.chunks_exact_mut(64).enumerate() {
        let bytes: &[u8; 32] = part(block, 48 + 32 * pair);
        for (half, out) in out.chunks_exact_mut(32).enumerate() {
            let (factor, steps) = scale_and_min(part(block, 4), 2 * pair + half);
            let (factor, steps) = (f32::from(factor), f32::from(steps));
            let mut quants = bytes.map(|byte| (byte >> (4 * half)) & 15);
            for (quant, bits) in quants.iter_mut().zip(high_bits) {
                *quant |= ((bits >> (2 * pair + half)) & 1) << 4;
            }
            shifted(&quants, scale * factor, -(min * steps), out);
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let scale = scale_at(block, 208);
    for (half, out) in out.chunks_exact_mut(128).enumerate() {
        let high_bits: &[u8; 32] = part(block, 128 + 32 * half);
        let scales: &[u8; 8] = part(block, 192 + 8 * half);
        for (quarter, out) in out.chunks_exact_mut(32).enumerate() {
            let low_bits: &[u8; 32] = part(block, 64 * half + 32 * (quarter % 2));
            let mut quants = low_bits.map(|byte| (byte >> (4 * (quarter / 2))) & 15);
            for (quant, bits) in quants.iter_mut().zip(high_bits) {
                *quant |= ((bits >> (2 * quarter)) & 3) << 4;
            }
            for (sixteen, out) in out.chunks_exact_mut(16).enumerate() {
                let scale = scale * f32::from(scales[2 * quarter + sixteen].cast_signed());
                scaled(&quants[16 * sixteen..][..16], 32, scale, out);
            }
        }
    }
}
