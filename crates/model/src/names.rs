//! What Hugging Face files call the tensors of a model.

/// How the files of a family name what GGUF files call `blk.3.attn_q.weight`.
#[derive(Debug)]
pub(crate) struct Names {
    /// What may stand before every name but those `outside`: a model that was
    /// saved with a head on it calls its body something.
    pub(crate) roots: &'static [&'static str],
    /// What stands before the number of a layer.
    pub(crate) layer: &'static str,
    /// Parts of GGUF names, and what stands for them.
    pub(crate) parts: &'static [(&'static str, &'static str)],
    /// The same, of tensors that no root stands before.
    pub(crate) outside: &'static [(&'static str, &'static str)],
    /// Parts whose weights are stored as (inputs, outputs).
    pub(crate) transposed: &'static [&'static str],
}

/// GGUF files, whose names are ours.
pub(crate) const GGUF: &Names =
    &Names { roots: &[""], layer: "blk.", parts: &[], outside: &[], transposed: &[] };

pub(crate) const LLAMA: &Names = &Names {
    roots: &[""],
    layer: "model.layers.",
    parts: &[
        ("token_embd", "model.embed_tokens"),
        ("output_norm", "model.norm"),
        ("output", "lm_head"),
        ("attn_norm", "input_layernorm"),
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_qkv", "self_attn.qkv_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("attn_q_norm", "self_attn.q_norm"),
        ("attn_k_norm", "self_attn.k_norm"),
        ("ffn_norm", "post_attention_layernorm"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ],
    outside: &[],
    transposed: &[],
};

pub(crate) const PHI3: &Names = &Names {
    parts: &[
        ("token_embd", "model.embed_tokens"),
        ("output_norm", "model.norm"),
        ("output", "lm_head"),
        ("attn_norm", "input_layernorm"),
        ("attn_qkv", "self_attn.qkv_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("ffn_norm", "post_attention_layernorm"),
        ("ffn_up", "mlp.gate_up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ],
    ..*LLAMA
};

pub(crate) const GEMMA: &Names = &Names {
    parts: &[
        ("token_embd", "model.embed_tokens"),
        ("output_norm", "model.norm"),
        ("output", "lm_head"),
        ("attn_norm", "input_layernorm"),
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("attn_q_norm", "self_attn.q_norm"),
        ("attn_k_norm", "self_attn.k_norm"),
        ("post_attention_norm", "post_attention_layernorm"),
        ("ffn_norm", "pre_feedforward_layernorm"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
        ("post_ffw_norm", "post_feedforward_layernorm"),
    ],
    ..*LLAMA
};

pub(crate) const GPT2: &Names = &Names {
    roots: &["", "transformer."],
    layer: "h.",
    parts: &[
        ("token_embd", "wte"),
        ("position_embd", "wpe"),
        ("output_norm", "ln_f"),
        ("attn_norm", "ln_1"),
        ("attn_qkv", "attn.c_attn"),
        ("attn_output", "attn.c_proj"),
        ("ffn_norm", "ln_2"),
        ("ffn_up", "mlp.c_fc"),
        ("ffn_down", "mlp.c_proj"),
    ],
    outside: &[("output", "lm_head")],
    transposed: &["attn_qkv", "attn_output", "ffn_up", "ffn_down"],
};

pub(crate) const BERT: &Names = &Names {
    roots: &["", "bert."],
    layer: "encoder.layer.",
    parts: &[
        ("token_embd", "embeddings.word_embeddings"),
        ("token_types", "embeddings.token_type_embeddings"),
        ("position_embd", "embeddings.position_embeddings"),
        ("token_embd_norm", "embeddings.LayerNorm"),
        ("attn_q", "attention.self.query"),
        ("attn_k", "attention.self.key"),
        ("attn_v", "attention.self.value"),
        ("attn_output", "attention.output.dense"),
        ("attn_output_norm", "attention.output.LayerNorm"),
        ("ffn_up", "intermediate.dense"),
        ("ffn_down", "output.dense"),
        ("layer_output_norm", "output.LayerNorm"),
        ("cls", "pooler.dense"),
    ],
    outside: &[("cls.output", "classifier")],
    transposed: &[],
};

/// RoBERTa, and XLM-RoBERTa.
pub(crate) const ROBERTA: &Names = &Names {
    roots: &["", "roberta."],
    outside: &[("cls", "classifier.dense"), ("cls.output", "classifier.out_proj")],
    ..*BERT
};

pub(crate) const DISTILBERT: &Names = &Names {
    roots: &["", "distilbert."],
    layer: "transformer.layer.",
    parts: &[
        ("token_embd", "embeddings.word_embeddings"),
        ("position_embd", "embeddings.position_embeddings"),
        ("token_embd_norm", "embeddings.LayerNorm"),
        ("attn_q", "attention.q_lin"),
        ("attn_k", "attention.k_lin"),
        ("attn_v", "attention.v_lin"),
        ("attn_output", "attention.out_lin"),
        ("attn_output_norm", "sa_layer_norm"),
        ("ffn_up", "ffn.lin1"),
        ("ffn_down", "ffn.lin2"),
        ("layer_output_norm", "output_layer_norm"),
    ],
    outside: &[("cls", "pre_classifier"), ("cls.output", "classifier")],
    transposed: &[],
};

pub(crate) const MPNET: &Names = &Names {
    roots: &["", "mpnet."],
    layer: "encoder.layer.",
    parts: &[
        ("token_embd", "embeddings.word_embeddings"),
        ("position_embd", "embeddings.position_embeddings"),
        ("token_embd_norm", "embeddings.LayerNorm"),
        ("relative_bias", "encoder.relative_attention_bias"),
        ("attn_q", "attention.attn.q"),
        ("attn_k", "attention.attn.k"),
        ("attn_v", "attention.attn.v"),
        ("attn_output", "attention.attn.o"),
        ("attn_output_norm", "attention.LayerNorm"),
        ("ffn_up", "intermediate.dense"),
        ("ffn_down", "output.dense"),
        ("layer_output_norm", "output.LayerNorm"),
    ],
    outside: ROBERTA.outside,
    transposed: &[],
};

impl Names {
    /// The root with which the files have an embedding; the last one if none
    /// does, so that errors give the full name.
    pub(crate) fn root(&self, has: impl Fn(&str) -> bool) -> &'static str {
        let fits = |root: &&&str| has(&self.stored(root, "token_embd.weight"));
        self.roots.iter().find(fits).or(self.roots.last()).copied().unwrap_or_default()
    }

    /// Translates a GGUF name such as `blk.3.attn_q.weight`.
    pub(crate) fn stored(&self, root: &str, gguf: &str) -> String {
        let (layer, part, kind) = split(gguf);
        let layer = layer.map_or_else(String::new, |layer| format!("{}{layer}.", self.layer));
        let of = |table: &'static [(&str, &'static str)]| {
            table.iter().find(|(known, _)| *known == part).map(|(_, stored)| *stored)
        };
        if let Some(stored) = of(self.outside) {
            return format!("{stored}.{kind}");
        }
        format!("{root}{layer}{}.{kind}", of(self.parts).unwrap_or(part))
    }

    /// Whether the files store the transpose of the matrix with this GGUF name.
    pub(crate) fn is_transposed(&self, gguf: &str) -> bool {
        let (_, part, kind) = split(gguf);
        kind == "weight" && self.transposed.contains(&part)
    }
}

/// The number of the layer, the part of the model and what of it.
fn split(gguf: &str) -> (Option<&str>, &str, &str) {
    let (layer, rest) = match gguf.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
        Some((layer, rest)) => (Some(layer), rest),
        None => (None, gguf),
    };
    let (part, kind) = rest.rsplit_once('.').unwrap_or((rest, ""));
    (layer, part, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &Names, root: &str, gguf: &str, want: &str) {
        assert_eq!(names.stored(root, gguf), want);
    }

    #[test]
    fn layers_and_parts_are_translated() {
        let query = "blk.3.attn_q.weight";
        check(BERT, "", query, "encoder.layer.3.attention.self.query.weight");
        check(BERT, "", "token_embd_norm.bias", "embeddings.LayerNorm.bias");
        check(MPNET, "", "relative_bias.weight", "encoder.relative_attention_bias.weight");
        check(GGUF, "", query, query);
        check(GPT2, "transformer.", "blk.3.attn_qkv.bias", "transformer.h.3.attn.c_attn.bias");
        check(ROBERTA, "roberta.", "cls.output.weight", "classifier.out_proj.weight");
        check(BERT, "bert.", "cls.bias", "bert.pooler.dense.bias");
    }

    #[test]
    fn the_root_is_what_the_files_have() {
        assert_eq!(GPT2.root(|name| name == "wte.weight"), "");
        assert_eq!(GPT2.root(|name| name == "transformer.wte.weight"), "transformer.");
        assert_eq!(GPT2.root(|_| false), "transformer.");
    }

    #[test]
    fn only_matrices_are_transposed() {
        assert!(GPT2.is_transposed("blk.0.ffn_up.weight"));
        assert!(!GPT2.is_transposed("blk.0.ffn_up.bias"));
        assert!(!GPT2.is_transposed("position_embd.weight"));
    }
}
