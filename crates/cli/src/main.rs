//! The binary `plumb`: flags, configuration, terminal, network, exit codes.

#![expect(
    unreachable_pub,
    reason = "a program has no outside; `pub` marks what other modules may use"
)]

mod access;
mod add;
mod answers;
mod args;
mod ask;
mod bench;
mod calibrate;
mod chat;
mod config;
mod context;
mod demo;
mod doctor;
mod embed;
mod endpoint;
mod eval;
mod exit;
mod fetch;
mod generate;
mod generator;
mod hints;
mod key;
mod labelled;
mod list;
mod mcp;
mod models;
mod paths;
mod progress;
mod project;
mod rebuild;
mod reload;
mod render;
mod rerank;
mod reuse;
mod search;
mod serve;
mod session;
mod snapshots;
mod status;
mod sync;
mod top;
mod traces;
mod tune;
mod verify;

use std::io::{self, Write};
use std::panic;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};

use crate::args::{Cli, Verb};
use crate::context::{Context, Stop};
use crate::exit::Exit;

fn main() -> ExitCode {
    silence_guarded_panics();
    let cli = Cli::parse();
    match run(&cli) {
        Ok(exit) => exit.into(),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if models::is_interruption(&error) => {
            let _ = writeln!(io::stderr().lock(), "interrupted; what was downloaded is kept");
            Exit::Interrupted.into()
        }
        Err(error) => {
            // Nothing can be done about a closed standard error.
            let _ = report(&error, &mut io::stderr().lock());
            ExitCode::FAILURE
        }
    }
}

/// Leaves panics that a reader of documents catches and reports itself out of
/// standard error. All others are printed as before.
fn silence_guarded_panics() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !plumb_ingest::is_guarded() {
            previous(panic);
        }
    }));
}

fn run(cli: &Cli) -> Result<Exit> {
    let context = Context::new(&cli.global, Stop::on_ctrl_c()?)?;
    match &cli.verb {
        Verb::Demo(args) => demo::run(args, &context),
        Verb::Init => add::init(&context),
        Verb::Add(args) => add::run(args, &context),
        Verb::Sync(args) => sync::run(args, &context),
        Verb::List(args) => list::list(args, &context),
        Verb::Show(args) => list::show(args, &context),
        Verb::Rm(args) => list::rm(args, &context),
        Verb::Search(args) => search::run(args, &context),
        Verb::Ask(args) => ask::run(args, &context),
        Verb::Chat(args) => chat::run(args, &context),
        Verb::Answer(verb) => answers::run(verb, &context),
        Verb::TuneRetrieval(args) => tune::run(args, &context),
        Verb::Calibrate(args) => calibrate::run(args, &context),
        Verb::Verify(args) => verify::run(args, &context),
        Verb::Status => status::run(&context),
        Verb::Snapshots => snapshots::run(&context),
        Verb::Model(verb) => models::run(verb, &context),
        Verb::Generate(args) => generate::run(args, &context),
        Verb::Embed(args) => embed::run(args, &context),
        Verb::Rerank(args) => rerank::run(args, &context),
        Verb::Bench(verb) => bench::run(verb, &context),
        Verb::Serve(args) => serve::run(args, &context),
        Verb::Eval(verb) => eval::run(verb, &context),
        Verb::Key(verb) => key::run(verb, &context),
        Verb::Top(args) => top::run(args, &context),
        Verb::Mcp(args) => mcp::run(args, &context),
        Verb::Doctor => doctor::run(&context),
        Verb::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "plumb", &mut io::stdout());
            Ok(Exit::Done)
        }
    }
}

/// True if the reader of our output went away, as `plumb list | head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints the chain of causes on one line, and what to do about it.
fn report(error: &anyhow::Error, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "error: {error:#}")?;
    match hints::hint(error) {
        Some(hint) => writeln!(out, "hint: {hint}"),
        None => Ok(()),
    }
}
