//! The forward pass of every decoder.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use plumb_kernels::{Attention, CacheType, KeyValues, Mask, Pool};

use crate::blocks::{FeedForward, Linear, Norm, add, add_rows, embed, soft_cap};
use crate::config::{Config, ModelConfig};
use crate::families;
use crate::files::Files;
use crate::names::{self, Names};
use crate::packed_file;
use crate::rope::{Reach, Rope, Turn};
use crate::spec::{Gate, Packing};
use crate::weights::{Parameters, Tensor, Weights};
use crate::workspace::{Bench, Buffer, Workspace};
use crate::{DecoderSpec, Error};

/// Tokens that go through the layers together. Results do not depend on it.
const BATCH: usize = 512;

/// Tokens after which the memory of the embedding is given back: each has
/// brought some pages of the file with it, and few are of use again.
const RELEASED: usize = 32;

/// A decoder-only transformer with its weights.
#[derive(Debug)]
pub struct Decoder {
    spec: DecoderSpec,
    embedding: Tensor,
    positions: Option<Tensor>,
    layers: Vec<Layer>,
    final_norm: Norm,
    output: Linear,
    /// How keys and values are kept.
    kept: CacheType,
    workspace: Workspace,
    /// Tokens embedded since the memory of the embedding was given back.
    embedded: AtomicUsize,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Norm,
    queries: Linear,
    keys: Linear,
    values: Linear,
    query_norm: Option<Norm>,
    key_norm: Option<Norm>,
    attention_output: Linear,
    post_attention_norm: Option<Norm>,
    feed_forward_norm: Norm,
    feed_forward: FeedForward,
    post_feed_forward_norm: Option<Norm>,
}

/// Keys and values of the tokens read so far: the state of one sequence.
#[derive(Clone, Debug)]
pub struct KvCache {
    pub(crate) layers: Vec<KeyValues>,
    /// How the keys were rotated.
    reach: Reach,
    /// What was read, of models that rotate long texts in another way.
    tokens: Vec<u32>,
}

impl KvCache {
    /// Tokens held.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, KeyValues::len)
    }

    /// True if no token was read into it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of keys and values, those that are shared among them.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(KeyValues::bytes).sum()
    }

    /// What tells each page of tokens from any other that lives, and the tokens that
    /// it takes the memory of.
    pub fn pages(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        // All layers have pages of the same tokens.
        self.layers.first().into_iter().flat_map(KeyValues::pages)
    }

    /// Forgets the tokens from `len` on, so that another continuation can be
    /// read.
    pub fn truncate(&mut self, len: usize) {
        for layer in &mut self.layers {
            layer.truncate(len);
        }
        self.tokens.truncate(len);
    }
}

/// Which tokens' logits a forward pass returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// Those after the last token: shape (V).
    Last,
    /// Those after each of the last so many tokens: shape (N, V).
    Tail(usize),
    /// The same, of which only the largest is wanted.
    Largest {
        /// After how many of the last tokens.
        count: usize,
        /// The logits of so many first tokens of the vocabulary are compared; all
        /// that are not the largest of them may be minus infinity.
        among: usize,
    },
}

impl Logits {
    /// After how many of `tokens`.
    pub fn count(self, tokens: usize) -> usize {
        match self {
            Self::Last => 1,
            Self::Tail(count) | Self::Largest { count, .. } => count.min(tokens),
        }
    }

    /// The same after so many tokens.
    fn with_count(self, count: usize) -> Self {
        match self {
            Self::Last | Self::Tail(_) => Self::Tail(count),
            Self::Largest { among, .. } => Self::Largest { count, among },
        }
    }

    /// How many logits are compared, if only the largest is wanted.
    fn among(self) -> Option<usize> {
        match self {
            Self::Last | Self::Tail(_) => None,
            Self::Largest { among, .. } => Some(among),
        }
    }
}

/// What a pass reads of one sequence.
#[derive(Debug)]
pub struct Run<'a> {
    /// The tokens that follow those in `cache`.
    pub tokens: &'a [u32],
    pub cache: &'a mut KvCache,
    pub logits: Logits,
}

impl Run<'_> {
    fn positions(&self) -> Range<usize> {
        self.cache.len()..self.cache.len() + self.tokens.len()
    }
}

impl Decoder {
    /// Loads a GGUF file or a Hugging Face folder, checking every tensor
    /// against its architecture.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let (spec, weights, names) = match Files::find(path)? {
            Files::Gguf(path) => from_gguf(path)?,
            Files::HuggingFace(folder, files) => from_folder(&folder, &files)?,
        };
        let parameters = weights.take(&spec.parameter_list(), names)?;
        Ok(Self::assemble(spec, &parameters))
    }

    fn assemble(spec: DecoderSpec, parameters: &Parameters) -> Self {
        let output = if spec.tied_embeddings { "token_embd" } else { "output" };
        Self {
            embedding: parameters.get("token_embd.weight"),
            positions: parameters.try_get("position_embd.weight"),
            layers: (0..spec.layers).map(|i| Layer::load(&spec, parameters, i)).collect(),
            final_norm: Norm::load(parameters, "output_norm", spec.norm_eps)
                .with_offset(spec.gain_offset),
            output: Linear::load(parameters, output).searched(),
            kept: CacheType::F32,
            workspace: Workspace::default(),
            embedded: AtomicUsize::new(0),
            spec,
        }
    }

    /// Repacks the weights for products in integers, and keeps keys and values
    /// as half floats from now on. Weights that are floats in the file stay as
    /// they are.
    pub fn pack(&mut self, pool: &Pool) {
        self.kept = CacheType::F16;
        self.maps().for_each(|map| map.pack(pool));
    }

    /// The same through the file at `path`, which is mapped if it holds the
    /// packed weights of this model, and else written.
    ///
    /// The caller answers for the name: one that changes with the weights.
    /// Fails if the file cannot be written; the decoder is then as it was.
    pub fn pack_cached(&mut self, pool: &Pool, path: &Path) -> Result<(), Error> {
        let packed = {
            let maps: Vec<&mut Linear> = self.maps().collect();
            let tensors: Vec<&Tensor> = maps.iter().filter_map(|map| map.stored()).collect();
            packed_file::load(path, pool, &tensors)?
        };
        for (map, packed) in self.maps().filter(|map| map.stored().is_some()).zip(packed) {
            if let Some(packed) = packed {
                map.set_packed(packed);
            }
        }
        self.kept = CacheType::F16;
        // What lies beside the weights has been read.
        self.embedding.release_file();
        Ok(())
    }

    /// Its large linear maps, in an order that never changes.
    fn maps(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.layers.iter_mut().flat_map(Layer::maps).chain([&mut self.output])
    }

    /// What the decoder is made of.
    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    /// Keeps keys and values of sequences that begin from now on as `stored`.
    pub fn set_cache_type(&mut self, stored: CacheType) {
        self.kept = stored;
    }

    /// A cache for a new sequence.
    pub fn new_cache(&self) -> KvCache {
        let layer = KeyValues::new(self.spec.kv_heads, self.spec.head_width, self.kept);
        KvCache { layers: vec![layer; self.spec.layers], reach: Reach::Short, tokens: Vec::new() }
    }

    /// Reads `tokens` after those in `cache`, adds them to it, and returns
    /// logits.
    ///
    /// The bits of the logits depend on the tokens alone: not on how they
    /// were divided over calls, nor on the pool's threads or instructions.
    /// (A model that rotates long texts in another way reads a text anew when
    /// a call makes it long; all of that call is read as part of a long text.)
    pub fn forward(
        &self,
        pool: &Pool,
        tokens: &[u32],
        cache: &mut KvCache,
        logits: Logits,
    ) -> Result<Vec<f32>, Error> {
        let mut out = Vec::new();
        self.forward_to(pool, Run { tokens, cache, logits }, &mut out)?;
        Ok(out)
    }

    /// The same, with the logits in place of what is in `out`.
    pub fn forward_to(&self, pool: &Pool, run: Run<'_>, out: &mut Vec<f32>) -> Result<(), Error> {
        self.check(&run)?;
        self.reach_for(pool, run.cache, run.tokens.len());
        self.read(pool, run, out);
        Ok(())
    }

    /// Reads tokens, however many, that have been checked.
    fn read(&self, pool: &Pool, run: Run<'_>, out: &mut Vec<f32>) {
        let Run { tokens, cache, logits } = run;
        let wanted = logits.count(tokens.len());
        let (mut left, mut done) = (tokens.len(), 0);
        for tokens in tokens.chunks(BATCH) {
            left -= tokens.len();
            let logits = logits.with_count(wanted.saturating_sub(left));
            self.pass(pool, &mut [Run { tokens, cache, logits }], (out, done));
            done = out.len();
        }
    }

    /// Reads the tokens of several sequences in one pass over the weights. The
    /// logits that each asks for come in place of what is in `out`, one sequence
    /// after the other: for each the bits that [`forward`](Self::forward) would give
    /// it alone.
    ///
    /// On an error no cache has changed.
    pub fn forward_all(
        &self,
        pool: &Pool,
        runs: &mut [Run<'_>],
        out: &mut Vec<f32>,
    ) -> Result<(), Error> {
        runs.iter().try_for_each(|run| self.check(run))?;
        for run in &mut *runs {
            self.reach_for(pool, run.cache, run.tokens.len());
        }
        self.pass(pool, runs, (out, 0));
        Ok(())
    }

    /// One pass over the weights, of runs that have been checked; the logits come
    /// after the first `kept` numbers of `out`.
    fn pass(&self, pool: &Pool, runs: &mut [Run<'_>], (out, kept): (&mut Vec<f32>, usize)) {
        let bench = Bench { pool, workspace: &self.workspace };
        let x = self.hidden_states(bench, runs);
        let width = self.spec.width;
        let mut wanted = Vec::new();
        let mut end = 0;
        for run in &*runs {
            end += run.tokens.len();
            let count = run.logits.count(run.tokens.len());
            wanted.extend_from_slice(&x[(end - count) * width..end * width]);
        }
        out.resize(kept + self.output.size_for(&wanted), 0.0);
        let logits = &mut out[kept..];
        if logits.is_empty() {
            return;
        }
        self.final_norm.apply(pool, &mut wanted);
        self.output.apply_largest(bench, &wanted, self.among(runs), logits);
        if let Some(cap) = self.spec.logit_cap {
            soft_cap(pool, logits, cap);
        }
    }

    /// How many logits are compared, if all runs that want any want the largest of
    /// the same.
    fn among(&self, runs: &[Run<'_>]) -> Option<usize> {
        // Capped, the largest may be equal to others.
        if self.spec.logit_cap.is_some() {
            return None;
        }
        let mut wanting = runs.iter().filter(|run| 0 < run.logits.count(run.tokens.len()));
        let among = wanting.next()?.logits.among();
        wanting.all(|run| run.logits.among() == among).then_some(among)?
    }

    /// Makes the cache one of a text that is as long as `more` tokens will make
    /// it, reading again what it holds if that is rotated otherwise.
    fn reach_for(&self, pool: &Pool, cache: &mut KvCache, more: usize) {
        let Some(short) = self.spec.rope().and_then(Rope::short_tokens) else { return };
        let reach = if cache.len() + more <= short { Reach::Short } else { Reach::Long };
        if cache.reach != reach {
            let tokens = cache.tokens.clone();
            cache.truncate(0);
            cache.reach = reach;
            let run = Run { tokens: &tokens, cache, logits: Logits::Tail(0) };
            self.read(pool, run, &mut Vec::new());
        }
    }

    /// Fails if a run cannot be read.
    fn check(&self, run: &Run<'_>) -> Result<(), Error> {
        if run.tokens.is_empty() {
            return Err(Error::NoTokens);
        }
        let (total, context) = (run.cache.len() + run.tokens.len(), self.spec.context);
        if context < total {
            return Err(Error::TooLong { tokens: total, context });
        }
        match run.tokens.iter().find(|&&token| self.spec.vocab <= token as usize) {
            Some(&token) => Err(Error::UnknownToken { token, vocab: self.spec.vocab }),
            None => Ok(()),
        }
    }

    /// What the layers make of the tokens of all runs: shape (T, D).
    fn hidden_states(&self, bench: Bench, runs: &mut [Run<'_>]) -> Vec<f32> {
        let pool = bench.pool;
        let tokens: Vec<u32> = runs.iter().flat_map(|run| run.tokens).copied().collect();
        let mut x = embed(pool, &self.embedding, &tokens);
        if RELEASED < self.embedded.fetch_add(tokens.len(), Ordering::Relaxed) {
            self.embedded.store(0, Ordering::Relaxed);
            self.embedding.release();
        }
        for x in &mut x {
            *x *= self.spec.embedding_scale;
        }
        if let Some(learned) = &self.positions {
            // Fits: a position is less than the context, which is a `usize`
            // from a table of 32-bit ids.
            let ids: Vec<u32> = runs
                .iter()
                .flat_map(Run::positions)
                .map(|position| u32::try_from(position).unwrap_or(u32::MAX))
                .collect();
            add(&mut x, &embed(pool, learned, &ids));
        }
        let turns: Vec<_> = runs.iter().map(|run| self.turns(run)).collect();
        if self.spec.rope().and_then(Rope::short_tokens).is_some() {
            for run in &mut *runs {
                run.cache.tokens.extend_from_slice(run.tokens);
            }
        }
        for (i, layer) in self.layers.iter().enumerate() {
            let window = self.spec.window_of(i);
            let step = Step {
                spec: &self.spec,
                bench,
                turns: &turns,
                is_local: window.is_some(),
                mask: window.map_or(Mask::Causal, |window| Mask::Window(window.positions)),
            };
            layer.apply(&step, &mut x, (runs, i));
        }
        x
    }

    /// Rotations of layers that see all positions, and of the others.
    fn turns(&self, run: &Run<'_>) -> Option<[Turn; 2]> {
        let rope = self.spec.rope()?;
        let of = |rope: &Rope| Turn::new(rope, run.cache.reach, run.positions());
        Some([of(rope), of(&self.spec.local_rope().unwrap_or_else(|| rope.clone()))])
    }
}

type Loaded = (DecoderSpec, Weights, &'static Names);

fn from_gguf(path: PathBuf) -> Result<Loaded, Error> {
    let (file, weights) = Weights::from_gguf(&path)?;
    let format = |source| Error::Format { path: path.clone(), source };
    let architecture = file.string("general.architecture").map_err(format)?;
    if !families::is_architecture(architecture) {
        let (found, known) = (architecture.to_owned(), families::known_architectures());
        return Err(Error::UnknownArchitecture { path, found, known });
    }
    let config = Config::from_gguf((&file, &weights), architecture, &path)?;
    let mut spec = families::of_gguf(architecture, &config);
    spec.tied_embeddings = !weights.contains("output.weight");
    Ok((spec, weights, names::GGUF))
}

fn from_folder(folder: &Path, files: &[PathBuf]) -> Result<Loaded, Error> {
    let file = ModelConfig::read(folder)?;
    let weights = Weights::from_safetensors(folder, files)?;
    let (mut spec, names) = families::of_folder(file.model_type(), &file.config()?);
    spec.tied_embeddings = file.is_tied().unwrap_or_else(|| !weights.contains("lm_head.weight"));
    Ok((spec, weights, names))
}

/// What a layer needs to know beside its weights.
struct Step<'a> {
    spec: &'a DecoderSpec,
    bench: Bench<'a>,
    /// Of each run, of layers that see all positions and of the others.
    turns: &'a [Option<[Turn; 2]>],
    /// Whether the layer sees a window only.
    is_local: bool,
    mask: Mask,
}

impl Layer {
    fn load(spec: &DecoderSpec, parameters: &Parameters, index: usize) -> Self {
        let named = |name: &str| format!("blk.{index}.{name}");
        let linear = |name: &str| Linear::load(parameters, &named(name));
        let norm = |name: &str| {
            Norm::load(parameters, &named(name), spec.norm_eps).with_offset(spec.gain_offset)
        };
        let norm_if = |present: bool, name: &str| present.then(|| norm(name));
        let head_norms = spec.extra_norms.has_query_key();
        let post_norms = spec.extra_norms.has_post();
        let (query_width, key_width) =
            (spec.heads * spec.head_width, spec.kv_heads * spec.head_width);
        let [queries, keys, values] = match spec.packing {
            Packing::None => ["attn_q", "attn_k", "attn_v"].map(linear),
            Packing::Qkv | Packing::QkvAndGate => {
                let widths = [query_width, key_width, key_width];
                Linear::load_parts(parameters, &named("attn_qkv"), widths)
            }
        };
        Self {
            attention_norm: norm("attn_norm"),
            queries,
            keys,
            values,
            query_norm: norm_if(head_norms, "attn_q_norm"),
            key_norm: norm_if(head_norms, "attn_k_norm"),
            attention_output: linear("attn_output"),
            post_attention_norm: norm_if(post_norms, "post_attention_norm"),
            feed_forward_norm: norm("ffn_norm"),
            feed_forward: load_feed_forward(spec, parameters, index),
            post_feed_forward_norm: norm_if(post_norms, "post_ffw_norm"),
        }
    }

    fn maps(&mut self) -> impl Iterator<Item = &mut Linear> {
        let [q, k, v] = [&mut self.queries, &mut self.keys, &mut self.values];
        [q, k, v, &mut self.attention_output].into_iter().chain(self.feed_forward.maps())
    }

    /// Adds to `x` (T, D) what attention and feed-forward make of it; the rows
    /// are those of `runs`, and this is layer `index`.
    fn apply(&self, step: &Step, x: &mut [f32], (runs, index): (&mut [Run<'_>], usize)) {
        let (bench, width) = (step.bench, step.spec.width);
        let mut y = self.attend(step, &self.attention_norm.of(bench, x), (runs, index));
        if let Some(norm) = &self.post_attention_norm {
            norm.apply(bench.pool, &mut y);
        }
        add_rows(bench.pool, width, x, &y);
        let mut y = self.feed_forward.apply(bench, &self.feed_forward_norm.of(bench, x));
        if let Some(norm) = &self.post_feed_forward_norm {
            norm.apply(bench.pool, &mut y);
        }
        add_rows(bench.pool, width, x, &y);
    }

    fn attend<'a>(
        &self,
        step: &Step<'a>,
        x: &[f32],
        (runs, index): (&mut [Run<'_>], usize),
    ) -> Buffer<'a> {
        let (spec, pool) = (step.spec, step.bench.pool);
        let maps = [&self.queries, &self.keys, &self.values];
        let [mut queries, mut keys, values] = Linear::apply_all(step.bench, maps, x);
        if let (Some(query_norm), Some(key_norm)) = (&self.query_norm, &self.key_norm) {
            query_norm.apply(pool, &mut queries);
            key_norm.apply(pool, &mut keys);
        }
        let attention = Attention {
            heads: spec.heads,
            scale: spec.attention_scale,
            mask: step.mask,
            distance_bias: &[],
            soft_cap: spec.attention_cap,
            sinks: &[],
        };
        let mut mixed = step.bench.buffer(queries.len());
        let widths = [spec.heads, spec.kv_heads].map(|heads| heads * spec.head_width);
        let mut start = 0;
        for (run, turns) in runs.iter_mut().zip(step.turns) {
            let end = start + run.tokens.len();
            let [of_queries, of_keys] = widths.map(|width| start * width..end * width);
            let (queries, keys) = (&mut queries[of_queries.clone()], &mut keys[of_keys.clone()]);
            if let Some([all, local]) = turns {
                let turn = if step.is_local { local } else { all };
                turn.apply(pool, queries, spec.heads, spec.head_width);
                turn.apply(pool, keys, spec.kv_heads, spec.head_width);
            }
            let past = &mut run.cache.layers[index];
            past.push(pool, keys, &values[of_keys]);
            attention.apply(pool, queries, past, &mut mixed[of_queries]);
            start = end;
        }
        self.attention_output.apply(step.bench, &mixed)
    }
}

fn load_feed_forward(spec: &DecoderSpec, parameters: &Parameters, index: usize) -> FeedForward {
    let named = |name: &str| format!("blk.{index}.{name}");
    let linear = |name: &str| Linear::load(parameters, &named(name));
    let (activation, gate, up) = match (spec.gate, spec.packing) {
        (Gate::Plain(activation), _) => (activation, None, linear("ffn_up")),
        (Gate::Gated(activation), Packing::QkvAndGate) => {
            let halves = [spec.feed_forward; 2];
            let [gate, up] = Linear::load_parts(parameters, &named("ffn_up"), halves);
            (activation, Some(gate), up)
        }
        (Gate::Gated(activation), _) => (activation, Some(linear("ffn_gate")), linear("ffn_up")),
    };
    FeedForward { activation, gate, up, down: linear("ffn_down") }
}
