//! What the tools need of the documents, and how collections give it.

use serde_json::Value;

use crate::auth::role::Granted;

/// A stretch of something: so many from a place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The first.
    pub start: usize,
    /// How many at most.
    pub length: usize,
}

/// Documents that can be searched and asked. Every call that reads some takes
/// the proof that they may be read. Errors are texts for whoever called.
pub trait Library: Send + Sync {
    /// The names of all collections.
    fn collections(&self) -> Vec<String>;

    /// The best passages for a query.
    fn search(&self, granted: &Granted, query: &str, limit: usize) -> Result<Value, String>;

    /// Bytes of a document's text, widened to whole characters.
    fn document(&self, granted: &Granted, uri: &str, slice: Slice) -> Result<Value, String>;

    /// Documents whose addresses contain a text.
    fn documents(&self, granted: &Granted, containing: &str, slice: Slice)
    -> Result<Value, String>;

    /// A checked answer.
    fn ask(&self, granted: &Granted, question: &str) -> Result<Value, String>;

    /// What is wrong with an answer.
    fn verify(&self, granted: &Granted, answer: &Value) -> Result<Value, String>;
}
