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
fn f16(bytes: &[u8; 2]) -> f32 {
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

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let scale = scale_at(block, 0);
    for i in 0..16 {
        let byte = i32::from(block[2 + i]);
        out[i] = ((byte & 15) - 8) as f32 * scale;
        out[i + 16] = ((byte >> 4) - 8) as f32 * scale;
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (scale, min) = (scale_at(block, 0), scale_at(block, 2));
    for i in 0..16 {
        let byte = i32::from(block[4 + i]);
        out[i] = (byte & 15) as f32 * scale + min;
        out[i + 16] = (byte >> 4) as f32 * scale + min;
    }
}

/// The 32 five-bit numbers of a block: high bits from a word, low bits from
/// nibbles.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn five_bits(block: &[u8], word_at: usize) -> [i32; 32] {
    let word = u32::from_le_bytes([
        block[word_at],
        block[word_at + 1],
        block[word_at + 2],
        block[word_at + 3],
    ])
    .cast_signed();
    let mut quants = [0; 32];
    for i in 0..16 {
        let byte = i32::from(block[word_at + 4 + i]);
        quants[i] = (byte & 15) | (((word >> i) & 1) << 4);
        quants[i + 16] = (byte >> 4) | (((word >> (i + 16)) & 1) << 4);
    }
    quants
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let scale = scale_at(block, 0);
    for (number, quant) in out.iter_mut().zip(five_bits(block, 2)) {
        *number = (quant - 16) as f32 * scale;
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (scale, min) = (scale_at(block, 0), scale_at(block, 2));
    for (number, quant) in out.iter_mut().zip(five_bits(block, 4)) {
        *number = quant as f32 * scale + min;
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let scale = scale_at(block, 0);
    for (number, byte) in out.iter_mut().zip(&block[2..]) {
        *number = f32::from(byte.cast_signed()) * scale;
    }
}

/// Scale and minimum of group `group` (of 8) from the twelve bytes that pack
/// sixteen six-bit numbers.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn scale_and_min(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, min) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        (
            (packed[group + 4] & 15) | ((packed[group - 4] >> 6) << 4),
            (packed[group + 4] >> 4) | ((packed[group] >> 6) << 4),
        )
    };
    (f32::from(scale), f32::from(min))
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let (scale, min) = (scale_at(block, 0), scale_at(block, 2));
    for pair in 0..4 {
        let (scale_low, min_low) = scale_and_min(&block[4..16], 2 * pair);
        let (scale_high, min_high) = scale_and_min(&block[4..16], 2 * pair + 1);
        let (scale_low, min_low) = (scale * scale_low, min * min_low);
        let (scale_high, min_high) = (scale * scale_high, min * min_high);
        let bytes = &block[16 + 32 * pair..][..32];
        let (low, high) = out[64 * pair..][..64].split_at_mut(32);
        for i in 0..32 {
            let byte = i32::from(bytes[i]);
            low[i] = scale_low * (byte & 15) as f32 - min_low;
            high[i] = scale_high * (byte >> 4) as f32 - min_high;
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    let (scale, min) = (scale_at(block, 0), scale_at(block, 2));
    let high_bits = &block[16..48];
    for pair in 0..4 {
        let (scale_low, min_low) = scale_and_min(&block[4..16], 2 * pair);
        let (scale_high, min_high) = scale_and_min(&block[4..16], 2 * pair + 1);
        let (scale_low, min_low) = (scale * scale_low, min * min_low);
        let (scale_high, min_high) = (scale * scale_high, min * min_high);
        let bytes = &block[48 + 32 * pair..][..32];
        let (low, high) = out[64 * pair..][..64].split_at_mut(32);
        for i in 0..32 {
            let (byte, bits) = (i32::from(bytes[i]), i32::from(high_bits[i]) >> (2 * pair));
            low[i] = scale_low * ((byte & 15) | ((bits & 1) << 4)) as f32 - min_low;
            high[i] = scale_high * ((byte >> 4) | ((bits & 2) << 3)) as f32 - min_high;
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let scale = scale_at(block, 208);
    for half in 0..2 {
        let low_bits = &block[64 * half..][..64];
        let high_bits = &block[128 + 32 * half..][..32];
        let scales = &block[192 + 8 * half..][..8];
        for (quarter, numbers) in out[128 * half..][..128].chunks_exact_mut(32).enumerate() {
            let low_bits = &low_bits[32 * (quarter % 2)..][..32];
            let (low_shift, high_shift) = (4 * (quarter / 2), 2 * quarter);
            for (sixteen, numbers) in numbers.chunks_exact_mut(16).enumerate() {
                let scale = scale * f32::from(scales[2 * quarter + sixteen].cast_signed());
                for (i, number) in numbers.iter_mut().enumerate() {
                    let low = (i32::from(low_bits[16 * sixteen + i]) >> low_shift) & 15;
                    let high = (i32::from(high_bits[16 * sixteen + i]) >> high_shift) & 3;
                    *number = scale * ((low | (high << 4)) - 32) as f32;
                }
            }
        }
    }
}
