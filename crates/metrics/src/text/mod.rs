//! Measures of texts against references.
//!
//! Every measure comes with the signature that tells how it was computed, and
//! with what each text adds to it ([`Statistics`]), from which its interval is
//! resampled. Values are those of the reference implementations, on their
//! scales: sacrebleu's in percent, the others between 0 and 1.

mod bert_score;
mod bleu;
mod chrf;
mod diversity;
mod extractive;
mod grams;
mod likelihood;
mod meteor;
mod paired;
mod porter;
mod readability;
mod rouge;
mod space;
mod squad;
mod statistics;
mod ter;
mod tokenize;
mod vocabulary;
mod wordnet;

pub use bert_score::{BertScore, TokenStates, TokenWeights, bert_score};
pub use bleu::{Bleu, BleuScore, Smoothing};
pub use chrf::{Chrf, Orders};
pub use diversity::{Distinct, distinct, repetition, self_bleu};
pub use extractive::{Extractive, extractive};
pub use likelihood::{Likelihood, harness_words};
pub use meteor::Meteor;
pub use paired::{PairedBootstrap, SEED, approximate_randomization, paired_bootstrap};
pub use porter::porter_stem;
pub use readability::Readability;
pub use rouge::{Rouge, Stemming, rouge};
pub use squad::Squad;
pub use statistics::{Statistics, ratio};
pub use ter::{Punctuation, Ter};
pub use tokenize::Tokenizer;
pub use wordnet::{WordNet, WordNetError, WordNetFiles};
