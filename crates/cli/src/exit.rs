//! Exit codes: what a script learns without reading the output.

use std::process::ExitCode;

/// How a verb ended, if not with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, or answered.
    Done,
    /// 1: the verb ran and found that something does not hold.
    Failed,
    /// 3: the documents do not support an answer.
    Abstained,
    /// 4: an answer does not verify.
    Unverified,
    /// 130: stopped by Ctrl-C; what was committed is kept.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Abstained => 3,
            Exit::Unverified => 4,
            Exit::Interrupted => 130,
        })
    }
}
