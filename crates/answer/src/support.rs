//! How far the chosen evidence supports an answer to the question at all.
//!
//! Two signals that fail in different ways are combined. The cosine of the
//! best sentence says that the evidence is about the same thing, and is fooled
//! by near misses ("the price of X" beside "what X is"). The rarity-weighted
//! share of the question's words that the evidence and its headings contain
//! catches those, and is fooled by paraphrase. The weights were set by hand, and
//! the bias so that 0.5 lies between the handbook's answerable questions and the
//! others (`bench/README.md`): a scale to choose a threshold on, not a
//! probability.

use std::collections::BTreeSet;

use plumb_text::Analyzer;

use crate::select::{Candidate, QuestionTerms};

const BIAS: f32 = -8.0;
const COSINE_WEIGHT: f32 = 7.0;
const COVERAGE_WEIGHT: f32 = 5.0;

/// Support in `0.0..=1.0`; 0 without evidence.
pub(crate) fn question_support<'a>(
    chosen: &[&Candidate],
    passage_text: &dyn Fn(usize) -> &'a str,
    question: &QuestionTerms,
    analyzer: &Analyzer,
) -> f32 {
    let Some(best) = chosen.iter().map(|c| c.cosine).max_by(f32::total_cmp) else { return 0.0 };
    let mut known = BTreeSet::new();
    for candidate in chosen {
        known.extend(analyzer.terms(passage_text(candidate.passage)));
        known.extend(analyzer.terms(&candidate.context));
    }
    let logit = BIAS + COSINE_WEIGHT * best + COVERAGE_WEIGHT * question.coverage(&known);
    1.0 / (1.0 + (-logit).exp())
}
