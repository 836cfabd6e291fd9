//! Continuing a prompt.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use plumb_kernels::Pool;
use plumb_model::{CacheType, Decoder, DecoderSpec, KvCache, Logits, Run};
use plumb_text::{ChatTemplate, Message, Special, Tokenizer};

use crate::speculation::Costs;
use crate::tokenizers;
use crate::writer::Writer;
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
    pool: Arc<Pool>,
    /// The sequence read last, so that a prompt that begins alike is not read
    /// again. `None` while a call uses it.
    last: Mutex<Option<Sequence>>,
    costs: Mutex<Costs>,
}

/// Tokens that a cache holds.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    pub(crate) tokens: Vec<u32>,
    pub(crate) cache: KvCache,
}

impl Sequence {
    /// Forgets the tokens from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.tokens.truncate(len);
        self.cache.truncate(len);
    }
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
    /// Goes on after a token that ends the turn, to `max_tokens`.
    pub ignore_stop_tokens: bool,
    /// Reads several tokens at once where the text repeats what it or the
    /// prompt said before. It changes no token, only the time.
    pub speculation: bool,
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
        Self {
            max_tokens: 512,
            sampling: Sampling::GREEDY,
            stop: Vec::new(),
            logprobs: None,
            ignore_stop_tokens: false,
            speculation: true,
        }
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

impl<C: Constraint + ?Sized> Constraint for &mut C {
    fn mask(&mut self, generated: &[u32], logits: &mut [f32]) {
        (**self).mask(generated, logits);
    }

    fn forced(&mut self, generated: &[u32]) -> Vec<u32> {
        (**self).forced(generated)
    }

    fn failure(&self) -> Option<String> {
        (**self).failure()
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
    /// Tokens that were read because they might come next.
    pub drafted_tokens: usize,
    /// Those of them that came.
    pub accepted_tokens: usize,
    /// Reading the rest of the prompt.
    pub prefill: Duration,
    /// Everything after that.
    pub decode: Duration,
}

impl LanguageModel {
    /// Loads a GGUF file or a Hugging Face folder for use on `threads` threads, with products of
    /// quantised weights in integers.
    pub fn load(path: &Path, threads: NonZeroUsize) -> Result<Self, Error> {
        let mut model = Self::load_exact(path, threads)?;
        model.decoder.pack(&model.pool);
        Ok(model)
    }

    /// The same, with the repacked weights in the file at `packed`: it is
    /// mapped if it is there, and else written for the next time.
    ///
    /// The name of `packed` must change with the weights. If it cannot be
    /// written the model works without it.
    pub fn load_cached(path: &Path, packed: &Path, threads: NonZeroUsize) -> Result<Self, Error> {
        let mut model = Self::load_exact(path, threads)?;
        if model.decoder.pack_cached(&model.pool, packed).is_err() {
            model.decoder.pack(&model.pool);
        }
        Ok(model)
    }

    /// Loads a model and computes in floats throughout: slow, and the reference
    /// for everything that is fast.
    pub fn load_exact(path: &Path, threads: NonZeroUsize) -> Result<Self, Error> {
        let decoder = Decoder::load(path)?;
        let tokenizer = tokenizers::load(path, decoder.spec().vocab)?;
        let spelling = |id: Option<u32>| {
            let bytes = id.map_or_else(Vec::new, |id| tokenizer.piece_bytes(id));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (bos, eos) = (spelling(tokenizer.bos()), spelling(tokenizer.eos()));
        let template = tokenizer
            .chat_template()
            .map(|source| ChatTemplate::new(source, &bos, &eos))
            .transpose()?;
        let (path, pool) = (path.to_owned(), Pool::shared(threads));
        Ok(Self {
            path,
            decoder,
            tokenizer: Arc::new(tokenizer),
            grammar_vocabulary: OnceLock::new(),
            template,
            pool,
            last: Mutex::new(None),
            costs: Mutex::new(Costs::new()),
        })
    }

    /// Keeps keys and values as `stored`: half floats unless this is called, and
    /// 32-bit floats in a model that was loaded to be exact.
    pub fn set_cache_type(&mut self, stored: CacheType) {
        self.decoder.set_cache_type(stored);
        self.last = Mutex::default();
    }

    /// Bytes that the keys and values of a token take.
    pub fn cache_bytes_per_token(&self) -> Result<usize, Error> {
        // A tile's worth, as the last one is not always full.
        let tokens = [0; 16];
        let mut cache = self.decoder.new_cache();
        self.decoder.forward(&self.pool, &tokens, &mut cache, Logits::Tail(0))?;
        Ok(cache.bytes() / tokens.len())
    }

    /// What the decoder is made of.
    pub fn spec(&self) -> &DecoderSpec {
        self.decoder.spec()
    }

    /// The tokenizer that came with the model.
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
        self.chat_prompt_with_tools(messages, &[], "")
    }

    /// The same with tools that the model may call, for a template that
    /// [takes](ChatTemplate::takes_tools) them, and with the `beginning` of the
    /// answer, which may spell control tokens too.
    pub fn chat_prompt_with_tools(
        &self,
        messages: &[Message],
        tools: &[serde_json::Value],
        beginning: &str,
    ) -> Result<Vec<u32>, Error> {
        let text = self.chat_text(messages, tools)? + beginning;
        Ok(self.tokenizer.encode(&text, Special::Parse)?)
    }

    /// The text of a chat prompt.
    pub(crate) fn chat_text(
        &self,
        messages: &[Message],
        tools: &[serde_json::Value],
    ) -> Result<String, Error> {
        let Some(template) = &self.template else {
            return Err(Error::NoChatTemplate { path: self.path.clone() });
        };
        Ok(template.render_with_tools(messages, tools, true)?)
    }

    /// Whether the model's chat template has a place for tools.
    pub fn takes_tools(&self) -> bool {
        self.template.as_ref().is_some_and(ChatTemplate::takes_tools)
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
        let mut go_on = |_: &str| ControlFlow::Continue(());
        let (logits, _) = self.read(&mut sequence, (prompt, Logits::Last), &mut go_on)?;
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
        self.generate_stitched((prompt, &[]), options, constraint, on_piece)
    }

    /// Forgets the sequence read last, which the next prompt may begin like.
    pub fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Writes after a prompt that `sequence` holds.
    pub(crate) fn continued(
        &self,
        sequence: &mut Sequence,
        logits: Vec<f32>,
        (prompt, options, constraint): (&[u32], &Options, Option<&mut dyn Constraint>),
        on_piece: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, Error> {
        let constraint = constraint.map(|constraint| Box::new(constraint) as Box<dyn Constraint>);
        let mut writer = Writer::new(self, (prompt, options), constraint, Box::new(on_piece));
        let start = Instant::now();
        let finish = self.write(sequence, &mut writer, logits)?;
        let mut done = writer.finish(finish);
        (done.timings.prompt_tokens, done.timings.decode) = (prompt.len(), start.elapsed());
        Ok(done)
    }

    /// Lets `writer` write after what `sequence` holds.
    fn write(
        &self,
        sequence: &mut Sequence,
        writer: &mut Writer<'_>,
        mut logits: Vec<f32>,
    ) -> Result<Finish, Error> {
        let prompt = sequence.tokens.len();
        let mut ended = writer.start(&mut logits)?;
        loop {
            sequence.cache.truncate(writer.kept());
            if let Some(finish) = ended {
                sequence.tokens.extend(&writer.tokens()[..writer.kept() - prompt]);
                return Ok(finish);
            }
            let (tokens, wanted) = writer.next_read(true);
            let start = Instant::now();
            let run = Run { tokens: &tokens, cache: &mut sequence.cache, logits: wanted };
            self.decoder.forward_to(&self.pool, run, &mut logits)?;
            // A pass over forced tokens does without the logits of most.
            if wanted.count(tokens.len()) == tokens.len() {
                self.costs().learn(tokens.len(), start.elapsed());
            }
            ended = writer.go_on(&mut logits)?;
        }
    }

    /// The last sequence, cut to what it has in common with `prompt`: at most
    /// all but one token, since the last must be read for its logits.
    pub(crate) fn sequence(&self, prompt: &[u32]) -> Result<Sequence, Error> {
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
        last.truncate(common.min(tokens - 1));
        Ok(last)
    }

    /// Keeps what was read for a prompt that begins alike.
    pub(crate) fn keep(&self, sequence: Sequence) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(sequence);
    }

    /// Reads what `sequence` lacks of `prompt`; gives `logits` of the last
    /// tokens that it reads.
    pub(crate) fn read(
        &self,
        sequence: &mut Sequence,
        (prompt, logits): (&[u32], Logits),
        on_piece: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(Vec<f32>, ControlFlow<()>), Error> {
        let mut found = Vec::new();
        let mut batches = prompt[sequence.tokens.len()..].chunks(PREFILL_BATCH).peekable();
        while let Some(batch) = batches.next() {
            let is_last = batches.peek().is_none();
            let wanted = if is_last { logits } else { Logits::Tail(0) };
            found = self.forward(&mut sequence.cache, batch, wanted)?;
            sequence.tokens.extend(batch);
            if !is_last && on_piece("").is_break() {
                return Ok((found, ControlFlow::Break(())));
            }
        }
        Ok((found, ControlFlow::Continue(())))
    }

    /// Reads `tokens`; the logits are those after the last.
    pub(crate) fn advance(
        &self,
        sequence: &mut Sequence,
        tokens: &[u32],
    ) -> Result<Vec<f32>, Error> {
        let logits = self.forward(&mut sequence.cache, tokens, Logits::Last)?;
        sequence.tokens.extend(tokens);
        Ok(logits)
    }

    /// Reads `tokens` into `cache`.
    pub(crate) fn forward(
        &self,
        cache: &mut KvCache,
        tokens: &[u32],
        logits: Logits,
    ) -> Result<Vec<f32>, Error> {
        Ok(self.decoder.forward(&self.pool, tokens, cache, logits)?)
    }

    /// Reads the tokens of several sequences in one pass, with the logits in place
    /// of what is in `out`.
    pub(crate) fn forward_all(
        &self,
        runs: &mut [Run<'_>],
        out: &mut Vec<f32>,
    ) -> Result<(), Error> {
        Ok(self.decoder.forward_all(&self.pool, runs, out)?)
    }

    pub(crate) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A cache for a new sequence.
    pub(crate) fn new_cache(&self) -> KvCache {
        self.decoder.new_cache()
    }

    /// What passes over a few tokens take, as measured so far.
    pub(crate) fn costs(&self) -> MutexGuard<'_, Costs> {
        self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
