//! The families of decoders.
//!
//! A family is a function that fills in a [`DecoderSpec`], written as its
//! difference from [`llama`]. Adding a model adds one function and one
//! parameter count below; it never adds a forward pass.

use plumb_kernels::{Activation, Pairs};

use crate::DecoderSpec;
use crate::config::Config;
use crate::names::{self, Names};
use crate::rope::Rope;
use crate::spec::{Biases, ExtraNorms, Gate, NormKind, Packing, Positions, Window};

/// What is known of a family of models.
struct Family {
    /// Its name in GGUF files.
    architecture: &'static str,
    /// Its names in `config.json`.
    model_types: &'static [&'static str],
    /// Gives the numbers of a file their meaning, for weights as Hugging Face
    /// files have them.
    fill: fn(&Config) -> DecoderSpec,
    names: &'static Names,
    /// The pairs that are rotated, as converters to GGUF order the rows.
    gguf_pairs: Pairs,
}

const FAMILIES: &[Family] = &[
    Family {
        architecture: "llama",
        model_types: &["llama", "mistral"],
        fill: llama,
        names: names::LLAMA,
        gguf_pairs: Pairs::Interleaved,
    },
    family("qwen2", &["qwen2"], qwen2, names::LLAMA),
    family("qwen3", &["qwen3"], qwen3, names::LLAMA),
    family("gemma2", &["gemma2"], gemma2, names::GEMMA),
    family("gemma3", &["gemma3_text"], gemma3, names::GEMMA),
    family("phi3", &["phi3"], phi3, names::PHI3),
    family("gpt2", &["gpt2"], gpt2, names::GPT2),
];

const fn family(
    architecture: &'static str,
    model_types: &'static [&'static str],
    fill: fn(&Config) -> DecoderSpec,
    names: &'static Names,
) -> Family {
    Family { architecture, model_types, fill, names, gguf_pairs: Pairs::HalfSplit }
}

/// The spec of a GGUF file's architecture, which is known.
pub(crate) fn of_gguf(architecture: &str, config: &Config) -> DecoderSpec {
    let family = find(|family| family.architecture == architecture);
    let mut spec = family.fill(config);
    // Converters have added it.
    spec.gain_offset = 0.0;
    if let Positions::Rope(rope) = &mut spec.positions {
        rope.pairs = family.gguf_pairs;
    }
    spec
}

/// The spec of a Hugging Face folder's model type, which is known, and what its
/// files call tensors.
pub(crate) fn of_folder(model_type: &str, config: &Config) -> (DecoderSpec, &'static Names) {
    let family = find(|family| family.model_types.contains(&model_type));
    (family.fill(config), family.names)
}

fn find(is_it: impl Fn(&Family) -> bool) -> &'static Family {
    FAMILIES.iter().find(|family| is_it(family)).expect("the caller knows that there is one")
}

/// Whether GGUF files of this architecture can be loaded.
pub(crate) fn is_architecture(name: &str) -> bool {
    FAMILIES.iter().any(|family| family.architecture == name)
}

impl Family {
    fn fill(&self, config: &Config) -> DecoderSpec {
        DecoderSpec { architecture: self.architecture.to_owned(), ..(self.fill)(config) }
    }
}

/// Whether a Hugging Face folder of this model type is a decoder that can be
/// loaded.
pub(crate) fn is_known(model_type: &str) -> bool {
    FAMILIES.iter().any(|family| family.model_types.contains(&model_type))
}

/// The architectures that can be loaded, for an error message.
pub(crate) fn known_architectures() -> String {
    FAMILIES.iter().map(|family| family.architecture).collect::<Vec<_>>().join(", ")
}

/// The model types of Hugging Face folders that can be loaded.
pub(crate) fn known_model_types() -> String {
    FAMILIES.iter().flat_map(|family| family.model_types).copied().collect::<Vec<_>>().join(", ")
}

/// Llama 1 to 3, SmolLM2, and Mistral. Touvron et al. 2023, arXiv:2302.13971;
/// Jiang et al. 2023, arXiv:2310.06825.
fn llama(c: &Config) -> DecoderSpec {
    DecoderSpec {
        architecture: String::new(),
        layers: c.layers,
        width: c.width,
        heads: c.heads,
        kv_heads: c.kv_heads,
        head_width: c.head_width,
        feed_forward: c.feed_forward,
        vocab: c.vocab,
        context: c.context,
        norm: NormKind::Rms,
        norm_eps: c.norm_eps,
        gain_offset: 0.0,
        positions: Positions::Rope(Rope {
            pairs: Pairs::HalfSplit,
            base: c.rope_base,
            width: c.rope_width,
            scaling: c.rope_scaling.clone(),
        }),
        window: window(c, 0, None),
        embedding_scale: 1.0,
        attention_scale: 1.0 / c.score_divisor.unwrap_or(c.head_width as f32).sqrt(),
        attention_cap: None,
        logit_cap: None,
        extra_norms: ExtraNorms::None,
        biases: if c.has_attention_biases { Biases::Attention } else { Biases::None },
        packing: Packing::None,
        gate: Gate::Gated(c.activation.unwrap_or(Activation::Silu)),
        tied_embeddings: false,
    }
}

/// The window of the config's layers, or else of all but every `full_every`-th
/// (of all if that is 0).
fn window(c: &Config, full_every: usize, rope_base: Option<f32>) -> Option<Window> {
    let usual = || {
        let sees_all = |layer: usize| full_every != 0 && layer.is_multiple_of(full_every);
        (1..=c.layers).map(|layer| !sees_all(layer)).collect()
    };
    let layers = c.local_layers.clone().unwrap_or_else(usual);
    c.window.map(|positions| Window { positions, layers, rope_base })
}

/// Qwen 2 and 2.5. Yang et al. 2024, arXiv:2407.10671.
///
/// Their files state a window that no layer uses unless the layers are named.
fn qwen2(c: &Config) -> DecoderSpec {
    let spec = llama(c);
    let window = spec.window.filter(|_| c.local_layers.is_some());
    DecoderSpec { biases: Biases::Qkv, window, ..llama(c) }
}

/// Qwen 3, dense. Yang et al. 2025, arXiv:2505.09388.
fn qwen3(c: &Config) -> DecoderSpec {
    DecoderSpec { biases: llama(c).biases, extra_norms: ExtraNorms::QueryKey, ..qwen2(c) }
}

/// Gemma 2. Gemma Team 2024, arXiv:2408.00118.
fn gemma2(c: &Config) -> DecoderSpec {
    DecoderSpec {
        gain_offset: 1.0,
        window: window(c, 2, None),
        embedding_scale: (c.width as f32).sqrt(),
        // The 27B model alone scales by D/H.
        attention_scale: scale_by_width(c, 46),
        attention_cap: c.attention_cap,
        logit_cap: c.logit_cap,
        extra_norms: ExtraNorms::Post,
        gate: Gate::Gated(c.activation.unwrap_or(Activation::GeluTanh)),
        ..llama(c)
    }
}

/// Gemma 3, text. Gemma Team 2025, arXiv:2503.19786.
fn gemma3(c: &Config) -> DecoderSpec {
    DecoderSpec {
        window: window(c, 6, Some(c.local_rope_base.unwrap_or(10_000.0))),
        attention_scale: scale_by_width(c, 62),
        extra_norms: ExtraNorms::QueryKeyAndPost,
        ..gemma2(c)
    }
}

/// The factor of attention scores of a Gemma, of which the model with so many
/// `layers` divides by the root of D/H instead of E. GGUF files do not say so.
fn scale_by_width(c: &Config, layers: usize) -> f32 {
    let usual = if c.layers == layers { c.width / c.heads } else { c.head_width };
    1.0 / c.score_divisor.unwrap_or(usual as f32).sqrt()
}

/// Phi 3 and 3.5. Abdin et al. 2024, arXiv:2404.14219.
fn phi3(c: &Config) -> DecoderSpec {
    DecoderSpec { packing: Packing::QkvAndGate, ..llama(c) }
}

/// GPT-2. Radford et al. 2019.
fn gpt2(c: &Config) -> DecoderSpec {
    DecoderSpec {
        norm: NormKind::Layer,
        positions: Positions::Learned,
        biases: Biases::All,
        packing: Packing::Qkv,
        gate: Gate::Plain(c.activation.unwrap_or(Activation::GeluTanh)),
        ..llama(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rope::Scaling;

    const SMOLLM2_135M: Config = Config {
        layers: 30,
        width: 576,
        heads: 9,
        kv_heads: 3,
        head_width: 64,
        feed_forward: 1536,
        vocab: 49_152,
        context: 8192,
        norm_eps: 1e-5,
        rope_base: 100_000.0,
        rope_width: 64,
        local_rope_base: None,
        rope_scaling: Scaling::None,
        window: None,
        local_layers: None,
        score_divisor: None,
        attention_cap: None,
        logit_cap: None,
        activation: None,
        has_attention_biases: false,
    };

    /// `tied` says whether the published count has one matrix for both ends.
    #[track_caller]
    fn check(fill: fn(&Config) -> DecoderSpec, tied: bool, sizes: &Config, published: u64) {
        let spec = DecoderSpec { tied_embeddings: tied, ..fill(sizes) };
        assert_eq!(spec.parameters(), published);
    }

    #[test]
    fn every_family_has_its_published_number_of_parameters() {
        check(llama, true, &SMOLLM2_135M, 134_515_008);
        let qwen = Config {
            layers: 24,
            width: 896,
            heads: 14,
            kv_heads: 2,
            feed_forward: 4864,
            vocab: 151_936,
            ..SMOLLM2_135M
        };
        check(qwen2, true, &qwen, 494_032_768);
        let qwen3_06b = Config {
            layers: 28,
            width: 1024,
            heads: 16,
            kv_heads: 8,
            head_width: 128,
            feed_forward: 3072,
            ..qwen.clone()
        };
        check(qwen3, true, &qwen3_06b, 596_049_920);
        let gemma = Config {
            layers: 18,
            width: 640,
            heads: 4,
            kv_heads: 1,
            head_width: 256,
            feed_forward: 2048,
            vocab: 262_144,
            ..SMOLLM2_135M
        };
        check(gemma3, true, &gemma, 268_098_176);
        let gpt = Config {
            layers: 12,
            width: 768,
            heads: 12,
            kv_heads: 12,
            feed_forward: 3072,
            vocab: 50_257,
            context: 1024,
            ..SMOLLM2_135M
        };
        check(gpt2, true, &gpt, 124_439_808);
    }

    #[test]
    fn large_families_have_their_published_number_of_parameters() {
        let mistral = Config {
            layers: 32,
            width: 4096,
            heads: 32,
            kv_heads: 8,
            head_width: 128,
            feed_forward: 14_336,
            vocab: 32_000,
            window: Some(4096),
            ..SMOLLM2_135M
        };
        check(llama, false, &mistral, 7_241_732_096);
        let phi = Config {
            width: 3072,
            kv_heads: 32,
            head_width: 96,
            feed_forward: 8192,
            vocab: 32_064,
            ..mistral.clone()
        };
        check(phi3, false, &phi, 3_821_079_552);
    }

    #[test]
    fn gemma_2_has_its_published_number_of_parameters() {
        let gemma = Config {
            layers: 26,
            width: 2304,
            heads: 8,
            kv_heads: 4,
            head_width: 256,
            feed_forward: 9216,
            vocab: 256_000,
            ..SMOLLM2_135M
        };
        check(gemma2, true, &gemma, 2_614_341_888);
    }

    #[test]
    fn every_sixth_layer_of_gemma_sees_all_positions() {
        let spec = gemma3(&Config { window: Some(512), ..SMOLLM2_135M });
        let full: Vec<usize> = (0..18).filter(|&i| spec.window_of(i).is_none()).collect();
        assert_eq!(full, [5, 11, 17]);
        let spec = gemma2(&Config { window: Some(512), ..SMOLLM2_135M });
        assert!(spec.window_of(0).is_some() && spec.window_of(1).is_none());
    }
}
