//! The forward pass of every encoder.

use std::path::Path;

use plumb_kernels::{
    Attention, CacheType, KeyValues, Mask, Pairs, Pool, Rotation, normalize, rope_frequencies,
};

use crate::Error;
use crate::blocks::{FeedForward, Linear, Norm, add, embed, tanh};
use crate::config::Reader;
use crate::encoder_spec::{self, EncoderPositions, EncoderSpec, HeadActivation, Pooling};
use crate::files::Files;
use crate::names;
use crate::spec::Gate;
use crate::weights::{Parameters, Tensor, Weights};
use crate::workspace::{Bench, Buffer, Workspace};

/// Distances from which all share the last bucket of a direction.
const MAX_DISTANCE: f32 = 128.0;

/// An encoder-only transformer with its weights.
#[derive(Debug)]
pub struct Encoder {
    spec: EncoderSpec,
    embedding: Tensor,
    /// Of the first text of a pair, and of the second.
    token_types: Vec<Vec<f32>>,
    positions: Option<Tensor>,
    /// Shape (buckets, H), or empty.
    bucket_bias: Vec<f32>,
    embedding_norm: Norm,
    layers: Vec<Layer>,
    /// The two maps of the head.
    head: Option<[Linear; 2]>,
    workspace: Workspace,
}

/// Tokens that are read as one.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Special tokens among them.
    pub tokens: &'a [u32],
    /// The first token of the second text, of a pair.
    pub second: usize,
}

impl<'a> Input<'a> {
    /// A text of its own.
    pub fn one(tokens: &'a [u32]) -> Self {
        Self { tokens, second: tokens.len() }
    }
}

#[derive(Debug)]
struct Layer {
    queries: Linear,
    keys: Linear,
    values: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    feed_forward: FeedForward,
    output_norm: Norm,
}

/// What the layers need to know of one text of the batch.
struct Text {
    tokens: usize,
    rotation: Option<Rotation>,
    distance_bias: Vec<f32>,
}

impl Encoder {
    /// Loads a GGUF file or a Hugging Face folder, checking every tensor
    /// against its architecture.
    pub fn load(path: &Path) -> Result<Self, Error> {
        match Files::find(path)? {
            Files::HuggingFace(folder, files) => {
                let (spec, names) = encoder_spec::from_folder(&folder)?;
                let weights = Weights::from_safetensors(&folder, &files)?;
                let list = spec.parameter_list();
                let parameters = weights.take(&list, names)?;
                Ok(Self::assemble(spec, &parameters))
            }
            Files::Gguf(path) => {
                let (file, weights) = Weights::from_gguf(&path)?;
                let format = |source| Error::Format { path: path.clone(), source };
                let prefix = file.string("general.architecture").map_err(format)?;
                if prefix != "nomic-bert" {
                    let (found, known) = (prefix.to_owned(), "nomic-bert".to_owned());
                    return Err(Error::UnknownArchitecture { path, found, known });
                }
                let spec = encoder_spec::from_gguf(&Reader { file: &file, prefix, path: &path })?;
                let parameters = weights.take(&spec.parameter_list(), names::GGUF)?;
                Ok(Self::assemble(spec, &parameters))
            }
        }
    }

    fn assemble(spec: EncoderSpec, parameters: &Parameters) -> Self {
        let vector = |name: &str| parameters.try_get(name).map(|tensor| tensor.to_f32());
        let types = vector("token_types.weight").unwrap_or_default();
        let head = |_| ["cls", "cls.output"].map(|name| Linear::load(parameters, name));
        Self {
            embedding: parameters.get("token_embd.weight"),
            token_types: types.chunks_exact(spec.width).take(2).map(<[f32]>::to_vec).collect(),
            positions: parameters.try_get("position_embd.weight"),
            bucket_bias: vector("relative_bias.weight").unwrap_or_default(),
            embedding_norm: Norm::load(parameters, "token_embd_norm", spec.norm_eps),
            layers: (0..spec.layers).map(|i| Layer::load(&spec, parameters, i)).collect(),
            head: spec.head.map(head),
            spec,
            workspace: Workspace::default(),
        }
    }

    /// Rounds the weights to eight bits and repacks them for products in
    /// integers.
    pub fn pack(&mut self, pool: &Pool) {
        let mut sizes = self.embedding_norm.sizes();
        for layer in &mut self.layers {
            for map in [&mut layer.queries, &mut layer.keys, &mut layer.values] {
                map.round(pool, &sizes);
            }
            layer.attention_output.round(pool, &[]);
            layer.feed_forward.round(pool, &layer.attention_norm.sizes());
            sizes = layer.output_norm.sizes();
        }
    }

    /// What the encoder is made of.
    pub fn spec(&self) -> &EncoderSpec {
        &self.spec
    }

    /// One vector (D) for each text, pooled and normalised as the model says.
    ///
    /// A text's vector does not depend on the others of its batch.
    pub fn embed(&self, pool: &Pool, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, Error> {
        let states = self.hidden_states(pool, batch)?;
        let mut rest = states.as_slice();
        let vectors = batch.iter().map(|text| {
            let (states, after) = rest.split_at(text.len() * self.spec.width);
            rest = after;
            let mut vector = states[..self.spec.width].to_vec();
            if self.spec.pooling == Pooling::Mean {
                for state in states.chunks_exact(self.spec.width).skip(1) {
                    add(&mut vector, state);
                }
                let inverse = 1.0 / text.len() as f32;
                for x in &mut vector {
                    *x *= inverse;
                }
            }
            if self.spec.normalized {
                normalize(pool.isa(), &mut vector);
            }
            vector
        });
        Ok(vectors.collect())
    }

    /// The scores (labels) of each text or pair, before any softmax: what the
    /// model's head makes of the first token's state.
    ///
    /// They do not depend on the others of the batch. Fails if the model has
    /// no head.
    pub fn classify(&self, pool: &Pool, batch: &[Input<'_>]) -> Result<Vec<Vec<f32>>, Error> {
        let (Some([dense, output]), Some(head)) = (&self.head, self.spec.head) else {
            return Err(Error::NoHead { architecture: self.spec.architecture.clone() });
        };
        let states = self.states(pool, batch, self.spec.layers)?;
        let width = self.spec.width;
        let starts = batch.iter().scan(0, |at, input| {
            let start = *at;
            *at += input.tokens.len();
            Some(start)
        });
        let firsts: Vec<f32> =
            starts.flat_map(|start| &states[start * width..][..width]).copied().collect();
        let bench = Bench { pool, workspace: &self.workspace };
        let mut inner = dense.apply(bench, &firsts);
        match head.activation {
            HeadActivation::Tanh => tanh(pool.isa(), &mut inner),
            HeadActivation::Relu => inner.iter_mut().for_each(|x| *x = x.max(0.0)),
        }
        let scores = output.apply(bench, &inner);
        Ok(scores.chunks_exact(head.labels).map(<[f32]>::to_vec).collect())
    }

    /// The hidden states of all tokens of the batch, one text after another:
    /// shape (T, D) with T the sum of lengths. There is no padding.
    pub fn hidden_states(&self, pool: &Pool, batch: &[&[u32]]) -> Result<Vec<f32>, Error> {
        self.hidden_states_after(pool, batch, self.spec.layers)
    }

    /// The same after the first `layers` layers: 0 is the embedding. Fails if the
    /// model has fewer.
    pub fn hidden_states_after(
        &self,
        pool: &Pool,
        batch: &[&[u32]],
        layers: usize,
    ) -> Result<Vec<f32>, Error> {
        if self.spec.layers < layers {
            return Err(Error::NoLayer { layer: layers, layers: self.spec.layers });
        }
        let batch: Vec<Input> = batch.iter().map(|text| Input::one(text)).collect();
        self.states(pool, &batch, layers)
    }

    fn states(&self, pool: &Pool, inputs: &[Input<'_>], layers: usize) -> Result<Vec<f32>, Error> {
        let batch: Vec<&[u32]> = inputs.iter().map(|input| input.tokens).collect();
        for text in &batch {
            self.check(text)?;
        }
        let mut x = embed(pool, &self.embedding, &batch.concat());
        self.add_types(inputs, &mut x);
        self.add_positions(pool, &batch, &mut x);
        self.embedding_norm.apply(pool, &mut x);
        let texts: Vec<Text> = batch.iter().map(|text| self.text(text.len())).collect();
        let bench = Bench { pool, workspace: &self.workspace };
        for layer in &self.layers[..layers] {
            layer.apply(&self.spec, bench, &texts, &mut x);
        }
        Ok(x)
    }

    fn check(&self, text: &[u32]) -> Result<(), Error> {
        let (tokens, context) = (text.len(), self.spec.max_tokens);
        if tokens == 0 {
            return Err(Error::NoTokens);
        }
        if context < tokens {
            return Err(Error::TooLong { tokens, context });
        }
        match text.iter().find(|&&token| self.spec.vocab <= token as usize) {
            Some(&token) => Err(Error::UnknownToken { token, vocab: self.spec.vocab }),
            None => Ok(()),
        }
    }

    fn add_types(&self, inputs: &[Input<'_>], x: &mut [f32]) {
        let Some(first) = self.token_types.first() else { return };
        let second = self.token_types.get(1).unwrap_or(first);
        let kinds = inputs.iter().flat_map(|input| {
            (0..input.tokens.len()).map(|i| if i < input.second { first } else { second })
        });
        x.chunks_exact_mut(self.spec.width).zip(kinds).for_each(|(row, kind)| add(row, kind));
    }

    fn add_positions(&self, pool: &Pool, batch: &[&[u32]], x: &mut [f32]) {
        let Some(table) = &self.positions else { return };
        let first = match self.spec.positions {
            EncoderPositions::Learned { first, .. }
            | EncoderPositions::LearnedAndBuckets { first, .. } => first,
            EncoderPositions::Rope { .. } => return,
        };
        let longest = batch.iter().map(|text| text.len()).max().unwrap_or(0);
        let table = table.slice(first..(first + longest).min(table.rows()));
        let ids: Vec<u32> = batch.iter().flat_map(|text| (0_u32..).take(text.len())).collect();
        add(x, &embed(pool, &table, &ids));
    }

    fn text(&self, tokens: usize) -> Text {
        let rotation = match self.spec.positions {
            EncoderPositions::Rope { base } => {
                let frequencies = rope_frequencies(base, self.spec.head_width());
                Some(Rotation::new(Pairs::HalfSplit, &frequencies, 0..tokens))
            }
            _ => None,
        };
        Text { tokens, rotation, distance_bias: self.distance_bias(tokens) }
    }

    /// The bias of attention for each distance: shape (H, 2 T - 1).
    fn distance_bias(&self, tokens: usize) -> Vec<f32> {
        let EncoderPositions::LearnedAndBuckets { buckets, .. } = self.spec.positions else {
            return Vec::new();
        };
        let heads = self.spec.heads;
        let mut bias = Vec::with_capacity(heads * (2 * tokens - 1));
        for head in 0..heads {
            for i in 0..2 * tokens - 1 {
                let distance = i.abs_diff(tokens - 1);
                let bucket = bucket(distance, i > tokens - 1, buckets);
                bias.push(self.bucket_bias[bucket * heads + head]);
            }
        }
        bias
    }
}

/// The bucket of a key at `distance`, after the query or not: half of each
/// direction's buckets are one distance each, and the others grow with its
/// logarithm. Raffel et al. 2020, arXiv:1910.10683, as `MPNet` uses it.
fn bucket(distance: usize, is_after: bool, buckets: usize) -> usize {
    let half = buckets / 2;
    let exact = half / 2;
    let bucket = if distance < exact {
        distance
    } else {
        let log = (distance as f32 / exact as f32).ln() / (MAX_DISTANCE / exact as f32).ln();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floor")]
        let step = (log * (half - exact) as f32) as usize;
        (exact + step).min(half - 1)
    };
    if is_after { half + bucket } else { bucket }
}

impl Layer {
    fn load(spec: &EncoderSpec, parameters: &Parameters, index: usize) -> Self {
        let named = |name: &str| format!("blk.{index}.{name}");
        let linear = |name: &str| Linear::load(parameters, &named(name));
        let norm = |name: &str| Norm::load(parameters, &named(name), spec.norm_eps);
        let [queries, keys, values] = if spec.fused_qkv {
            Linear::load_parts(parameters, &named("attn_qkv"), [spec.width; 3])
        } else {
            ["attn_q", "attn_k", "attn_v"].map(linear)
        };
        let (activation, gate) = match spec.gate {
            Gate::Gated(activation) => (activation, Some(linear("ffn_gate"))),
            Gate::Plain(activation) => (activation, None),
        };
        let (up, down) = (linear("ffn_up"), linear("ffn_down"));
        Self {
            queries,
            keys,
            values,
            attention_output: linear("attn_output"),
            attention_norm: norm("attn_output_norm"),
            feed_forward: FeedForward { activation, gate, up, down },
            output_norm: norm("layer_output_norm"),
        }
    }

    fn apply(&self, spec: &EncoderSpec, bench: Bench, texts: &[Text], x: &mut [f32]) {
        let mixed = self.attend(spec, bench, texts, x);
        let y = self.attention_output.apply(bench, &mixed);
        self.attention_norm.add_and_apply(bench.pool, x, &y);
        let y = self.feed_forward.apply(bench, x);
        self.output_norm.add_and_apply(bench.pool, x, &y);
    }

    /// Attention within each text; all matrix products take the whole batch.
    fn attend<'a>(
        &self,
        spec: &EncoderSpec,
        bench: Bench<'a>,
        texts: &[Text],
        x: &[f32],
    ) -> Buffer<'a> {
        let pool = bench.pool;
        let maps = [&self.queries, &self.keys, &self.values];
        let [mut queries, mut keys, values] = Linear::apply_all(bench, maps, x);
        let mut mixed = bench.buffer(queries.len());
        let mut start = 0;
        for text in texts {
            let part = start..start + text.tokens * spec.width;
            start = part.end;
            let (queries, keys) = (&mut queries[part.clone()], &mut keys[part.clone()]);
            if let Some(rotation) = &text.rotation {
                rotation.apply(pool, queries, spec.heads, spec.head_width());
                rotation.apply(pool, keys, spec.heads, spec.head_width());
            }
            let mut past = KeyValues::new(spec.heads, spec.head_width(), CacheType::F32);
            past.push(pool, keys, &values[part.clone()]);
            let attention = Attention {
                heads: spec.heads,
                scale: 1.0 / (spec.head_width() as f32).sqrt(),
                mask: Mask::Full,
                distance_bias: &text.distance_bias,
                soft_cap: None,
                sinks: &[],
            };
            attention.apply(pool, queries, &past, &mut mixed[part]);
        }
        mixed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_share_buckets_as_they_grow() {
        // From transformers' MPNetEncoder.relative_position_bucket(32, 128).
        let before: Vec<usize> =
            [0, 1, 7, 8, 11, 12, 15, 16, 127, 500].map(|d| bucket(d, false, 32)).to_vec();
        assert_eq!(before, [0, 1, 7, 8, 8, 9, 9, 10, 15, 15]);
        assert_eq!(bucket(1, true, 32), 17);
    }
}
