//! Texts to vectors and passages to scores, beside what the engine generates.

use std::sync::Arc;
use std::time::Instant;

use plumb_answer::ModelId;
use plumb_infer::{
    EmbedRequest, Embedder, Encoded, Error, Priority, RerankRequest, Reranker, TextRole,
};
use tokio::sync::oneshot;

use crate::allowance::Allowance;
use crate::clock;
use crate::failure::{Failure, Kind};
use crate::state::App;
use crate::trace::Span;

/// An embedder that is served.
pub struct ServedEmbedder {
    pub id: ModelId,
    pub embedder: Arc<Embedder>,
    /// When it was loaded, in seconds since 1970.
    pub created: u64,
}

/// A reranker that is served.
pub struct ServedReranker {
    pub id: ModelId,
    pub reranker: Arc<Reranker>,
    /// When it was loaded, in seconds since 1970.
    pub created: u64,
}

impl ServedEmbedder {
    /// An embedder that was just loaded.
    pub fn new(id: ModelId, embedder: Embedder) -> Self {
        Self { id, embedder: Arc::new(embedder), created: clock::unix_seconds() }
    }
}

impl ServedReranker {
    /// A reranker that was just loaded.
    pub fn new(id: ModelId, reranker: Reranker) -> Self {
        Self { id, reranker: Arc::new(reranker), created: clock::unix_seconds() }
    }
}

/// The vectors of `texts`. Fails, with the numbers, if one is longer than the
/// model reads.
pub async fn embed(
    (app, call): (&Arc<App>, &Allowance),
    model: &ServedEmbedder,
    role: TextRole,
    texts: Vec<String>,
) -> Result<Encoded<Vec<f32>>, Failure> {
    check_number("input", texts.len(), app)?;
    let span = call.scope().operation("embeddings", &model.id.name);
    let (embedder, engine) = (model.embedder.clone(), app.ready()?.encoding_engine.clone());
    let (sender, done) = oneshot::channel();
    let started = Instant::now();
    let submit = move || {
        for (i, text) in texts.iter().enumerate() {
            let (tokens, most) = (embedder.full_length(role, text)?, embedder.max_tokens());
            if most < tokens {
                return Err(too_long(&format!("text {i} of `input`"), tokens, most));
            }
        }
        let priority = Priority::Interactive;
        let on_done = Box::new(move |result| drop(sender.send(result)));
        Ok(engine.embed(EmbedRequest { embedder, role, texts, priority }, on_done)?)
    };
    // Dropping the ticket cancels the request.
    let _ticket = app.preparing.run(submit).await??;
    let encoded = wait((app, call), done).await?;
    note((app, call), &model.id.name, encoded.tokens, span);
    app.metrics.embedding_seconds.observe(&[&model.id.name], started.elapsed().as_secs_f64());
    Ok(encoded)
}

/// What becomes of a passage that is longer than the model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// The request fails, with the numbers.
    Refuse,
    /// The end is not read.
    Cut,
}

/// The scores of `passages`.
pub async fn rerank(
    (app, call): (&Arc<App>, &Allowance),
    model: &ServedReranker,
    (query, passages): (String, Vec<String>),
    too_long_ones: TooLong,
) -> Result<Encoded<f32>, Failure> {
    check_number("documents", passages.len(), app)?;
    let span = call.scope().operation("rerank", &model.id.name);
    let (reranker, engine) = (model.reranker.clone(), app.ready()?.encoding_engine.clone());
    let (sender, done) = oneshot::channel();
    let started = Instant::now();
    let submit = move || {
        let checked = if too_long_ones == TooLong::Refuse { passages.len() } else { 0 };
        for (i, passage) in passages.iter().take(checked).enumerate() {
            let (tokens, most) = (reranker.full_length(&query, passage)?, reranker.max_tokens());
            if most < tokens {
                return Err(too_long(&format!("document {i} with the query"), tokens, most));
            }
        }
        let priority = Priority::Interactive;
        let on_done = Box::new(move |result| drop(sender.send(result)));
        Ok(engine.rerank(RerankRequest { reranker, query, passages, priority }, on_done)?)
    };
    let _ticket = app.preparing.run(submit).await??;
    let encoded = wait((app, call), done).await?;
    note((app, call), &model.id.name, encoded.tokens, span);
    app.metrics.rerank_seconds.observe(&[&model.id.name], started.elapsed().as_secs_f64());
    Ok(encoded)
}

/// Refuses none and too many.
pub fn check_number(param: &str, number: usize, app: &App) -> Result<(), Failure> {
    let most = app.limits().texts;
    if (1..=most).contains(&number) {
        return Ok(());
    }
    let message = format!("`{param}` has {number} texts; it must have from 1 to {most}");
    Err(Failure::invalid(param, message))
}

fn too_long(what: &str, tokens: usize, most: usize) -> Failure {
    let message = format!("{what} has {tokens} tokens, and this model reads {most}; cut it");
    Failure::new(Kind::TooLong, message)
}

/// Counts tokens that a model has read.
fn note((app, call): (&App, &Allowance), model: &str, tokens: usize, mut span: Span) {
    call.read(tokens);
    app.metrics.encoded_tokens.add(&[model], tokens as u64);
    span.set("gen_ai.usage.input_tokens", tokens);
}

async fn wait<T>(
    (app, call): (&App, &Allowance),
    done: oneshot::Receiver<Result<Encoded<T>, Error>>,
) -> Result<Encoded<T>, Failure> {
    let ended = |_| Failure::unavailable("the engine has stopped");
    Ok(call.wait(&app.drain, done).await?.map_err(ended)??)
}
