//! `plumb bench perplexity`: how well a model expects a text, and what its
//! arithmetic costs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plumb_infer::{LanguageModel, divergence};
use plumb_text::Special;
use serde_json::json;

use crate::config::KvCacheName;
use crate::context::Context;
use crate::exit::Exit;
use crate::models::locate;
use crate::project;

#[derive(clap::Args, Debug)]
pub struct PerplexityArgs {
    /// A name of `plumb model list`, or a path
    model: String,

    /// The text, as UTF-8
    #[arg(long)]
    text: PathBuf,

    /// Tokens that are read together; a further part begins anew
    #[arg(long, default_value_t = 512)]
    window: usize,

    /// Tokens of the text, at most
    #[arg(long, default_value_t = 4096)]
    tokens: usize,

    /// How keys and values are kept [default: `models.kv_cache` of plumb.toml, or f16]
    #[arg(long, value_enum, value_name = "TYPE")]
    kv_cache: Option<KvCacheName>,

    /// Also compute in 32-bit floats, and compare
    #[arg(long)]
    exact: bool,

    /// The same with the floats of another file of the model, such as one that is not quantised
    #[arg(long, value_name = "MODEL", conflicts_with = "exact")]
    reference: Option<String>,
}

/// Sums over the tokens that were expected.
#[derive(Default)]
struct Sums {
    count: usize,
    /// Of logarithms of probabilities.
    logprobs: f64,
    exact_logprobs: f64,
    divergence: f64,
    /// Tokens of which both forms think the same the likeliest.
    agreed: usize,
}

pub(super) fn run(args: &PerplexityArgs, context: &Context) -> Result<Exit> {
    let config = project::resolve(context, &context.folder)?;
    let (threads, kv_cache) = (config.threads, args.kv_cache.unwrap_or(config.kv_cache));
    let located = locate(context, &args.model)?;
    let failed = || format!("cannot load the generator `{}`", located.name);
    let model = located.generator(threads, kv_cache.into()).with_context(failed)?;
    let exact = match &args.reference {
        Some(reference) => Some(locate(context, reference)?.path),
        None => args.exact.then(|| located.path.clone()),
    };
    let exact = exact
        .map(|path| {
            LanguageModel::load_exact(&path, threads)
                .with_context(|| format!("cannot load `{}`", path.display()))
        })
        .transpose()?;
    let path = args.text.display();
    let text =
        fs::read_to_string(&args.text).with_context(|| format!("cannot read `{path}` as UTF-8"))?;
    let mut tokens = model.tokenizer().encode(&text, Special::Add)?;
    tokens.truncate(args.tokens);
    let window = args.window.min(model.context());
    if tokens.len() < 2 || window < 2 {
        bail!("`{path}` has {} tokens: at least 2 are needed", tokens.len());
    }
    if let (Some(reference), Some(_)) = (&exact, &args.reference)
        && reference.tokenizer().encode(&text, Special::Add)?.get(..tokens.len())
            != Some(&tokens[..])
    {
        bail!("the models read `{path}` as different tokens: only files of one model compare");
    }
    let mut sums = Sums::default();
    for part in tokens.chunks(window).filter(|part| 1 < part.len()) {
        if context.stop.is_set() {
            bail!("interrupted");
        }
        sums.add(&model, exact.as_ref(), part)?;
    }
    report(context, (&located.name, kv_cache), (tokens.len(), window), &sums, exact.is_some())?;
    Ok(Exit::Done)
}

impl Sums {
    fn add(
        &mut self,
        model: &LanguageModel,
        exact: Option<&LanguageModel>,
        tokens: &[u32],
    ) -> Result<()> {
        let Some(exact) = exact else {
            let logprobs = model.token_logprobs(tokens)?;
            self.count += logprobs.len();
            self.logprobs += logprobs.iter().sum::<f64>();
            return Ok(());
        };
        let mut reference = Vec::new();
        exact.for_each_logits(tokens, &mut |_, logits| reference.push(logits.to_vec()))?;
        model.for_each_logits(tokens, &mut |next, logits| {
            let (want, wanted) = (&reference[next - 1], tokens[next] as usize);
            let logprob = |of: &[f32]| f64::from(of[wanted]) - plumb_infer::log_sum_exp(of);
            self.count += 1;
            self.logprobs += logprob(logits);
            self.exact_logprobs += logprob(want);
            self.divergence += divergence(want, logits);
            self.agreed += usize::from(likeliest(want) == likeliest(logits));
        })?;
        Ok(())
    }
}

fn likeliest(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]).then(b.cmp(&a)))
}

fn report(
    context: &Context,
    (model, kv_cache): (&str, KvCacheName),
    (tokens, window): (usize, usize),
    sums: &Sums,
    is_compared: bool,
) -> Result<()> {
    let count = sums.count as f64;
    let perplexity = |logprobs: f64| (-logprobs / count).exp();
    let found = perplexity(sums.logprobs);
    let exact = is_compared.then(|| {
        let agreed = sums.agreed as f64 / count;
        (perplexity(sums.exact_logprobs), sums.divergence / count, agreed)
    });
    if context.json {
        return context.print_json(&json!({
            "model": model,
            "tokens": tokens,
            "window": window,
            "kv_cache": kv_cache.name(),
            "scored": sums.count,
            "perplexity": found,
            "exact": exact.map(|(perplexity, divergence, agreed)| json!({
                "perplexity": perplexity,
                "mean_divergence": divergence,
                "same_likeliest": agreed,
            })),
        }));
    }
    context.say(format!("perplexity {found:.4} of {} tokens", sums.count))?;
    if let Some((perplexity, divergence, agreed)) = exact {
        context.say(format!(
            "in 32-bit floats {perplexity:.4}; divergence from them {divergence:.6} nats a token; \
             the same token is the likeliest for {:.2} %",
            100.0 * agreed
        ))?;
    }
    Ok(())
}
