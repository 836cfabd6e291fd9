//! What this machine can do at most: multiply-adds in floats, products of
//! bytes, and bytes read from memory.
//!
//! A kernel's speed says little by itself; its share of these limits says what
//! is left to gain. The loops keep everything in registers, so they are upper
//! bounds and no kernel reaches them.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::hint::black_box;
use std::time::Instant;

use crate::{Isa, Pool};

/// Rounds of the arithmetic loops: some milliseconds.
const ROUNDS: usize = 2_000_000;

/// Bytes of the read test: far more than the caches hold.
const READ_BYTES: usize = 256 << 20;

/// Times that each limit is measured; the best counts.
const RUNS: usize = 5;

/// Upper bounds of this machine with a pool's threads and instructions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Floating-point operations a second by fused multiply-add, in 10⁹.
    pub f32_gflops: f64,
    /// Operations a second on bytes (a multiplication and an addition are
    /// two), in 10⁹.
    pub int8_gops: f64,
    /// Bytes a second read from memory, in 10⁹.
    pub read_gb: f64,
}

impl Limits {
    /// Measures for about half a second. The machine should be idle.
    pub fn measure(pool: &Pool) -> Self {
        let arithmetic = |ops: fn(Isa, usize) -> usize| {
            best(|| {
                let started = Instant::now();
                let total = std::sync::atomic::AtomicUsize::new(0);
                pool.run(pool.threads(), &|_| {
                    let done = ops(pool.isa(), ROUNDS);
                    total.fetch_add(done, std::sync::atomic::Ordering::Relaxed);
                });
                total.into_inner() as f64 / started.elapsed().as_secs_f64() / 1e9
            })
        };
        Self {
            f32_gflops: arithmetic(float_operations),
            int8_gops: arithmetic(byte_operations),
            read_gb: read_rate(pool),
        }
    }
}

fn best(mut once: impl FnMut() -> f64) -> f64 {
    (0..RUNS).map(|_| once()).fold(0.0, f64::max)
}

/// Runs `rounds` of multiply-adds on one thread; returns how many operations
/// that was.
fn float_operations(isa: Isa, rounds: usize) -> usize {
    match isa {
        Isa::Scalar => scalar_float_operations(rounds),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => x86::float_operations_avx2(proof, rounds),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => x86::float_operations_avx2(proof.avx2(), rounds),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => x86::float_operations_avx512(proof, rounds),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(_) | Isa::NeonDot(_) => scalar_float_operations(rounds),
    }
}

/// The same for products of bytes, added in pairs or fours.
fn byte_operations(isa: Isa, rounds: usize) -> usize {
    match isa {
        Isa::Scalar => scalar_byte_operations(rounds),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => x86::byte_operations_avx2(proof, rounds),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => x86::byte_operations_avx_vnni(proof, rounds),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(proof) => x86::byte_operations_avx512(proof, rounds),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(_) | Isa::NeonDot(_) => scalar_byte_operations(rounds),
    }
}

/// What the compiler makes of plain loops: for Arm no upper bound, but near one.
fn scalar_float_operations(rounds: usize) -> usize {
    let mut sums = [0.0_f32; 64];
    for _ in 0..rounds {
        sums = sums.map(|sum| sum.mul_add(0.5, 1.0));
    }
    black_box(sums);
    rounds * 64 * 2
}

fn scalar_byte_operations(rounds: usize) -> usize {
    let mut sums = [0_i32; 8];
    for round in 0..rounds {
        let byte = i32::from(black_box(round.to_le_bytes()[0]));
        sums = sums.map(|sum| sum.wrapping_add(byte * 3));
    }
    black_box(sums);
    rounds * 8 * 2
}

/// Reads a large buffer once a run, split over the threads as weights are.
fn read_rate(pool: &Pool) -> f64 {
    let buffer: Vec<u64> = (0..READ_BYTES as u64 / 8).collect();
    let part = buffer.len().div_ceil(pool.threads() * 16);
    best(|| {
        let started = Instant::now();
        pool.run(pool.threads() * 16, &|task| {
            let start = (task * part).min(buffer.len());
            let end = (start + part).min(buffer.len());
            let mut sums = [0_u64; 32];
            for chunk in buffer[start..end].chunks_exact(32) {
                sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum ^= x);
            }
            black_box(sums);
        });
        READ_BYTES as f64 / started.elapsed().as_secs_f64() / 1e9
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_does_what_it_counts() {
        for isa in Isa::available() {
            assert!(1000 <= float_operations(isa, 100));
            assert!(1000 <= byte_operations(isa, 100));
        }
    }
}
