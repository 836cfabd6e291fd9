//! `plumb mcp`: the project for an agent, over standard input and output.

use std::io::{self, BufReader};

use anyhow::Result;

use crate::context::Context;
use crate::exit::Exit;
use crate::serve::{ServeArgs, settings};

/// Let an agent search and ask the project, over the Model Context Protocol
///
/// Speaks on standard input and output, for programs that start it themselves.
/// `plumb serve` speaks the same at /mcp. The tools read and change nothing.
#[derive(clap::Args, Debug)]
pub struct McpArgs {}

pub fn run(_: &McpArgs, context: &Context) -> Result<Exit> {
    let settings = settings(&ServeArgs::default(), context)?;
    plumb_serve::mcp_stdio(settings, BufReader::new(io::stdin()), io::stdout())?;
    Ok(Exit::Done)
}
