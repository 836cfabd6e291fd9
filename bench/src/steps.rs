//! What each step of retrieval gains: words, meaning, headers, fusion, neighbours,
//! token by token, and a question made longer.
//!
//! Each step may be left out, and is done otherwise only where that gains on one half of the
//! queries more than the standard error; the other half is where its gain over the step
//! before is measured, with
//! its interval. Fusing is such a step: without a gain the better single leg stays. The
//! leg that all is compared with is the one that is better on the reported half itself,
//! which flatters the leg.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use plumb_infer::Embedder;
use plumb_metrics::text::{TokenStates, TokenWeights, bert_score};
use plumb_metrics::{Comparison, Gain, Ranking, Resampling, SplitMix64, compare, mean};
use plumb_retrieve::{Fusion, Mode};
use serde_json::{Value, json};

use crate::cranfield::{Document, Query};
use crate::flags::EmbedderFlags;
use crate::index::Index;
use crate::machine::Setting;
use crate::passages::Passages;
use crate::{home, report};

/// The cut of the measure, and how many passages are ranked anew.
const K: usize = 10;
const DEPTH: usize = 200;
const AGAIN: usize = 30;

/// Measures each step of retrieval on a collection of passages.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Folder of the collection: of `passages.py`, or of Cranfield
    #[arg(long)]
    collection: PathBuf,

    #[command(flatten)]
    embedder: EmbedderFlags,

    /// Seed of the split into halves and of the resampling
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Name of the result
    #[arg(long)]
    name: String,

    /// Folder for the results
    #[arg(long, default_value_os_t = home().join("results"))]
    out: PathBuf,
}

/// Passages, best first, of each query.
type Rankings = Vec<Vec<(usize, f32)>>;

/// One way of ranking with what it scored on each query.
struct Step {
    name: &'static str,
    /// What was chosen for it.
    with: String,
    rankings: Rankings,
    ndcg: Vec<f64>,
}

/// Runs the suite, prints and writes the summary.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let passages = Passages::load(&flags.collection)?;
    let embedder = flags.embedder.load()?;
    let bench = Bench::new(&passages, &embedder, flags.seed)?;
    let steps = bench.steps()?;
    let setting = Setting::now();
    let rows = bench.rows(&steps)?;
    let page = page(flags, &bench, &rows, &setting);
    let object = object(flags, &bench, &rows, &setting);
    let name = format!("retrieval-steps-{}", flags.name);
    let written = report::write(&flags.out, &name, &page, &object)?;
    report::say(&format!("{page}\n{written}"));
    Ok(())
}

/// A collection, indexed with and without headers, and its queries in halves.
struct Bench<'a> {
    passages: &'a Passages,
    embedder: &'a Embedder,
    queries: Vec<&'a Query>,
    vectors: Vec<Vec<f32>>,
    bare: Index,
    headed: Index,
    headed_vectors: Vec<Vec<f32>>,
    tuned: Vec<usize>,
    reported: Vec<usize>,
    how: Resampling,
}

impl<'a> Bench<'a> {
    fn new(passages: &'a Passages, embedder: &'a Embedder, seed: u64) -> anyhow::Result<Self> {
        let queries: Vec<&Query> = passages
            .queries
            .iter()
            .filter(|query| query.gains.values().any(|gain| *gain > 0.0))
            .collect();
        if queries.len() < 8 {
            bail!("{} queries have an answer: 8 are needed", queries.len());
        }
        let bare: Vec<Document> = passages
            .documents
            .iter()
            .map(|document| Document { title: String::new(), text: document.text.clone() })
            .collect();
        let headed_vectors = embed(embedder, &passages.documents)?;
        let vectors = queries.iter().map(|query| embedder.embed_query(&query.text));
        let mut order: Vec<usize> = (0..queries.len()).collect();
        SplitMix64::new(seed).shuffle(&mut order);
        let reported = order.split_off(order.len() / 2);
        Ok(Self {
            bare: Index::build(&bare, embed(embedder, &bare)?)?,
            headed: Index::build(&passages.documents, headed_vectors.clone())?,
            vectors: vectors.collect::<Result<_, _>>()?,
            passages,
            embedder,
            queries,
            headed_vectors,
            tuned: order,
            reported,
            how: Resampling { seed, ..Resampling::default() },
        })
    }

    fn steps(&self) -> anyhow::Result<Vec<Step>> {
        let legs = |index: &Index, mode| self.searched(index, &self.vectors, mode);
        let fused = |index: &Index, vectors: &[Vec<f32>], fusion| {
            self.searched(index, vectors, Mode::Fused(fusion))
        };
        let mut steps = vec![
            self.step("BM25, text alone", String::new(), legs(&self.bare, Mode::Lexical)?)?,
            self.step("dense, text alone", String::new(), legs(&self.bare, Mode::Dense)?)?,
            self.step("BM25, headers", String::new(), legs(&self.headed, Mode::Lexical)?)?,
            self.step("dense, headers", String::new(), legs(&self.headed, Mode::Dense)?)?,
        ];
        let has_gain = self.tuned_mean(&steps[3])? + self.tuned_mean(&steps[2])?
            >= self.tuned_mean(&steps[0])? + self.tuned_mean(&steps[1])?;
        let index = if has_gain { &self.headed } else { &self.bare };
        let [lexical, dense] = if has_gain { [2, 3] } else { [0, 1] };
        let is_dense = self.tuned_mean(&steps[lexical])? <= self.tuned_mean(&steps[dense])?;
        let mut weighted = Vec::new();
        // The better search alone is the first choice: fusing must win against it.
        let alone = if is_dense { 10 } else { 0_u8 };
        for tenths in [alone, 1, 2, 3, 4, 5, 6, 7, 8, 9] {
            let dense_weight = f32::from(tenths) / 10.0;
            for (form, fusion) in [
                ("of the best", Fusion::Weighted { dense_weight }),
                ("of the ceiling", Fusion::Covered { dense_weight }),
            ] {
                let cut = if has_gain { "headers" } else { "text alone" };
                let with = fused_with(tenths, form, cut);
                let found = fused(index, &self.vectors, fusion)?;
                weighted.push((fusion, self.step("fused", with, found)?));
            }
        }
        let (fusion, step) = self.best(weighted)?;
        steps.push(step);
        let mut tried = Vec::new();
        for share in [0.0, 0.2, 0.4] {
            let last = &steps[steps.len() - 1].rankings;
            let rankings =
                last.iter().map(|ranking| self.with_neighbours(ranking, share)).collect();
            tried.push((share, self.step("neighbours", format!("share {share}"), rankings)?));
        }
        let (_, step) = self.best(tried)?;
        steps.push(step);
        let mut tried = Vec::new();
        for share in [0.0, 0.3, 0.6] {
            let last = &steps[steps.len() - 1];
            let rankings = if share == 0.0 {
                last.rankings.clone()
            } else {
                let longer = self.lengthened(&last.rankings, share);
                fused(index, &longer, fusion)?
            };
            let with = format!("vectors of the first three, share {share}");
            tried.push((share, self.step("longer question", with, rankings)?));
        }
        let (_, step) = self.best(tried)?;
        steps.push(step);
        let last = &steps[steps.len() - 1].rankings;
        let by_tokens = self.by_tokens(last)?;
        let mut tried = Vec::new();
        for share in [0.0, 0.25, 0.5, 0.75] {
            let rankings = last.iter().zip(&by_tokens);
            let rankings =
                rankings.map(|(ranking, scores)| reordered(ranking, scores, share)).collect();
            tried.push((share, self.step("token by token", format!("share {share}"), rankings)?));
        }
        let (_, step) = self.best(tried)?;
        steps.push(step);
        Ok(steps)
    }

    /// The best passages of each query.
    fn searched(
        &self,
        index: &Index,
        vectors: &[Vec<f32>],
        mode: Mode,
    ) -> anyhow::Result<Rankings> {
        let queries = self.queries.iter().zip(vectors);
        queries
            .map(|(query, vector)| {
                let query = index.prepare(&query.text, vector.clone());
                index.search_scored(&query, mode, DEPTH)
            })
            .collect()
    }

    fn step(&self, name: &'static str, with: String, rankings: Rankings) -> anyhow::Result<Step> {
        let each = self.queries.iter().zip(&rankings);
        let ndcg =
            each.map(|(query, ranking)| self.ndcg(query, ranking)).collect::<Result<_, _>>()?;
        Ok(Step { name, with, rankings, ndcg })
    }

    /// Of units, each where its best passage stands.
    fn ndcg(&self, query: &Query, ranking: &[(usize, f32)]) -> anyhow::Result<f64> {
        let mut seen = Vec::new();
        for (passage, _) in ranking {
            let unit = self.passages.units[*passage];
            if !seen.contains(&unit) {
                seen.push(unit);
            }
        }
        let ranked: Vec<f64> =
            seen.iter().map(|unit| query.gains.get(unit).copied().unwrap_or(0.0)).collect();
        let judged: Vec<f64> = query.gains.values().copied().collect();
        let value = Ranking::new(&ranked, &judged)?.ndcg(K, Gain::Linear);
        value.context("the query has no relevant document")
    }

    fn tuned_mean(&self, step: &Step) -> anyhow::Result<f64> {
        Ok(mean(&pick(&step.ndcg, &self.tuned))?)
    }

    /// The first choice, or the one with the highest mean on the tuned half if it gains
    /// more than the standard error of its gain: a smaller gain is as likely luck.
    fn best<T>(&self, tried: Vec<(T, Step)>) -> anyhow::Result<(T, Step)> {
        let mut means = Vec::new();
        for (_, step) in &tried {
            means.push(self.tuned_mean(step)?);
        }
        let (first, _) = tried.split_first().context("there is nothing to choose from")?;
        let highest =
            (0..means.len()).fold(0, |best, at| if means[at] > means[best] { at } else { best });
        let gains: Vec<f64> = self
            .tuned
            .iter()
            .map(|query| tried[highest].1.ndcg[*query] - first.1.ndcg[*query])
            .collect();
        let chosen = if exceeds_error(&gains) { highest } else { 0 };
        tried.into_iter().nth(chosen).context("there is nothing to choose from")
    }

    /// Each passage with a share of the better score of those before and after it on
    /// its page.
    fn with_neighbours(&self, ranking: &[(usize, f32)], share: f32) -> Vec<(usize, f32)> {
        let score_of = |passage: Option<usize>, page: usize| {
            let passage = passage.filter(|place| self.passages.pages.get(*place) == Some(&page))?;
            ranking.iter().find(|(known, _)| *known == passage).map(|(_, score)| *score)
        };
        let with = |(passage, score): &(usize, f32)| {
            let page = self.passages.pages[*passage];
            let before = score_of(passage.checked_sub(1), page).unwrap_or(0.0);
            let after = score_of(Some(passage + 1), page).unwrap_or(0.0);
            (*passage, score + share * before.max(after))
        };
        sorted(ranking.iter().map(with).collect())
    }

    /// The vector of each query, moved towards those of the passages found first
    /// (Rocchio 1971).
    fn lengthened(&self, rankings: &Rankings, share: f32) -> Vec<Vec<f32>> {
        let longer = |(vector, ranking): (&Vec<f32>, &Vec<(usize, f32)>)| {
            let mut longer = vector.clone();
            for (passage, _) in ranking.iter().take(3) {
                let found = &self.headed_vectors[*passage];
                longer.iter_mut().zip(found).for_each(|(x, y)| *x += share / 3.0 * y);
            }
            let norm = longer.iter().map(|x| x * x).sum::<f32>().sqrt();
            for x in &mut longer {
                *x /= norm.max(f32::MIN_POSITIVE);
            }
            longer
        };
        self.vectors.iter().zip(rankings).map(longer).collect()
    }

    /// How well the tokens of each query are found in each of its first passages:
    /// the recall of `BERTScore`, which is late interaction (Khattab and Zaharia 2020,
    /// arXiv:2004.12832) with an encoder that was not trained for it.
    fn by_tokens(&self, rankings: &Rankings) -> anyhow::Result<Vec<Vec<f32>>> {
        let weights = TokenWeights::equal(&self.embedder.special_tokens()?);
        let layers = self.embedder.spec().layers;
        let mut known: HashMap<usize, TokenStates> = HashMap::new();
        let mut all = Vec::new();
        for (query, ranking) in self.queries.iter().zip(rankings) {
            let found = self.embedder.token_states(&[query.text.as_str()], layers)?;
            let (ids, states) = found.into_iter().next().context("a text has states")?;
            let query = TokenStates::new(ids, states);
            let mut scores = Vec::new();
            for (passage, _) in ranking.iter().take(AGAIN) {
                if !known.contains_key(passage) {
                    let text = self.passages.documents[*passage].passage();
                    let found = self.embedder.token_states(&[&text], layers)?;
                    let (ids, states) = found.into_iter().next().context("a text has states")?;
                    known.insert(*passage, TokenStates::new(ids, states));
                }
                let found = bert_score(&known[passage], &query, &weights);
                #[expect(clippy::cast_possible_truncation, reason = "a cosine")]
                scores.push(found.map_or(0.0, |found| found.recall as f32));
            }
            all.push(scores);
        }
        Ok(all)
    }

    /// What is said of each step: its mean, and its gain over what it is built on.
    fn rows(&self, steps: &[Step]) -> anyhow::Result<Vec<Row>> {
        let held = |step: &Step| pick(&step.ndcg, &self.reported);
        let mut legs: Vec<usize> = (0..4).collect();
        let means: Vec<f64> =
            steps.iter().map(|step| mean(&held(step))).collect::<Result<_, _>>()?;
        legs.sort_by(|a, b| means[*b].total_cmp(&means[*a]));
        let mut rows = Vec::new();
        for (place, step) in steps.iter().enumerate() {
            let before = match place {
                0 | 1 => None,
                2 | 3 => Some(place - 2),
                4 => Some(legs[0]),
                _ => Some(place - 1),
            };
            let against = |other: usize| compare(&held(step), &held(&steps[other]), &self.how);
            rows.push(Row {
                name: step.name,
                with: step.with.clone(),
                ndcg: plumb_metrics::estimate_mean(&held(step), &self.how)?,
                over: before.map(|before| steps[before].name),
                gain: before.map(against).transpose()?,
                over_leg: (place > 3).then(|| against(legs[0])).transpose()?,
            });
        }
        Ok(rows)
    }
}

/// One step as it is shown.
struct Row {
    name: &'static str,
    with: String,
    ndcg: plumb_metrics::Estimate,
    over: Option<&'static str>,
    gain: Option<Comparison>,
    over_leg: Option<Comparison>,
}

fn embed(embedder: &Embedder, documents: &[Document]) -> anyhow::Result<Vec<Vec<f32>>> {
    let texts: Vec<String> = documents.iter().map(Document::passage).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Ok(embedder.embed_documents(&texts)?)
}

/// Whether the mean of `gains` is larger than its standard error.
fn exceeds_error(gains: &[f64]) -> bool {
    let count = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / count;
    let squares: f64 = gains.iter().map(|gain| (gain - mean).powi(2)).sum();
    mean > (squares / (count - 1.0) / count).sqrt()
}

/// What was fused, in words: `tenths` is the weight of the vectors.
fn fused_with(tenths: u8, form: &str, cut: &str) -> String {
    match tenths {
        0 => format!("BM25 alone, {cut}"),
        10 => format!("dense alone, {cut}"),
        _ => format!("dense 0.{tenths}, words {form}, {cut}"),
    }
}

fn pick(values: &[f64], places: &[usize]) -> Vec<f64> {
    places.iter().map(|place| values[*place]).collect()
}

/// Best first; of equal ones the earlier passage.
fn sorted(mut ranking: Vec<(usize, f32)>) -> Vec<(usize, f32)> {
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranking
}

/// The first passages by a mixture of both scores, each between 0 and 1 over these;
/// the rest as it was.
fn reordered(ranking: &[(usize, f32)], scores: &[f32], share: f32) -> Vec<(usize, f32)> {
    let (first, rest) = ranking.split_at(scores.len());
    let old: Vec<f32> = first.iter().map(|(_, score)| *score).collect();
    let (old, new) = (spread(&old), spread(scores));
    let mixed = first.iter().zip(old.iter().zip(&new));
    let mixed =
        mixed.map(|((passage, _), (old, new))| (*passage, (1.0 - share) * old + share * new));
    let mut all = sorted(mixed.collect());
    all.extend(rest.iter().map(|(passage, score)| (*passage, score - 1e6)));
    all
}

/// From 0 for the lowest to 1 for the highest.
fn spread(scores: &[f32]) -> Vec<f32> {
    let low = scores.iter().copied().fold(f32::MAX, f32::min);
    let high = scores.iter().copied().fold(f32::MIN, f32::max);
    let width = (high - low).max(f32::MIN_POSITIVE);
    scores.iter().map(|score| (score - low) / width).collect()
}

fn facts(bench: &Bench<'_>) -> String {
    let units: BTreeSet<&usize> = bench.passages.units.iter().collect();
    format!(
        "{} passages of {} units, {} queries; choices on {}, figures on the other {}",
        bench.passages.documents.len(),
        units.len(),
        bench.queries.len(),
        bench.tuned.len(),
        bench.reported.len()
    )
}

fn page(flags: &Flags, bench: &Bench<'_>, rows: &[Row], setting: &Setting) -> String {
    let gain = |found: &Option<Comparison>| match found {
        Some(found) => {
            let of = &found.difference;
            format!("{:+.4} ({:+.4} to {:+.4})", of.mean, of.low, of.high)
        }
        None => String::new(),
    };
    let cells = |row: &Row| {
        vec![
            row.name.to_owned(),
            row.with.clone(),
            format!("{:.4} ({:.4} to {:.4})", row.ndcg.mean, row.ndcg.low, row.ndcg.high),
            row.over.unwrap_or_default().to_owned(),
            gain(&row.gain),
            gain(&row.over_leg),
        ]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let headings =
        ["step", "chosen", "nDCG@10", "over", "gain with its 95 % interval", "over the best leg"];
    format!(
        "# Retrieval step by step: {}\n\n{}. {}.\n\n{}",
        flags.name,
        setting.line(),
        facts(bench),
        report::table(&headings, &rows)
    )
}

fn object(flags: &Flags, bench: &Bench<'_>, rows: &[Row], setting: &Setting) -> Value {
    let comparison = |found: &Option<Comparison>| {
        found.as_ref().map(|found| {
            json!({
                "difference": found.difference.mean,
                "interval_95": [found.difference.low, found.difference.high],
                "p_randomisation": found.randomisation_p,
            })
        })
    };
    let rows = rows.iter().map(|row| {
        json!({
            "step": row.name,
            "chosen": row.with,
            "ndcg_10": row.ndcg.mean,
            "interval_95": [row.ndcg.low, row.ndcg.high],
            "over": row.over,
            "gain": comparison(&row.gain),
            "over_best_leg": comparison(&row.over_leg),
        })
    });
    json!({
        "suite": "steps",
        "collection": flags.name,
        "facts": facts(bench),
        "setting": setting.json(),
        "steps": rows.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_mixed_and_the_rest_stays_behind() {
        let ranking = [(7, 3.0), (8, 2.0), (9, 1.0)];
        let order = |share| -> Vec<usize> {
            reordered(&ranking, &[0.1, 0.9], share).iter().map(|(passage, _)| *passage).collect()
        };
        assert_eq!(order(0.0), [7, 8, 9]);
        assert_eq!(order(0.75), [8, 7, 9]);
    }

    #[test]
    fn a_gain_within_its_error_is_none() {
        assert!(exceeds_error(&[0.2, 0.1, 0.2, 0.1]));
        assert!(!exceeds_error(&[0.9, -0.8, 0.1, 0.0]));
        assert!(!exceeds_error(&[0.0, 0.0]));
    }

    #[test]
    fn scores_are_spread_from_0_to_1() {
        assert_eq!(spread(&[2.0, 4.0, 3.0]), [0.0, 1.0, 0.5]);
    }
}
