//! Encoder-only transformers, described as data, like [`crate::DecoderSpec`].

use std::collections::BTreeMap;
use std::path::Path;

use plumb_kernels::Activation;
use serde::Deserialize;

use crate::Error;
use crate::config::{Reader, activation};
use crate::files::json;
use crate::names::{self, Names};
use crate::spec::Gate;
use crate::weights::Parameter;

/// No classifier of texts comes near it.
const MAX_LABELS: usize = 1 << 16;

/// Nor a model near these.
const MAX_BUCKETS: usize = 1 << 16;
const MAX_TOKEN_TYPES: usize = 1 << 16;

/// An encoder-only transformer with norms after its residual sums.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSpec {
    /// As the model's file calls it.
    pub architecture: String,
    pub layers: usize,
    /// D, which is also the length of an embedding.
    pub width: usize,
    /// H.
    pub heads: usize,
    /// F.
    pub feed_forward: usize,
    /// V.
    pub vocab: usize,
    /// Tokens of a text that are read, special ones among them.
    pub max_tokens: usize,
    pub pooling: Pooling,
    /// Embeddings have length 1.
    pub normalized: bool,
    /// Rows of the table of token types, the first of which is added to every
    /// token; 0 if there is none.
    pub(crate) token_types: usize,
    pub(crate) positions: EncoderPositions,
    pub(crate) norm_eps: f32,
    /// Linear maps add a bias (norms always do).
    pub(crate) has_biases: bool,
    /// Queries, keys and values are stored as one matrix.
    pub(crate) fused_qkv: bool,
    pub(crate) gate: Gate,
    pub(crate) head: Option<Head>,
}

/// What makes scores of the first token's state: a linear map (D, D), an
/// activation, and a linear map (labels, D).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) labels: usize,
    pub(crate) activation: HeadActivation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadActivation {
    Tanh,
    Relu,
}

/// How hidden states become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over all tokens.
    Mean,
    /// The first token's.
    First,
}

/// How a token knows where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum EncoderPositions {
    /// A learned vector is added; position 0 is row `first` of `count`.
    Learned { count: usize, first: usize },
    /// That, and a learned bias of attention for each bucket of distances.
    LearnedAndBuckets { count: usize, first: usize, buckets: usize },
    /// Keys and queries are rotated, half-split.
    Rope { base: f32 },
}

impl EncoderSpec {
    /// How many numbers the model has learned, without heads that embeddings
    /// do not use.
    pub fn parameters(&self) -> u64 {
        self.parameter_list().iter().map(Parameter::len).sum()
    }

    /// Scores that the model gives a text, or `None` if it gives none.
    pub fn labels(&self) -> Option<usize> {
        self.head.map(|head| head.labels)
    }

    /// E.
    pub(crate) fn head_width(&self) -> usize {
        self.width / self.heads
    }

    pub(crate) fn parameter_list(&self) -> Vec<Parameter> {
        let width = self.width;
        let mut list = vec![Parameter::new("token_embd.weight", [self.vocab, width])];
        if self.token_types != 0 {
            list.push(Parameter::new("token_types.weight", [self.token_types, width]));
        }
        match self.positions {
            EncoderPositions::Learned { count, .. } => {
                list.push(Parameter::new("position_embd.weight", [count, width]));
            }
            EncoderPositions::LearnedAndBuckets { count, buckets, .. } => {
                list.push(Parameter::new("position_embd.weight", [count, width]));
                list.push(Parameter::new("relative_bias.weight", [buckets, self.heads]));
            }
            EncoderPositions::Rope { .. } => {}
        }
        list_norm("token_embd_norm", width, &mut list);
        for layer in 0..self.layers {
            self.list_layer(&format!("blk.{layer}"), &mut list);
        }
        if let Some(head) = self.head {
            list.push(Parameter::new("cls.weight", [width, width]));
            list.push(Parameter::new("cls.bias", [width]));
            list.push(Parameter::new("cls.output.weight", [head.labels, width]));
            list.push(Parameter::new("cls.output.bias", [head.labels]));
        }
        list
    }

    fn list_layer(&self, blk: &str, list: &mut Vec<Parameter>) {
        let (width, inner) = (self.width, self.feed_forward);
        let mut linear = |name: &str, shape: [usize; 2]| {
            list.push(Parameter::new(format!("{blk}.{name}.weight"), shape));
            if self.has_biases {
                list.push(Parameter::new(format!("{blk}.{name}.bias"), [shape[0]]));
            }
        };
        if self.fused_qkv {
            linear("attn_qkv", [3 * width, width]);
        } else {
            linear("attn_q", [width, width]);
            linear("attn_k", [width, width]);
            linear("attn_v", [width, width]);
        }
        linear("attn_output", [width, width]);
        if matches!(self.gate, Gate::Gated(_)) {
            linear("ffn_gate", [inner, width]);
        }
        linear("ffn_up", [inner, width]);
        linear("ffn_down", [width, inner]);
        list_norm(&format!("{blk}.attn_output_norm"), width, list);
        list_norm(&format!("{blk}.layer_output_norm"), width, list);
    }
}

fn list_norm(name: &str, width: usize, list: &mut Vec<Parameter>) {
    list.push(Parameter::new(format!("{name}.weight"), [width]));
    list.push(Parameter::new(format!("{name}.bias"), [width]));
}

/// Reads the spec of a GGUF file. nomic-embed-text: Nussbaum et al. 2024,
/// arXiv:2402.01613.
pub(crate) fn from_gguf(reader: &Reader) -> Result<EncoderSpec, Error> {
    let base = reader.optional_f32("rope.freq_base")?.unwrap_or(10_000.0);
    let pooling = match reader.optional_u64("pooling_type")? {
        None | Some(1) => Pooling::Mean,
        Some(2) => Pooling::First,
        Some(found) => return Err(reader.unsupported("pooling_type", found.to_string())),
    };
    let has_biases = reader.file.tensor("blk.0.attn_output.bias").is_ok();
    let token_types = reader.file.tensor("token_types.weight").map_or(0, |tensor| tensor.shape[0]);
    let spec = EncoderSpec {
        architecture: reader.prefix.to_owned(),
        layers: reader.size("block_count")?,
        width: reader.size("embedding_length")?,
        heads: reader.size("attention.head_count")?,
        feed_forward: reader.size("feed_forward_length")?,
        vocab: reader.vocab()?,
        max_tokens: reader.size("context_length")?,
        pooling,
        normalized: true,
        token_types,
        positions: EncoderPositions::Rope { base },
        norm_eps: reader.f32("attention.layer_norm_epsilon")?,
        has_biases,
        fused_qkv: true,
        gate: Gate::Gated(Activation::Silu),
        head: None,
    };
    check_heads(&spec, reader.path)?;
    Ok(spec)
}

/// `config.json` of an encoder.
#[derive(Debug, Deserialize)]
struct HfConfig {
    model_type: String,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "dim")]
    hidden_size: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default)]
    type_vocab_size: usize,
    /// Which DistilBERT does not state.
    #[serde(default = "usual_eps")]
    layer_norm_eps: f32,
    #[serde(alias = "activation")]
    hidden_act: String,
    #[serde(default)]
    relative_attention_num_buckets: usize,
    /// A kind of position that is not read, if it is not `absolute`.
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    num_labels: Option<usize>,
    id2label: Option<BTreeMap<String, String>>,
}

fn usual_eps() -> f32 {
    1e-12
}

/// What sets the families of encoders apart in Hugging Face folders.
struct Family {
    /// The names in `config.json`.
    model_types: &'static [&'static str],
    names: &'static Names,
    /// The row of the first position. Where row 1 stands for padding,
    /// positions begin after it.
    first_position: usize,
    has_token_types: bool,
    has_buckets: bool,
    head: HeadActivation,
}

/// BERT: Devlin et al. 2018, arXiv:1810.04805. RoBERTa: Liu et al. 2019,
/// arXiv:1907.11692, and XLM-R: Conneau et al. 2019, arXiv:1911.02116.
/// DistilBERT: Sanh et al. 2019, arXiv:1910.01108. MPNet: Song et al. 2020,
/// arXiv:2004.09297.
const FAMILIES: &[Family] = &[
    Family {
        model_types: &["bert"],
        names: names::BERT,
        first_position: 0,
        has_token_types: true,
        has_buckets: false,
        head: HeadActivation::Tanh,
    },
    Family {
        model_types: &["roberta", "xlm-roberta", "camembert"],
        names: names::ROBERTA,
        first_position: 2,
        has_token_types: true,
        has_buckets: false,
        head: HeadActivation::Tanh,
    },
    Family {
        model_types: &["distilbert"],
        names: names::DISTILBERT,
        first_position: 0,
        has_token_types: false,
        has_buckets: false,
        head: HeadActivation::Relu,
    },
    Family {
        model_types: &["mpnet"],
        names: names::MPNET,
        first_position: 2,
        has_token_types: false,
        has_buckets: true,
        head: HeadActivation::Tanh,
    },
];

/// An entry of `modules.json`.
#[derive(Debug, Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

#[derive(Debug, Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

/// Reads the spec of a Hugging Face folder, and what its files call tensors.
///
/// `modules.json` says how hidden states become an embedding; without it they
/// are averaged and not normalised, as sentence-transformers does then.
pub(crate) fn from_folder(folder: &Path) -> Result<(EncoderSpec, &'static Names), Error> {
    let path = folder.join("config.json");
    let no_model = || Error::NoModel { path: folder.to_owned(), found: 0 };
    let ModelType { model_type } = json(&path)?.ok_or_else(no_model)?;
    let is_it = |family: &&Family| family.model_types.contains(&model_type.as_str());
    let Some(family) = FAMILIES.iter().find(is_it) else {
        let mut known: Vec<&str> = FAMILIES.iter().flat_map(|f| f.model_types).copied().collect();
        known.push("nomic-bert");
        return Err(Error::UnknownArchitecture {
            path,
            found: model_type,
            known: known.join(", "),
        });
    };
    let config: HfConfig = json(&path)?.ok_or_else(no_model)?;
    refuse_what_is_not_read(&config, &path)?;
    let (pooling, normalized) = pooling(folder)?;
    let sentence: Option<SentenceConfig> = json(&folder.join("sentence_bert_config.json"))?;
    let (count, first) = (config.max_position_embeddings, family.first_position);
    let limit = sentence.and_then(|sentence| sentence.max_seq_length).unwrap_or(count);
    let positions = if family.has_buckets {
        let buckets = config.relative_attention_num_buckets;
        EncoderPositions::LearnedAndBuckets { count, first, buckets }
    } else {
        EncoderPositions::Learned { count, first }
    };
    let spec = EncoderSpec {
        head: head(&config, family.head, &path)?,
        architecture: config.model_type,
        layers: config.num_hidden_layers,
        width: config.hidden_size,
        heads: config.num_attention_heads,
        feed_forward: config.intermediate_size,
        vocab: config.vocab_size,
        max_tokens: limit.min(count.saturating_sub(first)),
        pooling,
        normalized,
        token_types: if family.has_token_types { config.type_vocab_size } else { 0 },
        positions,
        norm_eps: config.layer_norm_eps,
        has_biases: true,
        fused_qkv: false,
        gate: Gate::Plain(activation(&path, "hidden_act", &config.hidden_act)?),
    };
    check_heads(&spec, &path)?;
    Ok((spec, family.names))
}

/// Which family of models a file describes, before the rest is read.
#[derive(Deserialize)]
struct ModelType {
    model_type: String,
}

fn refuse_what_is_not_read(config: &HfConfig, path: &Path) -> Result<(), Error> {
    match config.position_embedding_type.as_deref() {
        None | Some("absolute") => {}
        Some(found) => return Err(unsupported(path, "position_embedding_type", found)),
    }
    if config.is_decoder {
        return Err(unsupported(path, "is_decoder", "true"));
    }
    Ok(())
}

/// The head of a model that was saved as one that classifies.
fn head(config: &HfConfig, activation: HeadActivation, path: &Path) -> Result<Option<Head>, Error> {
    let classifies = |name: &String| name.ends_with("ForSequenceClassification");
    if !config.architectures.iter().any(classifies) {
        return Ok(None);
    }
    let named = config.id2label.as_ref().map(BTreeMap::len);
    let labels = config.num_labels.or(named).unwrap_or(2);
    if !(1..=MAX_LABELS).contains(&labels) {
        return Err(unsupported(path, "num_labels", &labels.to_string()));
    }
    Ok(Some(Head { labels, activation }))
}

/// Pooling and normalisation as `modules.json` lists them.
fn pooling(folder: &Path) -> Result<(Pooling, bool), Error> {
    let path = folder.join("modules.json");
    let modules: Vec<Module> = json(&path)?.unwrap_or_default();
    let mut found = (Pooling::Mean, false);
    for Module { path: part, kind } in &modules {
        match kind.rsplit('.').next().unwrap_or(kind) {
            "Transformer" => {}
            "Normalize" => found.1 = true,
            "Pooling" => {
                let path = folder.join(part).join("config.json");
                let config: Option<PoolingConfig> = json(&path)?;
                found.0 = match config {
                    Some(c) if c.pooling_mode_mean_tokens && !c.pooling_mode_cls_token => {
                        Pooling::Mean
                    }
                    Some(c) if c.pooling_mode_cls_token && !c.pooling_mode_mean_tokens => {
                        Pooling::First
                    }
                    _ => return Err(unsupported(&path, "pooling_mode", "neither mean nor cls")),
                };
            }
            _ => return Err(unsupported(&path, "type", kind)),
        }
    }
    Ok(found)
}

fn unsupported(path: &Path, key: &str, found: &str) -> Error {
    Error::Unsupported { path: path.to_owned(), key: key.to_owned(), found: format!("`{found}`") }
}

/// Refuses sizes that contradict each other or are absurd.
fn check_heads(spec: &EncoderSpec, path: &Path) -> Result<(), Error> {
    let refuse = |key, found: usize| Err(unsupported(path, key, &found.to_string()));
    let sizes = [spec.layers, spec.width, spec.feed_forward, spec.vocab, spec.max_tokens];
    if let Some(&size) = sizes.iter().find(|&&size| size == 0 || 1 << 24 < size) {
        return refuse("size", size);
    }
    if 1024 < spec.layers {
        return refuse("layers", spec.layers);
    }
    let is_whole =
        (1..=spec.width).contains(&spec.heads) && spec.width.is_multiple_of(2 * spec.heads);
    if !is_whole || 1024 < spec.head_width() {
        return refuse("heads", spec.heads);
    }
    if let EncoderPositions::LearnedAndBuckets { buckets, .. } = spec.positions
        && !(4..=MAX_BUCKETS).contains(&buckets)
    {
        return refuse("relative_attention_num_buckets", buckets);
    }
    if MAX_TOKEN_TYPES < spec.token_types {
        return refuse("type_vocab_size", spec.token_types);
    }
    if !(0.0..1.0).contains(&spec.norm_eps) {
        return Err(unsupported(path, "layer_norm_eps", &spec.norm_eps.to_string()));
    }
    Ok(())
}
