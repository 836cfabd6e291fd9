//! What is said in reply, as it comes or as a whole.

use std::collections::VecDeque;
use std::sync::Arc;

use plumb_answer::Answer;
use plumb_infer::{Finish, Generation, LanguageModel, TokenLogprob};

use super::asking::{Asking, Extent, Told};
use super::tools::{Call, Expect, Sieve, Tool};
use crate::cache::Beside;
use crate::failure::Failure;
use crate::generation::{Generating, Piece};

/// A part of the replies.
#[derive(Debug)]
pub enum Said {
    Text {
        choice: usize,
        text: String,
        cited: Vec<Cited>,
    },
    Call {
        choice: usize,
        call: Call,
    },
    End {
        choice: usize,
        end: End,
    },
    /// Of a collection: everything about the answer. The last part.
    Answer(Box<Answer>),
}

/// A source of some text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cited {
    /// Characters of the reply's text, half-open.
    pub start: usize,
    pub end: usize,
    pub uri: String,
    pub title: String,
}

/// How one reply ended.
#[derive(Debug)]
pub struct End {
    pub ending: Ending,
    /// Of all tokens, if they were asked for.
    pub logprobs: Option<Vec<TokenLogprob>>,
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// There was no more to say.
    Turn,
    /// A stop string came.
    Stop,
    /// `max_tokens` were written.
    Length,
    /// A tool is to be called.
    Calls,
}

/// Tokens read and written so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt: usize,
    /// Tokens of the prompt that an earlier request had read.
    pub cached: usize,
    pub completion: usize,
}

/// Replies that are on their way. Dropping it cancels them.
pub struct Replying {
    source: Source,
    parts: VecDeque<Said>,
    usage: Usage,
    /// Hex SHA-256 of the weights, where one model replies.
    pub sha256: Option<String>,
    /// Spells the tokens of log-probabilities.
    pub model: Option<Arc<LanguageModel>>,
    choices: usize,
}

enum Source {
    Engine { generating: Generating, sieves: Vec<Option<Sieve>>, is_parallel: bool },
    Documents(Asking),
}

/// One whole reply.
#[derive(Debug)]
pub struct Choice {
    pub text: String,
    pub cited: Vec<Cited>,
    pub calls: Vec<Call>,
    pub end: End,
}

/// Everything that was said.
#[derive(Debug)]
pub struct Whole {
    pub choices: Vec<Choice>,
    pub usage: Usage,
    pub beside: Option<Beside>,
}

impl Whole {
    /// The layer of the cache that it comes from, if any.
    pub fn layer(&self) -> Option<String> {
        self.beside.as_ref().and_then(Beside::layer).map(str::to_owned)
    }
}

impl Replying {
    /// What an engine writes; `expect` says how calls of `tools` look in it.
    pub(super) fn of_engine(
        generating: Generating,
        (expect, tools, is_parallel): (Expect, &[Tool], bool),
        (model, sha256): (Arc<LanguageModel>, Option<String>),
    ) -> Self {
        let choices = generating.choices();
        let sieves = (0..choices).map(|_| Some(Sieve::new(expect, tools))).collect();
        Self {
            source: Source::Engine { generating, sieves, is_parallel },
            parts: VecDeque::new(),
            usage: Usage::default(),
            sha256,
            model: Some(model),
            choices,
        }
    }

    /// What is answered from documents.
    pub(super) fn of_documents(asking: Asking) -> Self {
        Self {
            source: Source::Documents(asking),
            parts: VecDeque::new(),
            usage: Usage::default(),
            sha256: None,
            model: None,
            choices: 1,
        }
    }

    /// Whether the replies were kept; of documents it is known at their end.
    pub fn is_kept(&self) -> bool {
        matches!(&self.source, Source::Engine { generating, .. } if generating.is_kept())
    }

    /// How many replies there will be.
    pub fn choices(&self) -> usize {
        self.choices
    }

    /// Tokens so far; all of them after the last part.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The next part; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Said>, Failure> {
        loop {
            if let Some(said) = self.parts.pop_front() {
                return Ok(Some(said));
            }
            let is_over = match &mut self.source {
                Source::Engine { generating, sieves, is_parallel } => {
                    match generating.next().await? {
                        None => true,
                        Some(piece) => {
                            take(piece, (sieves, *is_parallel), &mut self.usage, &mut self.parts);
                            false
                        }
                    }
                }
                Source::Documents(asking) => match asking.next().await? {
                    None => true,
                    Some(told) => {
                        tell(told, &mut self.usage, &mut self.parts);
                        false
                    }
                },
            };
            if is_over {
                return Ok(None);
            }
        }
    }

    /// All of it, when it is done.
    pub async fn whole(mut self) -> Result<Whole, Failure> {
        let mut choices: Vec<_> =
            (0..self.choices).map(|_| (String::new(), Vec::new(), Vec::new(), None)).collect();
        let mut beside = self.is_kept().then(Beside::exact);
        while let Some(said) = self.next().await? {
            match said {
                Said::Text { choice, text, cited } => {
                    choices[choice].0.push_str(&text);
                    choices[choice].1.extend(cited);
                }
                Said::Call { choice, call } => choices[choice].2.push(call),
                Said::End { choice, end } => choices[choice].3 = Some(end),
                Said::Answer(answer) => beside = Some(Beside::Answer(answer)),
            }
        }
        let choices = choices.into_iter().map(|(text, cited, calls, end)| {
            let end = end.unwrap_or(End { ending: Ending::Turn, logprobs: None });
            Choice { text, cited, calls, end }
        });
        Ok(Whole { choices: choices.collect(), usage: self.usage, beside })
    }
}

/// What a piece of the engine's says.
fn take(
    piece: Piece,
    (sieves, is_parallel): (&mut [Option<Sieve>], bool),
    usage: &mut Usage,
    parts: &mut VecDeque<Said>,
) {
    match piece {
        Piece::Text(choice, text) => {
            let Some(sieve) = &mut sieves[choice] else { return };
            let text = sieve.push(&text);
            if !text.is_empty() {
                parts.push_back(Said::Text { choice, text, cited: Vec::new() });
            }
        }
        Piece::Done(choice, done) => {
            count(&done, usage);
            let Some(sieve) = sieves[choice].take() else { return };
            let (text, calls) = sieve.finish(is_parallel);
            if !text.is_empty() {
                parts.push_back(Said::Text { choice, text, cited: Vec::new() });
            }
            let ending = match done.finish {
                _ if !calls.is_empty() => Ending::Calls,
                Finish::StopString => Ending::Stop,
                Finish::Length => Ending::Length,
                Finish::EndOfTurn | Finish::Cancelled => Ending::Turn,
            };
            parts.extend(calls.into_iter().map(|call| Said::Call { choice, call }));
            let end = End { ending, logprobs: done.logprobs };
            parts.push_back(Said::End { choice, end });
        }
    }
}

/// A prompt counts once, however often it is continued.
fn count(done: &Generation, usage: &mut Usage) {
    if usage.prompt == 0 {
        usage.prompt = done.timings.prompt_tokens;
        usage.cached = done.timings.cached_tokens;
    }
    usage.completion += done.tokens.len();
}

/// What is said of an answer from documents.
fn tell(told: Told, usage: &mut Usage, parts: &mut VecDeque<Said>) {
    match told {
        Told::Claim(text, cited) => parts.push_back(Said::Text { choice: 0, text, cited }),
        Told::Done(answer, tokens, extent) => {
            *usage = tokens;
            let is_cut = extent == Extent::Cut;
            if answer.status == plumb_answer::Status::Abstained && !is_cut {
                let (text, cited) = (answer.answer.clone(), Vec::new());
                parts.push_back(Said::Text { choice: 0, text, cited });
            }
            let ending = if is_cut { Ending::Length } else { Ending::Turn };
            let end = End { ending, logprobs: None };
            parts.push_back(Said::End { choice: 0, end });
            parts.push_back(Said::Answer(answer));
        }
    }
}
