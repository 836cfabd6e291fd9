//! Continuing a prompt.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use plumb_kernels::Pool;
use plumb_model::{Decoder, DecoderSpec, KvCache, Logits, gguf_metadata};
use plumb_text::{ChatTemplate, Decoder as TextDecoder, Message, Special, Tokenizer};

use crate::logprobs::Logprobs;
use crate::sampling::Sampler;
use crate::stop::StopFilter;
use crate::{Error, GrammarVocabulary, Sampling, TokenLogprob};

/// Prompt tokens between two chances to cancel.
const PREFILL_BATCH: usize = 256;

/// Alternatives that are reported for a token.
const MAX_LOGPROBS: usize = 1000;

/// A decoder with its tokenizer, and the state of the sequence it read last.
pub struct LanguageModel {
    path: PathBuf,
    decoder: Decoder,
    tokenizer: Arc<Tokenizer>,
    /// Made when a grammar is first compiled.
    grammar_vocabulary: OnceLock<GrammarVocabulary>,
    template: Option<ChatTemplate>,
    pool: Pool,
    /// The sequence read last, so that a prompt that begins alike is not read
    /// again. `None` while a call uses it.
    last: Mutex<Option<Sequence>>,
}

/// Tokens that a cache holds.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    tokens: Vec<u32>,
    cache: KvCache,
}

/// How a prompt is continued.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Tokens after which generation ends.
    pub max_tokens: usize,
    pub sampling: Sampling,
    /// Generation ends before the first of these in the text.
    pub stop: Vec<String>,
    /// Says how likely the model thought each token, and so many alternatives.
    pub logprobs: Option<usize>,
}

impl Options {
    /// Fails if a value is not a number or out of its range, and says which.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(count) = self.logprobs.filter(|&count| MAX_LOGPROBS < count) {
            let (field, range) = ("logprobs", "at most 1000");
            return Err(Error::Setting { field, value: count.to_string(), range });
        }
        self.sampling.check()
    }
}

impl Default for Options {
    /// Greedy, up to 512 tokens.
    fn default() -> Self {
        Self { max_tokens: 512, sampling: Sampling::GREEDY, stop: Vec::new(), logprobs: None }
    }
}

/// Decides which tokens may come next.
pub trait Constraint {
    /// Sets to minus infinity the logits of tokens that may not follow the
    /// `generated` ones.
    fn mask(&mut self, generated: &[u32], logits: &mut [f32]);

    /// Tokens that must follow the `generated` ones, in order: those that
    /// [`mask`](Self::mask) would leave as the only ones, one after the other.
    ///
    /// They are read in one pass through the model. None may be returned where
    /// a tokenization other than the usual one is to be possible.
    fn forced(&mut self, _generated: &[u32]) -> Vec<u32> {
        Vec::new()
    }

    /// Why [`mask`](Self::mask) left no token, where that is no dead end of
    /// the constraint but a failure.
    fn failure(&self) -> Option<String> {
        None
    }
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended its turn.
    EndOfTurn,
    /// A stop string came.
    StopString,
    /// `max_tokens` were generated, or the context is full.
    Length,
    /// The caller broke off.
    Cancelled,
}

/// A continued prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// Without the token that ended the turn.
    pub tokens: Vec<u32>,
    /// Without stop strings.
    pub text: String,
    /// Of each token, if [`Options::logprobs`] asked for them.
    pub logprobs: Option<Vec<TokenLogprob>>,
    pub finish: Finish,
    pub timings: Timings,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    pub prompt_tokens: usize,
    /// Prompt tokens that a former call had read.
    pub cached_tokens: usize,
    /// Generated tokens that the constraint forced, which are not read one by
    /// one.
    pub forced_tokens: usize,
    /// Reading the rest of the prompt.
    pub prefill: Duration,
    /// Everything after that.
    pub decode: Duration,
}

impl LanguageModel {
    /// Loads a GGUF file for use on `threads` threads, with products of
    /// quantised weights in integers.
    pub fn load(path: &Path, threads: NonZeroUsize) -> Result<Self, Error> {
        let mut model = Self::load_exact(path, threads)?;
        model.decoder.pack(&model.pool);
        Ok(model)
    }

    /// Loads a GGUF file and computes in floats throughout: slow, and the
    /// reference for everything that is fast.
    pub fn load_exact(path: &Path, threads: NonZeroUsize) -> Result<Self, Error> {
        let decoder = Decoder::load(path)?;
        let Some(file) = gguf_metadata(path)? else {
            let path = path.to_owned();
            return Err(plumb_model::Error::NoModel { path, found: 0 }.into());
        };
        let tokenizer = Tokenizer::from_gguf(&file)?;
        let (tokens, vocab) = (tokenizer.vocab_size(), decoder.spec().vocab);
        if vocab < tokens {
            return Err(Error::Vocabulary { path: path.to_owned(), tokens, vocab });
        }
        let spelling = |id: Option<u32>| {
            let bytes = id.map_or_else(Vec::new, |id| tokenizer.piece_bytes(id));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (bos, eos) = (spelling(tokenizer.bos()), spelling(tokenizer.eos()));
        let template = tokenizer
            .chat_template()
            .map(|source| ChatTemplate::new(source, &bos, &eos))
            .transpose()?;
        let (path, pool) = (path.to_owned(), Pool::new(threads));
        Ok(Self {
            path,
            decoder,
            tokenizer: Arc::new(tokenizer),
            grammar_vocabulary: OnceLock::new(),
            template,
            pool,
            last: Mutex::new(None),
        })
    }

    /// What the decoder is made of.
    pub fn spec(&self) -> &DecoderSpec {
        self.decoder.spec()
    }

    /// The tokenizer that the model file carries.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What grammars are compiled against; made at the first call.
    pub fn grammar_vocabulary(&self) -> Result<&GrammarVocabulary, Error> {
        if let Some(made) = self.grammar_vocabulary.get() {
            return Ok(made);
        }
        let made = GrammarVocabulary::new(self.tokenizer.clone())?;
        Ok(self.grammar_vocabulary.get_or_init(|| made))
    }

    /// Tokens of prompt and completion together that the model can hold.
    pub fn context(&self) -> usize {
        self.spec().context
    }

    /// The prompt for `messages`, up to where the model is to answer.
    ///
    /// Control tokens spelt out in a message become ids: text from outside
    /// must go through [`Tokenizer::defuse`] first.
    pub fn chat_prompt(&self, messages: &[Message]) -> Result<Vec<u32>, Error> {
        let Some(template) = &self.template else {
            return Err(Error::NoChatTemplate { path: self.path.clone() });
        };
        Ok(self.tokenizer.encode(&template.render(messages, true)?, Special::Parse)?)
    }

    /// Whether the model file carries a chat template.
    pub fn has_chat_template(&self) -> bool {
        self.template.is_some()
    }

    /// How many tokens `text` has.
    pub fn count_tokens(&self, text: &str) -> Result<usize, Error> {
        Ok(self.tokenizer.count(text)?)
    }

    /// The logits (V) after the last of `tokens`.
    pub fn logits(&self, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        let (sequence, logits) = self.read_prompt(tokens)?;
        self.keep(sequence);
        Ok(logits)
    }

    /// Reads all of `prompt`; the logits are those after its last token.
    pub(crate) fn read_prompt(&self, prompt: &[u32]) -> Result<(Sequence, Vec<f32>), Error> {
        let mut sequence = self.sequence(prompt)?;
        let (logits, _) = self.read(&mut sequence, prompt, &mut |_| ControlFlow::Continue(()))?;
        Ok((sequence, logits))
    }

    /// Continues `prompt`.
    ///
    /// `on_piece` gets the text as it comes, and an empty piece between
    /// batches of the prompt; it ends generation with [`ControlFlow::Break`].
    pub fn generate(
        &self,
        prompt: &[u32],
        options: &Options,
        constraint: Option<&mut dyn Constraint>,
        on_piece: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, Error> {
        options.check()?;
        options.sampling.check_tokens(self.tokenizer.vocab_size())?;
        let start = Instant::now();
        let mut sequence = self.sequence(prompt)?;
        let mut timings = Timings {
            prompt_tokens: prompt.len(),
            cached_tokens: sequence.tokens.len(),
            ..Timings::default()
        };
        let (logits, flow) = self.read(&mut sequence, prompt, on_piece)?;
        timings.prefill = start.elapsed();
        let mut writer = Writer {
            model: self,
            constraint,
            on_piece,
            sampler: Sampler::new(&options.sampling, prompt, &|id| self.tokenizer.piece_bytes(id)),
            meter: options.logprobs.map(Logprobs::new),
            logprobs: Vec::new(),
            stop: StopFilter::new(&options.stop),
            decoder: self.tokenizer.decoder(),
            // The last token of a full context is not read.
            left: options.max_tokens.min(self.context() + 1 - prompt.len()),
            tokens: Vec::new(),
            text: String::new(),
            forced: 0,
        };
        let start = Instant::now();
        let finish = match flow {
            ControlFlow::Break(()) => Finish::Cancelled,
            ControlFlow::Continue(()) => writer.write(&mut sequence, logits)?,
        };
        timings.decode = start.elapsed();
        let Writer { tokens, mut text, stop, logprobs, forced, .. } = writer;
        timings.forced_tokens = forced;
        if finish != Finish::StopString {
            text.push_str(&stop.finish());
        }
        self.keep(sequence);
        let logprobs = options.logprobs.map(|_| logprobs);
        Ok(Generation { tokens, text, logprobs, finish, timings })
    }

    /// The last sequence, cut to what it has in common with `prompt`: at most
    /// all but one token, since the last must be read for its logits.
    fn sequence(&self, prompt: &[u32]) -> Result<Sequence, Error> {
        let (tokens, context) = (prompt.len(), self.context());
        if tokens == 0 {
            return Err(Error::EmptyPrompt);
        }
        if context < tokens {
            return Err(Error::PromptTooLong { tokens, context });
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut last) = last else {
            return Ok(Sequence { tokens: Vec::new(), cache: self.decoder.new_cache() });
        };
        let common = last.tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let common = common.min(tokens - 1);
        last.tokens.truncate(common);
        last.cache.truncate(common);
        Ok(last)
    }

    fn keep(&self, sequence: Sequence) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(sequence);
    }

    /// Reads what `sequence` lacks of `prompt`.
    fn read(
        &self,
        sequence: &mut Sequence,
        prompt: &[u32],
        on_piece: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(Vec<f32>, ControlFlow<()>), Error> {
        let mut logits = Vec::new();
        let from = sequence.tokens.len();
        for (i, batch) in prompt[from..].chunks(PREFILL_BATCH).enumerate() {
            if i != 0 && on_piece("").is_break() {
                return Ok((logits, ControlFlow::Break(())));
            }
            logits = self.advance(sequence, batch)?;
        }
        Ok((logits, ControlFlow::Continue(())))
    }

    /// Reads `tokens`; the logits are those after the last.
    pub(crate) fn advance(
        &self,
        sequence: &mut Sequence,
        tokens: &[u32],
    ) -> Result<Vec<f32>, Error> {
        let logits = self.decoder.forward(&self.pool, tokens, &mut sequence.cache, Logits::Last)?;
        sequence.tokens.extend(tokens);
        Ok(logits)
    }
}

/// The state of one generation after the prompt.
struct Writer<'a, 'c> {
    model: &'a LanguageModel,
    constraint: Option<&'c mut dyn Constraint>,
    on_piece: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
    sampler: Sampler,
    meter: Option<Logprobs>,
    logprobs: Vec<TokenLogprob>,
    decoder: TextDecoder<'a>,
    stop: StopFilter<'a>,
    /// Tokens that may still be generated.
    left: usize,
    tokens: Vec<u32>,
    text: String,
    forced: usize,
}

impl Writer<'_, '_> {
    /// Writes tokens until something ends it. `logits` are those after the
    /// prompt.
    fn write(&mut self, sequence: &mut Sequence, mut logits: Vec<f32>) -> Result<Finish, Error> {
        if self.left == 0 {
            return Ok(Finish::Length);
        }
        // Generated tokens that the model has not read.
        let mut unread = Vec::new();
        loop {
            for token in self.forced() {
                if let Some(finish) = self.take(token) {
                    return Ok(finish);
                }
                self.forced += 1;
                unread.push(token);
            }
            if !unread.is_empty() {
                logits = self.model.advance(sequence, &unread)?;
                unread.clear();
            }
            let token = self.choose(&mut logits)?;
            if let Some(finish) = self.take(token) {
                return Ok(finish);
            }
            unread.push(token);
        }
    }

    /// What the constraint forces. Nothing if log-probabilities are wanted:
    /// these need the logits before every token.
    fn forced(&mut self) -> Vec<u32> {
        match &mut self.constraint {
            Some(constraint) if self.meter.is_none() => constraint.forced(&self.tokens),
            _ => Vec::new(),
        }
    }

    fn choose(&mut self, logits: &mut [f32]) -> Result<u32, Error> {
        if let Some(meter) = &mut self.meter {
            meter.read(logits);
        }
        // A model may have more rows than its tokenizer has tokens.
        let known = self.model.tokenizer.vocab_size().min(logits.len());
        let logits = &mut logits[..known];
        self.sampler.adjust(logits);
        if let Some(constraint) = &mut self.constraint {
            constraint.mask(&self.tokens, logits);
        }
        let generated = self.tokens.len();
        self.sampler.draw(logits).ok_or_else(|| {
            match self.constraint.as_ref().and_then(|constraint| constraint.failure()) {
                Some(message) => Error::ConstraintFailed { generated, message },
                None => Error::NothingAllowed { generated },
            }
        })
    }

    /// Adds `token` to what was generated; `Some` if that ends generation.
    fn take(&mut self, token: u32) -> Option<Finish> {
        let tokenizer = &self.model.tokenizer;
        if tokenizer.stop_ids().contains(&token) {
            return Some(self.end(Finish::EndOfTurn));
        }
        if let Some(meter) = &mut self.meter {
            self.logprobs.push(meter.of(token));
        }
        self.sampler.push(token, &|id| tokenizer.piece_bytes(id));
        self.tokens.push(token);
        let piece = self.decoder.push(token);
        if let Some(finish) = self.pass(&piece) {
            return Some(finish);
        }
        (self.tokens.len() == self.left).then(|| self.end(Finish::Length))
    }

    /// Passes text to the caller; `Some` if that ends generation.
    fn pass(&mut self, piece: &str) -> Option<Finish> {
        let released = self.stop.push(piece);
        self.text.push_str(&released.text);
        let is_break = !released.text.is_empty() && (self.on_piece)(&released.text).is_break();
        if released.is_end {
            Some(Finish::StopString)
        } else {
            is_break.then_some(Finish::Cancelled)
        }
    }

    /// Passes the last text and what the filter still holds.
    fn end(&mut self, finish: Finish) -> Finish {
        let piece = self.decoder.finish();
        if let Some(Finish::StopString) = self.pass(&piece) {
            return Finish::StopString;
        }
        let held = std::mem::replace(&mut self.stop, StopFilter::new(&[])).finish();
        self.text.push_str(&held);
        if !held.is_empty() {
            // Nothing is left to cancel.
            let _ = (self.on_piece)(&held);
        }
        finish
    }
}
