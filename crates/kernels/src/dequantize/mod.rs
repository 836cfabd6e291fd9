//! From the bytes of a tensor to `f32`.
//!
//! [`scalar`] is the definition of every block layout, as GGUF files have
//! them. The AVX2 variant does the same operations on eight numbers at a time
//! and fuses none, so the bits are the same.

#[cfg(target_arch = "x86_64")]
mod avx2;
pub(crate) mod scalar;

use crate::{DType, Isa};

/// Writes the numbers that `bytes` stand for to `out`.
///
/// `bytes` must hold exactly `out.len()` numbers of type `dtype`; a caller
/// checks this when it opens a file.
pub fn dequantize(isa: Isa, dtype: DType, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(dtype.bytes_of(out.len()), Some(bytes.len()), "bytes and numbers of a tensor");
    match isa {
        Isa::Scalar => scalar::dequantize(dtype, bytes, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::dequantize(proof, dtype, bytes, out),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::dequantize(proof.avx2(), dtype, bytes, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => avx2::dequantize(proof.avx2(), dtype, bytes, out),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(_) | Isa::NeonDot(_) => scalar::dequantize(dtype, bytes, out),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [DType; 11] = [
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::Q4_0,
        DType::Q4_1,
        DType::Q5_0,
        DType::Q5_1,
        DType::Q8_0,
        DType::Q4K,
        DType::Q5K,
        DType::Q6K,
    ];

    #[track_caller]
    fn check(dtype: DType, bytes: &[u8], want: &[f32]) {
        let mut out = vec![0.0; bytes.len() / dtype.block_bytes() * dtype.block_len()];
        dequantize(Isa::Scalar, dtype, bytes, &mut out);
        assert_eq!(&out[..want.len()], want);
    }

    const ONE: [u8; 2] = [0x00, 0x3c];
    const TWO: [u8; 2] = [0x00, 0x40];

    #[test]
    fn half_floats_cover_zero_subnormals_and_infinity() {
        check(DType::F16, &[0, 0, 1, 0, 0, 0x3c, 0, 0xc0], &[0.0, 5.960_464_5e-8, 1.0, -2.0]);
        check(DType::F16, &[0, 0x7c, 0xff, 0x7b, 0, 0x80], &[f32::INFINITY, 65_504.0, -0.0]);
        let mut out = [0.0];
        dequantize(Isa::Scalar, DType::F16, &[0, 0x7e], &mut out);
        assert!(out[0].is_nan());
        check(DType::BF16, &[0x80, 0x3f, 0x00, 0xc0], &[1.0, -2.0]);
    }

    #[test]
    fn four_bit_blocks_put_low_nibbles_first() {
        let mut block = TWO.to_vec();
        block.extend([0x9f; 16]);
        let mut want = [14.0; 32];
        want[16..].fill(2.0);
        check(DType::Q4_0, &block, &want);

        let mut block = [TWO, ONE].concat();
        block.extend([0x9f; 16]);
        let mut want = [31.0; 32];
        want[16..].fill(19.0);
        check(DType::Q4_1, &block, &want);
    }

    #[test]
    fn five_bit_blocks_take_their_high_bit_from_the_word() {
        let mut block = ONE.to_vec();
        block.extend(0x8000_0001_u32.to_le_bytes());
        block.extend([0x21; 16]);
        let mut want = [-15.0; 32];
        want[16..].fill(-14.0);
        want[0] = 1.0;
        want[31] = 2.0;
        check(DType::Q5_0, &block, &want);

        block.splice(2..2, TWO);
        check(DType::Q5_1, &block, &want.map(|x| x + 18.0));
    }

    #[test]
    fn eight_bit_blocks_are_signed() {
        let mut block = TWO.to_vec();
        block.extend((0..32_u8).map(|i| i.wrapping_sub(16)));
        let want: Vec<f32> = (-16..16_i8).map(|i| 2.0 * f32::from(i)).collect();
        check(DType::Q8_0, &block, &want);
    }

    #[test]
    fn q4_k_scales_are_six_bits_in_twelve_bytes() {
        let mut block = [ONE, TWO].concat();
        // Scales 1..=4 and minima 5..=8 in the low six bits; the second four
        // have scale 0x31 and minimum 0x12: high bits from the first eight.
        block.extend([0xc1, 0xc2, 0xc3, 0xc4, 0x45, 0x46, 0x47, 0x48]);
        block.extend([0x21; 4]);
        block.extend([0x73; 128]);
        let mut want = Vec::new();
        for (scale, min) in [(1., 5.), (2., 6.), (3., 7.), (4., 8.)] {
            let quant = if want.len() % 64 == 0 { 3.0 } else { 7.0 };
            want.extend([scale * quant - 2.0 * min; 32]);
        }
        for quant in [3.0, 7.0, 3.0, 7.0] {
            want.extend([f32::from(0x31_u8) * quant - 2.0 * f32::from(0x12_u8); 32]);
        }
        check(DType::Q4K, &block, &want);
    }

    #[test]
    fn q5_k_adds_one_high_bit_a_number() {
        let mut block = [ONE, TWO].concat();
        block.extend([1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]);
        block.extend([0b1000_0001; 32]);
        block.extend([0x21; 128]);
        let mut want = [1.0; 256];
        for (group, numbers) in want.chunks_exact_mut(32).enumerate() {
            let high = if group == 0 || group == 7 { 16.0 } else { 0.0 };
            numbers.fill(if group % 2 == 0 { 1.0 } else { 2.0 } + high);
        }
        check(DType::Q5K, &block, &want);
    }

    #[test]
    fn q6_k_adds_two_high_bits_a_number() {
        let mut block = vec![0x21; 128];
        block.extend([0b11_10_01_00; 64]);
        block.extend((1..=16_u8).map(|i| if i == 16 { 0xff } else { i }));
        block.extend(ONE);
        let mut want = Vec::new();
        for half in 0..2_u8 {
            for quarter in 0..4_u8 {
                let low: i8 = if quarter < 2 { 1 } else { 2 };
                let quant = low + 16 * i8::try_from(quarter).unwrap() - 32;
                for sixteen in 0..2 {
                    let scale = match half * 8 + quarter * 2 + sixteen + 1 {
                        16 => -1.0,
                        n => f32::from(n),
                    };
                    want.extend([scale * f32::from(quant); 16]);
                }
            }
        }
        check(DType::Q6K, &block, &want);
    }

    proptest! {
        #[test]
        fn every_variant_returns_the_same_bits(
            which in 0..ALL.len(),
            seed in proptest::collection::vec(any::<u8>(), 1..800),
            blocks in 1_usize..5,
        ) {
            let dtype = ALL[which];
            let numbers = blocks * dtype.block_len();
            let bytes: Vec<u8> =
                seed.into_iter().cycle().take(blocks * dtype.block_bytes()).collect();
            let mut want = vec![0.0; numbers];
            dequantize(Isa::Scalar, dtype, &bytes, &mut want);
            for isa in Isa::available() {
                let mut found = vec![0.0; numbers];
                dequantize(isa, dtype, &bytes, &mut found);
                for (f, w) in found.iter().zip(&want) {
                    prop_assert!(f.to_bits() == w.to_bits() || (f.is_nan() && w.is_nan()));
                }
            }
        }
    }
}
