//! Strengths of systems from games between two of them.

use crate::{Error, normal};

/// Who won a game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first item.
    Left,
    /// The second item.
    Right,
    /// Nobody: half a win for each.
    Draw,
}

/// One comparison of two items, named by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Game {
    /// The first item.
    pub left: usize,
    /// The second item.
    pub right: usize,
    /// Who won.
    pub outcome: Outcome,
}

/// The strength of one item on the Elo scale: 400 points are odds of ten to
/// one, and the mean over all items is 1,000.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength {
    /// The most likely strength.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
}

/// Points of one unit of natural log-odds.
const SCALE: f64 = 400.0 / std::f64::consts::LN_10;
const MEAN: f64 = 1_000.0;

/// Strengths of `items` systems by the model of Bradley and Terry 1952,
/// doi:10.2307/2334029, with Wald intervals of confidence `level` from the
/// Fisher information.
///
/// The most likely strengths exist only if chains of wins (or draws) lead from
/// every item to every other; otherwise [`Error::Unbounded`] names an item for
/// which none does. Ford 1957, doi:10.2307/2308513.
pub fn bradley_terry(items: usize, games: &[Game], level: f64) -> Result<Vec<Strength>, Error> {
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::Level { level });
    }
    let wins = wins(items, games)?;
    if let Some(item) = unbounded(&wins) {
        return Err(Error::Unbounded { item });
    }
    let mut strengths = vec![0.0_f64; items];
    let mut fit = likelihood(&wins, &strengths);
    // Newton's method on a concave function, halving steps that overshoot.
    for _ in 0..200 {
        let (slope, information) = derivatives(&wins, &strengths);
        let step = solve(information, &slope);
        let mut scale = 1.0;
        let moved = loop {
            let moved: Vec<f64> =
                strengths.iter().zip(&step).map(|(at, step)| at + scale * step).collect();
            let found = likelihood(&wins, &moved);
            if found >= fit || scale < 1e-10 {
                fit = found.max(fit);
                break moved;
            }
            scale /= 2.0;
        };
        let change = moved.iter().zip(&strengths).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        strengths = moved;
        if change < 1e-12 {
            break;
        }
    }
    let reach = normal::quantile(f64::midpoint(1.0, level));
    let mean = strengths.iter().sum::<f64>() / items as f64;
    let (_, information) = derivatives(&wins, &strengths);
    let strength = |item: usize| {
        let mut unit = vec![0.0; items];
        unit[item] = 1.0;
        // The column of the inverse holds 1/items^2 for the direction in which
        // all strengths move together, which was fixed and has no variance.
        let variance = solve(information.clone(), &unit)[item] - 1.0 / (items * items) as f64;
        let half = SCALE * reach * variance.max(0.0).sqrt();
        let value = MEAN + SCALE * (strengths[item] - mean);
        Strength { value, low: value - half, high: value + half }
    };
    Ok((0..items).map(strength).collect())
}

/// Ratings after `games` in their order, each moving both sides by at most
/// `step` points (32 is usual); all start at 1,000. Elo 1978, "The Rating of
/// Chessplayers". Depends on the order: [`bradley_terry`] does not.
pub fn elo(items: usize, games: &[Game], step: f64) -> Result<Vec<f64>, Error> {
    check(items, games)?;
    if !(step.is_finite() && step > 0.0) {
        return Err(Error::Range { name: "the step", value: step, range: "above 0" });
    }
    let mut ratings = vec![MEAN; items];
    for game in games {
        let apart = ratings[game.right] - ratings[game.left];
        let expected = 1.0 / (1.0 + (apart / SCALE).exp());
        let gain = step * (share(game.outcome) - expected);
        ratings[game.left] += gain;
        ratings[game.right] -= gain;
    }
    Ok(ratings)
}

/// What the left item gets of a game.
fn share(outcome: Outcome) -> f64 {
    match outcome {
        Outcome::Left => 1.0,
        Outcome::Right => 0.0,
        Outcome::Draw => 0.5,
    }
}

fn check(items: usize, games: &[Game]) -> Result<(), Error> {
    for game in games {
        let highest = game.left.max(game.right);
        if highest >= items || game.left == game.right {
            let range = "two different numbers below the number of items";
            return Err(Error::Range { name: "an item of a game", value: highest as f64, range });
        }
    }
    Ok(())
}

/// `wins[i][j]`: how often `i` beat `j`.
fn wins(items: usize, games: &[Game]) -> Result<Vec<Vec<f64>>, Error> {
    if items < 2 {
        return Err(Error::TooFew { found: items, needed: 2 });
    }
    check(items, games)?;
    let mut wins = vec![vec![0.0; items]; items];
    for game in games {
        wins[game.left][game.right] += share(game.outcome);
        wins[game.right][game.left] += 1.0 - share(game.outcome);
    }
    Ok(wins)
}

/// An item that no chain of wins reaches from the first item, or from which
/// none reaches it.
fn unbounded(wins: &[Vec<f64>]) -> Option<usize> {
    let missed = |beats: &dyn Fn(usize, usize) -> bool| {
        let mut seen = vec![false; wins.len()];
        let mut open = vec![0];
        seen[0] = true;
        while let Some(from) = open.pop() {
            for (to, seen) in seen.iter_mut().enumerate() {
                if !*seen && beats(from, to) {
                    *seen = true;
                    open.push(to);
                }
            }
        }
        seen.iter().position(|seen| !seen)
    };
    missed(&|from, to| wins[from][to] > 0.0).or_else(|| missed(&|from, to| wins[to][from] > 0.0))
}

fn likelihood(wins: &[Vec<f64>], strengths: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (i, row) in wins.iter().enumerate() {
        for (j, count) in row.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            sum -= count * (strengths[j] - strengths[i]).exp().ln_1p();
        }
    }
    sum
}

/// Slope of the likelihood and its information, to which a one is added in
/// every cell so that it can be inverted: moving all strengths together
/// changes nothing.
fn derivatives(wins: &[Vec<f64>], strengths: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let items = wins.len();
    let mut slope = vec![0.0; items];
    let mut information = vec![vec![1.0; items]; items];
    for i in 0..items {
        for j in 0..items {
            let games = wins[i][j] + wins[j][i];
            let chance = 1.0 / (1.0 + (strengths[j] - strengths[i]).exp());
            slope[i] += wins[i][j] - games * chance;
            information[i][i] += games * chance * (1.0 - chance);
            information[i][j] -= games * chance * (1.0 - chance);
        }
    }
    (slope, information)
}

/// Solves a positive definite system by elimination with pivots.
fn solve(mut matrix: Vec<Vec<f64>>, right: &[f64]) -> Vec<f64> {
    let size = right.len();
    let mut right = right.to_vec();
    for column in 0..size {
        let largest = (column..size)
            .max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()))
            .unwrap_or(column);
        matrix.swap(column, largest);
        right.swap(column, largest);
        let pivot = matrix[column].clone();
        for row in column + 1..size {
            let factor = matrix[row][column] / pivot[column];
            for (cell, above) in matrix[row].iter_mut().zip(&pivot).skip(column) {
                *cell -= factor * above;
            }
            right[row] -= factor * right[column];
        }
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|column| matrix[row][column] * right[column]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::sample::reference_list;

    fn game((left, right, outcome): (usize, usize, Outcome)) -> Game {
        Game { left, right, outcome }
    }

    fn arena() -> Vec<Game> {
        use Outcome::{Draw, Left, Right};
        let games = [
            (0, 1, Left),
            (0, 2, Left),
            (1, 2, Right),
            (2, 3, Left),
            (0, 3, Left),
            (3, 1, Right),
            (1, 3, Draw),
            (2, 0, Right),
            (3, 0, Right),
            (0, 1, Left),
            (1, 0, Right),
            (2, 1, Draw),
            (3, 2, Left),
            (0, 3, Left),
            (3, 0, Left),
            (1, 2, Left),
        ];
        games.map(game).to_vec()
    }

    #[test]
    fn strengths_agree_with_the_reference_implementations() {
        let found = bradley_terry(4, &arena(), 0.95).unwrap();
        for (found, want) in found.iter().zip(reference_list("bradley_terry")) {
            assert!((found.value - want).abs() < 1e-3, "{found:?} is not {want}");
            assert!(found.low < found.value && found.value < found.high);
        }
        for (found, want) in found.iter().zip(reference_list("bradley_terry_half_widths")) {
            assert!((found.high - found.value - want).abs() < 1e-2, "{found:?} is not {want}");
        }
    }

    #[test]
    fn an_item_that_never_loses_has_no_bound() {
        let games = [(0, 1, Outcome::Left), (1, 2, Outcome::Left), (2, 1, Outcome::Left)].map(game);
        assert!(matches!(bradley_terry(3, &games, 0.95), Err(Error::Unbounded { .. })));
        // Two groups that never met.
        let apart = [(0, 1, Outcome::Draw), (2, 3, Outcome::Draw)].map(game);
        assert_eq!(bradley_terry(4, &apart, 0.95), Err(Error::Unbounded { item: 2 }));
    }

    #[test]
    fn intervals_cover_the_true_strengths() {
        // Strengths in log-odds; 60 games of each pair, 100 tournaments.
        let truth = [0.5, 0.0, -0.5];
        let mut random = SplitMix64::new(23);
        let mut covered = 0_u32;
        for _ in 0..100 {
            let mut games = Vec::new();
            for (left, right) in [(0, 1), (0, 2), (1, 2)] {
                let chance: f64 = 1.0 / (1.0 + f64::exp(truth[right] - truth[left]));
                for _ in 0..60 {
                    let won = (random.below(1_000_000) as f64) < chance * 1e6;
                    let outcome = if won { Outcome::Left } else { Outcome::Right };
                    games.push(Game { left, right, outcome });
                }
            }
            for (found, truth) in bradley_terry(3, &games, 0.95).unwrap().iter().zip(truth) {
                let want = MEAN + SCALE * truth;
                covered += u32::from(found.low <= want && want <= found.high);
            }
        }
        // 95 % of 300 is 285; four standard deviations are 15, and the three
        // of a tournament move together.
        assert!((265..=299).contains(&covered), "{covered} of 300");
    }

    #[test]
    fn ratings_move_by_what_was_not_expected() {
        let games = [(0, 1, Outcome::Left), (0, 1, Outcome::Draw)].map(game);
        let found = elo(2, &games, 32.0).unwrap();
        // 16 points, then a draw against an item 32 points below.
        let expected = 1.0 / (1.0 + 10.0_f64.powf(-32.0 / 400.0));
        assert!((found[0] - (1_016.0 + 32.0 * (0.5 - expected))).abs() < 1e-9);
        assert!((found[0] + found[1] - 2_000.0).abs() < 1e-9);
    }

    #[test]
    fn impossible_games_are_refused() {
        let own = [Game { left: 1, right: 1, outcome: Outcome::Draw }];
        assert!(matches!(bradley_terry(2, &own, 0.95), Err(Error::Range { .. })));
        assert!(matches!(elo(1, &own, 32.0), Err(Error::Range { .. })));
        assert!(matches!(bradley_terry(1, &[], 0.95), Err(Error::TooFew { .. })));
        assert!(matches!(elo(2, &[], f64::NAN), Err(Error::Range { .. })));
        assert!(matches!(bradley_terry(2, &[], 2.0), Err(Error::Level { .. })));
    }
}
