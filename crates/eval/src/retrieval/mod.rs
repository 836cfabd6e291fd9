//! Measures of a run against judgements, query by query.
//!
//! Conventions are `trec_eval`'s: the order is by score as `f32` and then by
//! falling name (see [`plumb_formats::trec`]), an unjudged document is not
//! relevant, a grade below 0 counts as not judged, and a query to which nothing
//! is relevant scores 0. A judged query that the run lacks is left out of the
//! mean and counted as unscored, unless it is asked to count as 0.

mod measure;

use plumb_formats::trec::{Judged, Qrels, Retrieved, Run};
use plumb_metrics::{Ranking, Resampling, bpref};

use crate::{Error, Score};

pub use measure::{Kind, Measure, NAMES};

/// What a judged query counts that the run does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: it is unscored, as `trec_eval` has it.
    LeftOut,
    /// 0, as `trec_eval -c` has it.
    Zero,
}

/// How a run is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What to do with queries that the run lacks.
    pub missing: Missing,
    /// Least grade of a relevant document, for all measures but nDCG; 1 at
    /// least.
    pub relevant_from: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { missing: Missing::LeftOut, relevant_from: 1 }
    }
}

/// The values of every measure for every query.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// The measures, as asked for.
    pub measures: Vec<Measure>,
    /// Names of the scored queries, in rising order.
    pub queries: Vec<String>,
    /// `values[m][q]`: of measure `m` for query `q`.
    pub values: Vec<Vec<f64>>,
    /// Judged queries that the run lacks and that were left out.
    pub unscored: Vec<String>,
    /// Queries of the run that nobody judged; they never count.
    pub unjudged: usize,
}

/// Scores `run` on every query of `qrels`. Fails if they share no query.
pub fn evaluate(
    run: &Run,
    qrels: &Qrels,
    measures: &[Measure],
    settings: Settings,
) -> Result<Evaluated, Error> {
    let mut found = Evaluated {
        measures: measures.to_vec(),
        queries: Vec::new(),
        values: vec![Vec::new(); measures.len()],
        unscored: Vec::new(),
        unjudged: run.queries.iter().filter(|one| qrels.query(one.query).is_none()).count(),
    };
    let nothing = Retrieved { query: "", documents: Vec::new() };
    let mut shared = 0;
    for judged in &qrels.queries {
        let retrieved = match (run.query(judged.query), settings.missing) {
            (Some(retrieved), _) => {
                shared += 1;
                retrieved
            }
            (None, Missing::Zero) => &nothing,
            (None, Missing::LeftOut) => {
                found.unscored.push(judged.query.to_owned());
                continue;
            }
        };
        let query = Query::new(retrieved, judged, settings.relevant_from)
            .map_err(|source| Error::Query { query: judged.query.to_owned(), source })?;
        found.queries.push(judged.query.to_owned());
        for (measure, values) in measures.iter().zip(&mut found.values) {
            values.push(query.value(measure));
        }
    }
    if shared == 0 {
        let (judged, retrieved) = (qrels.queries.len(), run.queries.len());
        return Err(Error::NothingShared { judged, retrieved });
    }
    Ok(found)
}

impl Evaluated {
    /// The mean of measure number `measure` over the queries.
    pub fn score(&self, measure: usize, how: &Resampling) -> Result<Score, Error> {
        let name = || self.measures[measure].to_string();
        Score::of_mean(&self.values[measure], self.unscored.len(), how)
            .map_err(|source| Error::Score { name: name(), source })
    }
}

/// One query, ready for every measure.
struct Query {
    /// Grades as they are, for nDCG.
    graded: Ranking,
    /// Grades too low to be relevant set to 0, for all others.
    relevant: Ranking,
    /// Of each retrieved document, whether it is relevant, if it was judged.
    verdicts: Vec<Option<bool>>,
    relevant_count: usize,
    irrelevant_count: usize,
}

impl Query {
    fn new(
        retrieved: &Retrieved,
        judged: &Judged,
        relevant_from: i32,
    ) -> Result<Self, plumb_metrics::Error> {
        let grades: Vec<Option<i32>> = retrieved
            .documents
            .iter()
            .map(|(name, _)| judged.grade(name).filter(|grade| *grade >= 0))
            .collect();
        let all = || judged.documents.iter().map(|(_, grade)| *grade);
        let gain = |from: i32| move |grade: i32| f64::from(if grade < from { 0 } else { grade });
        let ranking = |from: i32| {
            let ranked: Vec<f64> =
                grades.iter().map(|grade| gain(from)(grade.unwrap_or(0))).collect();
            Ranking::new(&ranked, &all().map(gain(from)).collect::<Vec<f64>>())
        };
        let graded = ranking(1)?;
        let relevant = if relevant_from > 1 { ranking(relevant_from)? } else { graded.clone() };
        Ok(Self {
            graded,
            relevant,
            verdicts: grades.iter().map(|grade| grade.map(|g| g >= relevant_from.max(1))).collect(),
            relevant_count: all().filter(|grade| *grade >= relevant_from.max(1)).count(),
            irrelevant_count: all()
                .filter(|grade| (0..relevant_from.max(1)).contains(grade))
                .count(),
        })
    }

    /// The value of `measure`; 0 where nothing is relevant.
    fn value(&self, measure: &Measure) -> f64 {
        let k = measure.cut.unwrap_or(usize::MAX);
        let value = match measure.kind {
            Kind::Ndcg(gain) => self.graded.ndcg(k, gain),
            Kind::AveragePrecision => self.relevant.average_precision_at(k),
            Kind::ReciprocalRank => self.relevant.reciprocal_rank_at(k),
            Kind::Precision => self.relevant.precision(k),
            Kind::Recall => self.relevant.recall(k),
            Kind::Success => self.relevant.success(k),
            Kind::RPrecision => self.relevant.r_precision(),
            Kind::Bpref => bpref(&self.verdicts, self.relevant_count, self.irrelevant_count),
        };
        value.unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests;
