//! Sixteen quants at a time: unpacked as bytes, widened, scaled.

#![expect(unsafe_code, reason = "AVX2 loads and stores, and calls that need AVX2")]

use std::arch::x86_64::{
    __m128i, __m256, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtph_ps, _mm_cvtsi32_si128, _mm_cvtss_f32,
    _mm_loadu_si128, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8, _mm_set1_epi16, _mm_shuffle_epi8,
    _mm_slli_epi16, _mm_srl_epi16, _mm_srli_si128, _mm_sub_epi8, _mm256_add_ps,
    _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtph_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_storeu_ps,
};

use crate::DType;
use crate::isa::Avx2;

use super::scalar::{self, part, scale_and_min};

pub(super) fn dequantize(_: Avx2, dtype: DType, bytes: &[u8], out: &mut [f32]) {
    // SAFETY: holding an `Avx2` proves that the CPU has AVX2 and F16C.
    unsafe { dequantize_avx2(dtype, bytes, out) }
}

#[target_feature(enable = "avx2,f16c")]
fn dequantize_avx2(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        DType::F32 | DType::BF16 => scalar::dequantize(dtype, bytes, out),
        DType::F16 => f16(bytes, out),
        DType::Q4_0 => each(bytes, out, |block, out| q4_0(block, out)),
        DType::Q4_1 => each(bytes, out, |block, out| q4_1(block, out)),
        DType::Q5_0 => each(bytes, out, |block, out| q5_0(block, out)),
        DType::Q5_1 => each(bytes, out, |block, out| q5_1(block, out)),
        DType::Q8_0 => each(bytes, out, |block, out| q8_0(block, out)),
        DType::Q4K => each(bytes, out, |block, out| q4_k(block, out)),
        DType::Q5K => each(bytes, out, |block, out| q5_k(block, out)),
        DType::Q6K => each(bytes, out, |block, out| q6_k(block, out)),
    }
}

/// Calls `one` for each block with its numbers, in groups of sixteen.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn each<const BYTES: usize, const GROUPS: usize>(
    bytes: &[u8],
    out: &mut [f32],
    one: impl Fn(&[u8; BYTES], &mut [[f32; 16]; GROUPS]),
) {
    let (groups, _) = out.as_chunks_mut();
    let (blocks, _) = groups.as_chunks_mut();
    for (block, numbers) in bytes.as_chunks().0.iter().zip(blocks) {
        one(block, numbers);
    }
}

#[target_feature(enable = "avx2,f16c")]
fn f16(bytes: &[u8], out: &mut [f32]) {
    let whole = out.len() / 8;
    for (halves, numbers) in bytes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        store(_mm256_cvtph_ps(load(halves)), numbers);
    }
    scalar::dequantize(DType::F16, &bytes[16 * whole..], &mut out[8 * whole..]);
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn q4_0(block: &[u8; 18], out: &mut [[f32; 16]; 2]) {
    let (scale, eight) = (_mm256_set1_ps(scale_at(block, 0)), _mm_set1_epi8(8));
    let bytes = load(part(block, 2));
    scaled(_mm_sub_epi8(nibbles(bytes, 0), eight), scale, &mut out[0]);
    scaled(_mm_sub_epi8(nibbles(bytes, 1), eight), scale, &mut out[1]);
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn q4_1(block: &[u8; 20], out: &mut [[f32; 16]; 2]) {
    let (scale, min) = (_mm256_set1_ps(scale_at(block, 0)), _mm256_set1_ps(scale_at(block, 2)));
    let bytes = load(part(block, 4));
    shifted(nibbles(bytes, 0), scale, min, &mut out[0]);
    shifted(nibbles(bytes, 1), scale, min, &mut out[1]);
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn q5_0(block: &[u8; 22], out: &mut [[f32; 16]; 2]) {
    let (scale, sixteen) = (_mm256_set1_ps(scale_at(block, 0)), _mm_set1_epi8(16));
    for (quants, out) in five_bits(block, 2).into_iter().zip(out) {
        scaled(_mm_sub_epi8(quants, sixteen), scale, out);
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn q5_1(block: &[u8; 24], out: &mut [[f32; 16]; 2]) {
    let (scale, min) = (_mm256_set1_ps(scale_at(block, 0)), _mm256_set1_ps(scale_at(block, 2)));
    for (quants, out) in five_bits(block, 4).into_iter().zip(out) {
        shifted(quants, scale, min, out);
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn q8_0(block: &[u8; 34], out: &mut [[f32; 16]; 2]) {
    let scale = _mm256_set1_ps(scale_at(block, 0));
    scaled(load(part(block, 2)), scale, &mut out[0]);
    scaled(load(part(block, 18)), scale, &mut out[1]);
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn q4_k(block: &[u8; 144], out: &mut [[f32; 16]; 16]) {
    let (scale, min) = (scale_at(block, 0), scale_at(block, 2));
    for pair in 0..4 {
        let bytes = [load(part(block, 16 + 32 * pair)), load(part(block, 32 + 32 * pair))];
        for half in 0..2 {
            let (factor, steps) = scale_and_min(part(block, 4), 2 * pair + half);
            let (factor, steps) = (f32::from(factor), f32::from(steps));
            let scale = _mm256_set1_ps(scale * factor);
            let min = _mm256_set1_ps(-(min * steps));
            let out = &mut out[4 * pair + 2 * half..][..2];
            shifted(nibbles(bytes[0], half), scale, min, &mut out[0]);
            shifted(nibbles(bytes[1], half), scale, min, &mut out[1]);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn q5_k(block: &[u8; 176], out: &mut [[f32; 16]; 16]) {
    let (scale, min) = (scale_at(block, 0), scale_at(block, 2));
    let high_bits = [load(part(block, 16)), load(part(block, 32))];
    for pair in 0..4 {
        let bytes = [load(part(block, 48 + 32 * pair)), load(part(block, 64 + 32 * pair))];
        for half in 0..2 {
            let group = 2 * pair + half;
            let (factor, steps) = scale_and_min(part(block, 4), group);
            let (factor, steps) = (f32::from(factor), f32::from(steps));
            let scale = _mm256_set1_ps(scale * factor);
            let min = _mm256_set1_ps(-(min * steps));
            let bit = _mm_set1_epi8((1_u8 << group).cast_signed());
            for i in 0..2 {
                let quants = _mm_or_si128(nibbles(bytes[i], half), sixteen_if(high_bits[i], bit));
                shifted(quants, scale, min, &mut out[2 * group + i]);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn q6_k(block: &[u8; 210], out: &mut [[f32; 16]; 16]) {
    let scale = scale_at(block, 208);
    for group in 0..16 {
        // Each half of the block is four quarters of two groups each.
        let (half, quarter, i) = (group / 8, group / 2 % 4, group % 2);
        let low_bits = load(part(block, 64 * half + 32 * (quarter % 2) + 16 * i));
        let high_bits = load(part(block, 128 + 32 * half + 16 * i));
        let high_bits = _mm_srl_epi16(high_bits, count(2 * quarter));
        let high_bits = _mm_slli_epi16(_mm_and_si128(high_bits, _mm_set1_epi8(3)), 4);
        let quants = _mm_or_si128(nibbles(low_bits, quarter / 2), high_bits);
        let scale = scale * f32::from(block[192 + group].cast_signed());
        let quants = _mm_sub_epi8(quants, _mm_set1_epi8(32));
        scaled(quants, _mm256_set1_ps(scale), &mut out[group]);
    }
}

/// The half float that starts at byte `at` of a block.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn scale_at(block: &[u8], at: usize) -> f32 {
    let half = i32::from(u16::from_le_bytes(*part(block, at)));
    _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half)))
}

/// Low nibbles (`half` 0) or high nibbles (1) of the bytes.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn nibbles(bytes: __m128i, half: usize) -> __m128i {
    _mm_and_si128(_mm_srl_epi16(bytes, count(4 * half)), _mm_set1_epi8(15))
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn count(bits: usize) -> __m128i {
    _mm_cvtsi32_si128(i32::try_from(bits).unwrap_or(0))
}

/// 16 in the bytes of which some bit of `mask` is set, 0 in the others.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn sixteen_if(bytes: __m128i, mask: __m128i) -> __m128i {
    _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(bytes, mask), mask), _mm_set1_epi8(16))
}

/// The 32 quants of a five-bit block: see the scalar definition.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn five_bits(block: &[u8], word_at: usize) -> [__m128i; 2] {
    let word: &[u8; 4] = part(block, word_at);
    let bytes = load(part(block, word_at + 4));
    // Byte i of a half tests bit i % 8 of byte i / 8 of its part of the word.
    let spread = _mm_set_epi64x(0x0101_0101_0101_0101, 0);
    let bits = i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]);
    let mask = _mm_set_epi64x(bits, bits);
    let mut quants = [nibbles(bytes, 0), nibbles(bytes, 1)];
    for half in 0..2 {
        let part = i16::from_le_bytes([word[2 * half], word[2 * half + 1]]);
        let tested = _mm_shuffle_epi8(_mm_set1_epi16(part), spread);
        quants[half] = _mm_or_si128(quants[half], sixteen_if(tested, mask));
    }
    quants
}

/// Writes `quant * scale`.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn scaled(quants: __m128i, scale: __m256, out: &mut [f32; 16]) {
    let (low, high) = widen(quants);
    let ([out_low, out_high], _) = out.as_chunks_mut() else { return };
    store(_mm256_mul_ps(low, scale), out_low);
    store(_mm256_mul_ps(high, scale), out_high);
}

/// Writes `quant * scale + min`.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn shifted(quants: __m128i, scale: __m256, min: __m256, out: &mut [f32; 16]) {
    let (low, high) = widen(quants);
    let ([out_low, out_high], _) = out.as_chunks_mut() else { return };
    store(_mm256_add_ps(_mm256_mul_ps(low, scale), min), out_low);
    store(_mm256_add_ps(_mm256_mul_ps(high, scale), min), out_high);
}

/// Sixteen signed bytes as floats.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn widen(quants: __m128i) -> (__m256, __m256) {
    let high = _mm_srli_si128(quants, 8);
    (
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(quants)),
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high)),
    )
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the array has the sixteen bytes that are read.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn store(numbers: __m256, out: &mut [f32; 8]) {
    // SAFETY: the array has room for the eight numbers that are written.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), numbers) }
}
