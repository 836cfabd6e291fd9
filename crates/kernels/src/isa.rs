//! Which instructions this CPU has, as a value that proves it.

#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;
#[cfg(target_arch = "x86_64")]
use std::arch::is_x86_feature_detected;

/// An instruction set that this CPU is known to support.
///
/// Every kernel returns the same bits for every variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust: the definition of every kernel.
    Scalar,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX2 with products of bytes; for kernels without such a variant the
    /// same as AVX2.
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    /// AVX-512 with products of bytes, where the CPU has them; for kernels
    /// without such a variant the same as AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// NEON, which every 64-bit Arm processor has: for most kernels the
    /// definition, which is compiled for it.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    /// NEON with dot products of bytes.
    #[cfg(target_arch = "aarch64")]
    NeonDot(NeonDot),
}

impl Isa {
    /// The fastest set of this CPU.
    pub fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::Scalar)
    }

    /// Every set of this CPU, the slowest first.
    pub fn available() -> Vec<Self> {
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let more = [];
        #[cfg(target_arch = "x86_64")]
        let more = [
            Avx2::detect().map(Self::Avx2),
            AvxVnni::detect().map(Self::AvxVnni),
            Avx512::detect().map(Self::Avx512),
        ];
        #[cfg(target_arch = "aarch64")]
        let more = [Neon::detect().map(Self::Neon), NeonDot::detect().map(Self::NeonDot)];
        std::iter::once(Self::Scalar).chain(more.into_iter().flatten()).collect()
    }

    /// The set of this CPU that is called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|isa| isa.name() == name)
    }

    /// The name that reports print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(_) => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot(_) => "neon-dotprod",
        }
    }
}

/// Proof that this CPU has AVX2, FMA and F16C. Only [`Avx2::detect`] makes one.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    /// The proof, if this CPU has all three features.
    pub fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        has_all.then_some(Self(()))
    }
}

/// Proof that this CPU has what [`Avx2`] proves and AVX-VNNI. Only
/// [`AvxVnni::detect`] makes one.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvxVnni(Avx2);

#[cfg(target_arch = "x86_64")]
impl AvxVnni {
    /// The proof, if this CPU has it.
    pub fn detect() -> Option<Self> {
        Avx2::detect().filter(|_| is_x86_feature_detected!("avxvnni")).map(Self)
    }

    /// What it proves besides.
    pub fn avx2(self) -> Avx2 {
        self.0
    }
}

/// Proof that this CPU has what [`Avx2`] proves and the parts of AVX-512 that
/// kernels use: F, BW, VL, VNNI. Only [`Avx512::detect`] makes one.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(Avx2);

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// The proof, if this CPU has all of them.
    pub fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        Avx2::detect().filter(|_| has_all).map(Self)
    }

    /// What it proves besides.
    pub fn avx2(self) -> Avx2 {
        self.0
    }
}

/// Proof that this CPU has NEON. Only [`Neon::detect`] makes one.
#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neon(());

#[cfg(target_arch = "aarch64")]
impl Neon {
    /// The proof, if this CPU has it.
    pub fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

/// Proof that this CPU has what [`Neon`] proves and dot products of bytes.
/// Only [`NeonDot::detect`] makes one.
#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeonDot(Neon);

#[cfg(target_arch = "aarch64")]
impl NeonDot {
    /// The proof, if this CPU has them.
    pub fn detect() -> Option<Self> {
        Neon::detect().filter(|_| is_aarch64_feature_detected!("dotprod")).map(Self)
    }

    /// What it proves besides.
    pub fn neon(self) -> Neon {
        self.0
    }
}
