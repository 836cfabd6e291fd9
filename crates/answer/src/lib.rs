//! From a question to a checked answer.
//!
//! [`ask`] chooses sentences of the retrieved passages that answer the
//! question, lets a model word them under constraint, holds every written
//! sentence against its sources, and abstains when the evidence is too weak.
//! Where passages and models come from is the caller's business.

mod addressed;
mod align;
mod alike;
mod answer;
mod ask;
mod certificate;
mod claims;
mod constraint;
mod engine_writer;
mod error;
mod evidence;
mod prompt;
mod quantities;
mod record;
mod rewrite;
mod select;
mod support;
mod verify;
mod words;
mod writer;

pub use alike::{NEAR, question_form};
pub use answer::{
    Answer, Cached, ChunkReuse, Citation, Claim, Dropped, Guarantee, Label, ModelId, Part, Status,
    Support, Wording,
};
pub use ask::{ABSTENTION, Event, OnEvent, Settings, Sources, ask};
pub use certificate::{Fault, Finding, Library, verify};
pub use claims::recheck;
pub use constraint::EvidenceWords;
pub use engine_writer::{Cancelled, EngineWriter, Watch};
pub use error::Error;
pub use prompt::answer_messages;
pub use record::{StoredAnswer, StoredSettings};
pub use rewrite::Turn;
pub use verify::{Evidence, MIN_SUPPORT, Unsupported, support};
pub use writer::{LocalWriter, Recorder, Replayer, Request, Subject, Writer, WriterError};
