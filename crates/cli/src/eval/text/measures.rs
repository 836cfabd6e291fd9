//! Each measure computed: its value, its interval, its signature.

use anyhow::{Result, bail};
use plumb_metrics::Resampling;
use plumb_metrics::text::{
    self as measures, Bleu, Chrf, Meteor, Rouge, Squad, Statistics, Stemming, Ter, WordNet, ratio,
};
use serde_json::{Value, json};

use super::bert::Bert;
use super::names::{Metric, Share, Side};

/// N-grams whose repetition is measured.
const REPEATED: usize = 4;

/// Texts, and references with a list for each file.
#[derive(Clone)]
pub(super) struct Inputs<'a> {
    pub(super) texts: Vec<&'a str>,
    pub(super) references: Vec<Vec<&'a str>>,
    pub(super) sources: Vec<&'a str>,
}

/// What flags say about measures.
pub(super) struct Settings {
    pub(super) bleu: Bleu,
    pub(super) chrf: Chrf,
    pub(super) ter: Ter,
    pub(super) stemming: Stemming,
    pub(super) wordnet: Option<WordNet>,
    pub(super) resampling: Resampling,
}

/// A measure of all texts.
pub(super) struct Measured {
    pub(super) value: f64,
    /// `None` for a single text, which says nothing about others.
    pub(super) interval: Option<(f64, f64)>,
    /// How the interval was found.
    pub(super) method: String,
    /// Texts behind the value.
    pub(super) count: usize,
    /// Texts that the measure is not defined for.
    pub(super) unscored: usize,
    pub(super) signature: String,
    /// What the value is made of.
    pub(super) details: Value,
    /// The value of each text alone; `None` where it is not defined.
    pub(super) segments: Vec<Option<f64>>,
}

/// A score of added-up numbers.
pub(super) type ScoreOfSums<'a> = Box<dyn Fn(&[f64]) -> f64 + 'a>;

/// Numbers that may be added up over texts, and what is computed of their sums.
pub(super) struct Counts<'a> {
    pub(super) table: Statistics,
    pub(super) score: ScoreOfSums<'a>,
}

/// Computes measures on the same texts, sharing what they share.
pub(super) struct Measures<'a> {
    inputs: &'a Inputs<'a>,
    references: Vec<&'a [&'a str]>,
    settings: &'a Settings,
    /// All kinds of ROUGE that were asked for, computed at once.
    rouge: Vec<(Rouge, Statistics)>,
    /// What an encoder found, if it was asked.
    bert: Option<Bert>,
}

impl<'a> Measures<'a> {
    pub(super) fn new(
        inputs: &'a Inputs,
        settings: &'a Settings,
        metrics: &[Metric],
        bert: Option<Bert>,
    ) -> Self {
        let references: Vec<&[&str]> = inputs.references.iter().map(Vec::as_slice).collect();
        let kinds: Vec<Rouge> = metrics
            .iter()
            .filter_map(|metric| match metric {
                Metric::Rouge(kind) => Some(*kind),
                _ => None,
            })
            .collect();
        let tables = if kinds.is_empty() {
            Vec::new()
        } else {
            measures::rouge(&kinds, settings.stemming, &inputs.texts, &references)
        };
        Self { inputs, references, settings, rouge: kinds.into_iter().zip(tables).collect(), bert }
    }

    pub(super) fn measure(&self, metric: Metric) -> Result<Measured> {
        match metric {
            Metric::Bleu => self.bleu(),
            Metric::Chrf | Metric::ChrfPlusPlus => self.chrf(&self.chrf_of(metric)),
            Metric::Ter => self.ter(),
            Metric::Rouge(kind) => self.rouge(kind),
            Metric::Meteor => self.meteor(),
            Metric::Bert(side) => self.bert(side),
            Metric::ExactMatch => self.squad(Squad::ExactMatch),
            Metric::F1 => self.squad(Squad::F1),
            Metric::Distinct(order) => self.distinct(usize::from(order)),
            Metric::SelfBleu => self.self_bleu(),
            Metric::Repetition => {
                let values = measures::repetition(&self.inputs.texts, REPEATED);
                let signature = format!("repetition|n:{REPEATED}|tok:split|agg:mean");
                self.mean(values, signature)
            }
            Metric::Extractive(share) => self.extractive(metric, share),
            Metric::Readability(formula) => {
                let values = self.inputs.texts.iter().map(|text| formula.of(text)).collect();
                let signature = format!("{}|lang:en|syllables:rule|agg:mean", formula.name());
                self.mean(values, signature)
            }
        }
    }

    /// The counts behind a measure that is no mean of its texts' values.
    pub(super) fn counts(&self, metric: Metric) -> Option<Counts<'a>> {
        let (texts, references) = (&self.inputs.texts, &self.references);
        Some(match metric {
            Metric::Bleu => {
                let how = self.settings.bleu;
                let table = how.statistics(texts, references);
                Counts { table, score: Box::new(move |sums| how.score(sums).score) }
            }
            Metric::Chrf | Metric::ChrfPlusPlus => {
                let how = self.chrf_of(metric);
                let table = how.statistics(texts, references);
                Counts { table, score: Box::new(move |sums| how.score(sums)) }
            }
            Metric::Ter => {
                let table = self.settings.ter.statistics(texts, references);
                Counts { table, score: Box::new(Ter::score) }
            }
            _ => return None,
        })
    }

    /// chrF or chrF++ as the flags have it.
    fn chrf_of(&self, metric: Metric) -> Chrf {
        let word_order =
            if metric == Metric::ChrfPlusPlus { Chrf::plus_plus().word_order } else { 0 };
        Chrf { word_order, ..self.settings.chrf }
    }

    fn bleu(&self) -> Result<Measured> {
        let of_all = self.settings.bleu;
        let of_one = Bleu { effective_order: true, ..of_all };
        let table = of_all.statistics(&self.inputs.texts, &self.references);
        let score = of_all.score(&table.sums());
        let details = json!({
            "precisions": score.precisions,
            "brevity_penalty": score.brevity_penalty,
            "length": score.length,
            "reference_length": score.reference_length,
        });
        let segments = table.rows().map(|row| Some(of_one.score(row).score)).collect();
        let signature = of_all.signature(self.references.len());
        let found = self.estimate(&table, |sums| of_all.score(sums).score)?;
        Ok(Measured { signature, details, segments, ..found })
    }

    fn chrf(&self, how: &Chrf) -> Result<Measured> {
        let table = how.statistics(&self.inputs.texts, &self.references);
        let segments = table.rows().map(|row| Some(how.score(row))).collect();
        let signature = how.signature(self.references.len());
        let found = self.estimate(&table, |sums| how.score(sums))?;
        Ok(Measured { signature, segments, ..found })
    }

    fn ter(&self) -> Result<Measured> {
        let how = self.settings.ter;
        let table = how.statistics(&self.inputs.texts, &self.references);
        let sums = table.sums();
        let details = json!({"edits": sums[0], "reference_length": sums[1]});
        let segments = table.rows().map(|row| Some(Ter::score(row))).collect();
        let signature = how.signature(self.references.len());
        let found = self.estimate(&table, Ter::score)?;
        Ok(Measured { signature, details, segments, ..found })
    }

    fn rouge(&self, kind: Rouge) -> Result<Measured> {
        let Some((_, table)) = self.rouge.iter().find(|(own, _)| *own == kind) else {
            bail!("it was not computed");
        };
        let sums = table.sums();
        let details = json!({"precision": sums[0] / sums[3], "recall": sums[1] / sums[3]});
        let segments = table.rows().map(|row| Some(row[2])).collect();
        let signature = kind.signature(self.settings.stemming, self.references.len());
        let found = self.estimate(table, |sums| ratio(&sums[2..]))?;
        Ok(Measured { signature, details, segments, ..found })
    }

    fn meteor(&self) -> Result<Measured> {
        let (how, wordnet) = (Meteor::default(), self.settings.wordnet.as_ref());
        let table = how.statistics(&self.inputs.texts, &self.references, wordnet)?;
        let signature = how.signature(wordnet, self.references.len());
        self.mean(table.rows().map(|row| Some(row[0])).collect(), signature)
    }

    fn bert(&self, side: Side) -> Result<Measured> {
        let Some(found) = &self.bert else { bail!("it was not computed") };
        let values = found.scores.iter().map(|score| {
            score.map(|score| match side {
                Side::Precision => score.precision,
                Side::Recall => score.recall,
                Side::F1 => score.f1,
            })
        });
        self.mean(values.collect(), found.signature.clone())
    }

    fn squad(&self, kind: Squad) -> Result<Measured> {
        let table = kind.statistics(&self.inputs.texts, &self.references);
        let values = table.rows().map(|row| Some(row[0])).collect();
        self.mean(values, kind.signature(self.references.len()))
    }

    fn distinct(&self, order: usize) -> Result<Measured> {
        let found = measures::distinct(&self.inputs.texts, order);
        let Some(value) = found.value else {
            bail!("no text has {order} words");
        };
        let count = found.texts.iter().flatten().count();
        Ok(Measured {
            value,
            interval: found.interval(self.settings.resampling.level),
            method: "jackknife of texts, normal".to_owned(),
            count,
            unscored: found.texts.len() - count,
            signature: format!("distinct|n:{order}|tok:split|of:all"),
            details: Value::Null,
            segments: found.texts,
        })
    }

    fn self_bleu(&self) -> Result<Measured> {
        if self.inputs.texts.len() < 2 {
            bail!("it compares texts with each other: two at least are needed");
        }
        let how = Bleu { effective_order: true, ..self.settings.bleu };
        let values = measures::self_bleu(&how, &self.inputs.texts);
        let signature = format!("self-bleu|{}|agg:mean", how.signature(values.len() - 1));
        self.mean(values.into_iter().map(Some).collect(), signature)
    }

    fn extractive(&self, metric: Metric, share: Share) -> Result<Measured> {
        let found = measures::extractive(&self.inputs.texts, &self.inputs.sources);
        let values = found.into_iter().map(|one| {
            one.map(|one| match share {
                Share::Coverage => one.coverage,
                Share::Density => one.density,
                Share::Compression => one.compression,
            })
        });
        self.mean(values.collect(), format!("{metric}|case:lc|tok:13a|agg:mean"))
    }

    /// The mean of the values that there are. Fails if there are none.
    fn mean(&self, segments: Vec<Option<f64>>, signature: String) -> Result<Measured> {
        let values: Vec<f64> = segments.iter().flatten().copied().collect();
        if values.is_empty() {
            bail!("no text is long enough");
        }
        let unscored = segments.len() - values.len();
        let found = self.estimate(&Statistics::of_mean(&values), ratio)?;
        Ok(Measured { unscored, signature, segments, ..found })
    }

    /// The value of added-up numbers and its interval, without the rest.
    fn estimate(&self, table: &Statistics, score: impl Fn(&[f64]) -> f64) -> Result<Measured> {
        let how = &self.settings.resampling;
        let (value, interval) = if table.len() < 2 {
            (score(&table.sums()), None)
        } else {
            let found = table.estimate(&score, how)?;
            (found.mean, Some((found.low, found.high)))
        };
        Ok(Measured {
            value,
            interval,
            method: format!(
                "bca bootstrap of texts, {} resamples, seed {}",
                how.resamples, how.seed
            ),
            count: table.len(),
            unscored: 0,
            signature: String::new(),
            details: Value::Null,
            segments: Vec::new(),
        })
    }
}
