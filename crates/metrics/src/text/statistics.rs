//! What each text adds to the score of all, and intervals from it.
//!
//! BLEU of a collection is not a mean of the texts' BLEU: counts are added
//! first. So an interval must resample the counts and compute the score anew,
//! which is what happens here, for measures that are means as well.

use crate::Error;
use crate::bootstrap::{Estimate, Method, Resampling, quantile, shifted_tails};

/// A table of numbers that may be added up: one row a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    width: usize,
    numbers: Vec<f64>,
}

impl Statistics {
    /// No rows yet; each will have `width` numbers.
    pub fn new(width: usize) -> Self {
        assert!(width > 0, "a row needs a number");
        Self { width, numbers: Vec::new() }
    }

    /// One row `[value, 1]` for each value, whose score is [`ratio`].
    pub fn of_mean(values: &[f64]) -> Self {
        let numbers = values.iter().flat_map(|value| [*value, 1.0]).collect();
        Self { width: 2, numbers }
    }

    /// Adds the numbers of the next text.
    pub fn push(&mut self, row: &[f64]) {
        assert_eq!(row.len(), self.width, "rows of one table are equally wide");
        self.numbers.extend_from_slice(row);
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.numbers.len() / self.width
    }

    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The numbers of each text in turn.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.numbers.chunks_exact(self.width)
    }

    /// A row of zeros.
    pub(super) fn zeros(&self) -> Vec<f64> {
        vec![0.0; self.width]
    }

    /// Adds the numbers of text `row` to `sums`.
    pub(super) fn add(&self, row: usize, sums: &mut [f64]) {
        let numbers = &self.numbers[row * self.width..(row + 1) * self.width];
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }

    /// The rows added up.
    pub fn sums(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.width];
        for row in self.rows() {
            sums.iter_mut().zip(row).for_each(|(sum, number)| *sum += number);
        }
        sums
    }

    /// `score` of all texts with its bootstrap interval. Needs two texts at least.
    ///
    /// The acceleration of the corrected interval comes from leaving out each
    /// text once. A score that is not finite is an error.
    pub fn estimate(
        &self,
        score: impl Fn(&[f64]) -> f64,
        how: &Resampling,
    ) -> Result<Estimate, Error> {
        how.check()?;
        if self.len() < 2 {
            return Err(Error::TooFew { found: self.len(), needed: 2 });
        }
        let sums = self.sums();
        let value = finite(score(&sums), 0)?;
        let mut scores = self.resampled(&score, how);
        if let Some(index) = scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::NotFinite { index, value: scores[index] });
        }
        scores.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - how.level) / 2.0;
        let (low, high) = match how.method {
            Method::Percentile => (tail, 1.0 - tail),
            Method::BiasCorrected => {
                let acceleration = self.acceleration(&sums, &score)?;
                shifted_tails(value, &scores, acceleration, tail)
            }
        };
        let (low, high) = (quantile(&scores, low), quantile(&scores, high));
        Ok(Estimate { mean: value, low, high, count: self.len() })
    }

    /// The score of each resample, in the order in which they were drawn. The
    /// draws depend on the seed and the number of texts alone, so that two
    /// systems, or two measures, are resampled alike.
    pub fn resampled(&self, score: impl Fn(&[f64]) -> f64, how: &Resampling) -> Vec<f64> {
        let mut draws = Draws::new(how.seed, self.len());
        let mut sums = vec![0.0; self.width];
        let one = |_| {
            match self.width {
                2 => self.sum_drawn::<2>(&mut draws, &mut sums),
                4 => self.sum_drawn::<4>(&mut draws, &mut sums),
                10 => self.sum_drawn::<10>(&mut draws, &mut sums),
                18 => self.sum_drawn::<18>(&mut draws, &mut sums),
                24 => self.sum_drawn::<24>(&mut draws, &mut sums),
                _ => self.sum_drawn_of_any_width(&mut draws, &mut sums),
            }
            score(&sums)
        };
        (0..how.resamples).map(one).collect()
    }

    /// As [`Self::sum_drawn_of_any_width`], with the sums in registers.
    fn sum_drawn<const WIDTH: usize>(&self, draws: &mut Draws, sums: &mut [f64]) {
        let (rows, _) = self.numbers.as_chunks::<WIDTH>();
        let mut inner = [0.0; WIDTH];
        for _ in 0..rows.len() {
            let row = &rows[draws.next()];
            for at in 0..WIDTH {
                inner[at] += row[at];
            }
        }
        sums.copy_from_slice(&inner);
    }

    fn sum_drawn_of_any_width(&self, draws: &mut Draws, sums: &mut [f64]) {
        sums.fill(0.0);
        for _ in 0..self.len() {
            let start = draws.next() * self.width;
            let row = &self.numbers[start..start + self.width];
            sums.iter_mut().zip(row).for_each(|(sum, number)| *sum += number);
        }
    }

    /// Skewness by 6 of the scores with one text left out.
    fn acceleration(&self, sums: &[f64], score: impl Fn(&[f64]) -> f64) -> Result<f64, Error> {
        let mut rest = sums.to_vec();
        let mut scores = Vec::with_capacity(self.len());
        for (index, row) in self.rows().enumerate() {
            for ((rest, sum), number) in rest.iter_mut().zip(sums).zip(row) {
                *rest = sum - number;
            }
            scores.push(finite(score(&rest), index)?);
        }
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let squares: f64 = scores.iter().map(|score| (mean - score).powi(2)).sum();
        let cubes: f64 = scores.iter().map(|score| (mean - score).powi(3)).sum();
        Ok(if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 })
    }
}

/// The first of two sums by the second: the score of a mean.
pub fn ratio(sums: &[f64]) -> f64 {
    if sums[1] == 0.0 { 0.0 } else { sums[0] / sums[1] }
}

fn finite(value: f64, index: usize) -> Result<f64, Error> {
    if value.is_finite() { Ok(value) } else { Err(Error::NotFinite { index, value }) }
}

/// Rows drawn with replacement.
struct Draws {
    random: crate::SplitMix64,
    bound: u32,
    /// Products whose low half is below this belong to the uneven rest.
    threshold: u32,
    spare: Option<u32>,
}

impl Draws {
    fn new(seed: u64, rows: usize) -> Self {
        let bound = u32::try_from(rows).expect("a table has less than four billion rows");
        let threshold = bound.wrapping_neg() % bound.max(1);
        Self { random: crate::SplitMix64::new(seed), bound, threshold, spare: None }
    }

    /// The next row, each equally likely (Lemire 2019, doi:10.1145/3230636).
    #[expect(clippy::cast_possible_truncation, reason = "halves of a number are meant")]
    fn next(&mut self) -> usize {
        loop {
            let bits = self.spare.take().unwrap_or_else(|| {
                let both = self.random.next_u64();
                self.spare = Some((both >> 32) as u32);
                both as u32
            });
            let wide = u64::from(bits) * u64::from(self.bound);
            if wide as u32 >= self.threshold {
                return (wide >> 32) as usize;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate_mean;

    fn values() -> Vec<f64> {
        (0..60_u32).map(|i| f64::from(i * i % 17) / 17.0).collect()
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_the_plain_bootstrap() {
        let values = values();
        for method in [Method::Percentile, Method::BiasCorrected] {
            let how = Resampling { method, ..Resampling::default() };
            let plain = estimate_mean(&values, &how).unwrap();
            let found = Statistics::of_mean(&values).estimate(ratio, &how).unwrap();
            assert!((plain.mean - found.mean).abs() < 1e-12);
            // Other random numbers: the ends agree to a few hundredths of the width.
            assert!((plain.low - found.low).abs() < 0.006, "{plain:?} {found:?}");
            assert!((plain.high - found.high).abs() < 0.006, "{plain:?} {found:?}");
        }
    }

    #[test]
    fn a_width_with_its_own_loop_gives_the_same_sums() {
        let how = Resampling { resamples: 50, ..Resampling::default() };
        let narrow = Statistics::of_mean(&values()).resampled(|sums| sums[0], &how);
        let mut wide = Statistics::new(3);
        for value in values() {
            wide.push(&[value, 1.0, 0.0]);
        }
        let sums = wide.resampled(|sums| sums[0], &how);
        assert!(narrow.iter().zip(&sums).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn an_undefined_score_is_an_error() {
        let how = Resampling::default();
        let table = Statistics::of_mean(&[1.0, 2.0, 3.0]);
        let undefined = table.estimate(|_| f64::NAN, &how);
        assert!(matches!(undefined, Err(Error::NotFinite { .. })));
        // Only some of the resamples are undefined.
        let sometimes = table.estimate(|sums| 1.0 / (sums[0] - 3.0), &how);
        assert!(matches!(sometimes, Err(Error::NotFinite { .. })));
        let one = Statistics::of_mean(&[1.0]).estimate(ratio, &how);
        assert!(matches!(one, Err(Error::TooFew { found: 1, needed: 2 })));
    }

    #[test]
    fn draws_are_even() {
        let mut draws = Draws::new(9, 7);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[draws.next()] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 550), "{counts:?}");
    }
}
