//! How many items a comparison needs before it is worth running.

use crate::{Error, normal, sample};

/// What a planned two-sided test should do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Chance of an alarm when there is no difference, such as 0.05.
    pub alpha: f64,
    /// Chance of an alarm when the difference is as large as stated.
    pub power: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { alpha: 0.05, power: 0.8 }
    }
}

impl Plan {
    /// The normal quantiles of both errors.
    fn quantiles(self) -> Result<(f64, f64), Error> {
        for (name, value) in [("alpha", self.alpha), ("the power", self.power)] {
            open_share(name, value)?;
        }
        if self.power <= self.alpha {
            let range = "above alpha";
            return Err(Error::Range { name: "the power", value: self.power, range });
        }
        Ok((normal::quantile(1.0 - self.alpha / 2.0), normal::quantile(self.power)))
    }
}

/// Items needed in each of two groups to see the shares `left` and `right`
/// apart. The pooled-variance formula of Fleiss, Levin and Paik 2003,
/// "Statistical Methods for Rates and Proportions", without continuity.
pub fn two_proportions(left: f64, right: f64, plan: Plan) -> Result<u64, Error> {
    open_share("a share", left)?;
    open_share("a share", right)?;
    let (alarm, miss) = plan.quantiles()?;
    let pooled = f64::midpoint(left, right);
    let null = (2.0 * pooled * (1.0 - pooled)).sqrt();
    let apart = (left * (1.0 - left) + right * (1.0 - right)).sqrt();
    whole((alarm * null + miss * apart).powi(2) / (left - right).powi(2))
}

/// Items needed to see that the mean difference of two systems on the same
/// items is `difference`, if differences scatter with standard deviation
/// `spread`. Normal formula with Guenther's correction for the t test,
/// doi:10.1080/00031305.1981.10479358.
pub fn paired_means(difference: f64, spread: f64, plan: Plan) -> Result<u64, Error> {
    if !(spread > 0.0 && spread.is_finite()) {
        return Err(Error::Range { name: "the spread", value: spread, range: "above 0" });
    }
    let (alarm, miss) = plan.quantiles()?;
    let standardised = difference / spread;
    whole(((alarm + miss) / standardised).powi(2) + alarm * alarm / 2.0)
}

/// Smallest mean difference of two systems on the same items that shows with
/// the power of `plan`, for as many `differences` of such a spread as given.
/// Needs two that differ.
pub fn smallest_paired_difference(differences: &[f64], plan: Plan) -> Result<f64, Error> {
    sample::check(differences, 2)?;
    let (alarm, miss) = plan.quantiles()?;
    let (count, mean) = (differences.len() as f64, sample::raw_mean(differences));
    let squares: f64 = differences.iter().map(|value| (value - mean).powi(2)).sum();
    if squares <= 0.0 {
        return Err(Error::Undefined { what: "the spread", why: "all differences are equal" });
    }
    Ok((alarm + miss) * (squares / (count - 1.0) / count).sqrt())
}

fn open_share(name: &'static str, value: f64) -> Result<(), Error> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(Error::Range { name, value, range: "between 0 and 1" })
}

/// The next whole number, of a count that a machine can hold.
fn whole(items: f64) -> Result<u64, Error> {
    if items.is_finite() && items < 1e15 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a sum of squares below 1e15"
        )]
        return Ok((items.ceil() as u64).max(2));
    }
    Err(Error::Undefined { what: "the number of items", why: "no number shows a difference of 0" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::sample::reference;

    #[test]
    fn both_plans_agree_with_the_reference_implementation() {
        let plan = Plan::default();
        for (left, right, name) in
            [(0.7, 0.75, "plan_proportions_70_75"), (0.1, 0.2, "plan_proportions_10_20")]
        {
            let found = two_proportions(left, right, plan).unwrap() as f64;
            assert!((found - reference(name).ceil()).abs() < 0.5, "{name}: {found}");
        }
        // Guenther's correction is within one item of the noncentral t.
        for (difference, name) in [(0.02, "plan_paired_0.02"), (0.1, "plan_paired_0.1")] {
            let found = paired_means(difference, 0.2, plan).unwrap() as f64;
            assert!((found - reference(name).ceil()).abs() < 1.5, "{name}: {found}");
        }
    }

    #[test]
    fn a_planned_test_has_about_the_power_it_was_planned_for() {
        let plan = Plan { alpha: 0.05, power: 0.8 };
        let count = two_proportions(0.3, 0.45, plan).unwrap();
        let mut random = SplitMix64::new(41);
        let mut share = |chance: f64| {
            let limit = chance * 1e6;
            let hits = (0..count).filter(|_| (random.below(1_000_000) as f64) < limit).count();
            hits as f64 / count as f64
        };
        let seen = (0..500).filter(|_| {
            let (left, right) = (share(0.3), share(0.45));
            let pooled = f64::midpoint(left, right);
            let error = (2.0 * pooled * (1.0 - pooled) / count as f64).sqrt();
            (left - right).abs() / error > 1.96
        });
        // 80 % of 500 is 400; four standard deviations are 36.
        let seen = seen.count();
        assert!((364..=436).contains(&seen), "{seen} of 500");
    }

    #[test]
    fn what_can_be_seen_and_what_is_needed_are_the_same_question() {
        let differences: Vec<f64> = (0..200_u32).map(|i| f64::from(i * 7 % 11) / 11.0).collect();
        let plan = Plan::default();
        let least = smallest_paired_difference(&differences, plan).unwrap();
        let mean = differences.iter().sum::<f64>() / 200.0;
        let squares: f64 = differences.iter().map(|value| (value - mean).powi(2)).sum();
        let needed = paired_means(least, (squares / 199.0).sqrt(), plan).unwrap();
        assert!((200..=203).contains(&needed), "{needed}");
        let same = smallest_paired_difference(&[1.0, 1.0], plan);
        assert!(matches!(same, Err(Error::Undefined { .. })));
    }

    #[test]
    fn what_cannot_be_planned_is_refused() {
        let plan = Plan::default();
        assert!(matches!(two_proportions(0.5, 0.5, plan), Err(Error::Undefined { .. })));
        assert!(matches!(two_proportions(0.0, 0.5, plan), Err(Error::Range { .. })));
        assert!(matches!(paired_means(0.0, 1.0, plan), Err(Error::Undefined { .. })));
        assert!(matches!(paired_means(0.1, f64::NAN, plan), Err(Error::Range { .. })));
        let weak = Plan { power: 0.01, ..plan };
        assert!(matches!(paired_means(0.1, 1.0, weak), Err(Error::Range { .. })));
    }
}
