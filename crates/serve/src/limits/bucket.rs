//! A token bucket: so many a minute, in bursts of at most a minute's worth.

/// A bucket that fills by itself.
///
/// It may be overdrawn: tokens are counted when they are known, which is after
/// the work. An overdrawn bucket lets nothing through until it has filled again.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    per_minute: u32,
    level: f64,
    /// Milliseconds at which `level` was right.
    at: i64,
}

const MINUTE: f64 = 60_000.0;

impl Bucket {
    /// A full bucket.
    pub fn new(per_minute: u32, now: i64) -> Self {
        Self { per_minute, level: f64::from(per_minute), at: now }
    }

    fn fill(&mut self, now: i64) {
        // A clock that is set back gives nothing and takes nothing.
        let passed = (now - self.at).max(0) as f64;
        let most = f64::from(self.per_minute);
        self.level = (self.level + passed * most / MINUTE).min(most);
        self.at = self.at.max(now);
    }

    /// What can be taken now.
    pub fn remaining(&mut self, now: i64) -> u64 {
        self.fill(now);
        // At least zero, and at most a u32.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        let whole = (self.level + 1e-9).max(0.0) as u64;
        whole
    }

    /// Milliseconds until `amount` can be taken; 0 is now. An amount larger
    /// than the bucket waits for a full one.
    pub fn wait(&mut self, amount: u64, now: i64) -> u64 {
        self.fill(now);
        let wanted = (amount as f64).min(f64::from(self.per_minute)).max(1.0);
        let missing = wanted - self.level;
        if missing <= 1e-9 {
            return 0;
        }
        if self.per_minute == 0 {
            return u64::from(u32::MAX);
        }
        // Positive and finite.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        let wait = (missing * MINUTE / f64::from(self.per_minute)).ceil() as u64;
        wait
    }

    /// Takes `amount`, even if the bucket is overdrawn by it.
    pub fn take(&mut self, amount: u64, now: i64) {
        self.fill(now);
        self.level -= amount as f64;
    }

    /// Gives back what was taken and not used.
    pub fn give(&mut self, amount: u64, now: i64) {
        self.fill(now);
        self.level = (self.level + amount as f64).min(f64::from(self.per_minute));
    }

    /// Milliseconds until the bucket is full.
    pub fn full_in(&mut self, now: i64) -> u64 {
        self.wait(u64::from(self.per_minute), now)
    }

    /// What a full bucket holds.
    pub fn per_minute(&self) -> u32 {
        self.per_minute
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is asked for and when: no more passes than a full bucket
        /// and what flows in.
        #[test]
        fn never_more_passes_than_the_rate_allows(
            per_minute in 1_u32..1000,
            asks in proptest::collection::vec((0_i64..5000, 1_u64..50), 1..200),
        ) {
            let mut bucket = Bucket::new(per_minute, 0);
            let (mut now, mut passed) = (0, 0);
            for (pause, amount) in asks {
                now += pause;
                let amount = amount.min(u64::from(per_minute));
                if bucket.wait(amount, now) == 0 {
                    bucket.take(amount, now);
                    passed += amount;
                }
                let most = f64::from(per_minute) * (1.0 + now as f64 / MINUTE);
                prop_assert!(passed as f64 <= most + 1e-3, "{passed} of {most}");
            }
        }

        /// Who waits as long as told is let in.
        #[test]
        fn the_time_to_wait_is_enough_and_not_much_more(
            per_minute in 1_u32..1000, taken in 0_u64..3000, amount in 1_u64..2000,
        ) {
            let mut bucket = Bucket::new(per_minute, 0);
            bucket.take(taken, 0);
            let wait = i64::try_from(bucket.wait(amount, 0)).unwrap();
            if wait > 10 {
                prop_assert!(bucket.wait(amount, wait - 10) > 0);
            }
            prop_assert_eq!(bucket.wait(amount, wait + 1), 0);
        }
    }

    #[test]
    fn a_clock_that_goes_back_fills_nothing() {
        let mut bucket = Bucket::new(60, 1_000_000);
        bucket.take(60, 1_000_000);
        assert_eq!(bucket.remaining(0), 0);
        assert_eq!(bucket.remaining(1_001_000), 1);
    }
}
