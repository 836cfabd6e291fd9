//! `plumb eval prefer`: strengths of systems from comparisons of two of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plumb_metrics::preference::{Game, Outcome, Strength, bradley_terry, elo};
use plumb_metrics::{Error, SplitMix64};
use serde_json::{Map, Value, json};

use super::table::Table;
use crate::context::Context;
use crate::exit::Exit;

/// Rank systems by comparisons of two of them
///
/// The file has the columns `left`, `right` and `winner`, which names the better
/// system or says `draw`. Strengths are of the model of Bradley and Terry on the
/// scale of Elo: the mean is 1,000, and 400 points are odds of ten to one.
#[derive(clap::Args, Debug)]
pub struct PreferArgs {
    /// The comparisons, with commas or tabs between
    file: PathBuf,

    /// Also rate by Elo's rule, moving at most this many points a comparison; such
    /// ratings depend on the order
    #[arg(long, value_name = "POINTS")]
    elo: Option<f64>,

    /// Times to draw as many comparisons for the intervals of Elo's ratings
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    resamples: usize,

    /// Start of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Confidence of the intervals, between 0 and 1
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95)]
    confidence: f64,
}

/// The comparisons, with systems as numbers in the order of their names.
struct Games {
    names: Vec<String>,
    games: Vec<Game>,
}

/// Runs the command.
pub(super) fn run(args: &PreferArgs, context: &Context) -> Result<Exit> {
    let all = Games::read(args)?;
    let items = all.names.len();
    let strengths = bradley_terry(items, &all.games, args.confidence).map_err(|error| match error {
        Error::Unbounded { item } => anyhow::anyhow!(
            "the strength of `{}` is unbounded: chains of wins or draws must lead both to and from \
             it; add comparisons, or leave out systems that only win or only lose",
            all.names[item]
        ),
        other => other.into(),
    })?;
    let ratings = args.elo.map(|step| all.elo(args, step)).transpose()?;
    let mut order: Vec<usize> = (0..items).collect();
    order.sort_by(|a, b| strengths[*b].value.total_cmp(&strengths[*a].value));
    if context.json {
        return print_json(args, &all, &strengths, ratings.as_deref(), context);
    }
    let elo = if ratings.is_some() { "  elo with its interval" } else { "" };
    context.say(format!(
        "{:24} {:>8}  {:^20} {:>7} {:>7}{elo}",
        "system", "strength", "interval", "games", "wins"
    ))?;
    for item in order {
        let (of, (games, wins)) = (strengths[item], all.record(item));
        let rated = ratings.as_ref().map(|ratings| {
            let rated = ratings[item];
            format!("  {:.1} ({:.1} to {:.1})", rated.value, rated.low, rated.high)
        });
        context.say(format!(
            "{:24} {:8.1}  {:8.1} to {:8.1} {games:7} {wins:7}{}",
            all.names[item],
            of.value,
            of.low,
            of.high,
            rated.unwrap_or_default()
        ))?;
    }
    context.say(format!("\n{} comparisons; {}", all.games.len(), METHOD))?;
    Ok(Exit::Done)
}

const METHOD: &str = "strengths by Bradley-Terry, Wald intervals; a draw is half a win";

fn print_json(
    args: &PreferArgs,
    all: &Games,
    strengths: &[Strength],
    ratings: Option<&[Strength]>,
    context: &Context,
) -> Result<Exit> {
    let of = |list: &[Strength]| -> Map<String, Value> {
        let each = all.names.iter().enumerate().map(|(item, name)| {
            let (games, wins) = all.record(item);
            let Strength { value, low, high } = list[item];
            let value = json!({"value": value, "interval": [low, high], "n": games, "wins": wins});
            (name.clone(), value)
        });
        each.collect()
    };
    let mut object = json!({
        "bradley_terry": of(strengths),
        "n": all.games.len(),
        "unscored": 0,
        "confidence": args.confidence,
        "method": METHOD,
    });
    if let Some(ratings) = ratings {
        object["elo"] = Value::Object(of(ratings));
        object["elo_method"] = json!(format!(
            "step {}, in the order of the file; percentiles of {} resamples in the same order, \
             seed {}",
            args.elo.unwrap_or_default(),
            args.resamples,
            args.seed
        ));
    }
    context.print_json(&object)?;
    Ok(Exit::Done)
}

impl Games {
    fn read(args: &PreferArgs) -> Result<Self> {
        let table = Table::read(&args.file)?;
        let (left, right) = (table.column("left")?, table.column("right")?);
        let winner = table.column("winner")?;
        let mut numbers: BTreeMap<&str, usize> =
            table.cells(left).chain(table.cells(right)).map(|name| (name, 0)).collect();
        numbers.iter_mut().enumerate().for_each(|(place, (_, number))| *number = place);
        let mut games = Vec::new();
        let cells = table.cells(left).zip(table.cells(right)).zip(table.cells(winner));
        for (row, ((left, right), winner)) in cells.enumerate() {
            if left.is_empty() || right.is_empty() || left == right {
                bail!(table.at(row, "a comparison needs two different systems"));
            }
            let outcome = match winner {
                _ if winner == left => Outcome::Left,
                _ if winner == right => Outcome::Right,
                "draw" | "tie" => Outcome::Draw,
                other => {
                    let what = format!("the winner is `{other}`: neither system, nor `draw`");
                    bail!(table.at(row, &what));
                }
            };
            games.push(Game { left: numbers[left], right: numbers[right], outcome });
        }
        Ok(Self { names: numbers.keys().map(ToString::to_string).collect(), games })
    }

    /// How many games a system played, and how many it won.
    fn record(&self, item: usize) -> (usize, usize) {
        let of = |game: &&Game| game.left == item || game.right == item;
        let won = |game: &&Game| match game.outcome {
            Outcome::Left => game.left == item,
            Outcome::Right => game.right == item,
            Outcome::Draw => false,
        };
        let games = self.games.iter();
        (games.clone().filter(of).count(), games.filter(won).count())
    }

    /// Elo's ratings, with the percentiles of ratings by drawn comparisons.
    fn elo(&self, args: &PreferArgs, step: f64) -> Result<Vec<Strength>> {
        if args.resamples == 0 {
            bail!("--resamples is 0: there would be no interval");
        }
        let items = self.names.len();
        let ratings = elo(items, &self.games, step)?;
        let mut random = SplitMix64::new(args.seed);
        let mut drawn: Vec<Vec<f64>> = vec![Vec::new(); items];
        for _ in 0..args.resamples {
            let mut places: Vec<usize> =
                (0..self.games.len()).map(|_| random.below(self.games.len())).collect();
            places.sort_unstable();
            let games: Vec<Game> = places.iter().map(|place| self.games[*place]).collect();
            let rated = elo(items, &games, step)?;
            drawn.iter_mut().zip(rated).for_each(|(list, rating)| list.push(rating));
        }
        let tail = (1.0 - args.confidence) / 2.0;
        let end = |rising: &[f64], share: f64| {
            let last = rising.len() - 1;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a length"
            )]
            let place = (share * last as f64).round() as usize;
            rising.get(place.min(last)).copied().context("no resample")
        };
        let mut found = Vec::new();
        for (mut rising, value) in drawn.into_iter().zip(ratings) {
            rising.sort_by(f64::total_cmp);
            let (low, high) = (end(&rising, tail)?, end(&rising, 1.0 - tail)?);
            found.push(Strength { value, low, high });
        }
        Ok(found)
    }
}
