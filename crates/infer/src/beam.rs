//! Beam search: the likeliest continuations, as far as a narrow search finds
//! them.
//!
//! The search is that of transformers (`BeamSearchScorer` and
//! `BeamHypotheses`): at each step the best continuations of all beams are
//! ranked; those that end are set aside, the others become the new beams. A
//! continuation's score is `sum of log-probabilities / length^length_penalty`,
//! where the length counts the token that ended it.
//!
//! [`beam_search`] knows no model: a [`Scorer`] says how likely each token is.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use crate::Error;
use crate::sampling::top;

/// Says how likely each token is after some others.
pub trait Scorer {
    /// What was read so far.
    type State: Clone;

    /// The state after the prompt, and the log-probabilities (V) there.
    fn start(&mut self) -> Result<(Self::State, Vec<f32>), Error>;

    /// The same after one more token.
    fn extend(&mut self, state: Self::State, token: u32) -> Result<(Self::State, Vec<f32>), Error>;

    /// Tokens that end a continuation.
    fn end_tokens(&self) -> &[u32];
}

/// When a search ends before its last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyStopping {
    /// As soon as there are as many finished continuations as beams;
    /// `early_stopping=True` in transformers.
    First,
    /// When the best beam, were it to end here, could not replace one of these:
    /// its default, `False`.
    Heuristic,
    /// When no beam can: its `"never"`.
    Never,
}

/// Settings of a beam search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BeamSearch {
    pub beams: usize,
    /// Tokens of a continuation, the one that ends it included.
    pub max_tokens: usize,
    /// Exponent of the length by which a score is divided; 0 leaves the sum,
    /// more favours longer continuations.
    pub length_penalty: f32,
    pub early_stopping: EarlyStopping,
}

impl BeamSearch {
    /// Fails if a value is not a number or out of its range, and says which.
    pub fn check(&self) -> Result<(), Error> {
        let setting = |field, value, range| Err(Error::Setting { field, value, range });
        if !(1..=256).contains(&self.beams) {
            return setting("beams", self.beams.to_string(), "from 1 to 256");
        }
        if !(-10.0..=10.0).contains(&self.length_penalty) {
            return setting("length_penalty", self.length_penalty.to_string(), "from -10 to 10");
        }
        Ok(())
    }

    fn score(&self, sum: f64, length: usize) -> f64 {
        sum / (length as f64).powf(f64::from(self.length_penalty))
    }
}

/// A continuation that a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Without the token that ended it.
    pub tokens: Vec<u32>,
    /// Sum of the log-probabilities, the ending token's included.
    pub logprob: f64,
    /// What continuations are ranked by.
    pub score: f64,
    /// False if the search ended before it.
    pub is_finished: bool,
}

/// The best continuations, at most as many as beams, the best first.
///
/// `go_on` is asked before every step; with [`ControlFlow::Break`] the search
/// ends with what it has. Ties go to the better beam, then to the lower token
/// id.
pub fn beam_search<S: Scorer>(
    scorer: &mut S,
    settings: &BeamSearch,
    go_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Vec<Hypothesis>, Error> {
    settings.check()?;
    let mut finished = Finished { settings, best: Vec::new() };
    let (state, logprobs) = scorer.start()?;
    let mut beams = vec![Beam { tokens: Vec::new(), sum: 0.0, state, logprobs }];
    for length in 1..=settings.max_tokens {
        if go_on().is_break() {
            break;
        }
        let steps = best_steps(&beams, settings.beams, scorer.end_tokens().len());
        let Some(best) = steps.first().map(|step| step.sum) else { break };
        let mut next = Vec::new();
        for (rank, step) in steps.into_iter().enumerate() {
            if next.len() == settings.beams {
                break;
            }
            if !scorer.end_tokens().contains(&step.token) {
                next.push(step);
            } else if rank < settings.beams {
                // A later one is not as good as the beams that go on.
                finished.add(beams[step.beam].tokens.clone(), step.sum, length, true);
            }
        }
        if finished.is_done(best, length) {
            return Ok(finished.best);
        }
        let is_last = length == settings.max_tokens;
        beams = continued(scorer, beams, &next, is_last)?;
    }
    for beam in beams {
        let length = beam.tokens.len();
        if 0 < length {
            finished.add(beam.tokens, beam.sum, length, false);
        }
    }
    Ok(finished.best)
}

/// A continuation that may go on.
struct Beam<S> {
    tokens: Vec<u32>,
    sum: f64,
    state: S,
    /// Of the next token.
    logprobs: Vec<f32>,
}

/// A token after a beam.
#[derive(Clone, Copy)]
struct Step {
    beam: usize,
    token: u32,
    /// Of the log-probabilities, with this token's.
    sum: f64,
}

/// The best steps of all beams: enough that `beams` of them do not end, even if
/// every beam's best steps are `ends`.
fn best_steps<S>(beams: &[Beam<S>], width: usize, ends: usize) -> Vec<Step> {
    let count = (1 + ends).max(2) * width;
    let (mut best, mut steps) = (Vec::new(), Vec::new());
    for (at, beam) in beams.iter().enumerate() {
        top(&beam.logprobs, count, &mut best);
        let step = |&(logprob, token): &(f32, u32)| {
            let sum = beam.sum + f64::from(logprob);
            Step { beam: at, token, sum }
        };
        steps.extend(best.iter().map(step));
    }
    steps.sort_unstable_by(|a, b| {
        b.sum.total_cmp(&a.sum).then((a.beam, a.token).cmp(&(b.beam, b.token)))
    });
    steps.truncate(count);
    steps
}

/// The beams after `steps`. The last ones are not read: nothing follows them.
fn continued<S: Scorer>(
    scorer: &mut S,
    beams: Vec<Beam<S::State>>,
    steps: &[Step],
    is_last: bool,
) -> Result<Vec<Beam<S::State>>, Error> {
    let mut tokens = Vec::new();
    let mut states = Vec::new();
    for beam in beams {
        tokens.push(beam.tokens);
        states.push(Some(beam.state));
    }
    let mut next = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        // A state is copied only if another beam needs it, too.
        let is_shared = steps[i + 1..].iter().any(|later| later.beam == step.beam);
        let slot = &mut states[step.beam];
        let Some(state) = (if is_shared { slot.clone() } else { slot.take() }) else { continue };
        let (state, logprobs) =
            if is_last { (state, Vec::new()) } else { scorer.extend(state, step.token)? };
        let mut tokens = tokens[step.beam].clone();
        tokens.push(step.token);
        next.push(Beam { tokens, sum: step.sum, state, logprobs });
    }
    Ok(next)
}

/// The best continuations so far, the best first, at most as many as beams.
struct Finished<'a> {
    settings: &'a BeamSearch,
    best: Vec<Hypothesis>,
}

impl Finished<'_> {
    fn add(&mut self, tokens: Vec<u32>, logprob: f64, length: usize, is_finished: bool) {
        let score = self.settings.score(logprob, length);
        // Behind its equals: the first found stays.
        let at = self.best.partition_point(|other| other.score.total_cmp(&score) != Ordering::Less);
        self.best.insert(at, Hypothesis { tokens, logprob, score, is_finished });
        self.best.truncate(self.settings.beams);
    }

    /// Whether the search may end, if the best step so far sums up to `best`.
    fn is_done(&self, best: f64, length: usize) -> bool {
        let Some(worst) = self.best.last() else { return false };
        if self.best.len() < self.settings.beams {
            return false;
        }
        let longest = match self.settings.early_stopping {
            EarlyStopping::First => return true,
            EarlyStopping::Never if 0.0 < self.settings.length_penalty => self.settings.max_tokens,
            EarlyStopping::Heuristic | EarlyStopping::Never => length,
        };
        self.settings.score(best, longest) <= worst.score
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const END: u32 = 0;

    /// A model whose next token depends on the last two, by a table.
    #[derive(Debug)]
    struct Fake {
        vocabulary: u32,
        table: Vec<u16>,
        extended: usize,
    }

    impl Fake {
        fn logprobs(&self, tokens: &[u32]) -> Vec<f32> {
            let mut place = tokens.len() as u64 * 31;
            for &token in tokens.iter().rev().take(2) {
                place = place.wrapping_mul(1_000_003).wrapping_add(u64::from(token) + 1);
            }
            let weight = |token: u32| {
                let at = place.wrapping_mul(7919).wrapping_add(u64::from(token) * 104_729);
                let at = usize::try_from(at % self.table.len() as u64).unwrap();
                f64::from(self.table[at]) + 1.0
            };
            let total: f64 = (0..self.vocabulary).map(weight).sum();
            #[expect(clippy::cast_possible_truncation, reason = "logits are floats")]
            (0..self.vocabulary).map(|token| (weight(token) / total).ln() as f32).collect()
        }

        /// Every continuation that ends or is as long as may be.
        fn all(&self, settings: &BeamSearch) -> Vec<Hypothesis> {
            let mut open = vec![(Vec::new(), 0.0)];
            let mut found = Vec::new();
            for length in 1..=settings.max_tokens {
                let mut next = Vec::new();
                for (tokens, sum) in open {
                    for (token, logprob) in (0..).zip(self.logprobs(&tokens)) {
                        let (mut tokens, sum) = (tokens.clone(), sum + f64::from(logprob));
                        let score = settings.score(sum, length);
                        if token == END {
                            found.push((score, tokens, sum, true));
                            continue;
                        }
                        tokens.push(token);
                        if length == settings.max_tokens {
                            found.push((score, tokens.clone(), sum, false));
                        }
                        next.push((tokens, sum));
                    }
                }
                open = next;
            }
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            let hypothesis = |(score, tokens, logprob, is_finished)| Hypothesis {
                tokens,
                logprob,
                score,
                is_finished,
            };
            found.into_iter().map(hypothesis).collect()
        }
    }

    impl Scorer for Fake {
        type State = Vec<u32>;

        fn start(&mut self) -> Result<(Vec<u32>, Vec<f32>), Error> {
            Ok((Vec::new(), self.logprobs(&[])))
        }

        fn extend(
            &mut self,
            mut state: Vec<u32>,
            token: u32,
        ) -> Result<(Vec<u32>, Vec<f32>), Error> {
            self.extended += 1;
            state.push(token);
            let logprobs = self.logprobs(&state);
            Ok((state, logprobs))
        }

        fn end_tokens(&self) -> &[u32] {
            &[END]
        }
    }

    /// The search as transformers has it, over all tokens of all beams.
    fn slow(fake: &Fake, settings: &BeamSearch) -> Vec<Hypothesis> {
        let mut beams = vec![(Vec::new(), 0.0)];
        let mut found: Vec<Hypothesis> = Vec::new();
        for length in 1..=settings.max_tokens {
            let mut all = Vec::new();
            for (at, (tokens, sum)) in beams.iter().enumerate() {
                let logprobs = fake.logprobs(tokens);
                all.extend((0..).zip(logprobs).map(|(t, l)| (sum + f64::from(l), at, t)));
            }
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
            all.truncate(2 * settings.beams);
            let mut next = Vec::new();
            for (rank, &(sum, at, token)) in all.iter().enumerate() {
                let mut tokens: Vec<u32> = beams[at].0.clone();
                if token == END && rank < settings.beams {
                    let score = settings.score(sum, length);
                    found.push(Hypothesis { tokens, logprob: sum, score, is_finished: true });
                } else if token != END && next.len() < settings.beams {
                    tokens.push(token);
                    next.push((tokens, sum));
                }
                if next.len() == settings.beams {
                    break;
                }
            }
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(settings.beams);
            let attainable = match settings.early_stopping {
                EarlyStopping::First => f64::NEG_INFINITY,
                EarlyStopping::Never if 0.0 < settings.length_penalty => {
                    settings.score(all[0].0, settings.max_tokens)
                }
                _ => settings.score(all[0].0, length),
            };
            if found.len() == settings.beams && attainable <= found[settings.beams - 1].score {
                return found;
            }
            beams = next;
        }
        for (tokens, logprob) in beams {
            let score = settings.score(logprob, settings.max_tokens);
            found.push(Hypothesis { tokens, logprob, score, is_finished: false });
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(settings.beams);
        found
    }

    fn search(fake: &mut Fake, settings: &BeamSearch) -> Vec<Hypothesis> {
        beam_search(fake, settings, &mut || ControlFlow::Continue(())).unwrap()
    }

    fn fakes() -> impl Strategy<Value = Fake> {
        let table = prop::collection::vec(0_u16..1000, 40..80);
        (2_u32..5, table).prop_map(|(vocabulary, table)| Fake { vocabulary, table, extended: 0 })
    }

    proptest! {
        #[test]
        fn with_a_beam_for_every_continuation_the_best_is_found(
            mut fake in fakes(),
            max_tokens in 1_usize..5,
            length_penalty in -1.0_f32..2.0,
        ) {
            let settings = BeamSearch {
                beams: 256,
                max_tokens,
                length_penalty,
                early_stopping: EarlyStopping::Never,
            };
            let want = fake.all(&settings);
            let found = search(&mut fake, &settings);
            prop_assert_eq!(found.len(), want.len().min(256));
            for (found, want) in found.iter().zip(&want) {
                prop_assert!((found.score - want.score).abs() < 1e-9);
            }
            prop_assert_eq!(found[0].logprob.to_bits(), want[0].logprob.to_bits());
        }

        #[test]
        fn the_search_is_that_of_transformers(
            mut fake in fakes(),
            beams in 1_usize..5,
            max_tokens in 1_usize..7,
            length_penalty in -1.0_f32..2.0,
            early_stopping in prop::sample::select(
                vec![EarlyStopping::First, EarlyStopping::Heuristic, EarlyStopping::Never]),
        ) {
            let settings = BeamSearch { beams, max_tokens, length_penalty, early_stopping };
            prop_assert_eq!(search(&mut fake, &settings), slow(&fake, &settings));
        }

        #[test]
        fn one_beam_is_greedy(mut fake in fakes(), max_tokens in 1_usize..9) {
            let settings = BeamSearch {
                beams: 1,
                max_tokens,
                length_penalty: 1.0,
                early_stopping: EarlyStopping::First,
            };
            let found = search(&mut fake, &settings);
            let mut want = Vec::new();
            while want.len() < max_tokens {
                let logprobs = fake.logprobs(&want);
                let best = (0..).zip(&logprobs).fold((0, f32::NEG_INFINITY), |best, (token, &l)| {
                    if best.1 < l { (token, l) } else { best }
                });
                if best.0 == END {
                    break;
                }
                want.push(best.0);
            }
            prop_assert_eq!(&found[0].tokens, &want);
        }

        #[test]
        fn every_score_is_that_of_its_tokens_and_the_order_is_by_score(
            mut fake in fakes(),
            beams in 1_usize..5,
            max_tokens in 1_usize..7,
            length_penalty in -1.0_f32..2.0,
            early_stopping in prop::sample::select(
                vec![EarlyStopping::First, EarlyStopping::Heuristic, EarlyStopping::Never]),
        ) {
            let settings = BeamSearch { beams, max_tokens, length_penalty, early_stopping };
            let found = search(&mut fake, &settings);
            prop_assert!(!found.is_empty() && found.len() <= beams);
            prop_assert!(found.windows(2).all(|pair| pair[1].score <= pair[0].score));
            for hypothesis in &found {
                let tokens = &hypothesis.tokens;
                let all: Vec<u32> =
                    tokens.iter().copied().chain(hypothesis.is_finished.then_some(END)).collect();
                let sum: f64 = (0..all.len())
                    .map(|i| f64::from(fake.logprobs(&all[..i])[all[i] as usize]))
                    .sum();
                prop_assert!((hypothesis.logprob - sum).abs() < 1e-9);
                let divisor = (all.len() as f64).powf(f64::from(length_penalty));
                prop_assert!((hypothesis.score - sum / divisor).abs() < 1e-9);
                prop_assert!(hypothesis.is_finished || tokens.len() == max_tokens);
            }
        }
    }

    #[test]
    fn stopping_early_reads_less_and_never_finds_better() {
        let mut read = Vec::new();
        let mut best = Vec::new();
        for early_stopping in [EarlyStopping::First, EarlyStopping::Heuristic, EarlyStopping::Never]
        {
            let table = (0..61_u16).map(|i| i * 37 % 101).collect();
            let mut fake = Fake { vocabulary: 4, table, extended: 0 };
            let settings =
                BeamSearch { beams: 3, max_tokens: 12, length_penalty: 1.0, early_stopping };
            best.push(search(&mut fake, &settings)[0].score);
            read.push(fake.extended);
        }
        assert!(read[0] <= read[1] && read[1] <= read[2] && read[0] < read[2], "{read:?}");
        assert!(best[0] <= best[2] && best[1] <= best[2], "{best:?}");
    }

    #[test]
    fn a_search_that_is_broken_off_gives_what_it_has() {
        let mut fake = Fake { vocabulary: 4, table: (1..50).collect(), extended: 0 };
        let settings = BeamSearch {
            beams: 2,
            max_tokens: 9,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::Never,
        };
        let mut steps = 0;
        let found = beam_search(&mut fake, &settings, &mut || {
            steps += 1;
            if steps == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(found.unwrap().iter().any(|h| h.tokens.len() == 3 && !h.is_finished));
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let settings = BeamSearch {
            beams: 0,
            max_tokens: 1,
            length_penalty: f32::NAN,
            early_stopping: EarlyStopping::First,
        };
        let message = settings.check().unwrap_err().to_string();
        assert_eq!(message, "`beams` is 0; it must be from 1 to 256");
        let message = BeamSearch { beams: 1, ..settings }.check().unwrap_err().to_string();
        assert_eq!(message, "`length_penalty` is NaN; it must be from -10 to 10");
    }
}
