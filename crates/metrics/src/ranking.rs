//! Measures of one ranked list against the judgements of its query.
//!
//! A list is given as gains: `ranked[i]` is the judged gain of the document at
//! rank `i + 1`, and an unjudged document has gain 0. A document is *relevant*
//! if its gain is above 0. All measures are in `0.0..=1.0`; they are `None` for
//! a query without a relevant document and for a cut of 0, where `trec_eval`
//! counts 0. They equal `trec_eval` elsewhere; ties of score are the caller's to
//! break, before the gains are listed.

use crate::{Error, sample};

/// How much a judged grade counts in [`Ranking::ndcg`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gain {
    /// The grade itself, as `trec_eval`'s `ndcg_cut`. Järvelin and Kekäläinen
    /// 2002, doi:10.1145/582415.582418.
    Linear,
    /// `2^grade - 1`, which sets high grades apart. Burges et al. 2005,
    /// doi:10.1145/1102351.1102363.
    Exponential,
}

impl Gain {
    fn of(self, grade: f64) -> f64 {
        match self {
            Self::Linear => grade,
            Self::Exponential => grade.exp2() - 1.0,
        }
    }
}

/// One ranked list, checked, beside everything that was judged for its query.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    ranked: Vec<f64>,
    /// Invariant: in falling order, and every positive gain of `ranked` is in
    /// it at least as often.
    judged: Vec<f64>,
}

impl Ranking {
    /// Checks the gains of a ranked list and of all judged documents.
    ///
    /// `judged` holds the gain of every judged document of the query, retrieved
    /// or not, in any order. A gain that is negative, NaN or infinite is an
    /// error, and so is a list that shows more relevant documents than were
    /// judged: it would score above 1.
    pub fn new(ranked: &[f64], judged: &[f64]) -> Result<Self, Error> {
        for gains in [ranked, judged] {
            sample::check(gains, 0)?;
            if let Some(index) = gains.iter().position(|gain| *gain < 0.0) {
                return Err(Error::NegativeGain { index, value: gains[index] });
            }
        }
        let judged = falling(judged);
        let mut left = judged.iter();
        for gain in falling(ranked).into_iter().filter(|gain| *gain > 0.0) {
            if !left.any(|judged| judged.total_cmp(&gain).is_eq()) {
                return Err(Error::UnjudgedGain { value: gain });
            }
        }
        Ok(Self { ranked: ranked.to_vec(), judged })
    }

    /// Normalised discounted cumulative gain of the first `k` documents.
    ///
    /// The discount is `log2(rank + 1)`; the ideal list is the judged documents
    /// in falling order of gain.
    pub fn ndcg(&self, k: usize, gain: Gain) -> Option<f64> {
        let ideal = discounted(&self.judged, k, gain);
        (ideal > 0.0).then(|| discounted(&self.ranked, k, gain) / ideal)
    }

    /// Share of the relevant documents that are among the first `k`.
    pub fn recall(&self, k: usize) -> Option<f64> {
        self.defined(k).then(|| self.hits(k) as f64 / self.relevant() as f64)
    }

    /// Share of the first `k` ranks that hold a relevant document. A list
    /// shorter than `k` is filled up with irrelevant ones.
    pub fn precision(&self, k: usize) -> Option<f64> {
        self.defined(k).then(|| self.hits(k) as f64 / k as f64)
    }

    /// 1 if a relevant document is among the first `k`, else 0.
    pub fn success(&self, k: usize) -> Option<f64> {
        self.defined(k).then(|| if self.hits(k) > 0 { 1.0 } else { 0.0 })
    }

    /// 1 by the rank of the first relevant document, 0 if there is none. Its
    /// mean over queries is MRR.
    pub fn reciprocal_rank(&self) -> Option<f64> {
        self.reciprocal_rank_at(usize::MAX)
    }

    /// The same of the first `k` documents: 0 if none of them is relevant.
    pub fn reciprocal_rank_at(&self, k: usize) -> Option<f64> {
        let first = self.ranked.iter().take(k).position(|gain| *gain > 0.0);
        self.defined(k).then(|| first.map_or(0.0, |index| 1.0 / (index + 1) as f64))
    }

    /// Mean, over all relevant documents, of the precision at their rank, with
    /// 0 for those not retrieved. Its mean over queries is MAP.
    pub fn average_precision(&self) -> Option<f64> {
        self.average_precision_at(usize::MAX)
    }

    /// The same where only the first `k` documents count as retrieved; still
    /// by all relevant documents, as `trec_eval`'s `map_cut`.
    pub fn average_precision_at(&self, k: usize) -> Option<f64> {
        let first = self.ranked.iter().take(k);
        let ranks = (1_u32..).zip(first).filter(|(_, gain)| **gain > 0.0);
        let precisions =
            (1_u32..).zip(ranks).map(|(hit, (rank, _))| f64::from(hit) / f64::from(rank));
        let sum: f64 = precisions.sum();
        self.defined(k).then(|| sum / self.relevant() as f64)
    }

    /// Precision at the rank that is the number of relevant documents.
    pub fn r_precision(&self) -> Option<f64> {
        self.precision(self.relevant())
    }

    fn defined(&self, k: usize) -> bool {
        k > 0 && self.relevant() > 0
    }

    fn relevant(&self) -> usize {
        self.judged.iter().filter(|gain| **gain > 0.0).count()
    }

    fn hits(&self, k: usize) -> usize {
        self.ranked.iter().take(k).filter(|gain| **gain > 0.0).count()
    }
}

/// Binary preference: how rarely a document judged irrelevant stands above a
/// relevant one. Unjudged documents do not count, so that it holds where
/// judgements are incomplete. Buckley and Voorhees 2004,
/// doi:10.1145/1008992.1009000, as `trec_eval` computes it.
///
/// `ranked` says of each retrieved document whether it is relevant, `None` if
/// it was not judged; `relevant` and `irrelevant` count all judged documents.
/// `None` without relevant documents.
pub fn bpref(ranked: &[Option<bool>], relevant: usize, irrelevant: usize) -> Option<f64> {
    let (mut above, mut sum) = (0, 0.0);
    for is_relevant in ranked.iter().flatten() {
        if !is_relevant {
            above += 1;
        } else if above == 0 {
            sum += 1.0;
        } else {
            sum += 1.0 - above.min(relevant) as f64 / irrelevant.min(relevant) as f64;
        }
    }
    (relevant > 0).then(|| sum / relevant as f64)
}

fn falling(gains: &[f64]) -> Vec<f64> {
    let mut sorted = gains.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted
}

fn discounted(grades: &[f64], k: usize, gain: Gain) -> f64 {
    let discounts = (2_u32..).map(|rank_plus_1| f64::from(rank_plus_1).log2());
    grades.iter().take(k).zip(discounts).map(|(grade, discount)| gain.of(*grade) / discount).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::reference;
    use proptest::prelude::*;

    /// The lists behind the values in `testdata`: ties broken by falling name.
    fn q1() -> Ranking {
        Ranking::new(&[1.0, 0.0, 0.0, 3.0, 2.0, 0.0], &[0.0, 1.0, 2.0, 3.0, 0.0, 2.0]).unwrap()
    }

    fn q2() -> Ranking {
        Ranking::new(&[1.0, 0.0, 0.0, 1.0], &[1.0, 1.0]).unwrap()
    }

    #[track_caller]
    fn check(found: Option<f64>, name: &str) {
        let (found, want) = (found.unwrap(), reference(name));
        assert!((found - want).abs() < 1e-12, "{name}: {found} is not {want}");
    }

    #[test]
    fn every_measure_agrees_with_the_reference_tool() {
        for (query, list) in [("q1", q1()), ("q2", q2())] {
            check(list.ndcg(5, Gain::Linear), &format!("{query}_ndcg_cut_5"));
            check(list.ndcg(10, Gain::Linear), &format!("{query}_ndcg_cut_10"));
            check(list.recall(5), &format!("{query}_recall_5"));
            check(list.precision(5), &format!("{query}_P_5"));
            check(list.precision(10), &format!("{query}_P_10"));
            check(list.success(1), &format!("{query}_success_1"));
            check(list.reciprocal_rank(), &format!("{query}_recip_rank"));
            check(list.average_precision(), &format!("{query}_map"));
            check(list.average_precision_at(5), &format!("{query}_map_cut_5"));
            check(list.r_precision(), &format!("{query}_Rprec"));
        }
    }

    #[test]
    fn preferences_agree_with_the_reference_tool() {
        // q1 as above; its last document was never judged.
        let (yes, no) = (Some(true), Some(false));
        check(bpref(&[yes, no, no, yes, yes, None], 4, 2), "q1_bpref");
        check(bpref(&[yes, None, None, yes], 2, 0), "q2_bpref");
        assert_eq!(bpref(&[no], 0, 1), None);
    }

    #[test]
    fn a_cut_hides_what_is_below_it() {
        let late = Ranking::new(&[0.0, 0.0, 1.0], &[1.0, 1.0]).unwrap();
        assert_eq!(late.reciprocal_rank_at(2), Some(0.0));
        assert_eq!(late.average_precision_at(2), Some(0.0));
        assert!(late.reciprocal_rank_at(3).unwrap() > 0.3);
        assert_eq!(late.reciprocal_rank_at(0), None);
    }

    #[test]
    fn the_exponential_gain_is_the_worked_example() {
        // 1/log2(2) + 7/log2(5) + 3/log2(6), by the ideal 7, 3, 3, 1.
        let log = |x: f64| x.log2();
        let ideal = 7.0 / log(2.0) + 3.0 / log(3.0) + 3.0 / log(4.0) + 1.0 / log(5.0);
        let want = (1.0 / log(2.0) + 7.0 / log(5.0) + 3.0 / log(6.0)) / ideal;
        assert!((q1().ndcg(5, Gain::Exponential).unwrap() - want).abs() < 1e-12);
    }

    #[test]
    fn a_query_without_relevant_documents_has_no_value() {
        let list = Ranking::new(&[0.0], &[0.0]).unwrap();
        assert_eq!(list.ndcg(10, Gain::Linear), None);
        assert_eq!(list.recall(10), None);
        assert_eq!(list.precision(10), None);
        assert_eq!(list.success(10), None);
        assert_eq!(list.reciprocal_rank(), None);
        assert_eq!(list.average_precision(), None);
        assert_eq!(q1().precision(0), None);
    }

    #[test]
    fn impossible_gains_are_refused() {
        assert!(matches!(Ranking::new(&[f64::NAN], &[]), Err(Error::NotFinite { .. })));
        assert!(matches!(Ranking::new(&[], &[-1.0]), Err(Error::NegativeGain { index: 0, .. })));
        let twice = Ranking::new(&[1.0, 1.0], &[1.0, 0.0]);
        assert_eq!(twice, Err(Error::UnjudgedGain { value: 1.0 }));
    }

    proptest! {
        #[test]
        fn measures_are_shares_and_the_ideal_order_is_1(
            judged in prop::collection::vec(0_u8..4, 1..30),
            kept in 0_usize..30,
            k in 1_usize..20,
        ) {
            let judged: Vec<f64> = judged.into_iter().map(f64::from).collect();
            let list = Ranking::new(&judged[..kept.min(judged.len())], &judged).unwrap();
            let values = [
                list.ndcg(k, Gain::Linear),
                list.ndcg(k, Gain::Exponential),
                list.recall(k),
                list.precision(k),
                list.success(k),
                list.reciprocal_rank(),
                list.average_precision(),
            ];
            for value in values.into_iter().flatten() {
                prop_assert!((0.0..=1.0 + 1e-12).contains(&value));
            }
            let ideal = Ranking::new(&falling(&judged), &judged).unwrap();
            if let Some(value) = ideal.ndcg(k, Gain::Linear) {
                prop_assert!((value - 1.0).abs() < 1e-12);
                prop_assert!((ideal.average_precision().unwrap() - 1.0).abs() < 1e-12);
            }
        }
    }
}
