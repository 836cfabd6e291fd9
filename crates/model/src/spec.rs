//! Decoder-only transformers, described as data.
//!
//! One forward pass reads a [`DecoderSpec`]. A family of models is a function
//! that fills it in, written as its difference from [`llama`]. Adding a model
//! adds one function and one parameter count below; it never adds a forward
//! pass.

use plumb_kernels::{Activation, Pairs};

use crate::config::Config;
use crate::weights::Parameter;

/// A decoder-only transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderSpec {
    /// The name in GGUF files.
    pub architecture: String,
    pub layers: usize,
    /// D.
    pub width: usize,
    /// H.
    pub heads: usize,
    /// K; divides H.
    pub kv_heads: usize,
    /// E.
    pub head_width: usize,
    /// F.
    pub feed_forward: usize,
    /// V.
    pub vocab: usize,
    /// Positions that the model was trained to read.
    pub context: usize,
    pub(crate) norm: NormKind,
    pub(crate) norm_eps: f32,
    pub(crate) positions: Positions,
    pub(crate) window: Option<Window>,
    /// Factor of the embeddings of the input.
    pub(crate) embedding_scale: f32,
    /// Factor of the attention scores.
    pub(crate) attention_scale: f32,
    pub(crate) extra_norms: ExtraNorms,
    pub(crate) biases: Biases,
    pub(crate) packing: Packing,
    pub(crate) gate: Gate,
    /// The output matrix is the embedding.
    pub(crate) tied_embeddings: bool,
}

/// How a row is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormKind {
    /// To mean square 1, with a gain.
    Rms,
    /// To mean 0 and variance 1, with a gain and a bias.
    Layer,
}

/// How a token knows where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Positions {
    /// Keys and queries are rotated.
    Rope(Rope),
    /// A learned vector is added to the embedding.
    Learned,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rope {
    pub(crate) pairs: Pairs,
    pub(crate) base: f32,
    /// Numbers of a head that are rotated.
    pub(crate) width: usize,
    /// Positions are divided by it.
    pub(crate) scale: f32,
}

/// Layers that see only the last positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) positions: usize,
    /// Every so many-th layer sees all positions; 0 means none does.
    pub(crate) full_every: usize,
    /// Base of the rotation in the layers with a window.
    pub(crate) rope_base: f32,
}

/// Norms beside those before attention and feed-forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExtraNorms {
    None,
    /// Of each head's queries and keys.
    QueryKey,
    /// Those, and after attention and feed-forward, before the residual sum.
    QueryKeyAndPost,
}

/// Which linear maps add a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Biases {
    None,
    Qkv,
    All,
}

/// Which matrices are stored as one, rows after rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Qkv,
    /// Queries, keys and values; and the gate before the feed-forward's input.
    QkvAndGate,
}

/// The inside of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// `down(activation(gate(x)) * up(x))`.
    Gated(Activation),
    /// `down(activation(up(x)))`.
    Plain(Activation),
}

/// A function that gives the numbers of a file their meaning.
type Family = fn(&Config) -> DecoderSpec;

/// Architectures by their name in GGUF files.
const FAMILIES: &[(&str, Family)] = &[
    ("llama", llama),
    ("qwen2", qwen2),
    ("qwen3", qwen3),
    ("gemma3", gemma3),
    ("phi3", phi3),
    ("gpt2", gpt2),
];

/// The spec of an architecture, or `None` if it is not known.
pub(crate) fn family(architecture: &str, config: &Config) -> Option<DecoderSpec> {
    let (_, fill) = FAMILIES.iter().find(|(name, _)| *name == architecture)?;
    Some(DecoderSpec { architecture: architecture.to_owned(), ..fill(config) })
}

/// The architectures that can be loaded, for an error message.
pub(crate) fn known_families() -> String {
    FAMILIES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Llama 1 to 3, SmolLM2, and Mistral as converters write it. Touvron et al.
/// 2023, arXiv:2302.13971.
///
/// GGUF files store the rows of queries and keys so that pairs interleave.
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
        positions: Positions::Rope(rope(Pairs::Interleaved, c)),
        window: c.window.map(|positions| Window {
            positions,
            full_every: 0,
            rope_base: c.rope_base,
        }),
        embedding_scale: 1.0,
        attention_scale: 1.0 / (c.head_width as f32).sqrt(),
        extra_norms: ExtraNorms::None,
        biases: Biases::None,
        packing: Packing::None,
        gate: Gate::Gated(Activation::Silu),
        tied_embeddings: false,
    }
}

fn rope(pairs: Pairs, c: &Config) -> Rope {
    Rope { pairs, base: c.rope_base, width: c.rope_width, scale: c.rope_scale }
}

/// Qwen 2 and 2.5. Yang et al. 2024, arXiv:2407.10671.
fn qwen2(c: &Config) -> DecoderSpec {
    DecoderSpec {
        positions: Positions::Rope(rope(Pairs::HalfSplit, c)),
        biases: Biases::Qkv,
        window: None,
        ..llama(c)
    }
}

/// Qwen 3, dense. Yang et al. 2025, arXiv:2505.09388.
fn qwen3(c: &Config) -> DecoderSpec {
    DecoderSpec { biases: Biases::None, extra_norms: ExtraNorms::QueryKey, ..qwen2(c) }
}

/// Gemma 3, text. Gemma Team 2025, arXiv:2503.19786.
///
/// GGUF files store the gains of norms with 1 added.
fn gemma3(c: &Config) -> DecoderSpec {
    // The 27B model alone scales by D/H instead of E.
    let scaled_by = if c.layers == 62 { c.width / c.heads } else { c.head_width };
    DecoderSpec {
        positions: Positions::Rope(rope(Pairs::HalfSplit, c)),
        window: c.window.map(|positions| Window { positions, full_every: 6, rope_base: 10_000.0 }),
        embedding_scale: (c.width as f32).sqrt(),
        attention_scale: 1.0 / (scaled_by as f32).sqrt(),
        extra_norms: ExtraNorms::QueryKeyAndPost,
        gate: Gate::Gated(Activation::GeluTanh),
        ..llama(c)
    }
}

/// Phi 3 with its short context. Abdin et al. 2024, arXiv:2404.14219.
fn phi3(c: &Config) -> DecoderSpec {
    DecoderSpec {
        positions: Positions::Rope(rope(Pairs::HalfSplit, c)),
        packing: Packing::QkvAndGate,
        ..llama(c)
    }
}

/// GPT-2. Radford et al. 2019.
fn gpt2(c: &Config) -> DecoderSpec {
    DecoderSpec {
        norm: NormKind::Layer,
        positions: Positions::Learned,
        biases: Biases::All,
        packing: Packing::Qkv,
        gate: Gate::Plain(Activation::GeluTanh),
        ..llama(c)
    }
}

impl DecoderSpec {
    /// How many numbers the model has learned.
    pub fn parameters(&self) -> u64 {
        self.parameter_list().iter().map(Parameter::len).sum()
    }

    /// Every tensor of the model, by its GGUF name.
    pub(crate) fn parameter_list(&self) -> Vec<Parameter> {
        let mut list = vec![Parameter::new("token_embd.weight", [self.vocab, self.width])];
        if self.positions == Positions::Learned {
            list.push(Parameter::new("position_embd.weight", [self.context, self.width]));
        }
        for layer in 0..self.layers {
            self.list_layer(&format!("blk.{layer}"), &mut list);
        }
        self.list_norm("output_norm", self.width, &mut list);
        if !self.tied_embeddings {
            list.push(Parameter::new("output.weight", [self.vocab, self.width]));
        }
        list
    }

    fn list_layer(&self, blk: &str, list: &mut Vec<Parameter>) {
        let (width, inner) = (self.width, self.feed_forward);
        let queries = self.heads * self.head_width;
        let keys = self.kv_heads * self.head_width;
        let qkv_bias = self.biases != Biases::None;
        let other_bias = self.biases == Biases::All;
        let mut linear = |name: &str, shape: [usize; 2], has_bias: bool| {
            list.push(Parameter::new(format!("{blk}.{name}.weight"), shape));
            if has_bias {
                list.push(Parameter::new(format!("{blk}.{name}.bias"), [shape[0]]));
            }
        };
        if self.packing == Packing::None {
            linear("attn_q", [queries, width], qkv_bias);
            linear("attn_k", [keys, width], qkv_bias);
            linear("attn_v", [keys, width], qkv_bias);
        } else {
            linear("attn_qkv", [queries + 2 * keys, width], qkv_bias);
        }
        linear("attn_output", [width, queries], other_bias);
        match (self.gate, self.packing) {
            (Gate::Gated(_), Packing::QkvAndGate) => {
                linear("ffn_up", [2 * inner, width], other_bias);
            }
            (Gate::Gated(_), _) => {
                linear("ffn_gate", [inner, width], other_bias);
                linear("ffn_up", [inner, width], other_bias);
            }
            (Gate::Plain(_), _) => linear("ffn_up", [inner, width], other_bias),
        }
        linear("ffn_down", [width, inner], other_bias);

        self.list_norm(&format!("{blk}.attn_norm"), width, list);
        self.list_norm(&format!("{blk}.ffn_norm"), width, list);
        if self.extra_norms != ExtraNorms::None {
            self.list_norm(&format!("{blk}.attn_q_norm"), self.head_width, list);
            self.list_norm(&format!("{blk}.attn_k_norm"), self.head_width, list);
        }
        if self.extra_norms == ExtraNorms::QueryKeyAndPost {
            self.list_norm(&format!("{blk}.post_attention_norm"), width, list);
            self.list_norm(&format!("{blk}.post_ffw_norm"), width, list);
        }
    }

    fn list_norm(&self, name: &str, width: usize, list: &mut Vec<Parameter>) {
        list.push(Parameter::new(format!("{name}.weight"), [width]));
        if self.norm == NormKind::Layer {
            list.push(Parameter::new(format!("{name}.bias"), [width]));
        }
    }

    /// The window of layer `layer`, or `None` if it sees all positions.
    pub(crate) fn window_of(&self, layer: usize) -> Option<Window> {
        let sees_all = |w: &Window| w.full_every != 0 && (layer + 1).is_multiple_of(w.full_every);
        self.window.filter(|window| !sees_all(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        rope_scale: 1.0,
        window: None,
    };

    /// `tied` says whether the published count has one matrix for both ends.
    #[track_caller]
    fn check(family: Family, tied: bool, sizes: Config, published: u64) {
        let spec = DecoderSpec { tied_embeddings: tied, ..family(&sizes) };
        assert_eq!(spec.parameters(), published);
    }

    #[test]
    fn every_family_has_its_published_number_of_parameters() {
        check(llama, true, SMOLLM2_135M, 134_515_008);
        let qwen = Config {
            layers: 24,
            width: 896,
            heads: 14,
            kv_heads: 2,
            feed_forward: 4864,
            vocab: 151_936,
            ..SMOLLM2_135M
        };
        check(qwen2, true, qwen, 494_032_768);
        let qwen3_06b = Config {
            layers: 28,
            width: 1024,
            heads: 16,
            kv_heads: 8,
            head_width: 128,
            feed_forward: 3072,
            ..qwen
        };
        check(qwen3, true, qwen3_06b, 596_049_920);
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
        check(gemma3, true, gemma, 268_098_176);
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
        check(gpt2, true, gpt, 124_439_808);
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
        check(llama, false, mistral, 7_241_732_096);
        let phi = Config {
            width: 3072,
            kv_heads: 32,
            head_width: 96,
            feed_forward: 8192,
            vocab: 32_064,
            ..mistral
        };
        check(phi3, false, phi, 3_821_079_552);
    }

    #[test]
    fn every_sixth_layer_of_gemma_sees_all_positions() {
        let spec = gemma3(&Config { window: Some(512), ..SMOLLM2_135M });
        let full: Vec<usize> = (0..18).filter(|&i| spec.window_of(i).is_none()).collect();
        assert_eq!(full, [5, 11, 17]);
    }
}
