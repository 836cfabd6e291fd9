//! Who is left alone for a while after failing: a circuit breaker.
//!
//! Closed until a number of failures in a row; then open for a time that
//! doubles with each return; then one request is let through on trial, and its
//! outcome closes or opens it again.

/// The breaker of one endpoint. Times are milliseconds of any clock that does
/// not go back.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    limit: u32,
    rest: u64,
    failures: u32,
    /// How often it opened since it last closed.
    openings: u32,
    /// Nothing goes through before.
    closed_until: u64,
    is_on_trial: bool,
}

/// What may go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Everything.
    Closed,
    /// One request, to see.
    Trial,
    /// Nothing before a time.
    Open { until: u64 },
}

const MOST_DOUBLINGS: u32 = 4;

impl Breaker {
    pub(super) fn new(limit: u32, rest: u64) -> Self {
        let limit = limit.max(1);
        Self { limit, rest, failures: 0, openings: 0, closed_until: 0, is_on_trial: false }
    }

    pub(super) fn state(&self, now: u64) -> State {
        if now < self.closed_until {
            State::Open { until: self.closed_until }
        } else if self.openings == 0 {
            State::Closed
        } else if self.is_on_trial {
            State::Open { until: now + self.rest }
        } else {
            State::Trial
        }
    }

    /// A request goes through.
    pub(super) fn begin(&mut self, now: u64) {
        self.is_on_trial |= self.state(now) == State::Trial;
    }

    /// A request that went through was called off: nothing was learnt.
    pub(super) fn call_off(&mut self) {
        self.is_on_trial = false;
    }

    pub(super) fn succeed(&mut self) {
        (self.failures, self.openings, self.is_on_trial) = (0, 0, false);
    }

    pub(super) fn fail(&mut self, now: u64) {
        self.failures += 1;
        let was_trial = std::mem::take(&mut self.is_on_trial);
        if was_trial || (self.openings == 0 && self.failures >= self.limit) {
            let doublings = self.openings.min(MOST_DOUBLINGS);
            self.openings += 1;
            self.closed_until = now + (self.rest << doublings);
        }
    }

    /// The endpoint asked to be left alone, which is no failure.
    pub(super) fn pause(&mut self, until: u64) {
        self.is_on_trial = false;
        self.closed_until = self.closed_until.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_a_good_trial() {
        let mut breaker = Breaker::new(2, 100);
        breaker.fail(0);
        breaker.succeed();
        breaker.fail(0);
        assert_eq!(breaker.state(0), State::Closed);
        breaker.fail(0);
        assert_eq!(breaker.state(99), State::Open { until: 100 });
        assert_eq!(breaker.state(100), State::Trial);
        breaker.begin(100);
        assert!(matches!(breaker.state(100), State::Open { .. }), "two trials at once");
        breaker.succeed();
        assert_eq!(breaker.state(100), State::Closed);
    }

    #[test]
    fn each_failed_trial_doubles_the_rest() {
        let mut breaker = Breaker::new(1, 100);
        breaker.fail(0);
        let mut now = 100;
        for rest in [200, 400, 800, 1600, 1600] {
            breaker.begin(now);
            breaker.fail(now);
            assert_eq!(breaker.state(now), State::Open { until: now + rest });
            now += rest;
        }
    }

    #[test]
    fn a_trial_that_was_called_off_is_followed_by_another() {
        let mut breaker = Breaker::new(1, 100);
        breaker.fail(0);
        breaker.begin(100);
        breaker.call_off();
        assert_eq!(breaker.state(100), State::Trial);
    }

    #[test]
    fn late_failures_of_requests_from_before_do_not_lengthen_the_rest() {
        let mut breaker = Breaker::new(1, 100);
        breaker.fail(0);
        breaker.fail(50);
        assert_eq!(breaker.state(100), State::Trial);
    }
}
