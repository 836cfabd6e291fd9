//! `BERTScore` with an encoder of this machine.

use std::num::NonZeroUsize;

use anyhow::{Context as _, Result, bail};
use plumb_infer::Embedder;
use plumb_metrics::text::{BertScore, TokenStates, TokenWeights, bert_score};

use super::measures::Inputs;
use crate::context::Context;
use crate::models::locate;

/// References whose states are in memory at the same time.
const AT_ONCE: usize = 64;

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "BERTScore")]
pub(super) struct BertFlags {
    /// The encoder: a name of `plumb model list`, or a path
    #[arg(long = "bert-model", value_name = "MODEL", default_value = "all-minilm-l6-v2")]
    model: String,

    /// The layer whose states are compared [default: the last]
    #[arg(long = "bert-layer", value_name = "N")]
    layer: Option<usize>,

    /// Weigh tokens by how rare they are in the references
    #[arg(long = "bert-idf")]
    idf: bool,
}

/// What was found, and how.
pub(super) struct Bert {
    /// Of each text, its best reference's; `None` where no token has a weight.
    pub(super) scores: Vec<Option<BertScore>>,
    pub(super) signature: String,
}

/// Matches each text with its references. Where there are several, precision,
/// recall and F1 are each the best that one of them gives, as in `bert-score`.
pub(super) fn compute(flags: &BertFlags, inputs: &Inputs<'_>, context: &Context) -> Result<Bert> {
    let located = locate(context, &flags.model)?;
    let one = NonZeroUsize::MIN;
    let cores = std::thread::available_parallelism().unwrap_or(one);
    let threads = context.threads.and_then(NonZeroUsize::new).unwrap_or(cores);
    // In floats throughout: eight bits would move the third decimal.
    let embedder = Embedder::load_exact(&located.path, threads)
        .with_context(|| format!("cannot load the encoder `{}`", located.name))?;
    let layers = embedder.spec().layers;
    let layer = flags.layer.unwrap_or(layers);
    if layer > layers {
        bail!("--bert-layer is {layer}, but `{}` has {layers} layers", located.name);
    }
    let states = |texts: &[&str]| -> Result<Vec<TokenStates>> {
        let texts: Vec<&str> = texts.iter().map(|text| text.trim()).collect();
        let found = embedder.token_states(&texts, layer)?;
        Ok(found.into_iter().map(|(ids, states)| TokenStates::new(ids, states)).collect())
    };
    let weights = if flags.idf {
        // Only the tokens matter here: no layer is computed.
        let mut all = Vec::new();
        for list in &inputs.references {
            let found = embedder.token_states(list, 0)?;
            all.extend(found.into_iter().map(|(ids, _)| TokenStates::new(ids, Vec::new())));
        }
        TokenWeights::by_rarity(&all)
    } else {
        TokenWeights::equal(&embedder.special_tokens()?)
    };
    let mut scores = Vec::with_capacity(inputs.texts.len());
    for start in (0..inputs.texts.len()).step_by(AT_ONCE) {
        if context.stop.is_set() {
            bail!("interrupted");
        }
        let end = (start + AT_ONCE).min(inputs.texts.len());
        let texts = states(&inputs.texts[start..end])?;
        let mut best = vec![None; texts.len()];
        for list in &inputs.references {
            for ((text, reference), best) in
                texts.iter().zip(states(&list[start..end])?).zip(&mut best)
            {
                *best = better(*best, bert_score(text, &reference, &weights));
            }
        }
        scores.extend(best);
    }
    let idf = if flags.idf { "yes" } else { "no" };
    let signature = format!(
        "bertscore|nrefs:{}|model:{}@{}|layer:{layer}|idf:{idf}|rescaled:no|agg:mean|as:0.3.13",
        inputs.references.len(),
        located.name,
        &located.sha256[..12.min(located.sha256.len())],
    );
    Ok(Bert { scores, signature })
}

/// The best of each number.
fn better(left: Option<BertScore>, right: Option<BertScore>) -> Option<BertScore> {
    let (Some(left), Some(right)) = (left, right) else { return left.or(right) };
    Some(BertScore {
        precision: left.precision.max(right.precision),
        recall: left.recall.max(right.recall),
        f1: left.f1.max(right.f1),
    })
}
