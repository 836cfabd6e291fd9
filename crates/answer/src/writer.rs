//! Who puts evidence into words: a local model under constraint, or a remote
//! one that is only checked.

use std::ops::ControlFlow;
use std::sync::Arc;

use plumb_infer::{Kept, LanguageModel, Options, Reuse, Timings};
use plumb_text::Message;

use crate::answer::ModelId;
use crate::constraint::EvidenceWords;

/// What a writer is asked for.
#[derive(Debug)]
pub struct Request<'a> {
    pub messages: &'a [Message],
    /// Pieces of the messages that other requests have, too: word for word and
    /// in this order. A writer may keep what it read of them.
    pub pieces: &'a [String],
    /// Texts that hold every content word that may be used. A writer that
    /// cannot be constrained ignores them: what it writes is checked anyway.
    pub vocabulary: &'a [&'a str],
    pub max_tokens: usize,
    /// What the text is to say; `None` of a text that is no part of an answer.
    pub subject: Option<Subject<'a>>,
}

/// A question and its evidence, for a writer that may have worded them before.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// As it is searched for.
    pub question: &'a str,
    /// Its embedding, of length 1.
    pub vector: &'a [f32],
    /// SHA-256 of the evidence: its text, where it stands, and of which bytes of
    /// which document. Whatever changes there changes this.
    pub evidence: [u8; 32],
}

/// Why a writer gave nothing.
#[derive(Debug, thiserror::Error)]
#[error("the model `{model}` could not write an answer")]
pub struct WriterError {
    pub model: String,
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// A language model that words answers.
pub trait Writer {
    /// The model by content.
    fn id(&self) -> ModelId;

    /// True if the same request always gives the same text.
    fn is_deterministic(&self) -> bool;

    /// Writes what `request` asks for and hands the text over as it comes.
    /// `on_text` may stop it early; what was written until then is the result.
    fn write(
        &mut self,
        request: &Request<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, WriterError>;
}

/// A model of this process, held to the words of the evidence.
pub struct LocalWriter {
    model: Arc<LanguageModel>,
    id: ModelId,
    reuse: Option<Reuse>,
    timings: Timings,
}

impl LocalWriter {
    /// Lets `model`, which is `id` by content, write, and reuse what it read of
    /// pieces if `reuse` says how.
    pub fn new(model: impl Into<Arc<LanguageModel>>, id: ModelId, reuse: Option<Reuse>) -> Self {
        Self { model: model.into(), id, reuse, timings: Timings::default() }
    }

    /// Where the time of the last text went.
    pub fn timings(&self) -> Timings {
        self.timings
    }

    fn error(&self, source: impl std::error::Error + Send + Sync + 'static) -> WriterError {
        WriterError { model: self.id.name.clone(), source: Box::new(source) }
    }
}

impl Writer for LocalWriter {
    fn id(&self) -> ModelId {
        self.id.clone()
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn write(
        &mut self,
        request: &Request<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, WriterError> {
        let Prepared { prompt, kept, options } =
            prepared(&self.model, request, self.reuse.as_ref()).map_err(|e| self.error(e))?;
        let tokenizer = self.model.tokenizer();
        let piece = |token: u32| tokenizer.piece_bytes(token);
        let is_end = |token: u32| tokenizer.stop_ids().contains(&token);
        let mut constraint = EvidenceWords::new(request.vocabulary, piece, is_end);
        let written = self
            .model
            .generate_stitched((&prompt, &kept), &options, Some(&mut constraint), on_text)
            .map_err(|e| self.error(e))?;
        self.timings = written.timings;
        Ok(written.text)
    }
}

/// A request as a model is given it.
pub(crate) struct Prepared {
    pub(crate) prompt: Vec<u32>,
    /// What stands in the prompt in place of tokens that are read.
    pub(crate) kept: Vec<Kept>,
    pub(crate) options: Options,
}

/// The prompt for `request`, and how it is continued.
pub(crate) fn prepared(
    model: &LanguageModel,
    request: &Request<'_>,
    reuse: Option<&Reuse>,
) -> Result<Prepared, plumb_infer::Error> {
    // Text of documents can spell out the tokens that end a turn.
    let defused = |text: &str| model.tokenizer().defuse(text);
    let message = |message: &Message| Message::new(&message.role, &defused(&message.content));
    let messages: Vec<Message> = request.messages.iter().map(message).collect();
    let (prompt, kept) = match reuse {
        None => (model.chat_prompt(&messages)?, Vec::new()),
        Some(reuse) => {
            let pieces: Vec<String> = request.pieces.iter().map(|piece| defused(piece)).collect();
            let prompt = model.chat_prompt_in_pieces(&messages, &pieces)?;
            let kept = reuse.kept(model, &prompt)?;
            (prompt.tokens, kept)
        }
    };
    let options = Options {
        max_tokens: request.max_tokens,
        stop: vec!["\n".to_owned()],
        ..Options::default()
    };
    Ok(Prepared { prompt, kept, options })
}

/// Passes requests on and remembers what was written.
pub struct Recorder<'a> {
    inner: &'a mut dyn Writer,
    written: Vec<String>,
}

impl<'a> Recorder<'a> {
    /// Remembers what `inner` writes from now on.
    pub fn new(inner: &'a mut dyn Writer) -> Self {
        Self { inner, written: Vec::new() }
    }

    /// What was written, one text a request.
    pub fn into_written(self) -> Vec<String> {
        self.written
    }
}

impl Writer for Recorder<'_> {
    fn id(&self) -> ModelId {
        self.inner.id()
    }

    fn is_deterministic(&self) -> bool {
        self.inner.is_deterministic()
    }

    fn write(
        &mut self,
        request: &Request<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, WriterError> {
        let text = self.inner.write(request, on_text)?;
        self.written.push(text.clone());
        Ok(text)
    }
}

/// Writes what a [`Recorder`] remembered, for replays with a remote model.
pub struct Replayer {
    id: ModelId,
    texts: std::vec::IntoIter<String>,
}

impl Replayer {
    /// Will write `texts` in their order, one a request.
    pub fn new(id: ModelId, texts: Vec<String>) -> Self {
        Self { id, texts: texts.into_iter() }
    }
}

/// A replay asked for more than was recorded.
#[derive(Debug, thiserror::Error)]
#[error("the recording has no more texts: the replay took another path")]
struct NoMoreTexts;

impl Writer for Replayer {
    fn id(&self) -> ModelId {
        self.id.clone()
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn write(
        &mut self,
        _request: &Request<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, WriterError> {
        let text = self.texts.next().ok_or_else(|| WriterError {
            model: self.id.name.clone(),
            source: Box::new(NoMoreTexts),
        })?;
        // A break is the caller's own doing and needs no answer.
        let _ = on_text(&text);
        Ok(text)
    }
}
