//! `config.json` of a Hugging Face folder.
//!
//! Older files state the rotation in keys of their own and in `rope_scaling`,
//! newer ones in `rope_parameters`, which may be one object for each kind of
//! layer.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use plumb_kernels::Activation;
use serde::Deserialize;

use super::{Config, Keys, MAX_SIZE};
use crate::Error;
use crate::families;
use crate::files::json;
use crate::rope::{Llama3, LongRope, Scaling, Yarn, long_rope_magnitude, yarn_magnitude};

const KEYS: &Keys = &Keys {
    layers: "num_hidden_layers",
    heads: "num_attention_heads",
    kv_heads: "num_key_value_heads",
    head_width: "head_dim",
    rope_width: "partial_rotary_factor",
};

/// `config.json` of a decoder, with the path that errors name.
pub(crate) struct ModelConfig {
    path: PathBuf,
    file: File,
}

#[derive(Debug, Deserialize)]
struct File {
    model_type: String,
    #[serde(alias = "n_layer")]
    num_hidden_layers: usize,
    #[serde(alias = "n_embd")]
    hidden_size: usize,
    #[serde(alias = "n_head")]
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    #[serde(alias = "n_inner")]
    intermediate_size: Option<usize>,
    vocab_size: usize,
    #[serde(alias = "n_positions")]
    max_position_embeddings: usize,
    #[serde(alias = "layer_norm_epsilon")]
    rms_norm_eps: f32,
    hidden_act: Option<String>,
    /// Which Gemma prefers.
    hidden_activation: Option<String>,
    /// As GPT-2 calls it.
    activation_function: Option<String>,
    tie_word_embeddings: Option<bool>,

    rope_parameters: Option<Rotary>,
    rope_scaling: Option<Rotary>,
    rope_theta: Option<f32>,
    rope_local_base_freq: Option<f32>,
    partial_rotary_factor: Option<f32>,
    original_max_position_embeddings: Option<usize>,

    sliding_window: Option<usize>,
    layer_types: Option<Vec<String>>,
    sliding_window_pattern: Option<usize>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,

    query_pre_attn_scalar: Option<f32>,
    attn_logit_softcapping: Option<f32>,
    final_logit_softcapping: Option<f32>,
    attention_bias: Option<bool>,

    // What would change the results and is not read.
    mlp_bias: Option<bool>,
    use_bidirectional_attention: Option<bool>,
    scale_attn_by_inverse_layer_idx: Option<bool>,
    reorder_and_upcast_attn: Option<bool>,
    quantization_config: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Rotary {
    rope_type: Option<String>,
    /// As older files call it.
    #[serde(rename = "type")]
    kind: Option<String>,
    rope_theta: Option<f32>,
    partial_rotary_factor: Option<f32>,
    factor: Option<f32>,
    low_freq_factor: Option<f32>,
    high_freq_factor: Option<f32>,
    original_max_position_embeddings: Option<usize>,
    attention_factor: Option<f32>,
    mscale: Option<f32>,
    mscale_all_dim: Option<f32>,
    beta_fast: Option<f32>,
    beta_slow: Option<f32>,
    truncate: Option<bool>,
    short_factor: Option<Vec<f32>>,
    long_factor: Option<Vec<f32>>,
    full_attention: Option<Box<Rotary>>,
    sliding_attention: Option<Box<Rotary>>,
}

/// The activation that Hugging Face calls `name`.
pub(crate) fn activation(path: &Path, key: &str, name: &str) -> Result<Activation, Error> {
    match name {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        found => Err(Error::UnknownValue {
            path: path.to_owned(),
            key: key.to_owned(),
            found: found.to_owned(),
            known: "silu, gelu, gelu_new, gelu_pytorch_tanh",
        }),
    }
}

impl ModelConfig {
    /// Reads `config.json` of `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("config.json");
        let no_model = || Error::NoModel { path: folder.to_owned(), found: 0 };
        let kind: Kind = json(&path)?.ok_or_else(no_model)?;
        if !families::is_known(&kind.model_type) {
            let (found, known) = (kind.model_type, families::known_model_types());
            return Err(Error::UnknownArchitecture { path, found, known });
        }
        Ok(Self { file: json(&path)?.ok_or_else(no_model)?, path })
    }

    pub(crate) fn model_type(&self) -> &str {
        &self.file.model_type
    }

    /// Whether the output matrix is the embedding, if it is stated.
    pub(crate) fn is_tied(&self) -> Option<bool> {
        self.file.tie_word_embeddings
    }

    /// The facts that a family reads.
    pub(crate) fn config(&self) -> Result<Config, Error> {
        let file = &self.file;
        self.refuse_what_is_not_read()?;
        let sizes = [
            ("num_hidden_layers", file.num_hidden_layers),
            ("hidden_size", file.hidden_size),
            ("num_attention_heads", file.num_attention_heads),
            ("num_key_value_heads", file.num_key_value_heads.unwrap_or(1)),
            ("head_dim", file.head_dim.unwrap_or(1)),
            ("intermediate_size", file.intermediate_size.unwrap_or(1)),
            ("vocab_size", file.vocab_size),
            ("max_position_embeddings", file.max_position_embeddings),
            ("sliding_window", file.sliding_window.unwrap_or(1)),
        ];
        if let Some((key, size)) = sizes.iter().find(|(_, size)| !(1..=MAX_SIZE).contains(size)) {
            return Err(self.unsupported(key, size));
        }
        if !(0.0..1.0).contains(&file.rms_norm_eps) {
            return Err(self.unsupported("rms_norm_eps", file.rms_norm_eps));
        }
        let head_width = file.head_dim.unwrap_or(file.hidden_size / file.num_attention_heads);
        let rope = self.rope();
        let rope_width = rotated(&rope, head_width);
        let rope_scaling = self.scaling(&rope, rope_width / 2)?;
        let config = Config {
            layers: file.num_hidden_layers,
            width: file.hidden_size,
            heads: file.num_attention_heads,
            kv_heads: file.num_key_value_heads.unwrap_or(file.num_attention_heads),
            head_width,
            feed_forward: file.intermediate_size.unwrap_or(4 * file.hidden_size),
            vocab: file.vocab_size,
            context: self.context(&rope_scaling),
            norm_eps: file.rms_norm_eps,
            rope_base: rope.rope_theta.unwrap_or(10_000.0),
            local_rope_base: self.local_rope_base(),
            rope_width,
            rope_scaling,
            window: file.sliding_window,
            local_layers: self.local_layers()?,
            score_divisor: self
                .optional_factor("query_pre_attn_scalar", file.query_pre_attn_scalar)?,
            attention_cap: self
                .optional_factor("attn_logit_softcapping", file.attn_logit_softcapping)?,
            logit_cap: self
                .optional_factor("final_logit_softcapping", file.final_logit_softcapping)?,
            activation: self.activation()?,
            has_attention_biases: file.attention_bias.unwrap_or(false),
        };
        config.check(KEYS).map_err(|(key, found)| self.unsupported(key, found))?;
        Ok(config)
    }

    fn refuse_what_is_not_read(&self) -> Result<(), Error> {
        let file = &self.file;
        let flags = [
            ("mlp_bias", file.mlp_bias),
            ("use_bidirectional_attention", file.use_bidirectional_attention),
            ("scale_attn_by_inverse_layer_idx", file.scale_attn_by_inverse_layer_idx),
            ("reorder_and_upcast_attn", file.reorder_and_upcast_attn),
            ("quantization_config", file.quantization_config.as_ref().map(|_| true)),
        ];
        match flags.iter().find(|(_, flag)| *flag == Some(true)) {
            Some((key, _)) => Err(self.unsupported(key, "a value other than its default")),
            None => Ok(()),
        }
    }

    fn activation(&self) -> Result<Option<Activation>, Error> {
        let file = &self.file;
        let keys = [
            ("hidden_activation", &file.hidden_activation),
            ("hidden_act", &file.hidden_act),
            ("activation_function", &file.activation_function),
        ];
        let stated = keys.iter().find_map(|(key, name)| Some((key, name.as_deref()?)));
        stated.map(|(key, name)| activation(&self.path, key, name)).transpose()
    }

    /// Positions that the model can read: of a model that is stretched by a
    /// factor, some files state what it could read before.
    fn context(&self, scaling: &Scaling) -> usize {
        let stated = self.file.max_position_embeddings;
        match scaling {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floor")]
            Scaling::Yarn(yarn) => stated.max((yarn.original as f32 * yarn.factor) as usize),
            _ => stated,
        }
    }

    /// The rotation of layers that see all positions, from wherever it stands.
    fn rope(&self) -> Rotary {
        let file = &self.file;
        let parameters = file.rope_parameters.clone().unwrap_or_default();
        let mut rope = match (parameters.full_attention, &file.rope_scaling) {
            (Some(full), _) => *full,
            (None, Some(scaling)) if file.rope_parameters.is_none() => scaling.clone(),
            (None, _) => file.rope_parameters.clone().unwrap_or_default(),
        };
        rope.rope_theta = rope.rope_theta.or(file.rope_theta);
        rope.partial_rotary_factor = rope.partial_rotary_factor.or(file.partial_rotary_factor);
        rope
    }

    fn local_rope_base(&self) -> Option<f32> {
        let local = self.file.rope_parameters.as_ref().and_then(|p| p.sliding_attention.as_ref());
        local.and_then(|local| local.rope_theta).or(self.file.rope_local_base_freq)
    }

    fn local_layers(&self) -> Result<Option<Vec<bool>>, Error> {
        let (file, layers) = (&self.file, self.file.num_hidden_layers);
        if let Some(types) = &file.layer_types {
            if types.len() != layers {
                return Err(self.unsupported("layer_types", format!("{} entries", types.len())));
            }
            let is_local = |kind: &String| match kind.as_str() {
                "sliding_attention" => Ok(true),
                "full_attention" => Ok(false),
                found => {
                    Err(self.unknown("layer_types", found, "full_attention, sliding_attention"))
                }
            };
            return types.iter().map(is_local).collect::<Result<_, _>>().map(Some);
        }
        if let Some(pattern) = file.sliding_window_pattern.filter(|&pattern| pattern != 0) {
            return Ok(Some((1..=layers).map(|layer| !layer.is_multiple_of(pattern)).collect()));
        }
        if file.use_sliding_window == Some(true) {
            let first = file.max_window_layers.unwrap_or(0);
            return Ok(Some((0..layers).map(|layer| first <= layer).collect()));
        }
        Ok(None)
    }

    fn scaling(&self, rope: &Rotary, pairs: usize) -> Result<Scaling, Error> {
        let kind = rope.rope_type.as_deref().or(rope.kind.as_deref()).unwrap_or("default");
        let original = self
            .file
            .original_max_position_embeddings
            .or(rope.original_max_position_embeddings)
            .unwrap_or(self.file.max_position_embeddings);
        if !(2..=MAX_SIZE).contains(&original) {
            return Err(self.unsupported("original_max_position_embeddings", original));
        }
        match kind {
            "default" => Ok(Scaling::None),
            "linear" => Ok(Scaling::Linear(self.factor("factor", rope.factor, kind)?)),
            "llama3" => Ok(Scaling::Llama3(Llama3 {
                factor: self.factor("factor", rope.factor, kind)?,
                low_turns: self.factor("low_freq_factor", rope.low_freq_factor, kind)?,
                high_turns: self.factor("high_freq_factor", rope.high_freq_factor, kind)?,
                original,
            })),
            // Early files of Phi 3 call by these names what became `longrope`.
            "longrope" | "su" => self.long_rope(rope, pairs, original),
            "yarn" if rope.long_factor.is_some() => self.long_rope(rope, pairs, original),
            "yarn" => self.yarn(rope, original),
            found => {
                Err(self.unknown("rope_type", found, "default, linear, llama3, yarn, longrope"))
            }
        }
    }

    fn yarn(&self, rope: &Rotary, original: usize) -> Result<Scaling, Error> {
        let factor = match rope.factor {
            Some(_) => self.factor("factor", rope.factor, "yarn")?,
            None => self.file.max_position_embeddings as f32 / original as f32,
        };
        let scaled = |by: f32| (yarn_magnitude(factor) - 1.0) * by + 1.0;
        let implied = match (rope.mscale, rope.mscale_all_dim) {
            (Some(one), Some(all)) if one != 0.0 && all != 0.0 => scaled(one) / scaled(all),
            _ => yarn_magnitude(factor),
        };
        let stated = self.optional_factor("attention_factor", rope.attention_factor)?;
        Ok(Scaling::Yarn(Yarn {
            factor,
            fast: self.optional_factor("beta_fast", rope.beta_fast)?.unwrap_or(32.0),
            slow: self.optional_factor("beta_slow", rope.beta_slow)?.unwrap_or(1.0),
            original,
            is_truncated: rope.truncate.unwrap_or(true),
            magnitude: stated.unwrap_or(implied),
        }))
    }

    fn long_rope(&self, rope: &Rotary, pairs: usize, original: usize) -> Result<Scaling, Error> {
        let list = |key: &'static str, list: &Option<Vec<f32>>| {
            let list = list.clone().ok_or_else(|| self.missing(key, "longrope"))?;
            if list.len() != pairs {
                let found = format!("{} numbers where {pairs} are needed", list.len());
                return Err(self.unsupported(key, found));
            }
            list.iter().try_for_each(|&x| self.positive(key, x).map(|_| ()))?;
            Ok(list)
        };
        let factor = match rope.factor {
            Some(_) => self.factor("factor", rope.factor, "longrope")?,
            None => self.file.max_position_embeddings as f32 / original as f32,
        };
        let stated = self.optional_factor("attention_factor", rope.attention_factor)?;
        Ok(Scaling::LongRope(LongRope {
            short: list("short_factor", &rope.short_factor)?,
            long: list("long_factor", &rope.long_factor)?,
            original,
            magnitude: stated.unwrap_or_else(|| long_rope_magnitude(factor, original)),
        }))
    }

    fn factor(&self, key: &'static str, value: Option<f32>, kind: &str) -> Result<f32, Error> {
        self.positive(key, value.ok_or_else(|| self.missing(key, kind))?)
    }

    fn optional_factor(&self, key: &str, value: Option<f32>) -> Result<Option<f32>, Error> {
        value.map(|value| self.positive(key, value)).transpose()
    }

    /// Divisors are numbers above zero.
    fn positive(&self, key: &str, value: f32) -> Result<f32, Error> {
        if 0.0 < value && value.is_finite() {
            return Ok(value);
        }
        Err(self.unsupported(key, value))
    }

    fn missing(&self, key: &'static str, kind: &str) -> Error {
        Error::MissingValue { path: self.path.clone(), key, because: kind.to_owned() }
    }

    fn unknown(&self, key: &str, found: &str, known: &'static str) -> Error {
        let (key, found) = (key.to_owned(), found.to_owned());
        Error::UnknownValue { path: self.path.clone(), key, found, known }
    }

    fn unsupported(&self, key: &str, found: impl Display) -> Error {
        let (key, found) = (key.to_owned(), found.to_string());
        Error::Unsupported { path: self.path.clone(), key, found }
    }
}

/// Which family of models a file describes, before the rest is read.
#[derive(Deserialize)]
struct Kind {
    model_type: String,
}

/// Numbers of a head that are rotated.
fn rotated(rope: &Rotary, head_width: usize) -> usize {
    let part = rope.partial_rotary_factor.unwrap_or(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floor")]
    let width = (head_width as f32 * part) as usize;
    width
}
