//! `plumb eval agreement`: do raters agree more than chance would have them?

use std::path::PathBuf;

use anyhow::{Result, bail};
use plumb_eval::Score;
use plumb_metrics::agreement::{Level, Weights, cohen_kappa, fleiss_kappa, krippendorff_alpha};
use plumb_metrics::{Error, Resampling, Units, estimate_statistic};
use serde_json::{Map, Value, json};

use super::scores::{self, SamplingArgs};
use super::table::Table;
use crate::context::Context;
use crate::exit::Exit;

/// Do raters agree more than chance would have them?
///
/// A line of the file is an item and a column a rater; the first line names the
/// raters, and a first column `item` or `id` the items. An empty cell is no rating.
/// Krippendorff's alpha takes any number of raters and gaps; Fleiss' kappa needs
/// all ratings, Cohen's two raters. 1 is full agreement, 0 what chance gives.
/// Intervals are resampled over items.
#[derive(clap::Args, Debug)]
pub struct AgreementArgs {
    /// The ratings, with commas or tabs between
    file: PathBuf,

    /// What ratings mean: names, places in an order, or numbers whose differences
    /// or ratios count
    #[arg(long, value_enum, default_value = "nominal")]
    level: LevelName,

    #[command(flatten)]
    sampling: SamplingArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LevelName {
    Nominal,
    Ordinal,
    Interval,
    Ratio,
}

impl LevelName {
    fn level(self) -> Level {
        match self {
            Self::Nominal => Level::Nominal,
            Self::Ordinal => Level::Ordinal,
            Self::Interval => Level::Interval,
            Self::Ratio => Level::Ratio,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Nominal => "nominal",
            Self::Ordinal => "ordinal",
            Self::Interval => "interval",
            Self::Ratio => "ratio",
        }
    }
}

/// Ratings as numbers: for names, their places among all names.
struct Ratings {
    /// By item and rater; items with fewer than two ratings are not among them.
    items: Vec<Vec<Option<f64>>>,
    raters: usize,
    /// All values, rising.
    values: Vec<f64>,
    unscored: usize,
}

/// A measure of drawn items; `None` where chance explains everything.
type Measure<'a> = Box<dyn Fn(&[usize]) -> Result<Option<f64>, Error> + 'a>;

/// Runs the command.
pub(super) fn run(args: &AgreementArgs, context: &Context) -> Result<Exit> {
    let ratings = Ratings::read(args)?;
    if ratings.items.is_empty() {
        bail!("`{}`: no item has two ratings", args.file.display());
    }
    let how = args.sampling.resampling();
    let mut found = Vec::new();
    let mut undefined = Vec::new();
    for (name, signature, measure) in ratings.measures(args.level) {
        match ratings.score(&measure, &how)? {
            Some(score) => found.push((name, signature, score)),
            None => undefined.push((name, "only one label was ever given")),
        }
    }
    if context.json {
        let named = found.iter().map(|(name, signature, score)| {
            ((*name).to_owned(), scores::as_json(score, signature))
        });
        let mut object: Map<String, Value> = named.collect();
        object.insert("raters".to_owned(), json!(ratings.raters));
        let undefined = undefined.iter().map(|(name, why)| ((*name).to_owned(), json!(why)));
        object.insert("undefined".to_owned(), Value::Object(undefined.collect()));
        context.print_json(&object)?;
        return Ok(Exit::Done);
    }
    scores::print_table(context, found.iter().map(|(name, _, score)| (*name, score)))?;
    for (name, why) in &undefined {
        context.say(format!("{name:20} not defined: {why}"))?;
    }
    context.say(format!("\n{} raters, {} labels", ratings.raters, ratings.values.len()))?;
    for (name, signature, _) in &found {
        context.say(format!("{name:20} {signature}"))?;
    }
    Ok(Exit::Done)
}

impl Ratings {
    fn read(args: &AgreementArgs) -> Result<Self> {
        let table = Table::read(&args.file)?;
        let is_name = |head: &String| ["item", "id"].contains(&head.to_lowercase().as_str());
        let first = usize::from(table.head().first().is_some_and(is_name));
        let raters = table.head().len() - first;
        if raters < 2 {
            bail!("`{}` has the ratings of {raters} rater: two are needed", args.file.display());
        }
        let mut names: Vec<&str> =
            (first..first + raters).flat_map(|column| table.cells(column)).collect();
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        let mut items = vec![vec![None; raters]; table.len()];
        for (row, item) in items.iter_mut().enumerate() {
            for (rater, rating) in item.iter_mut().enumerate() {
                let cell = table.cell(row, first + rater);
                let number: Option<f64> = cell.parse().ok();
                *rating = match (args.level, number) {
                    _ if cell.is_empty() => None,
                    (LevelName::Nominal, _) => {
                        names.binary_search(&cell).ok().map(|place| place as f64)
                    }
                    (_, Some(number)) if number.is_finite() => Some(number),
                    (level, _) => {
                        let what =
                            format!("`{cell}` is no number, as --level {} needs", level.name());
                        bail!(table.at(row, &what));
                    }
                };
            }
        }
        let all = items.len();
        items.retain(|item| item.iter().flatten().count() >= 2);
        let mut values: Vec<f64> = items.iter().flatten().flatten().copied().collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let unscored = all - items.len();
        Ok(Self { items, raters, values, unscored })
    }

    /// What can be measured of these ratings: name, signature, measure.
    fn measures(&self, level: LevelName) -> Vec<(&'static str, String, Measure<'_>)> {
        let of = "resampled:items";
        let mut measures: Vec<(&'static str, String, Measure<'_>)> = vec![
            ("agreement", format!("pairs|{of}"), Box::new(|drawn| Ok(Some(self.agreeing(drawn))))),
            (
                "krippendorff-alpha",
                format!("alpha|level:{}|{of}", level.name()),
                Box::new(move |drawn| {
                    let of_rater =
                        |rater| drawn.iter().map(|item| self.items[*item][rater]).collect();
                    let ratings: Vec<Vec<Option<f64>>> = (0..self.raters).map(of_rater).collect();
                    krippendorff_alpha(&ratings, level.level())
                }),
            ),
        ];
        let is_complete = self.items.iter().flatten().all(Option::is_some);
        if is_complete && level == LevelName::Nominal {
            measures.push((
                "fleiss-kappa",
                format!("fleiss|raters:{}|{of}", self.raters),
                Box::new(|drawn| fleiss_kappa(&self.counts(drawn))),
            ));
        }
        if is_complete && self.raters == 2 {
            let mut add = |name, weights, says: &str| {
                let measure: Measure<'_> = Box::new(move |drawn| {
                    let of = |rater| drawn.iter().map(|item| self.place(*item, rater)).collect();
                    let (left, right): (Vec<usize>, Vec<usize>) = (of(0), of(1));
                    cohen_kappa(&left, &right, self.values.len(), weights)
                });
                measures.push((name, format!("cohen|weights:{says}|{of}"), measure));
            };
            add("cohen-kappa", Weights::None, "none");
            if level != LevelName::Nominal {
                add("cohen-kappa-linear", Weights::Linear, "linear");
                add("cohen-kappa-quadratic", Weights::Quadratic, "quadratic");
            }
        }
        measures
    }

    /// The value over all items with its interval. There is none from one item, or
    /// where some resample has only one label.
    fn score(&self, measure: &Measure<'_>, how: &Resampling) -> Result<Option<Score>> {
        let all: Vec<usize> = (0..self.items.len()).collect();
        let Some(value) = measure(&all)? else { return Ok(None) };
        let of_drawn = |drawn: &[usize]| measure(drawn).ok().flatten().unwrap_or(f64::NAN);
        let found = estimate_statistic(Units::Items(all.len()), of_drawn, how);
        Ok(Some(match found {
            Ok(found) => Score::of_estimate(&found, self.unscored, how),
            Err(Error::NotFinite { .. } | Error::TooFew { .. }) => {
                Score { value, interval: None, n: all.len(), unscored: self.unscored }
            }
            Err(error) => return Err(error.into()),
        }))
    }

    /// The share of pairs of ratings of an item that are equal, in the mean of items.
    fn agreeing(&self, drawn: &[usize]) -> f64 {
        let of_item = |item: &usize| {
            let given: Vec<f64> = self.items[*item].iter().flatten().copied().collect();
            let same = |a: &f64| given.iter().filter(|b| a.total_cmp(b).is_eq()).count() - 1;
            let pairs = given.len() * (given.len() - 1);
            given.iter().map(same).sum::<usize>() as f64 / pairs as f64
        };
        drawn.iter().map(of_item).sum::<f64>() / drawn.len() as f64
    }

    /// The place of a rating among all values.
    fn place(&self, item: usize, rater: usize) -> usize {
        let value = self.items[item][rater].unwrap_or_default();
        self.values.partition_point(|other| other.total_cmp(&value).is_lt())
    }

    fn counts(&self, drawn: &[usize]) -> Vec<Vec<u32>> {
        let of_item = |item: &usize| {
            let mut counts = vec![0; self.values.len()];
            for rater in 0..self.raters {
                counts[self.place(*item, rater)] += 1;
            }
            counts
        };
        drawn.iter().map(of_item).collect()
    }
}
