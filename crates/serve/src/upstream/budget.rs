//! How many requests more than were asked for may be sent.

/// Fills with each request by a fraction, and is spent by retries and hedges.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    ratio: f64,
    level: f64,
}

/// What is there at the beginning, and what is saved up at most: enough for a
/// pool that is hardly used, and little beside the load of one that is.
const RESERVE: f64 = 10.0;

impl Budget {
    pub(super) fn new(ratio: f64) -> Self {
        Self { ratio: ratio.clamp(0.0, 1.0), level: RESERVE }
    }

    /// A request was asked for.
    pub(super) fn deposit(&mut self) {
        self.level = (self.level + self.ratio).min(RESERVE);
    }

    /// Takes one more request out, if there is one.
    pub(super) fn withdraw(&mut self) -> bool {
        let has_one = self.level >= 1.0;
        if has_one {
            self.level -= 1.0;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_where_all_fails_is_sent_little_more_than_was_asked_for() {
        let mut budget = Budget::new(0.2);
        let mut retries = 0;
        for _ in 0..1000 {
            budget.deposit();
            retries += u32::from(budget.withdraw()) + u32::from(budget.withdraw());
        }
        assert!((200..=210).contains(&retries), "{retries}");
    }
}
