//! Several continuations of one prompt.

use std::ops::ControlFlow;

use crate::language_model::Sequence;
use crate::logprobs::Logprobs;
use crate::{
    BeamSearch, Constraint, Error, Finish, Generation, Hypothesis, LanguageModel, Options, Scorer,
    beam_search, derived_seed, mean_logprob,
};

/// How many continuations are generated, and how many of them are returned.
#[derive(Clone, Debug, PartialEq)]
pub struct Choices {
    /// Of each continuation.
    pub options: Options,
    /// Continuations that are returned.
    pub n: usize,
    /// Continuations that are generated, at least `n`.
    pub best_of: usize,
}

impl Choices {
    fn check(&self) -> Result<(), Error> {
        let setting = |field, value: usize, range| {
            Err(Error::Setting { field, value: value.to_string(), range })
        };
        if !(1..=1024).contains(&self.n) {
            return setting("n", self.n, "from 1 to 1024");
        }
        if !(self.n..=1024).contains(&self.best_of) {
            return setting("best_of", self.best_of, "at least `n` and at most 1024");
        }
        Ok(())
    }
}

impl LanguageModel {
    /// Continues `prompt` several times; it is read once.
    ///
    /// Continuation `i` is drawn with [`derived_seed`]`(seed, i)`, so that the
    /// first is that of [`generate`](Self::generate). If fewer are returned
    /// than generated, they are those with the highest [`mean_logprob`], the
    /// highest first and equal ones in the order of generation. `constraint`
    /// makes a new constraint for each. `on_piece` gets the number of the
    /// continuation with its text; what it breaks off is the last one.
    pub fn generate_many(
        &self,
        prompt: &[u32],
        choices: &Choices,
        constraint: &mut dyn FnMut() -> Option<Box<dyn Constraint>>,
        on_piece: &mut dyn FnMut(usize, &str) -> ControlFlow<()>,
    ) -> Result<Vec<Generation>, Error> {
        choices.check()?;
        let is_ranked = choices.n < choices.best_of;
        let mut options = choices.options.clone();
        let wanted = options.logprobs;
        if is_ranked {
            options.logprobs = wanted.or(Some(0));
        }
        let seed = options.sampling.seed;
        let mut all = Vec::new();
        for i in 0..choices.best_of {
            options.sampling.seed = derived_seed(seed, i);
            let mut constraint = constraint();
            let constraint = constraint.as_mut().map(|c| c.as_mut() as &mut dyn Constraint);
            let done =
                self.generate(prompt, &options, constraint, &mut |piece| on_piece(i, piece))?;
            let is_cancelled = done.finish == Finish::Cancelled;
            all.push(done);
            if is_cancelled {
                break;
            }
        }
        if is_ranked {
            let mean = |done: &Generation| mean_logprob(done.logprobs.as_deref().unwrap_or(&[]));
            all.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
            all.truncate(choices.n);
        }
        if wanted.is_none() {
            for done in &mut all {
                done.logprobs = None;
            }
        }
        Ok(all)
    }

    /// The continuations of `prompt` that [`beam_search`] finds, with their
    /// texts, the best first.
    pub fn generate_beams(
        &self,
        prompt: &[u32],
        settings: &BeamSearch,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<(Hypothesis, String)>, Error> {
        let room = (self.context() + 1).saturating_sub(prompt.len());
        let settings = BeamSearch { max_tokens: settings.max_tokens.min(room), ..*settings };
        let known = self.tokenizer().vocab_size();
        let mut scorer = Reader { model: self, prompt, known, logprobs: Logprobs::new(0) };
        let found = beam_search(&mut scorer, &settings, go_on)?;
        let with_text = |found: Hypothesis| {
            let text = self.tokenizer().decode(&found.tokens);
            (found, text)
        };
        Ok(found.into_iter().map(with_text).collect())
    }
}

/// A model as a scorer of beams.
struct Reader<'a> {
    model: &'a LanguageModel,
    prompt: &'a [u32],
    /// A model may have more rows than its tokenizer has tokens.
    known: usize,
    logprobs: Logprobs,
}

impl Reader<'_> {
    fn logprobs(&mut self, logits: &[f32]) -> Vec<f32> {
        self.logprobs.read(logits);
        self.logprobs.all().take(self.known).collect()
    }
}

impl Scorer for Reader<'_> {
    type State = Sequence;

    fn start(&mut self) -> Result<(Sequence, Vec<f32>), Error> {
        let (sequence, logits) = self.model.read_prompt(self.prompt)?;
        Ok((sequence, self.logprobs(&logits)))
    }

    fn extend(&mut self, mut state: Sequence, token: u32) -> Result<(Sequence, Vec<f32>), Error> {
        let logits = self.model.advance(&mut state, &[token])?;
        Ok((state, self.logprobs(&logits)))
    }

    fn end_tokens(&self) -> &[u32] {
        self.model.tokenizer().stop_ids()
    }
}
