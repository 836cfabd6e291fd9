//! Decoder-only transformers, described as data.
//!
//! One forward pass reads a [`DecoderSpec`], which a function of
//! [`crate::families`] fills in.

use plumb_kernels::Activation;

use crate::rope::{Rope, Scaling};
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
    /// Added to the gains of norms as the files store them.
    pub(crate) gain_offset: f32,
    pub(crate) positions: Positions,
    pub(crate) window: Option<Window>,
    /// Factor of the embeddings of the input.
    pub(crate) embedding_scale: f32,
    /// Factor of the attention scores.
    pub(crate) attention_scale: f32,
    /// Below what attention scores are squeezed.
    pub(crate) attention_cap: Option<f32>,
    /// Below what logits are squeezed.
    pub(crate) logit_cap: Option<f32>,
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
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Positions {
    /// Keys and queries are rotated.
    Rope(Rope),
    /// A learned vector is added to the embedding.
    Learned,
}

/// Layers that see only the last positions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) positions: usize,
    /// Whether each layer is one of them.
    pub(crate) layers: Vec<bool>,
    /// Base of the rotation in these layers, if it is another one; it is not
    /// stretched then.
    pub(crate) rope_base: Option<f32>,
}

/// Norms beside those before attention and feed-forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExtraNorms {
    None,
    /// Of each head's queries and keys.
    QueryKey,
    /// After attention and feed-forward, before the residual sum.
    Post,
    /// All of these.
    QueryKeyAndPost,
}

impl ExtraNorms {
    pub(crate) fn has_query_key(self) -> bool {
        matches!(self, Self::QueryKey | Self::QueryKeyAndPost)
    }

    pub(crate) fn has_post(self) -> bool {
        matches!(self, Self::Post | Self::QueryKeyAndPost)
    }
}

/// Which linear maps add a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Biases {
    None,
    Qkv,
    /// Those of attention.
    Attention,
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
        let output_bias = matches!(self.biases, Biases::Attention | Biases::All);
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
        linear("attn_output", [width, queries], output_bias);
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
        if self.extra_norms.has_query_key() {
            self.list_norm(&format!("{blk}.attn_q_norm"), self.head_width, list);
            self.list_norm(&format!("{blk}.attn_k_norm"), self.head_width, list);
        }
        if self.extra_norms.has_post() {
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

    /// The rotation in layers that see all positions, if there is one.
    pub(crate) fn rope(&self) -> Option<&Rope> {
        match &self.positions {
            Positions::Rope(rope) => Some(rope),
            Positions::Learned => None,
        }
    }

    /// That in the others, if it is another one.
    pub(crate) fn local_rope(&self) -> Option<Rope> {
        let base = self.window.as_ref()?.rope_base?;
        Some(Rope { base, scaling: Scaling::None, ..self.rope()?.clone() })
    }

    /// The window of layer `layer`, or `None` if it sees all positions.
    pub(crate) fn window_of(&self, layer: usize) -> Option<&Window> {
        self.window.as_ref().filter(|window| window.layers[layer])
    }
}
