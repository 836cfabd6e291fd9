//! What is asked, and what comes back.

use plumb_store::{DocId, PassageRef};

use crate::bm25::Bm25;
use crate::filter::Filter;

/// A search.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// The question's terms, repeats included: analysed like the passages.
    pub terms: &'a [String],
    /// From the embedder that made the passages' vectors. Needed by every
    /// mode but [`Mode::Lexical`].
    pub vector: Option<&'a [f32]>,
    /// Hits wanted.
    pub top_k: usize,
    pub mode: Mode,
    pub bm25: Bm25,
    pub filter: Option<&'a Filter>,
}

/// What passages are ranked by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Dense,
    /// Passages without any term of the query are not found.
    Lexical,
    Fused(Fusion),
}

/// How two scores become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fusion {
    /// `w * dense + (1 - w) * lexical` with `w = dense_weight` in `0.0..=1.0`,
    /// after scaling the scores of the passages that the filter lets through:
    /// dense so that the lowest is 0 and the highest 1, lexical so that no
    /// matching term is 0 and the highest is 1. Where all dense scores are
    /// equal they count as 0.
    ///
    /// A convex combination of normalised scores: Bruch et al. 2022, "An
    /// Analysis of Fusion Functions for Hybrid Retrieval", arXiv:2210.11934.
    Weighted { dense_weight: f32 },
    /// The same, but 1 for the lexical score is what a passage could reach at most that
    /// holds every term of the query over and over: the sum of their `idf`. Where no
    /// passage has more than a part of the query's words, words count that much less.
    Covered { dense_weight: f32 },
    /// The sum of `1 / (k + rank)` over the rankings that have the passage.
    /// Cormack et al. 2009, doi:10.1145/1571941.1572114, where `k` is 60.
    ReciprocalRank { k: f32 },
}

impl Fusion {
    /// The same way to fuse with another weight; that of the default for one that
    /// has none.
    #[must_use]
    pub fn with_weight(self, dense_weight: f32) -> Self {
        match self {
            Self::Weighted { .. } => Self::Weighted { dense_weight },
            Self::Covered { .. } | Self::ReciprocalRank { .. } => Self::Covered { dense_weight },
        }
    }
}

impl Default for Fusion {
    fn default() -> Self {
        Self::Covered { dense_weight: 0.5 }
    }
}

impl Mode {
    /// How searches are fused; the default where one stands alone.
    #[must_use]
    pub fn fusion(self) -> Fusion {
        match self {
            Self::Fused(fusion) => fusion,
            Self::Dense | Self::Lexical => Fusion::default(),
        }
    }
}

impl Default for Mode {
    fn default() -> Self {
        Self::Fused(Fusion::default())
    }
}

/// A passage that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub passage: PassageRef,
    pub document: DocId,
    /// The first address of the document that the filter lets through.
    pub uri: String,
    /// From 1.
    pub rank: usize,
    /// What the list is ordered by.
    pub score: f32,
    /// Dot product with the query's vector, where one was given.
    pub dense: Option<f32>,
    /// BM25; `None` if the passage has no term of the query.
    pub lexical: Option<f32>,
    /// Place among all passages by dense score, from 1.
    pub dense_rank: Option<usize>,
    /// Place among the passages with a term of the query, from 1.
    pub lexical_rank: Option<usize>,
    /// Where else the same text is found: other addresses of the document, and
    /// passages of others that differ in white space only.
    pub also_in: Vec<Elsewhere>,
}

/// Another place of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    pub uri: String,
    pub passage: PassageRef,
}
