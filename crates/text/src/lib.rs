//! Text for models and for search.
//!
//! - [`Tokenizer`]: text to token ids and back, exactly as the model's own
//!   files say, and [`Decoder`] for output that streams.
//! - [`ChatTemplate`]: messages to the prompt that a model was trained on.
//! - [`sentences`] and [`units`]: where the sentences of a document are.
//! - [`Analyzer`]: text to the terms of full-text search.
//!
//! Nothing here knows tensors, files or the clock.

mod analyzer;
mod chat;
mod error;
mod sentences;
mod tokenizer;

pub use analyzer::Analyzer;
pub use chat::{ChatTemplate, Date, MONTHS, Message};
pub use error::Error;
pub use sentences::{Unit, UnitKind, sentences, units};
pub use tokenizer::{Decoder, Pair, Special, Tokenizer};
