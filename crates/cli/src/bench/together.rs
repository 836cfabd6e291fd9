//! Several sequences that are generated at once.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use plumb_infer::{Engine, EngineSettings, Event, LanguageModel, Options, Priority, Request};

use super::Rates;
use super::generate::spread_tokens;
use crate::context::Context;

/// Tokens a second of all together, from the first request to the end of the
/// last: `generate` tokens each, after a short prompt.
pub(super) fn measure(
    context: &Context,
    model: &Arc<LanguageModel>,
    (sequences, generate, runs): (usize, usize, usize),
) -> Result<Rates> {
    let settings =
        EngineSettings { max_running: sequences, max_waiting: sequences, ..Default::default() };
    let engine = Engine::start(model.clone(), settings)?;
    let mut round = 0;
    Rates::measure(context, (runs, sequences * generate), || {
        let (sender, receiver) = channel();
        let started = Instant::now();
        for _ in 0..sequences {
            round += 1;
            let options = Options {
                max_tokens: generate,
                ignore_stop_tokens: true,
                speculation: false,
                ..Options::default()
            };
            let request = Request {
                prompt: spread_tokens(8, round, model.tokenizer().vocab_size())?,
                kept: Vec::new(),
                options,
                constraint: None,
                priority: Priority::Interactive,
            };
            let sender = sender.clone();
            let on_event = move |event| {
                if let Event::Done(done) = event {
                    // Nobody listens after an interruption.
                    let _ = sender.send(done);
                }
                ControlFlow::Continue(())
            };
            engine.submit(request, Box::new(on_event))?.detach();
        }
        drop(sender);
        for _ in 0..sequences {
            let done = receiver.recv().context("the engine stopped")??;
            if done.tokens.len() != generate {
                bail!("{} of {generate} tokens were generated", done.tokens.len());
            }
        }
        Ok(started.elapsed().as_secs_f64())
    })
}
