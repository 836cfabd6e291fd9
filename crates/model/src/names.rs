//! What Hugging Face files call the tensors of an encoder.

/// Pairs of a part of a GGUF name and what stands for it, tried in order; the
/// first that fits is used for the part after `blk.N.`.
pub(crate) type Names = [(&'static str, &'static str)];

pub(crate) const BERT: &Names = &[
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
];

pub(crate) const MPNET: &Names = &[
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
];

/// Translates a GGUF name such as `blk.3.attn_q.weight`.
pub(crate) fn rename(names: &Names, gguf: &str) -> String {
    let (prefix, rest) = match gguf.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
        Some((layer, rest)) => (format!("encoder.layer.{layer}."), rest),
        None => (String::new(), gguf),
    };
    let (part, kind) = rest.rsplit_once('.').unwrap_or((rest, ""));
    let stored = names.iter().find(|(known, _)| *known == part).map_or(part, |(_, stored)| stored);
    format!("{prefix}{stored}.{kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_parts_are_translated() {
        let name = rename(BERT, "blk.3.attn_q.weight");
        assert_eq!(name, "encoder.layer.3.attention.self.query.weight");
        assert_eq!(rename(BERT, "token_embd_norm.bias"), "embeddings.LayerNorm.bias");
        assert_eq!(rename(MPNET, "relative_bias.weight"), "encoder.relative_attention_bias.weight");
    }
}
