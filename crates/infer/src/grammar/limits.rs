//! What a grammar from outside may cost.

use std::panic::AssertUnwindSafe;
use std::thread;

use llguidance::api::ParserLimits;

use crate::Error;

/// Bytes of a schema, pattern or grammar. The compiler can be quadratic in
/// them: four times as much can take ten seconds.
pub(super) const MAX_SOURCE: usize = 64 << 10;

/// Bytes of all texts to quote from.
pub(super) const MAX_TEXTS: usize = 256 << 10;

/// Stack for the compiler, which calls itself for each rule of a chain of
/// rules. 10 kB a rule were seen, and the shortest rule has 6 bytes.
const STACK: usize = 256 << 20;

/// Brackets that are open at once in a pattern or grammar. Parsers of these
/// call themselves for each; JSON has a limit of its own.
const MAX_NESTING: usize = 100;

/// Characters of a message.
const MAX_MESSAGE: usize = 400;

/// What the parser may build. A lexer state takes about 2 kB: at most some
/// 100 MB, where the default would be five times as much.
pub(super) fn parser_limits() -> ParserLimits {
    ParserLimits { max_lexer_states: 50_000, verbose_errors: false, ..ParserLimits::default() }
}

pub(super) fn check_size(kind: &'static str, bytes: usize, limit: usize) -> Result<(), Error> {
    if bytes <= limit { Ok(()) } else { Err(Error::GrammarTooLong { kind, bytes, limit }) }
}

/// Counts brackets wherever they stand: one too many in a string is refused,
/// too, which is better than a second parser here.
pub(super) fn check_nesting(kind: &'static str, text: &str) -> Result<(), Error> {
    let mut open = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if MAX_NESTING < open {
            return Err(Error::GrammarTooDeep { kind, limit: MAX_NESTING });
        }
    }
    Ok(())
}

/// Runs `build` as [`guarded`], on a stack that the longest grammar does not
/// overflow. An overflow would end the process. Memory is taken as it is used.
pub(super) fn deep<T: Send, E: std::fmt::Display>(
    build: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, String> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().stack_size(STACK);
        let running = builder.spawn_scoped(scope, || guarded(build));
        match running.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(built)) => built,
            Ok(Err(_)) => Err("the compiler panicked".to_owned()),
            Err(error) => Err(format!("no thread to compile it on: {error}")),
        }
    })
}

/// Runs `build` and makes a message of its error or panic.
pub(super) fn guarded<T, E: std::fmt::Display>(
    build: impl FnOnce() -> Result<T, E>,
) -> Result<T, String> {
    llguidance::panic_utils::catch_unwind(AssertUnwindSafe(|| Ok(build())))
        .map_err(|panic| panic.to_string())?
        .map_err(|error| format!("{error:#}"))
}

/// The first part of a message of the parser, without the state and the
/// backtrace that it may append, in one line.
pub(super) fn shortened(message: &str) -> String {
    let message = message.split("\n<").next().unwrap_or(message).trim();
    // Whether the parser panicked or returned an error is its own affair.
    let message = message.strip_prefix("panic: ").unwrap_or(message);
    let line: Vec<&str> = message.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{} [...]", &line[..end]),
        None => line,
    }
}
