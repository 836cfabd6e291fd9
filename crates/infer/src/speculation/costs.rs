//! What passes through the model take.

use std::time::Duration;

use super::{MAX_DRAFT, seconds};

/// Weight of a new measurement.
const NEWEST: f64 = 0.2;

/// What a further token adds to a pass, as a part of a pass over one token,
/// before any was measured.
const ASSUMED: f64 = 0.12;

/// Times of passes by the number of tokens that they read.
///
/// They belong to a model on a machine, and change with what else runs there:
/// newer measurements count more.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Costs {
    /// Seconds of passes over 1, 2, ... tokens; 0 if not yet measured.
    measured: [f64; 1 + MAX_DRAFT],
    /// The same without gaps and never falling.
    smooth: [f64; 1 + MAX_DRAFT],
}

impl Costs {
    pub(crate) fn new() -> Self {
        let mut costs = Self { measured: [0.0; 1 + MAX_DRAFT], smooth: [0.0; 1 + MAX_DRAFT] };
        costs.fill_gaps();
        costs
    }

    /// Seconds of a pass over `tokens`, at most [`MAX_DRAFT`] + 1.
    pub(crate) fn of(&self, tokens: usize) -> f64 {
        self.smooth[tokens - 1]
    }

    /// Learns that a pass over `tokens` took so long.
    pub(crate) fn learn(&mut self, tokens: usize, elapsed: Duration) {
        let Some(known) = self.measured.get_mut(tokens.wrapping_sub(1)) else { return };
        let mut new = seconds(elapsed).max(1e-9);
        if *known != 0.0 {
            // A pass that something else delayed says little.
            new = new.min(3.0 * *known);
            new = *known + NEWEST * (new - *known);
        }
        *known = new;
        self.fill_gaps();
    }

    /// A pass that was not measured takes as much longer than the next shorter
    /// one as is assumed, and none less than a shorter one.
    fn fill_gaps(&mut self) {
        let one = if self.measured[0] == 0.0 { 0.01 } else { self.measured[0] };
        let mut last = one;
        for (i, (&measured, smooth)) in self.measured.iter().zip(&mut self.smooth).enumerate() {
            let guess = if i == 0 { one } else { last + ASSUMED * one };
            last = if measured == 0.0 { guess } else { measured.max(last) };
            *smooth = last;
        }
    }
}
