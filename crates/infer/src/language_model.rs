//! Continuing a prompt.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use plumb_kernels::Pool;
use plumb_model::{Decoder, DecoderSpec, KvCache, Logits, gguf_metadata};
use plumb_text::{ChatTemplate, Message, Special, Tokenizer};

use crate::sampling::Sampler;
use crate::stop::StopFilter;
use crate::{Error, Sampling};

/// Prompt tokens between two chances to cancel.
const PREFILL_BATCH: usize = 256;

/// A decoder with its tokenizer, and the state of the sequence it read last.
pub struct LanguageModel {
    path: PathBuf,
    decoder: Decoder,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    pool: Pool,
    /// The sequence read last, so that a prompt that begins alike is not read
    /// again. `None` while a call uses it.
    last: Mutex<Option<Sequence>>,
}

/// Tokens that a cache holds.
#[derive(Debug)]
struct Sequence {
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
}

/// Decides which tokens may come next.
pub trait Constraint {
    /// Sets to minus infinity the logits of tokens that may not follow the
    /// `generated` ones.
    fn mask(&mut self, generated: &[u32], logits: &mut [f32]);
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
    pub finish: Finish,
    pub timings: Timings,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    pub prompt_tokens: usize,
    /// Prompt tokens that a former call had read.
    pub cached_tokens: usize,
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
        Ok(Self { path, decoder, tokenizer, template, pool, last: Mutex::new(None) })
    }

    /// What the decoder is made of.
    pub fn spec(&self) -> &DecoderSpec {
        self.decoder.spec()
    }

    /// The tokenizer that the model file carries.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
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
        let mut sequence = self.sequence(tokens)?;
        let (logits, _) = self.read(&mut sequence, tokens, &mut |_| ControlFlow::Continue(()))?;
        self.keep(sequence);
        Ok(logits)
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
            options,
            constraint,
            on_piece,
            sampler: Sampler::new(options.sampling),
            stop: StopFilter::new(&options.stop),
            tokens: Vec::new(),
            text: String::new(),
        };
        let start = Instant::now();
        let finish = match flow {
            ControlFlow::Break(()) => Finish::Cancelled,
            ControlFlow::Continue(()) => writer.write(&mut sequence, logits)?,
        };
        timings.decode = start.elapsed();
        let Writer { tokens, mut text, stop, .. } = writer;
        if finish != Finish::StopString {
            text.push_str(&stop.finish());
        }
        self.keep(sequence);
        Ok(Generation { tokens, text, finish, timings })
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

    fn advance(&self, sequence: &mut Sequence, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        let logits = self.decoder.forward(&self.pool, tokens, &mut sequence.cache, Logits::Last)?;
        sequence.tokens.extend(tokens);
        Ok(logits)
    }
}

/// The state of one generation after the prompt.
struct Writer<'a, 'c> {
    model: &'a LanguageModel,
    options: &'a Options,
    constraint: Option<&'c mut dyn Constraint>,
    on_piece: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
    sampler: Sampler,
    stop: StopFilter<'a>,
    tokens: Vec<u32>,
    text: String,
}

impl Writer<'_, '_> {
    /// Writes tokens until something ends it.
    fn write(&mut self, sequence: &mut Sequence, mut logits: Vec<f32>) -> Result<Finish, Error> {
        let tokenizer = &self.model.tokenizer;
        let mut decoder = tokenizer.decoder();
        while self.tokens.len() < self.options.max_tokens {
            let token = self.choose(&sequence.tokens, &mut logits)?;
            if tokenizer.stop_ids().contains(&token) {
                return Ok(self.end(&decoder.finish(), Finish::EndOfTurn));
            }
            self.tokens.push(token);
            if let Some(finish) = self.pass(&decoder.push(token)) {
                return Ok(finish);
            }
            if self.tokens.len() == self.options.max_tokens
                || sequence.tokens.len() == self.model.context()
            {
                break;
            }
            logits = self.model.advance(sequence, &[token])?;
        }
        Ok(self.end(&decoder.finish(), Finish::Length))
    }

    fn choose(&mut self, context: &[u32], logits: &mut [f32]) -> Result<u32, Error> {
        // A model may have more rows than its tokenizer has tokens.
        let known = self.model.tokenizer.vocab_size().min(logits.len());
        let logits = &mut logits[..known];
        self.sampler.penalize(logits, context);
        if let Some(constraint) = &mut self.constraint {
            constraint.mask(&self.tokens, logits);
        }
        let generated = self.tokens.len();
        self.sampler.draw(logits).ok_or(Error::NothingAllowed { generated })
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
    fn end(&mut self, piece: &str, finish: Finish) -> Finish {
        if let Some(Finish::StopString) = self.pass(piece) {
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
