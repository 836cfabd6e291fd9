//! One client over standard input and output: a JSON message a line.

use std::io::{self, BufRead, Write};

use crate::auth::role::Principal;
use crate::mcp::protocol::Server;

/// Longest message that is read.
const MAX_LINE: u64 = 16 << 20;

/// Answers until the input ends. Whoever started the program may read
/// everything in it.
pub fn serve(server: &Server, mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let who = Principal::local();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = io::Read::take(&mut input, MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if let Some(answer) = server.answer(&who, &line) {
            serde_json::to_writer(&mut output, &answer)?;
            output.write_all(b"\n")?;
            output.flush()?;
        }
    }
}
